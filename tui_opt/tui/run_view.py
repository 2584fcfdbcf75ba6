"""A run as the interface looks at it: its state, its parameters, and the newest result there is to draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_opt.errors import OptexploreError
from tui_opt.result import ResultDocument
from tui_opt.runner import files
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import ScenarioFile, read_file

if TYPE_CHECKING:
    from tui_opt.expectations import Outcome
    from tui_opt.result import Result

LOG_BYTES = 65_536
_STAND_INS = "preview/"  # arrays that stand for larger ones in the figures of a reduced result


@dataclass(frozen=True)
class RunView:
    """What is known of a run at a moment.

    Args:
        run: its directory.
        status: `status.json` with its state made true; empty where the run is gone or cannot be read.
        file: its scenario file, None where that cannot be used any more.
        problem: why something of it cannot be shown, a sentence; empty where all can.
        result: the newest result, partial while it runs.
        final: whether that result is the last word.
        outcomes: its expectations, judged once it is done.
        log: the last lines of its log.
        live: whether it is superseded by the next change.
    """

    run: RunDirectory
    status: dict[str, Any]
    file: ScenarioFile | None
    problem: str
    result: Result | None
    final: bool
    outcomes: tuple[Outcome, ...]
    log: tuple[str, ...]
    live: bool

    @property
    def state(self) -> str:
        """The run's state; `unreadable` where its status is damaged, missing, or of a newer version."""
        return str(self.status.get("state", "unreadable"))

    @property
    def active(self) -> bool:
        """Whether more of it is to come."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class ArrayGlimpse:
    """An array of a result as a list shows it: what it is, and its first numbers."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    unit: str
    text: str
    first: tuple[Any, ...]


def glimpses(view: RunView, most: int) -> list[ArrayGlimpse]:
    """Every array of a view's result with its first `most` numbers; large ones are not read.

    Raises:
        StoreError: the result cannot be read any more.
    """
    result = view.result
    if result is None:
        return []
    if view.final and (view.run.path / "result.json").exists():
        described = ResultDocument.model_validate(view.run.result_document()).arrays
    else:
        described = {n: a.info() for n, a in result.arrays.items() if not n.startswith(_STAND_INS)}
    found = []
    for name, info in described.items():
        held = result.arrays.get(name)
        if held is not None and held.values.shape == info.shape:
            first = held.values.ravel()[:most]
        else:
            rows = most if len(info.shape) < 2 else 1
            first = view.run.glimpse(name, rows).ravel()[:most]
        found.append(
            ArrayGlimpse(name, info.dims, info.shape, info.dtype, info.unit, info.text, tuple(first.tolist()))
        )
    return found


def look(path: Path, before: RunView | None = None, *, live: bool = False) -> RunView:
    """Look at a run.

    Args:
        path: its directory.
        before: what was seen of the same run last; what cannot have changed since is taken from there.
        live: whether it is a run of live mode.

    Returns:
        What there is now. Whatever is wrong with the run is said in `problem`; nothing is raised.
    """
    run = RunDirectory(path)
    if before is not None and before.run.path != path:
        before = None
    try:
        status = run.status()
    except OptexploreError as error:
        return RunView(run, {}, None, str(error), None, False, (), (), live)
    file, problem = _file(run, before)
    result: Result | None = None
    final = False
    outcomes: tuple[Outcome, ...] = ()
    try:
        if before is not None and before.final:
            result, final, outcomes = before.result, True, before.outcomes
        elif status["state"] == "done":
            result, final = run.preview(), True
            if result is None:
                run.result_document()  # says what is the matter
            outcomes = _judged(run, file, result)
        elif before is not None and before.status.get("partial") == status.get("partial"):
            result = before.result
        else:
            result = run.preview()
    except (OptexploreError, OSError, ValueError) as error:
        problem = str(error)
    log = tuple(files.tail(run.path / "log.txt", LOG_BYTES))
    return RunView(run, status, file, problem, result, final, outcomes, log, live)


def _file(run: RunDirectory, before: RunView | None) -> tuple[ScenarioFile | None, str]:
    if before is not None and before.file is not None:
        return before.file, ""
    try:
        return read_file(run.path / "scenario.toml"), ""
    except OptexploreError as error:
        return None, str(error)


def _judged(run: RunDirectory, file: ScenarioFile | None, result: Result | None) -> tuple[Outcome, ...]:
    """The expectations against the full arrays they name, which a preview may hold in a reduced form."""
    if file is None or result is None or not file.expectations:
        return ()
    from dataclasses import replace

    from tui_opt.expectations import judge

    named = {e.finding or e.array or "" for e in file.expectations}
    described = run.result_document().get("arrays", {})
    dims = {dim for name in named if name in described for dim in described[name]["dims"]}
    names = tuple(n for name in named | dims for n in (name, f"{name}_stderr"))
    whole = run.result(arrays=names)
    return tuple(judge(file.expectations, replace(whole, findings=result.findings), file.sweep))
