"""Ctrl-C, SIGTERM and readers that leave: an orderly end each time."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DROP, SCATTER, write_plugin_metadata
from tests.forking import PATIENCE, Forks, Process
from tui_opt.runner import files
from tui_opt.runner.run_directory import RunDirectory

LONG = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\nballs = 10000\n"


def wait_until_running(process: Process, store: Path) -> RunDirectory:
    """Wait until the run of a process computes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, process.err.read_text()
        for path in store.glob("2*"):
            run = RunDirectory(path)
            if run.status()["progress"] > 0:
                return run
        time.sleep(0.01)
    pytest.fail("The run did not begin.")


def check_cancelled(run: RunDirectory) -> None:
    status = run.status()
    assert status["state"] == "cancelled"
    assert "runs resume" in status["error"]
    assert not (run.path / "result.json").exists()
    assert not list(run.path.glob(f"{files.TEMPORARY_MARK}*"))
    assert files.read_arrays(run.path / "checkpoint.npz")
    assert run.events()[-1]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_run_in_order(
    forks: Forks, write: Callable[..., Path], runs: Path, number: signal.Signals, code: int
) -> None:
    # The second file must not be run after the first was interrupted.
    path = write(LONG)
    process = forks.start("--batch", path, path, "--json", "--out", runs)
    run = wait_until_running(process, runs)
    process.send(number)
    assert process.wait() == code
    assert json.loads(process.out.read_text())["status"] == "cancelled"
    assert "Traceback" not in process.err.read_text()
    check_cancelled(run)
    assert [row["state"] for row in forks.rows(runs)] == ["cancelled"]


def test_a_signal_that_was_ignored_before_stays_ignored(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    process = forks.start("--batch", write(LONG), "--json", "--out", runs, ignore=(signal.SIGHUP,))
    run = wait_until_running(process, runs)
    process.send(signal.SIGHUP)
    before = run.status()["progress"]
    deadline = time.monotonic() + PATIENCE
    while run.status()["progress"] <= before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.status()["state"] == "running"
    process.send(signal.SIGTERM)
    assert process.wait() == 143


def test_a_run_is_cancelled_from_another_process(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    process = forks.start("--batch", write(LONG), "--json", "--out", runs)
    run = wait_until_running(process, runs)
    code, out, err = forks.run("runs", "resume", run.id, "--out", runs)
    assert code == 1
    assert "another process" in err
    code, _, err = forks.run("runs", "rm", run.id, "--out", runs)
    assert code == 2
    assert "being worked on" in err
    code, out, err = forks.run("runs", "cancel", run.id, "--out", runs)
    assert (code, err) == (0, "")
    assert "cancelled" in out
    assert process.wait() == 1
    check_cancelled(run)
    code, _, err = forks.run("runs", "cancel", run.id, "--out", runs)
    assert code == 2
    assert "nothing to cancel" in err
    assert forks.run("runs", "rm", run.id, "--out", runs)[0] == 0
    assert forks.rows(runs) == []


DEAF = """
import dataclasses, time
from bouncing_ball import SCENARIO as BALL

def drop(params, ctx):
    ctx.progress(1, 2)
    while True:
        time.sleep(0.01)

EXPERIMENT = dataclasses.replace(BALL.experiments[0], compute="deaf:drop")
SCENARIO = dataclasses.replace(BALL, name="deaf", experiments=(EXPERIMENT,))
"""


def test_a_second_signal_does_not_wait_for_a_computation_that_never_looks(
    environment: Callable[..., dict[str, str]], write: Callable[..., Path], runs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "installed"
    write_plugin_metadata(folder, {"deaf": "deaf:SCENARIO"}, name="deaf")
    (folder / "deaf.py").write_text(DEAF)
    env = environment()
    env["PYTHONPATH"] = f"{folder}{os.pathsep}{env['PYTHONPATH']}"
    path = write(DROP.replace("bouncing-ball", "deaf"))
    command = [sys.executable, "-m", "tui_opt", "--batch", str(path), "--json", "--out", str(runs)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            found: list[Path] = []
            while (
                not (found and RunDirectory(found[0]).status()["progress"] > 0)
                and time.monotonic() < deadline
            ):
                assert process.poll() is None
                found = list(runs.glob("2*"))
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert process.poll() is None  # it is given its chance
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # it would never end by itself
    assert process.returncode == 130
    assert "Traceback" not in err
    run = RunDirectory(found[0])
    assert run.status()["state"] == "cancelled"
    assert not list(run.path.glob(f"{files.TEMPORARY_MARK}*"))


def piped(command: str, environment: dict[str, str], cwd: Path) -> tuple[list[int], str]:
    """Exit codes of both sides of a pipe, and stderr."""
    script = f'{command}\necho "${{PIPESTATUS[@]}}" >&2'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=cwd, check=False
    )
    *err, codes = done.stderr.splitlines()
    return [int(c) for c in codes.split()], "\n".join(err)


def test_a_reader_that_has_seen_enough_is_no_error(
    forks: Forks,
    environment: Callable[..., dict[str, str]],
    write: Callable[..., Path],
    runs: Path,
    tmp_path: Path,
) -> None:
    path = write(DROP)
    assert forks.run("--batch", path, path, path, "--json", "--quiet", "--out", runs)[0] == 0
    for run in list(runs.glob("2*")):
        for i in range(400):  # more than a pipe holds
            copy = runs / f"{run.name}{i}"
            copy.mkdir()
            (copy / "status.json").write_bytes((run / "status.json").read_bytes())
    python = shlex.quote(sys.executable)
    codes, err = piped(f"{python} -m tui_opt runs list | head -n 1", environment(), tmp_path)
    assert (codes, err) == ([0, 0], "")
    codes, err = piped(f"{python} -m tui_opt runs list --json | true", environment(), tmp_path)
    assert (codes, err) == ([0, 0], "")
    # A run is finished and kept even where nobody waits for its result.
    store = tmp_path / "another"
    command = f"{python} -m tui_opt --batch {path} --json --quiet --out {store} | true"
    codes, err = piped(command, environment(), tmp_path)
    assert "Traceback" not in err
    assert [row["state"] for row in forks.rows(store)] == ["done"]
