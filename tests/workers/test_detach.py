"""`--detach`, `runs attach`, `runs move`: runs that other processes carry out, from the command line."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DROP, SCATTER, Cli
from tests.workers.conftest import planned, state, wait_for, wait_for_state
from tui_opt.runner.execute import begin
from tui_opt.runner.queue import enqueue, waiting
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import is_taken

ONE_DROP = DROP + "[params]\nheight = 1.0\n"
FAILS = SCATTER + "[params]\nfail_at = 1\n"
LONG = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\nballs = 10000\n"


def last_dir(line: str) -> RunDirectory:
    return RunDirectory(Path(line.split()[-1]))


def test_a_detached_batch_is_carried_out_by_a_worker_that_leaves(
    cli: Cli, write: Callable[..., Path], runs: Path
) -> None:
    good, bad = write(ONE_DROP), write(FAILS, "fails.toml")
    done = cli("--batch", good, "--detach", bad, good, "--workers", "2")
    assert (done.returncode, done.stderr) == (0, "")
    queued = [last_dir(line) for line in done.stdout.splitlines()]
    assert [wait_for_state(run, "done", "failed") for run in queued] == ["done", "failed", "done"]
    wait_for(lambda: not is_taken(runs, "cpu"), "the worker leaves")
    attached = cli("runs", "attach", queued[0].id, "--json")
    assert attached.returncode == 0
    document = json.loads(attached.stdout)
    assert (document["status"], document["params"]["height"]) == ("done", 1.0)
    attached = cli("runs", "attach", queued[1].id)
    assert (attached.returncode, attached.stdout) == (1, "")
    assert "Block 1 was told to fail" in attached.stderr


def test_a_detached_batch_as_json_and_a_resumed_run(cli: Cli, write: Callable[..., Path], runs: Path) -> None:
    done = cli("--batch", write(FAILS), "--detach", "--json")
    (document,) = map(json.loads, done.stdout.splitlines())
    run = RunDirectory(Path(document["run_dir"]))
    assert (document["id"], document["state"]) == (run.id, "queued")
    wait_for_state(run, "failed")
    (run.path / "scenario.toml").write_text(FAILS.replace("1", "-1"))
    done = cli("runs", "resume", run.id, "--detach")
    assert done.stdout == f"{run.id}  {run.path}\n"
    wait_for_state(run, "done")
    done = cli("runs", "resume", run.id, "--detach")
    assert done.returncode == 1
    assert "is done" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detach", "--check"], "--check and --detach"),
        (["--detach", "--threads", "1"], "--threads and --detach"),
        (["--detach=elsewhere"], "systemd"),
    ],
)
def test_what_makes_no_sense_detached_is_said_before_anything_is_queued(
    cli: Cli, write: Callable[..., Path], runs: Path, words: list[str], said: str
) -> None:
    done = cli("--batch", write(DROP), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not runs.exists()


def test_a_scope_of_systemd_where_there_is_none(cli: Cli, write: Callable[..., Path], runs: Path) -> None:
    done = cli("--batch", write(DROP), "--detach=systemd", PATH="")
    assert done.returncode == 2
    assert "not on this machine" in done.stderr
    assert not runs.exists()


def test_a_scope_of_systemd_that_cannot_be_made(
    cli: Cli, write: Callable[..., Path], runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "systemd-run"
    stub.write_text("#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n")
    stub.chmod(0o755)
    done = cli("--batch", write(DROP), "--detach=systemd", PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "Failed to connect to bus" in done.stderr
    assert "wait in the queue" in done.stderr
    assert [row.state for row in waiting(runs)] == ["queued"]
    stub.write_text('#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n')
    done = cli("--batch", write(DROP), "--detach=systemd", PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    wait_for_state(last_dir(done.stdout), "done")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(environment: Callable[..., dict[str, str]], runs: Path) -> Start:
    """`optexplore` in the background."""

    def make(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tui_opt", *words]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment(), **pipes)

    return make


def test_attaching_to_a_run_that_waits_and_then_begins(start: Start, runs: Path) -> None:
    run = enqueue(planned(ONE_DROP), runs)
    with start("runs", "attach", run.id) as attached:
        assert attached.stderr is not None
        line = attached.stderr.readline()
        assert "place 1 of 1" in line
        assert "no worker serves that" in line
        with start("runs", "resume", run.id, "--quiet") as resumed:
            assert resumed.wait(60) == 0
        out, _ = attached.communicate(timeout=60)
        assert attached.returncode == 0
        assert "rest_time" in out or "time until the ball" in out


def test_attaching_and_leaving_again_does_not_touch_the_run(start: Start, runs: Path) -> None:
    run = enqueue(planned(LONG), runs)
    with start("runs", "resume", run.id) as working:
        wait_for(lambda: run.status()["progress"] > 0, "the run begins")
        with start("runs", "attach", run.id) as attached:
            wait_for(lambda: hears(attached, run), "what the run says is passed on")
            attached.send_signal(signal.SIGINT)
            out, err = attached.communicate(timeout=60)
        assert attached.returncode == 130
        assert out == ""
        assert "Left alone" in err
        assert state(run) == "running"
        with start("runs", "attach", run.id, "--quiet") as attached:
            with start("runs", "cancel", run.id) as cancelling:
                assert cancelling.wait(60) == 0
            out, err = attached.communicate(timeout=60)
            assert (attached.returncode, out) == (1, "")
            assert "Cancelled" in err
        working.communicate(timeout=60)


def hears(attached: subprocess.Popen[str], run: RunDirectory) -> bool:
    """Let the run say something; whether whoever is attached repeats it."""
    run.event("message", text="a word")
    assert attached.stderr is not None
    return bool(select.select([attached.stderr], [], [], 0.05)[0]) and "a word" in attached.stderr.readline()


def test_attaching_to_a_lost_run(cli: Cli, runs: Path) -> None:
    run = begin(planned(), runs)
    run.lock.release()  # as if its process had been killed
    done = cli("runs", "attach", run.id)
    assert (done.returncode, done.stdout) == (1, "")
    assert "runs resume" in done.stderr


def test_the_queue_is_listed_and_reordered(cli: Cli, runs: Path) -> None:
    first, second, third = (enqueue(planned(), runs, "cpu") for _ in range(3))
    done = cli("runs", "move", third.id, "--first")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["1", third.id], ["2", first.id], ["3", second.id],
    ]  # fmt: skip
    cli("runs", "move", third.id, "--down")
    listed = {line.split()[0]: line for line in cli("runs", "list").stdout.splitlines()}
    assert "place 2 for cpu" in listed[third.id]
    assert "place 1 for cpu" in listed[first.id]
    rows = {row["id"]: row for row in json.loads(cli("runs", "list", "--json").stdout)}
    assert rows[first.id]["order"] < rows[third.id]["order"] < rows[second.id]["order"]
    assert cli("runs", "move", first.id).returncode == 2
    assert cli("runs", "cancel", first.id, second.id, third.id).returncode == 0
    assert "does not wait" in cli("runs", "move", first.id, "--up").stderr
