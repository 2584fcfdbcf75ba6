"""Sweeps on several processes: the same numbers whatever their number, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import SCATTER, write_plugin_metadata
from tests.workers.conftest import planned, wait_for
from tui_opt.errors import ExitCode
from tui_opt.runner import pool
from tui_opt.runner.claiming import claim_again
from tui_opt.runner.execute import Ended, begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import read_text

#: some points fail, and some have arrays of another shape.
SWEEP = SCATTER + "seed = 4\n[params]\nballs = 50\n[sweep]\nfail_at = [-1, 2]\nblocks = [3, 4, 5]\n"
SLOW = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\n[sweep]\nseed = [1, 2, 3, 4]\n"


def swept(text: str, store: Path, processes: int) -> Ended:
    settled = plan(read_text(text, "test.toml"), threads=2)
    return execute(begin(settled, store), settled, processes=processes)


def check_same(one: Ended, other: Ended) -> None:
    assert one.result is not None
    assert other.result is not None
    assert (other.state, other.exit_code) == (one.state, one.exit_code)
    for part in ("findings", "tables", "warnings", "figures"):
        assert repr(getattr(other.result, part)) == repr(getattr(one.result, part)), part
    assert list(other.result.arrays) == list(one.result.arrays)
    for name, array in one.result.arrays.items():
        np.testing.assert_array_equal(other.result.arrays[name].values, array.values)


def children(of: int) -> list[psutil.Process]:
    return [p for p in psutil.Process(of).children() if "tui_opt.runner.pool_child" in p.cmdline()]


@pytest.mark.usefixtures("visible_plugin")
def test_the_result_does_not_depend_on_the_number_of_processes(store: Path) -> None:
    alone, shared = swept(SWEEP, store, 1), swept(SWEEP, store, 3)
    assert alone.exit_code == ExitCode.SWEEP_INCOMPLETE
    check_same(alone, shared)
    assert children(os.getpid()) == []
    names = {p.name for p in (shared.run.path / "chunks").iterdir()}
    assert names == {p.name for p in (alone.run.path / "chunks").iterdir()}


@pytest.mark.usefixtures("visible_plugin")
def test_finished_chunks_are_not_computed_again_whoever_computed_them(store: Path) -> None:
    alone = swept(SWEEP, store, 1)
    run = alone.run
    chunks = sorted((run.path / "chunks").iterdir())
    for path in chunks[3:]:
        path.unlink()
    (run.path / "result.json").unlink()
    kept = {path: path.stat().st_ino for path in chunks[:3]}
    claim_again(run)
    resumed = execute(run, plan(read_text(SWEEP), threads=2), processes=2)
    check_same(alone, resumed)
    assert {path: path.stat().st_ino for path in chunks[:3]} == kept


BATCH = """
import sys
from pathlib import Path
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.scenario_file import read_text

settled = plan(read_text(sys.argv[2]), threads=2)
execute(begin(settled, Path(sys.argv[1])), settled, processes=2)
"""


def with_plugin(env: dict[str, str], folder: Path, name: str, code: str) -> dict[str, str]:
    """The environment of a process that also sees a scenario of ours."""
    write_plugin_metadata(folder, {name: f"{name}:SCENARIO"}, name=name)
    (folder / f"{name}.py").write_text(code)
    return {**env, "PYTHONPATH": f"{folder}{os.pathsep}{env['PYTHONPATH']}"}


#: a computation that never lets go of the interpreter.
HOLDER = """
import ctypes, dataclasses, os
from bouncing_ball import SCENARIO as BALL

def drop(params, ctx):
    ctx.message(f"asleep {os.getpid()}")
    ctypes.PyDLL(None).sleep(600)

EXPERIMENT = dataclasses.replace(BALL.experiments[0], compute="holder:drop")
SCENARIO = dataclasses.replace(BALL, name="holder", experiments=(EXPERIMENT,))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not end a process with its parent")
def test_children_do_not_outlive_a_parent_that_is_killed(
    store: Path, environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    env = with_plugin(environment(), tmp_path / "installed", "holder", HOLDER)
    text = 'scenario = "holder"\nexperiment = "drop"\n[sweep]\nbounces = [3, 4, 5]\n'
    with subprocess.Popen([sys.executable, "-c", BATCH, str(store), text], env=env) as parent:
        wait_for(lambda: any(store.glob("2*/log.txt")), "the run begins")
        (log,) = store.glob("2*/log.txt")
        wait_for(lambda: log.read_text().count("asleep") == 2, "two points are being computed")
        orphans = children(parent.pid)
        assert len(orphans) == 2
        parent.send_signal(signal.SIGKILL)
    for orphan in orphans:
        orphan.wait(30)


def test_a_cancelled_pool_stops_and_keeps_what_its_points_have_finished(
    store: Path, environment: Callable[..., dict[str, str]]
) -> None:
    with subprocess.Popen([sys.executable, "-c", BATCH, str(store), SLOW], env=environment()) as parent:
        wait_for(lambda: any(store.glob("2*")), "the run begins")
        run = RunDirectory(next(store.glob("2*")))
        wait_for(lambda: run.status()["progress"] > 0, "points report how far they are")
        run.request_cancel()
        parent.wait(30)
    assert run.status()["state"] == "cancelled"
    assert list((run.path / "chunks").glob("*.checkpoint.npz"))


@pytest.mark.usefixtures("visible_plugin")
def test_a_child_that_is_killed_is_replaced_and_its_points_computed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    original = pool._Pool._give

    def deadly(self: pool._Pool, child: pool._Child, points: range) -> None:
        original(self, child, points)
        if points.start in (1, 4) and points.start not in killed:
            killed.append(points.start)
            child.process.kill()

    monkeypatch.setattr(pool._Pool, "_give", deadly)
    ended = swept(SWEEP, store, 2)
    assert sorted(killed) == [1, 4]
    monkeypatch.undo()
    assert "given to another" in (ended.run.path / "log.txt").read_text()
    check_same(swept(SWEEP, store, 1), ended)


KILLER = """
import dataclasses, os, signal
from bouncing_ball import SCENARIO as BALL
from bouncing_ball.compute import drop as plain

def drop(params, ctx):
    if params.bounces == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(params, ctx)

EXPERIMENT = dataclasses.replace(BALL.experiments[0], compute="killer:drop")
SCENARIO = dataclasses.replace(BALL, name="killer", experiments=(EXPERIMENT,))
"""


def test_a_point_that_kills_every_process_fails_with_a_sentence(
    store: Path, environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    env = with_plugin(environment(), tmp_path / "installed", "killer", KILLER)
    text = 'scenario = "killer"\nexperiment = "drop"\n[sweep]\nbounces = [3, 4, 5]\n'
    subprocess.run([sys.executable, "-c", BATCH, str(store), text], env=env, check=True, timeout=60)
    result = RunDirectory(next(store.glob("2*"))).result()
    assert result.arrays["status"].values.tolist() == [0, 1, 0]
    ((_, sentence),) = result.tables["errors"].rows
    assert "ended 3 times, the last time by SIGKILL" in str(sentence)


@pytest.mark.usefixtures("visible_plugin")
def test_a_full_disk_in_a_child_fails_the_run_with_the_sentence_of_any_run(store: Path) -> None:
    settled = planned(SWEEP)
    run = begin(settled, store)
    (run.path / "chunks").mkdir()
    (run.path / "chunks" / "0000003.npz").mkdir()  # where a file is to be written
    ended = execute(run, settled, processes=2)
    assert ended.state == "failed"
    assert "could not be read or written" in (ended.error or "")
    assert children(os.getpid()) == []
