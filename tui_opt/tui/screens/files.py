"""Asking for the path of a scenario file, to open or to save, with what is on the disk completed as it is typed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tui_opt.tui.screens.dialog import Dialog

MOST_ENTRIES = 2_000


class PathSuggester(Suggester):
    """Completes folders and scenario files; `tab` or the right arrow takes the suggestion."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The first entry of the folder that begins so."""
        return await asyncio.to_thread(completed, value)


def completed(value: str) -> str | None:
    """A path that continues the given one: a folder and a slash, or a TOML file; None where there is none."""
    folder, _, beginning = value.rpartition("/")
    place = Path(os.path.expanduser(f"{folder}/" if "/" in value else "."))
    try:
        with os.scandir(place) as found:
            entries = sorted(
                (entry for entry, _ in zip(found, range(MOST_ENTRIES), strict=False)), key=lambda e: e.name
            )
    except OSError:
        return None
    for entry in entries:
        if not entry.name.startswith(beginning) or (entry.name.startswith(".") and not beginning):
            continue
        rest = entry.name[len(beginning) :]
        if entry.is_dir():
            return f"{value}{rest}/"
        if entry.name.endswith(".toml") and rest:
            return value + rest
    return None


class _PathScreen(Dialog[Path]):
    """A line to type a path into. Enter accepts, escape gives up."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", id="path.give_up"),
        Binding("tab", "complete", "complete", id="path.complete", priority=True),
    ]
    QUESTION = ""

    def __init__(self, start: str) -> None:
        super().__init__()
        self._start = start

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self.QUESTION, markup=False)
            field = Input(self._start, suggester=PathSuggester(), compact=True)
            field.cursor_blink = False
            yield field
            yield Static("", id="sentence", markup=False)

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(Input).focus()

    async def action_complete(self) -> None:
        """Take what the folder suggests."""
        field = self.query_one(Input)
        suggestion = await asyncio.to_thread(completed, field.value)
        if suggestion is not None:
            field.value = suggestion
            field.cursor_position = len(suggestion)

    def action_give_up(self) -> None:
        """Answer nothing."""
        self.dismiss(None)

    def say(self, sentence: str) -> None:
        """Say what is wrong with the path."""
        self.query_one("#sentence", Static).update(sentence)

    def on_input_changed(self) -> None:
        """What was wrong may be right now."""
        self.say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept the path, or say why not."""
        path = Path(event.value.strip()).expanduser()
        if not event.value.strip():
            self.say("Type the path of a file.")
            return
        sentence = self.problem(path)
        if sentence:
            self.say(sentence)
        else:
            self.dismiss(path)

    def problem(self, path: Path) -> str:
        """Why the path will not do, empty where it will."""
        raise NotImplementedError


class OpenScreen(_PathScreen):
    """Which scenario file to read into the form."""

    QUESTION = "Open a scenario file (tab completes, escape gives up):"

    def __init__(self) -> None:
        super().__init__("")

    def problem(self, path: Path) -> str:
        """It must be a file that can be read; what is in it is checked when it is read."""
        if path.is_dir():
            return f"{path} is a folder; type the path of a scenario file."
        if not path.is_file():
            return f"There is no file {path}."
        return "" if os.access(path, os.R_OK) else f"{path} cannot be read."


class SaveScreen(_PathScreen):
    """Under which path to write the form as a scenario file. One that exists is replaced only on a second enter."""

    QUESTION = "Save the form as a scenario file (escape gives up):"

    def __init__(self, suggestion: Path) -> None:
        super().__init__(str(suggestion))
        self._warned: Path | None = None

    def problem(self, path: Path) -> str:
        """It must be a file in a folder that can be written."""
        if path.is_dir():
            return f"{path} is a folder; type the path of a file."
        if not path.parent.is_dir():
            return f"There is no folder {path.parent}."
        if not os.access(path.parent, os.W_OK):
            return f"The folder {path.parent} cannot be written."
        if path.exists() and self._warned != path:
            self._warned = path
            return f"{path} exists; press enter again to replace it."
        return ""
