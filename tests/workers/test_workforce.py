"""The workforce: starts a worker where there is none, once, and lets it go on alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import DROP, SCATTER, write_plugin_metadata
from tests.workers.conftest import PATIENCE, planned, state, wait_for, wait_for_state
from tui_opt.errors import StoreError
from tui_opt.runner import workforce as module
from tui_opt.runner.queue import INTERACTIVE, enqueue
from tui_opt.runner.slots import is_taken, log_path
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario import registry

BRIEF = SCATTER + "[params]\nseconds = 0.3\nblocks = 30\n"


def workers_of(store: Path) -> list[psutil.Process]:
    """The workers of a store that live, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "tui_opt.runner.worker" in words and str(store) in words and process.info["status"] != "zombie":
            found.append(process)
    return found


def test_runs_are_carried_out_and_told_and_the_rest_is_drained(store: Path, visible_plugin: None) -> None:
    told: list[Path] = []
    threads: set[int] = set()

    def changed(path: Path) -> None:
        told.append(path)
        threads.add(threading.get_ident())

    workforce = Workforce(store, changed=changed)
    first = enqueue(planned(BRIEF), store, "cpu")
    for _ in range(20):
        workforce.ensure("cpu")
    workforce.wake("cpu", first)
    wait_for_state(first, "done")
    (process,) = workers_of(store)
    assert os.getsid(process.pid) == process.pid  # so that it outlives a terminal
    wait_for(lambda: told.count(first.path) >= 3, "running, progress and the end are told")
    assert threading.get_ident() not in threads
    (second, third) = (enqueue(planned(BRIEF), store, "cpu") for _ in range(2))
    workforce.wake("cpu", second)
    workforce.close()
    workforce.close()
    workforce.ensure("cpu")  # does nothing any more
    assert workforce.join(PATIENCE)
    assert (state(second), state(third)) == ("done", "done")
    assert not is_taken(store, "cpu")
    assert workers_of(store) == []
    assert log_path(store, "cpu").read_text() == ""
    assert not psutil.pid_exists(process.pid)  # no zombie


def test_two_apps_share_one_worker_a_lane(store: Path, visible_plugin: None) -> None:
    one, other = Workforce(store), Workforce(store)
    runs = [enqueue(planned(), store, "cpu") for _ in range(6)]
    for app in (one, other, one, other):
        app.wake("cpu")
    for run in runs:
        wait_for_state(run, "done")
        assert sum(e.get("state") == "running" for e in run.events()) == 1
    wait_for(lambda: len(workers_of(store)) == 1, "the second worker leaves")
    for app in (one, other):
        app.ensure("cpu")
        app.close()
        assert app.join(PATIENCE)


def test_a_worker_that_was_killed_is_replaced(store: Path, workforce: Workforce) -> None:
    first = enqueue(planned(SCATTER, "params.seconds=600.0"), store, "cpu")
    second = enqueue(planned(), store, "cpu")
    workforce.wake("cpu", first)
    wait_for_state(first, "running")
    (process,) = workers_of(store)
    process.send_signal(signal.SIGKILL)
    wait_for_state(first, "lost")

    def goes_on() -> bool:
        workforce.ensure("cpu")  # as an app does at every look
        return state(second) == "done"

    wait_for(goes_on, "the queue goes on")


def test_a_worker_that_cannot_live_is_not_started_again_and_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []
    original = module.subprocess.Popen

    def counted(words: list[str], **options: object) -> object:
        starts.append(words)
        return original(["false"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(module.subprocess, "Popen", counted)
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    workforce = Workforce(store)
    for _ in range(600):  # five minutes
        workforce.ensure("cpu")
        assert workforce.join(PATIENCE)
        clock[0] += 0.5
    assert 8 < len(starts) < 25
    workforce.close()


def test_a_store_where_no_worker_can_be_started_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="waits in the queue"):
        Workforce(tmp_path / "file").ensure("cpu")


def test_a_store_may_be_named_by_a_relative_path(
    store: Path, visible_plugin: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.mkdir()
    monkeypatch.chdir(store.parent)
    told: set[Path] = set()
    workforce = Workforce(Path(store.name), changed=told.add)
    run = enqueue(planned(), Path(store.name), "cpu")
    workforce.wake("cpu", run)
    wait_for(lambda: run.path in told, "the run is told under the name it is known by")
    wait_for_state(run, "done")
    workforce.close()
    assert workforce.join(PATIENCE)


def test_no_worker_is_started_for_a_device_of_another_machine(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_opt.device.gpus", lambda: ())
    workforce = Workforce(store)
    workforce.ensure("cuda:0")
    assert not (store / ".slots").exists()
    workforce.close()


APP = """
import sys, time
from pathlib import Path
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import enqueue
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_text

store = Path(sys.argv[1])
workforce = Workforce(store)
for _ in range(2):
    workforce.wake("cpu", enqueue(plan(read_text(sys.argv[2])), store, "cpu"))
time.sleep(600)
"""


def test_a_worker_outlives_its_app_and_exits_when_nothing_is_left(
    store: Path, environment: Callable[..., dict[str, str]]
) -> None:
    with subprocess.Popen([sys.executable, "-c", APP, str(store), BRIEF], env=environment()) as app:
        wait_for(lambda: any(store.glob("2*/meta.json")), "a run begins")
        app.send_signal(signal.SIGKILL)
    (worker,) = workers_of(store)
    worker.wait(PATIENCE)
    assert [r.status()["state"] for r in map(module.RunDirectory, sorted(store.glob("2*")))] == ["done"] * 2
    assert not is_taken(store, "cpu")


def test_an_app_imports_no_numbers_to_have_workers() -> None:
    code = (
        "import sys, tui_opt.runner.workforce, tui_opt.runner.live, tui_opt.runner.cancelling, tui_opt.watch;"
        "print(*{'numpy', 'scipy', 'numba', 'torch', 'textual'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_warming_up_imports_what_an_experiment_needs(store: Path, workforce: Workforce) -> None:
    workforce.warm("bouncing-ball", "drop")
    run = enqueue(planned(DROP), store, INTERACTIVE)
    workforce.wake(INTERACTIVE, run)
    wait_for_state(run, "done")
    workforce.warm("no-such", "thing")  # is told in the log, and kills nobody
    wait_for(lambda: "no-such" in log_path(store, INTERACTIVE).read_text(), "the log says so")
    again = enqueue(planned(DROP), store, INTERACTIVE)
    workforce.wake(INTERACTIVE, again)
    wait_for_state(again, "done")


DECLARATION = """
import dataclasses
from bouncing_ball import SCENARIO as BALL
DROP = dataclasses.replace(BALL.by_name["drop"], compute="late_compute:drop")
SCENARIO = dataclasses.replace(BALL, name="late", experiments=(DROP,))
"""
LATE = """
import pathlib, time
began = pathlib.Path({place!r}, "began")
began.touch()
while not began.with_name("gate").exists():
    time.sleep(0.01)
from bouncing_ball.compute import drop
"""


@pytest.fixture
def late(tmp_path: Path, visible_plugin: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder: the scenario `late`, whose import makes the file `began` in it and waits for the file `gate`."""
    (tmp_path / "late.py").write_text(DECLARATION)
    (tmp_path / "late_compute.py").write_text(LATE.format(place=str(tmp_path)))
    write_plugin_metadata(tmp_path, {"late": "late:SCENARIO"}, name="late")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    monkeypatch.syspath_prepend(tmp_path)
    registry.cache_clear()
    yield tmp_path
    (tmp_path / "gate").touch()
    registry.cache_clear()


def test_a_run_begins_while_its_experiment_is_still_imported_behind_the_scenes(
    late: Path, store: Path, workforce: Workforce
) -> None:
    workforce.warm("late", "drop")
    wait_for((late / "began").exists, "the import begins")
    run = enqueue(planned(DROP.replace("bouncing-ball", "late")), store, INTERACTIVE)
    workforce.wake(INTERACTIVE, run)
    wait_for_state(run, "running")
    (late / "gate").touch()
    wait_for_state(run, "done")
