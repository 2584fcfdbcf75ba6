"""The app in a real terminal, with real workers, when something goes wrong: signals, hang-ups, lines that stall."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.tui.conftest import GATED, Gate
from tests.tui.terminal import APP, KEYS, Terminal
from tui_opt.runner.files import read_json
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import enqueue
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_text

PATIENCE = 120.0
SCATTER = 'scenario = "bouncing-ball"\nexperiment = "scatter"\n'
SCATTER += "[params]\nseconds = {seconds}\nblocks = 60\nballs = 600\n"
#: leaves the alternate screen, shows the cursor, and ends mouse reports and bracketed paste.
RESTORING = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?1006l", b"\x1b[?2004l")


class Desk:
    """Terminals with the app on one store, and runs in its queue."""

    def __init__(self, environment: dict[str, str], store: Path, gate: Gate) -> None:
        self._environment = environment
        self.store = store
        self.gate = gate
        self._terminals: list[Terminal] = []
        self._runs: list[RunDirectory] = []

    def app(self, columns: int = 120, lines: int = 40) -> Terminal:
        """The app, with its list of runs there."""
        terminal = Terminal(APP, self._environment, columns=columns, lines=lines)
        self._terminals.append(terminal)
        terminal.wait_for("Runs" if columns >= 100 else "toy-sgd")
        return terminal

    def queued(self, seconds: float, store: Path | None = None) -> RunDirectory:
        """A run in the queue that takes that long, on one thread."""
        run = enqueue(plan(read_text(SCATTER.format(seconds=seconds))), store or self.store, "cpu")
        self._runs.append(run)
        return run

    def waiting(self) -> RunDirectory:
        """A run in the queue that gets on until the gate is opened."""
        run = enqueue(plan(read_text(GATED)), self.store, "cpu")
        self._runs.append(run)
        return run

    def close(self) -> None:
        for terminal in self._terminals:
            terminal.close()
        for run in self._runs:
            if run.path.exists() and state(run) in ("queued", "running"):
                run.request_cancel()


@pytest.fixture
def desk(
    environment: Callable[..., dict[str, str]],
    gate: Gate,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """No app may leave a traceback, whatever is done to it."""
    folders = {"HOME": "", "OPTEXPLORE_CONFIG_DIR": "config", "OPTEXPLORE_CACHE_DIR": "cache"}
    seen = environment(LC_ALL="C.UTF-8", **{name: str(tmp_path / folder) for name, folder in folders.items()})
    seen["PYTHONPATH"] = gate.seen_from(seen["PYTHONPATH"])
    monkeypatch.setenv("PYTHONPATH", seen["PYTHONPATH"])  # for workers that are started from here
    made = Desk(seen, runs, gate)
    yield made
    made.close()
    trace = tmp_path / "cache" / "last-error.txt"
    assert not trace.exists(), trace.read_text()


def state(run: RunDirectory) -> str:
    return str(run.status()["state"])


def wait_for_state(run: RunDirectory, *states: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while state(run) not in states:
        assert time.monotonic() < deadline, f"{run.id} is {run.status()}, not {' or '.join(states)}"
        time.sleep(0.01)


def worker_of(run: RunDirectory) -> int:
    meta = read_json(run.path / "meta.json")
    assert meta is not None
    return int(meta["pid"])


def workers_of(store: Path, lane: str) -> list[int]:
    """The processes that serve a lane of a store."""
    words = ["--store", str(store), "--lane", lane]
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = process.info["cmdline"] or []
        if "tui_opt.runner.worker" in line and line[line.index("tui_opt.runner.worker") + 1 :][:4] == words:
            found.append(process.info["pid"])
    return found


ENDINGS = {
    "SIGHUP": lambda app: app.process.send_signal(signal.SIGHUP),
    "SIGTERM": lambda app: app.process.send_signal(signal.SIGTERM),
    "SIGKILL": lambda app: app.process.send_signal(signal.SIGKILL),
    "the terminal is gone": Terminal.hang_up,
}
CODES = {"SIGHUP": 129, "SIGTERM": 143, "SIGKILL": -signal.SIGKILL, "the terminal is gone": 129}


#: one that is handled and leaves a terminal to look at, and the one that leaves none: the others go the same ways.
USUAL = ("SIGHUP", "the terminal is gone")


@pytest.mark.parametrize(
    "ending", [e if e in USUAL else pytest.param(e, marks=pytest.mark.slow) for e in ENDINGS]
)
def test_a_run_goes_on_without_its_app_and_a_new_one_shows_it(desk: Desk, ending: str) -> None:
    run = desk.waiting()
    app = desk.app()
    app.wait_for("● scatter")
    worker = worker_of(run)
    ENDINGS[ending](app)
    assert app.process.wait(PATIENCE) == CODES[ending]
    if ending in ("SIGHUP", "SIGTERM"):
        app.wait_end()
        assert app.current_settings == app.settings
        assert all(code in app.output for code in RESTORING)
    assert state(run) == "running"

    again = desk.app()
    again.wait_for("to go")
    desk.gate.open()
    again.wait_for("✓ scatter")
    again.wait_for("done in")
    assert state(run) == "done"
    assert worker_of(run) == worker


def stall(desk: Desk, seconds: float) -> None:
    """Read nothing of an app for so long, while a run goes on that would show something new all the time."""
    run = desk.queued(seconds)
    app = desk.app()
    app.wait_for("● scatter")
    app.press("4")
    app.wait_for("go on with it")
    app.press("enter")
    app.wait_for("to go")
    elsewhere = Workforce(desk.store.parent / "elsewhere")
    same = desk.queued(seconds, desk.store.parent / "elsewhere")
    elsewhere.wake("cpu", same)
    app.stop_reading()
    app.press(*["down", "up"] * 200)  # more than fits into the line and into the app's queue of output
    for each in (run, same):
        wait_for_state(each, "done")
    elsewhere.close()
    ours, theirs = (each.status()["elapsed"] for each in (run, same))
    assert ours <= 1.3 * theirs + 1.0
    app.go_on_reading()
    app.wait_for("✓ scatter")
    app.wait_for("done in")
    app.press("?")
    app.wait_for("Everywhere")
    app.press("escape")
    app.wait_for(lambda text: "Everywhere" not in text)
    app.press("q")
    assert app.wait_end() == 0
    assert app.current_settings == app.settings


def test_a_terminal_that_stops_reading_does_not_slow_the_run(desk: Desk) -> None:
    stall(desk, seconds=3)


@pytest.mark.slow
def test_a_terminal_that_stops_reading_for_long_does_not_slow_the_run(desk: Desk) -> None:
    stall(desk, seconds=64)


def test_the_app_can_be_ended_while_the_terminal_does_not_read(desk: Desk) -> None:
    app = desk.app()
    app.stop_reading()
    app.press(*["down", "up"] * 400)
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(PATIENCE) == 143
    assert app.current_settings == app.settings


def test_two_apps_on_one_store_see_the_same_runs_and_share_the_workers(desk: Desk) -> None:
    first, second = desk.app(), desk.app(80, 24)
    second.press("4")
    second.wait_for("no runs yet")
    runs = [desk.waiting(), desk.waiting()]
    for app in (first, second):
        app.wait_for(lambda text: re.search("●.* scatter", text) and re.search("◌.* scatter", text))
    only_one_stays(desk.store, "cpu")
    desk.gate.open()
    for app in (first, second):
        app.wait_for(lambda text: len(re.findall("✓.* scatter", text)) == 2)
    first.press("/")
    first.wait_for(lambda text: text.split("\n")[1].startswith("filter"))
    first.type("drop\r")
    first.wait_for("tab next pane  r run")
    first.press("enter")
    first.wait_for("drop ─")
    first.press("r")
    second.wait_for(lambda text: re.search("✓.* drop", text))
    only_one_stays(desk.store, "cpu")
    only_one_stays(desk.store, "interactive")
    assert [state(run) for run in runs] == ["done", "done"]


def only_one_stays(store: Path, lane: str) -> None:
    """Of two that were started at once, the one that finds the slot taken leaves."""
    deadline = time.monotonic() + 30.0
    while len(workers_of(store, lane)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_worker_leaves_a_lost_run_that_goes_on_at_a_key(desk: Desk) -> None:
    run = desk.waiting()
    app = desk.app()
    app.wait_for("● scatter")
    worker = worker_of(run)
    os.kill(worker, signal.SIGKILL)
    app.wait_for("? scatter")
    app.wait_for("lost")
    app.press("4")
    app.wait_for("g go on with it")
    app.press("g")
    desk.gate.open()
    app.wait_for("✓ scatter")
    assert state(run) == "done"
    assert worker_of(run) != worker
    assert run.result().findings["blocks_done"].value == 600


@pytest.mark.parametrize("bursts", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_random_keys_typed_in_bursts_and_sizes_do_not_end_the_app(desk: Desk, bursts: int) -> None:
    desk.queued(seconds=2)
    pick = random.Random(20)
    keys = [*KEYS, *"abcdefghijklmnoprstuvwxyz0123456789 /?[].-+=^()"]
    keys = [key for key in keys if key not in ("ctrl+q", "q", "ctrl+p")]
    app = desk.app()
    for _ in range(bursts):
        app.press(*pick.choices(keys, k=25))
        app.resize(pick.randint(1, 200), pick.randint(1, 60))
    app.resize(120, 40)
    for _ in range(4):  # out of whatever dialog or field this has led to
        app.press("escape")
        app.wait_quiet(0.3)
    assert app.process.poll() is None
    app.press("ctrl+q")
    app.wait_for(lambda text: "under way" in text or app.process.poll() is not None)
    app.press("l")
    assert app.wait_end() == 0
    assert b"Traceback" not in app.output
