"""Cancelling in three steps, and never the wrong process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import DROP, SCATTER, TESTS, write_plugin_metadata
from tests.workers.conftest import planned, state, wait_for, wait_for_state
from tui_opt.runner import files
from tui_opt.runner.cancelling import cancel
from tui_opt.runner.queue import claim, enqueue
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import is_taken
from tui_opt.runner.workforce import Workforce

LONG = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\nballs = 10000\n"

#: two computations that never look: one leaves with its process, the other survives what asks it to.
DEAF = """
import dataclasses, os, signal, subprocess, sys, time
from bouncing_ball import SCENARIO as BALL

def sleeps(params, ctx):
    ctx.progress(1, 2)
    time.sleep(600)

def deaf(params, ctx):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ctx.message(f"child {child.pid}")
    os.kill(os.getpid(), signal.SIGSTOP)  # nothing but SIGKILL reaches a stopped process
    time.sleep(600)

def experiment(name):
    return dataclasses.replace(BALL.experiments[0], name=name, compute=f"deaf:{name}")

SCENARIO = dataclasses.replace(BALL, name="deaf", experiments=(experiment("sleeps"), experiment("deaf")))
"""


@pytest.fixture
def deaf_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plugin_path: list[str]) -> None:
    folder = tmp_path / "installed"
    write_plugin_metadata(folder, {"deaf": "deaf:SCENARIO"}, name="deaf")
    (folder / "deaf.py").write_text(DEAF)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *plugin_path, str(TESTS.parent)]))


def queued(store: Path, experiment: str) -> RunDirectory:
    toml = f'scenario = "deaf"\nexperiment = "{experiment}"\n'
    return RunDirectory.create(store, "deaf", experiment, toml, claim=False, status={"lane": "cpu"})


def test_a_run_that_waits_is_withdrawn(store: Path) -> None:
    run = enqueue(planned(), store)
    assert cancel(run) == "cancelled"
    assert cancel(run) == "cancelled"
    assert not (run.path / "control").exists()


def test_a_cooperative_run_stops_at_the_first_step(store: Path, workforce: Workforce) -> None:
    said: list[str] = []
    run, other = (enqueue(planned(LONG), store, "cpu") for _ in range(2))
    workforce.wake("cpu", run)
    wait_for(lambda: run.status()["progress"] > 0, "the run begins")
    assert cancel(run, tell=said.append) == "cancelled"
    assert said == []
    wait_for_state(other, "running")  # its worker goes on
    assert cancel(other) == "cancelled"
    assert is_taken(store, "cpu")


def test_a_run_that_never_looks_is_given_up_by_its_worker(store: Path, deaf_plugin: None) -> None:
    said: list[str] = []
    workforce = Workforce(store)
    run, next_run = queued(store, "sleeps"), enqueue(planned(), store, "cpu")
    workforce.wake("cpu", run)
    wait_for(lambda: run.status()["progress"] > 0, "the run begins")
    assert cancel(run, tell=said.append, grace=0.3) == "cancelled"
    assert len(said) == 1
    assert "told to leave" in said[0]
    wait_for(lambda: not is_taken(store, "cpu"), "the worker leaves")
    assert state(next_run) == "queued"
    workforce.close()
    assert workforce.join(30)


def test_a_run_that_hears_nothing_is_killed_with_what_it_started(store: Path, deaf_plugin: None) -> None:
    said: list[str] = []
    workforce = Workforce(store)
    run = queued(store, "deaf")
    workforce.wake("cpu", run)
    meta = run.path / "meta.json"
    wait_for(meta.exists, "the run begins")
    wait_for(
        lambda: psutil.Process(files.read_json(meta)["pid"]).status() == psutil.STATUS_STOPPED, "it is deaf"
    )
    child = int((run.path / "log.txt").read_text().rpartition("child ")[2].split()[0])
    assert cancel(run, tell=said.append, grace=0.3) == "cancelled"
    assert len(said) == 2
    assert "is killed" in said[1]
    assert "killed" in run.status()["error"]
    assert "runs resume" in run.status()["error"]
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", "the group")
    workforce.close()
    assert workforce.join(30)


@pytest.fixture
def bystander() -> Callable[[], subprocess.Popen[bytes]]:
    return lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "another-machine"}, "runs on another-machine"),
        ({"pid_started": 1.0}, "is not known"),
        ({"pid": 2**22 + 7}, "is not known"),
        ({"pid": None}, "is not known"),
    ],
)
def test_no_process_is_signalled_that_may_be_somebody_elses(
    store: Path, bystander: Callable[[], subprocess.Popen[bytes]], change: dict[str, object], words: str
) -> None:
    run = enqueue(planned(), store)
    assert claim(run)  # somebody works on it who never looks
    with bystander() as process:
        started = psutil.Process(process.pid).create_time()
        meta = {"pid": process.pid, "pid_started": started, "host": socket.gethostname(), **change}
        files.write_json(run.path / "meta.json", meta, sync=False)
        run.write_status({**run.read_status_file(), "state": "running"}, sync=False)
        said: list[str] = []
        assert cancel(RunDirectory(run.path), tell=said.append, grace=0.1) == "running"
        assert words in said[0]
        assert run.cancel_requested()
        time.sleep(0.05)
        assert process.poll() is None
        process.kill()
    run.lock.release()


def test_a_foreground_batch_is_cancelled_too(
    store: Path, deaf_plugin: None, write: Callable[..., Path]
) -> None:
    path = write(DROP.replace("bouncing-ball", "deaf").replace("drop", "sleeps"))
    command = [sys.executable, "-m", "tui_opt", "--batch", str(path), "--quiet", "--out", str(store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for(lambda: any(store.glob("2*/meta.json")), "the run begins")
        (path,) = store.glob("2*")
        run = RunDirectory(path)
        wait_for(lambda: run.status()["progress"] > 0, "the run begins")
        assert cancel(run, grace=0.3) == "cancelled"
        assert process.wait(30) == 143
