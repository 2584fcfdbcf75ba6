"""A run killed at any moment leaves a store that can be read, and a run that can be resumed to the same numbers."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DROP, SCATTER
from tests.forking import Forks
from tests.workers.conftest import wait_for
from tui_opt.runner import files
from tui_opt.runner.run_directory import NEW_MARK, RunDirectory

QUICK = SCATTER + "seed = 9\n[params]\nseconds = 0.3\nblocks = 60\nballs = 600\n"
SWEEP = DROP + "[sweep]\nheight = [1.0, 2.0, 3.0]\nbounces = {from = 1, to = 40, num = 40}\n"


def finding(document: dict[str, Any], name: str) -> Any:
    return next(f["value"] for f in document["findings"] if f["name"] == name)


def kill_at_random(forks: Forks, store: Path, path: Path, dice: random.Random, longest: float) -> int:
    """Start two runs and kill each at a moment of its own, at most `longest` seconds later; how many that ended."""
    processes = [forks.start("--batch", path, "--json", "--quiet", "--out", store) for _ in range(2)]
    began = time.monotonic()
    for moment, process in sorted((dice.uniform(0, longest), p) for p in processes):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        process.send(signal.SIGKILL)
    codes = [process.wait() for process in processes]
    assert set(codes) <= {0, -signal.SIGKILL}
    return codes.count(-signal.SIGKILL)


def check_rows(forks: Forks, store: Path) -> list[dict[str, Any]]:
    rows = forks.rows(store)
    for row in rows:
        assert row["state"] in ("done", "lost"), row
        assert not row["id"].startswith(".")
        run = RunDirectory(Path(row["run_dir"]))
        if row["state"] == "done":
            assert run.result().arrays
        else:
            run.events()
            run.partial()
            assert "runs resume" in row["error"]
    return rows


def resume_and_compare(
    forks: Forks, store: Path, row: dict[str, Any], expected: dict[str, Any], name: str
) -> None:
    code, out, err = forks.run("runs", "resume", row["id"], "--json", "--out", store)
    assert code == 0, err
    assert finding(json.loads(out), name) == finding(expected, name)
    left = {p.name for p in Path(row["run_dir"]).rglob("*")}
    assert not [n for n in left if n.startswith(files.TEMPORARY_MARK)]
    assert "checkpoint.npz" not in left


def punish(forks: Forks, tmp_path: Path, text: str, name: str, rounds: int, resumed: int) -> None:
    store, path = tmp_path / "store", tmp_path / "run.toml"
    path.write_text(text)
    began = time.monotonic()
    code, out, err = forks.run("--batch", path, "--json", "--quiet", "--out", tmp_path / "whole")
    assert code == 0, err
    expected = json.loads(out)
    longest = 1.2 * (time.monotonic() - began)  # so that some end by themselves
    dice = random.Random(20)
    for _ in range(rounds):
        # On a machine whose load changes, some go on ending by themselves, and not all of them.
        longest *= (0.7, 1.0, 1.1)[kill_at_random(forks, store, path, dice, longest)]
        rows = check_rows(forks, store)
    lost = [row for row in rows if row["state"] == "lost"]
    assert len(lost) >= rounds / 2, "too few of the kills came before the end to prove anything"
    for row in dice.sample(lost, min(resumed, len(lost))):
        resume_and_compare(forks, store, row, expected, name)
    hidden = [p.name for p in store.iterdir() if p.name.startswith(".")]
    assert all(n.startswith((NEW_MARK, ".index.sqlite")) for n in hidden)


MANY = pytest.param(200, 100, marks=pytest.mark.slow)


@pytest.mark.parametrize(("rounds", "resumed"), [(5, 2), MANY])
def test_kills_at_random_moments(forks: Forks, tmp_path: Path, rounds: int, resumed: int) -> None:
    punish(forks, tmp_path, QUICK, "mean_rest_time", rounds, resumed)


@pytest.mark.parametrize(("rounds", "resumed"), [(2, 1), pytest.param(20, 10, marks=pytest.mark.slow)])
def test_kills_in_the_middle_of_a_sweep(forks: Forks, tmp_path: Path, rounds: int, resumed: int) -> None:
    punish(forks, tmp_path, SWEEP, "points", rounds, resumed)


def under_way(store: Path) -> bool:
    """Whether the only run of a store is being carried out."""
    return any(RunDirectory(path).status()["state"] == "running" for path in store.glob("2*"))


def test_a_run_killed_again_and_again_still_comes_to_its_end(forks: Forks, tmp_path: Path) -> None:
    store, path = tmp_path / "store", tmp_path / "run.toml"
    path.write_text(QUICK)
    _, out, _ = forks.run("--batch", path, "--json", "--quiet", "--out", tmp_path / "whole")
    process = forks.start("--batch", path, "--json", "--quiet", "--out", store)
    dice = random.Random(3)
    for _ in range(4):
        wait_for(lambda p=process: p.poll() is not None or under_way(store), "the run goes on")
        time.sleep(dice.uniform(0.0, 0.1))
        process.send(signal.SIGKILL)
        process.wait()
        if rows := check_rows(forks, store):
            process = forks.start("runs", "resume", rows[0]["id"], "--json", "--out", store)
    process.wait()
    (row,) = check_rows(forks, store)
    if row["state"] == "lost":
        resume_and_compare(forks, store, row, json.loads(out), "mean_rest_time")
    else:
        assert finding(RunDirectory(Path(row["run_dir"])).result_document(), "mean_rest_time") == finding(
            json.loads(out), "mean_rest_time"
        )


def test_a_kill_between_result_and_state_is_a_run_that_is_done(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    code, _, err = forks.run("--batch", write(QUICK), "--json", "--quiet", "--out", runs)
    assert code == 0, err
    (row,) = forks.rows(runs)
    run = RunDirectory(Path(row["run_dir"]))
    run.write_status({**run.read_status_file(), "state": "running"}, sync=False)
    (row,) = forks.rows(runs)
    assert row["state"] == "done"
    code, out, err = forks.run("runs", "resume", run.id, "--out", runs)
    assert (code, out) == (1, "")
    assert "is done" in err
