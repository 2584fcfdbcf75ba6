"""Small sentences and phrases of the interface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui_opt.durations import duration

if TYPE_CHECKING:
    from tui_opt.tui.run_view import RunView


def amount(count: int, thing: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def home_relative(path: Path) -> str:
    """A path with `~` for the home folder."""
    try:
        return f"~/{path.resolve().relative_to(Path.home())}"
    except (ValueError, OSError, RuntimeError):
        return str(path)


def state_words(seconds: float) -> str:
    """An expected time, no more exact than an estimate can be."""
    if seconds < 0.1:
        return "0.1 s"
    return duration(round(seconds, 1) if seconds < 10 else seconds)


#: how to go on with a run, for those who are in the app.
_GO_ON = "Press g in the list of runs (4) to go on with it."


def trouble(view: RunView) -> str:
    """What is wrong with a run, a sentence for who is in the app; empty where nothing is."""
    if view.problem:
        return view.problem
    if view.state == "lost":
        return f"Its process ended without a word. {_GO_ON}"
    if view.state == "cancelled":
        return f"It was cancelled. {_GO_ON}"
    return str(view.status.get("error") or "")


def ended_words(view: RunView) -> str:
    """How a run ended, in a sentence."""
    name = f"{view.file.scenario.name} {view.file.experiment.name}" if view.file is not None else view.run.id
    if view.state == "done":
        elapsed = view.status.get("elapsed")
        took = f" after {duration(elapsed)}" if isinstance(elapsed, int | float) else ""
        return f"{name} is done{took}."
    return trouble(view) or f"{name} is {view.state}."
