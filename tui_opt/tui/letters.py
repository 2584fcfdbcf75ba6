"""What background threads tell the interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui_opt.scenario_file import ScenarioFile
    from tui_opt.store import RunRow
    from tui_opt.tui.presets import Preset
    from tui_opt.tui.run_view import RunView


@dataclass(frozen=True)
class Loaded:
    """What takes too long for the first frame: all scenarios, the presets of each experiment, the machine."""

    scenarios: Mapping[str, Any]
    presets: Mapping[tuple[str, str], Sequence[Preset]]
    machine: str
    broken: Sequence[str]


@dataclass(frozen=True)
class RunsChanged:
    """The runs of the store, oldest first."""

    rows: Sequence[RunRow]


@dataclass(frozen=True)
class Began:
    """A run was started for the interface; `live` ones are superseded by the next. `subject` is what asked for it."""

    run: Path
    live: bool
    subject: int


@dataclass(frozen=True)
class Cost:
    """What a run of the form's parameters would take. `allowed` is whether it is cheap enough to run live."""

    seconds: float
    allowed: bool


@dataclass(frozen=True)
class Seen:
    """The newest of the run that is looked at, for the `subject` that asked for it."""

    view: RunView
    subject: int


@dataclass(frozen=True)
class Opened:
    """A scenario file was read, for the form."""

    file: ScenarioFile
    from_run: bool = False


@dataclass(frozen=True)
class Free:
    """What had to be done before the app may leave is done."""


@dataclass(frozen=True)
class Notice:
    """A sentence for the status line; `wrong` ones stay until they are read."""

    text: str
    wrong: bool = False


@dataclass(frozen=True)
class Drawn:
    """A page of the stage, ready to show."""

    place: str
    ticket: int
    strips: list[Strip]
