"""`runs attach`: the progress of a run that another process works on, and its result when it ends."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tui_opt.cli.batch import ProgressLine, exit_code, show_one
from tui_opt.cli.present import FigureChoice
from tui_opt.errors import ExitCode, OptexploreError
from tui_opt.expectations import judge
from tui_opt.runner.context import Progress
from tui_opt.runner.execute import Ended
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.planning import Plan
from tui_opt.runner.queue import waiting
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import is_taken
from tui_opt.scenario_file import ScenarioFile, read_file

LOOK = 0.1
LEFT = "Left alone; `optexplore runs attach` looks at it again."


def attach(run: RunDirectory, *, as_json: bool, figures: FigureChoice, check: bool, quiet: bool) -> int:
    """Follow a run to its end and print its result; the exit code is that of a batch.

    Raises:
        OptexploreError: its directory or its scenario file cannot be read.
    """
    file = read_file(run.path / "scenario.toml")
    line = ProgressLine(f"{file.scenario.name} {file.experiment.name}", Interrupts())
    try:
        status = _follow(run, line, quiet=quiet)
    except KeyboardInterrupt:
        line.clear()
        line.say(LEFT)
        return int(ExitCode.INTERRUPTED)
    finally:
        line.clear()
    ended = _ended(run, file, status)
    show_one(_plan(run, file), ended, as_json=as_json, figures=figures)
    return exit_code(ended, check=check)


def _follow(run: RunDirectory, line: ProgressLine, *, quiet: bool) -> dict[str, Any]:
    """Show progress until the run has ended; its last status."""
    messages = _Messages(run.path / "events.jsonl")
    said = False
    while (status := run.status())["state"] in ("queued", "running"):
        if not quiet:
            if status["state"] == "queued" and not said:
                said = True
                line.say(_waits(run))
            for text in messages.new():
                line.say(text)
            if status["state"] == "running":
                what = str(status.get("what") or "")
                line.show(Progress(float(status.get("progress") or 0.0), 1.0, what), status.get("eta"))
        time.sleep(LOOK)
    return status


def _waits(run: RunDirectory) -> str:
    """Where in the queue a run is, and whether anybody will take it."""
    store = run.path.parent
    queue = waiting(store)
    row = next((row for row in queue if row.id == run.id), None)
    if row is None:
        return "begins this moment"
    lane = [other.id for other in queue if other.lane == row.lane]
    place = f"waits in the queue, place {lane.index(run.id) + 1} of {len(lane)} for {row.lane or 'cpu'}"
    if is_taken(store, row.lane or "cpu"):
        return f"{place}; Ctrl-C leaves it there"
    return (
        f"{place}, but no worker serves that on this machine. The app starts one; "
        f"`optexplore runs resume {run.id}` carries it out here."
    )


class _Messages:
    """The sentences that a run's log gains from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = path.stat().st_size if path.exists() else 0

    def new(self) -> list[str]:
        """Those since the last look."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._place)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._place += len(whole)
        found = []
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("kind") == "message":
                found.append(str(event.get("text", "")))
        return found


def _ended(run: RunDirectory, file: ScenarioFile, status: dict[str, Any]) -> Ended:
    """How a run ended, from what it left."""
    elapsed = float(status.get("elapsed") or 0.0)
    state, error = status["state"], status.get("error")
    if state != "done":
        return Ended(run, state, ExitCode.RUN_FAILED, elapsed, error)
    try:
        result = run.result()
    except OptexploreError as problem:
        return Ended(run, "failed", ExitCode.RUN_FAILED, elapsed, str(problem))
    failed = result.findings.get("failed_points") if file.sweep is not None else None
    code = ExitCode.SWEEP_INCOMPLETE if failed is not None and failed.value > 0 else ExitCode.OK
    return Ended(run, state, code, elapsed, None, result, tuple(judge(file.expectations, result, file.sweep)))


def _plan(run: RunDirectory, file: ScenarioFile) -> Plan:
    """What it ran on, as it says itself."""
    from tui_opt.runner import files

    meta = files.read_json(run.path / "meta.json") or {}
    threads = meta.get("threads")
    return Plan(file, str(meta.get("device") or file.device), threads if isinstance(threads, int) else 1)
