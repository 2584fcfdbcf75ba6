"""The queue: its order, and that a run is never two things at once."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import DROP, SCATTER
from tests.workers.conftest import planned, state
from tui_opt.errors import StoreError, UsageError
from tui_opt.runner import planning
from tui_opt.runner.claiming import claim_again
from tui_opt.runner.execute import execute
from tui_opt.runner.queue import (
    INTERACTIVE,
    between,
    claim,
    enqueue,
    lane_of,
    move,
    requeue,
    waiting,
    withdraw,
)
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.stamp import Named, read_stamp, touch


def ids(store: Path) -> list[str]:
    return [row.id for row in waiting(store)]


def test_cheap_runs_have_a_lane_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "factor", lambda: 1.0)
    assert lane_of(planned(SCATTER, "params.seconds=1.9")) == INTERACTIVE
    assert lane_of(planned(SCATTER, "params.seconds=2.1")) == "cpu"
    assert lane_of(planned(DROP + "[sweep]\nheight = [1.0, 2.0]\n")) == "cpu"


def test_a_machine_of_half_the_speed_takes_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settled = planned(SCATTER, "params.seconds=1.5")
    monkeypatch.setattr(planning, "factor", lambda: 1.0)
    seconds = settled.expected_seconds
    monkeypatch.setattr(planning, "factor", lambda: 2.0)
    assert settled.expected_seconds == 2 * seconds
    assert lane_of(settled) == "cpu"


def test_runs_wait_in_the_order_in_which_they_were_queued(store: Path) -> None:
    runs = [enqueue(planned(DROP, f"title=number {i}"), store) for i in range(5)]
    rows = waiting(store)
    assert [row.id for row in rows] == [run.id for run in runs]
    assert [row.title for row in rows] == [f"number {i}" for i in range(5)]
    assert {row.lane for row in rows} == {INTERACTIVE}


def test_a_run_is_claimed_once(store: Path) -> None:
    run = enqueue(planned(), store)
    claimed: list[RunDirectory] = []

    def compete() -> None:
        mine = RunDirectory(run.path)
        if claim(mine):
            claimed.append(mine)

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = claimed
    assert not withdraw(run, patience=0.0)
    assert execute(winner, planned()).state == "done"
    assert not claim(run)
    assert not withdraw(run)
    assert ids(store) == []


def test_what_is_no_queued_run_is_not_claimed(store: Path, tmp_path: Path) -> None:
    run = enqueue(planned(), store)
    (run.path / "status.json").write_text("{")
    assert not claim(run)
    assert not claim(RunDirectory(tmp_path / "gone"))
    assert not (tmp_path / "gone").exists()
    assert run.lock.acquire(timeout=0.0)  # given back
    run.lock.release()


def test_withdrawing_and_queueing_again(store: Path) -> None:
    first, second = enqueue(planned(), store), enqueue(planned(), store)
    with pytest.raises(StoreError, match="waits in the queue already"):
        requeue(first, planned())
    before = read_stamp(store)
    assert withdraw(first)
    assert state(first) == "cancelled"
    assert not withdraw(first)
    requeue(first, planned())
    assert read_stamp(store) != before
    assert ids(store) == [second.id, first.id]  # at the end
    assert not first.status().get("error")


def test_a_request_to_stop_from_before_is_forgotten_when_a_run_is_queued_again(store: Path) -> None:
    run = enqueue(planned(), store)
    assert withdraw(run)
    run.request_cancel()
    requeue(run, planned())
    assert not run.cancel_requested()
    run.request_cancel()  # and one from now counts, whoever claims it
    assert claim(run)
    assert run.cancel_requested()
    run.lock.release()


def test_a_run_that_is_done_or_worked_on_is_not_queued_again(store: Path) -> None:
    run = enqueue(planned(), store)
    assert claim(run)
    with pytest.raises(StoreError, match="another process"):
        requeue(RunDirectory(run.path), planned())
    execute(run, planned())
    with pytest.raises(StoreError, match="is done"):
        requeue(RunDirectory(run.path), planned())


@pytest.mark.parametrize(("places", "target"), [(-1, 1), (-2, 0), (-99, 0), (1, 3), (2, 4), (99, 4), (0, 2)])
def test_a_run_is_moved_by_places(store: Path, places: int, target: int) -> None:
    runs = [enqueue(planned(), store).id for _ in range(5)]
    move(store, runs[2], places)
    expected = [*runs[:2], *runs[3:]]
    expected.insert(target, runs[2])
    assert ids(store) == expected


def test_runs_of_other_lanes_do_not_count_as_places(store: Path) -> None:
    a, other, b = (enqueue(planned(), store, lane).id for lane in ("cpu", "cuda:0", "cpu"))
    move(store, b, -1)
    assert [row.id for row in waiting(store) if row.lane == "cpu"] == [b, a]
    assert other in ids(store)


def test_only_a_queued_run_has_a_place(store: Path) -> None:
    run = enqueue(planned(), store)
    assert withdraw(run)
    with pytest.raises(UsageError, match="does not wait"):
        move(store, run.id, 1)


def test_hundreds_of_moves_between_the_same_neighbours(store: Path) -> None:
    runs = [enqueue(planned(), store, "cpu").id for _ in range(3)]
    expected = list(runs)
    dice = random.Random(4)
    for _ in range(120):  # each halves the distance; a double has 52 halvings
        chosen = expected[2]
        move(store, chosen, -1)
        expected.insert(1, expected.pop(2))
        assert ids(store) == expected
    chosen = dice.choice(runs)
    move(store, chosen, -5)
    assert ids(store)[0] == chosen


@given(st.lists(st.floats(-1e12, 1e12), max_size=6, unique=True).map(sorted), st.data())
def test_a_place_between_others_sorts_there(orders: list[float], data: st.DataObject) -> None:
    target = data.draw(st.integers(0, len(orders)))
    found = between(orders, target)
    if found is not None:
        assert sorted([*orders, found]).index(found) == target
        assert found not in orders
    else:  # its neighbours are as close as numbers can be
        assert 0 < target < len(orders)


def test_a_run_taken_up_in_the_foreground_leaves_the_queue(store: Path) -> None:
    run = enqueue(planned(), store)
    claim_again(run)
    assert execute(run, planned()).state == "done"
    assert ids(store) == []


def test_the_stamp_names_what_was_queued_and_stays_small(store: Path) -> None:
    named = Named(store)
    assert (read_stamp(store), named.new()) == ((), None)
    touch(store, "a")  # there is no store yet, which is no error
    store.mkdir()
    touch(store, "a")
    assert named.new() is None  # it was not there before
    touch(store, "b")
    touch(store, "c")
    assert named.new() == ["b", "c"]
    assert named.new() == []
    unsure = 0
    for i in range(20_000):
        touch(store, f"run-{i}")
        if i % 100 == 0:
            os.utime(store / ".queue", ns=(0, 0))  # a clock that stands still
        found = named.new()
        unsure += found is None
        assert found in (None, [f"run-{i}"])
    assert 0 < unsure < 10  # where it was begun anew
    assert (store / ".queue").stat().st_size <= 65_600
