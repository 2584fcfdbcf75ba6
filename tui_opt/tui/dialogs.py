"""The workbench's questions: each opens a screen over the app and hands on the answer, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App


def _if_named(then: Callable[[Path], object]) -> Callable[[Path | None], None]:
    def answered(path: Path | None) -> None:
        if path is not None:
            then(path)

    return answered


def ask_where_to_save(app: App[Any], name: str, then: Callable[[Path], object]) -> None:
    """Ask for the path to save a scenario file under."""
    from tui_opt.tui.screens.files import SaveScreen

    app.push_screen(SaveScreen(Path(name)), _if_named(then))


def ask_what_to_open(app: App[Any], then: Callable[[Path], object]) -> None:
    """Ask for the path of a scenario file."""
    from tui_opt.tui.screens.files import OpenScreen

    app.push_screen(OpenScreen(), _if_named(then))


def ask_to_delete(app: App[Any], name: str, then: Callable[[], object]) -> None:
    """Ask before a run is deleted."""
    from tui_opt.tui.screens.confirm import ConfirmScreen

    def answered(yes: bool | None) -> None:
        if yes:
            then()

    app.push_screen(ConfirmScreen(f"Delete {name}? Its arrays and its log go with it.", "delete"), answered)
