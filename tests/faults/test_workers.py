"""Workers that are killed, told to leave and crowded: the queue goes on, and every run is carried out once."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import DROP, SCATTER
from tests.faults.test_crowds import fill
from tests.forking import Forks
from tests.workers.conftest import planned, state, wait_for
from tui_opt.errors import UsageError
from tui_opt.runner import files
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.runner.lock import is_locked
from tui_opt.runner.queue import enqueue, move, requeue, waiting, withdraw
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import busy_workers, is_taken
from tui_opt.store import Store

QUICK = SCATTER + "seed = 9\n[params]\nseconds = 0.6\nblocks = 60\nballs = 600\n"
LONG = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\nballs = 10000\n"


def attempts(run: RunDirectory) -> int:
    return sum(e.get("state") == "running" for e in run.events())


def mean(run: RunDirectory) -> float:
    return run.result().findings["mean_rest_time"].value


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_workers_killed_at_random_moments(forks: Forks, store: Path, tmp_path: Path, kills: int) -> None:
    whole = enqueue(planned(QUICK), tmp_path / "whole", "cpu")
    assert forks.worker(tmp_path / "whole").wait() == 0
    runs = [enqueue(planned(QUICK), store, "cpu") for _ in range(kills // 10)]
    lost = 0
    dice = random.Random(8)
    longest = 0.25
    for _ in range(kills):
        longest *= 1.2  # where the machine is so busy that a worker has not begun by then
        worker = forks.worker(store)
        time.sleep(dice.uniform(0.0, longest))
        worker.send(signal.SIGKILL)
        assert worker.wait() in (0, -signal.SIGKILL)
        assert not is_taken(store, "cpu")
        for row in Store(store).rows():
            assert row.state in ("queued", "lost", "done"), row
            if row.state == "lost":  # taken up again through the queue, from its checkpoint
                requeue(RunDirectory(Path(row.run_dir)), planned(QUICK), "cpu")
                lost += 1
                longest = 0.25
    assert lost >= kills // 10, "too few of the kills met a run to prove anything"
    assert forks.worker(store).wait() == 0
    assert {state(run) for run in runs} == {"done"}
    assert {mean(run) for run in runs} == {mean(whole)}


def test_many_workers_of_a_lane_are_one(forks: Forks, store: Path) -> None:
    runs = [enqueue(planned(SCATTER, "params.seconds=0.02"), store, "cpu") for _ in range(20)]
    workers = [forks.worker(store) for _ in range(6)]
    most = 0
    while any(worker.poll() is None for worker in workers):
        most = max(most, sum(is_locked(run.path / "lock") for run in runs), busy_workers(store))
    assert most == 1
    assert [worker.wait() for worker in workers] == [0] * 6
    assert [state(run) for run in runs] == ["done"] * 20
    assert [attempts(run) for run in runs] == [1] * 20


@pytest.mark.parametrize("many", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_queued_runs_are_cancelled_and_moved_while_a_worker_goes_through_them(
    forks: Forks, store: Path, many: int
) -> None:
    settled = planned(SCATTER, "params.seconds=0.02", "params.blocks=2")
    runs = {run.id: run for run in (enqueue(settled, store, "cpu") for _ in range(many))}
    worker = forks.worker(store)
    dice = random.Random(2)
    withdrawn, asked, moves = set(), set(), 0
    while len(queue := waiting(store)) > 5:
        row = dice.choice(queue)
        for running in (r for r in Store(store).rows() if r.state == "running" and dice.random() < 0.3):
            runs[running.id].request_cancel()
            asked.add(running.id)
        if dice.random() < 0.5:
            if withdraw(runs[row.id]):
                withdrawn.add(row.id)
        else:
            before = [r.id for r in queue if r.id != row.id]
            with contextlib.suppress(UsageError):  # claimed this moment
                move(store, row.id, dice.choice([-50, -3, 2, 80]))
            after = [r.id for r in waiting(store) if r.id != row.id]
            assert after == [i for i in before if i in after]  # the others keep their order
            moves += 1
    assert worker.wait() == 0
    states = {run_id: state(run) for run_id, run in runs.items()}
    cancelled = {i for i, s in states.items() if s == "cancelled"}
    assert withdrawn <= cancelled <= withdrawn | asked  # some asked were done before they noticed
    assert set(states.values()) == {"done", "cancelled"}
    assert len(withdrawn) > many // 20
    assert moves > many // 20


def test_a_worker_takes_the_runs_in_their_order(forks: Forks, store: Path) -> None:
    runs = [enqueue(planned(), store, "cpu") for _ in range(6)]
    other = enqueue(planned(), store, "another")
    move(store, runs[4].id, -9)
    move(store, runs[0].id, 9)
    expected = [row.id for row in waiting(store) if row.lane == "cpu"]
    assert forks.worker(store).wait() == 0
    began = {run.id: run.events()[0]["time"] for run in runs}
    assert sorted(began, key=lambda i: began[i]) == expected
    assert state(other) == "queued"


def test_sigterm_ends_the_run_in_order_and_the_worker_too(forks: Forks, store: Path) -> None:
    first, second = (enqueue(planned(LONG), store, "cpu") for _ in range(2))
    worker = forks.worker(store)
    wait_for(lambda: first.status()["progress"] > 0, "the run begins")
    for ignored in (signal.SIGHUP, signal.SIGINT):
        worker.send(ignored)
    time.sleep(0.2)
    assert (state(first), worker.poll()) == ("running", None)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 143
    assert (state(first), state(second)) == ("cancelled", "queued")
    assert (first.path / "checkpoint.npz").exists()


BROKEN = {
    "no TOML": lambda run: (run.path / "scenario.toml").write_text("]["),
    "no file": lambda run: (run.path / "scenario.toml").unlink(),
    "no such scenario": lambda run: (run.path / "scenario.toml").write_text(
        'scenario = "gone"\nexperiment = "x"\n'
    ),
    "no such device": lambda run: (run.path / "scenario.toml").write_text(DROP + 'device = "cuda:77"\n'),
}  # fmt: skip


def test_a_run_that_cannot_be_begun_fails_with_a_sentence_and_the_others_go_on(
    forks: Forks, store: Path
) -> None:
    runs = {name: enqueue(planned(), store, "cpu") for name in BROKEN}
    for name, damage in BROKEN.items():
        damage(runs[name])
    good = enqueue(planned(), store, "cpu")
    worker = forks.worker(store)
    assert worker.wait() == 0
    assert "Traceback" not in worker.err.read_text()
    assert state(good) == "done"
    for name, run in runs.items():
        status = run.status()
        assert status["state"] in ("failed", "done" if name == "too large" else "failed"), name
        if status["state"] == "failed":
            assert status["error"].endswith((".", "?", "cpu, or look at `optexplore doctor`")), status[
                "error"
            ]


def test_a_full_disk_fails_runs_and_not_the_worker(
    forks: Forks,
    small_disk: Path,
) -> None:
    store = small_disk / "store"
    large = DROP + "[params]\nbounces = 10000\nheight = [" + ", ".join(f"{h}.0" for h in range(1, 51)) + "]\n"
    lost, kept = enqueue(planned(large), store, "cpu"), enqueue(planned(), store, "cpu")
    worker = forks.worker(store)
    assert worker.wait() == 0
    assert state(lost) == "failed"
    assert "is full" in lost.status()["error"]
    assert state(kept) == "done"


def test_runs_that_cannot_even_be_marked_are_left_alone(forks: Forks, small_disk: Path) -> None:
    store = small_disk / "store"
    run = enqueue(planned(), store, "cpu")
    fill(small_disk / "filler")
    worker = forks.worker(store)
    assert worker.wait() == 0  # and it does not try for ever
    (small_disk / "filler").unlink()
    assert state(run) in ("queued", "failed")
    assert json.loads(json.dumps([row.plain() for row in Store(store).rows()]))


def test_a_run_queued_again_goes_on_from_its_checkpoint(forks: Forks, store: Path) -> None:
    run = enqueue(planned(QUICK, "params.seconds=8"), store, "cpu")
    worker = forks.worker(store)
    wait_for(lambda: run.status()["progress"] > 0.04, "the run is under way")
    run.request_cancel()
    assert worker.wait() == 0
    assert state(run) == "cancelled"
    kept = files.read_arrays(run.path / "checkpoint.npz")
    files.write_arrays(run.path / "checkpoint.npz", {**kept, "block-0": kept["block-0"] + 60.0}, sync=False)
    requeue(run, planned(QUICK), "cpu")
    assert forks.worker(store).wait() == 0
    assert state(run) == "done"
    again = run_in_memory(planned(QUICK).file).findings["mean_rest_time"].value
    assert mean(run) == pytest.approx(again + 1.0, rel=1e-12)  # the first of 60 blocks was not done anew
