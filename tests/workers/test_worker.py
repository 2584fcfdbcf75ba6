"""A worker in this process: what it does between runs, and what it gives them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workers.conftest import planned, state
from tui_opt.runner import worker as module
from tui_opt.runner.execute import execute
from tui_opt.runner.lane import Lane
from tui_opt.runner.live import Scratch
from tui_opt.runner.pipes import Notices, Wishes
from tui_opt.runner.planning import Plan
from tui_opt.runner.queue import INTERACTIVE, enqueue, withdraw
from tui_opt.runner.slots import busy, is_taken, slot
from tui_opt.runner.worker import Worker


class Pipes:
    """Both pipes of a worker, with our ends open."""

    def __init__(self, store: Path) -> None:
        asks, self.wake = os.pipe()
        self.heard, tells = os.pipe()
        self.wishes, self.notices = Wishes(asks), Notices(tells, store)
        self.open = {asks, self.wake, self.heard, tells}

    def leave(self) -> None:
        """As an app does that ends."""
        os.close(self.wake)
        self.open.discard(self.wake)


@pytest.fixture
def pipes(store: Path) -> Iterator[Pipes]:
    made = Pipes(store)
    yield made
    for descriptor in made.open:
        os.close(descriptor)


def test_an_idle_worker_gives_its_gpu_back(
    store: Path, pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GPU_PATIENCE", 0.0)
    assert Worker(store, "cuda:0", 1, pipes.wishes, pipes.notices).serve() == 0
    assert not is_taken(store, "cuda:0")


def test_cores_are_shared_with_the_other_workers_that_are_busy(
    store: Path, pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(run: Any, plan: Plan, **options: Any) -> Any:
        threads.append(plan.threads)
        return execute(run, plan, **options)

    monkeypatch.setattr("tui_opt.runner.execute.execute", noted)
    monkeypatch.setattr("tui_opt.runner.machine.available_cores", lambda: 8)
    slot(store, "another")
    enqueue(planned(), store, "cpu")
    pipes.leave()
    Worker(store, "cpu", 1, pipes.wishes, pipes.notices).serve()
    enqueue(planned(), store, "cpu")
    with busy(store, "another") as other:
        assert other.acquire()
        Worker(store, "cpu", 1, pipes.wishes, pipes.notices).serve()
    assert threads == [8, 4]


def test_a_slot_that_is_taken_is_left_to_its_worker(store: Path, pipes: Pipes) -> None:
    run = enqueue(planned(), store, "cpu")
    pipes.leave()
    with slot(store, "cpu") as taken:
        assert taken.acquire()
        assert Worker(store, "cpu", 1, pipes.wishes, pipes.notices).serve() == 0
    assert state(run) == "queued"


def test_a_run_queued_while_its_worker_leaves_is_not_stranded(
    store: Path, pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = []
    original = Worker._has_more

    def queued_now(self: Worker) -> bool:
        if not late:
            late.append(enqueue(planned(), store, "cpu"))
        return original(self)

    monkeypatch.setattr(Worker, "_has_more", queued_now)
    pipes.leave()
    Worker(store, "cpu", 1, pipes.wishes, pipes.notices).serve()
    assert state(late[0]) == "done"


def test_a_notice_nobody_reads_is_dropped(store: Path, pipes: Pipes) -> None:
    for i in range(20_000):  # more than a pipe holds
        pipes.notices.say(store / str(i))
    os.close(pipes.heard)
    pipes.open.discard(pipes.heard)
    pipes.notices.say(store / "nobody is there")


def test_wishes_arrive_whole_in_whatever_pieces(pipes: Pipes) -> None:
    for piece in (b"ru", b"n a b\nwarm toy-sgd esc", b"ape\nrun\nnonsense\nrun c\n", b"run torn"):
        os.write(pipes.wake, piece)
        pipes.wishes.read()
    assert pipes.wishes.take_runs() == ["a b", "c"]
    assert pipes.wishes.experiments == [("toy-sgd", "escape")]
    assert not pipes.wishes.ended
    pipes.leave()
    pipes.wishes.read()
    assert pipes.wishes.ended
    assert pipes.wishes.take_runs() == []


def test_a_lane_looks_only_where_something_was_queued(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(store, "cpu")
    looks: list[None] = []
    original = Lane.waiting
    monkeypatch.setattr(Lane, "waiting", lambda self: looks.append(None) or original(self))
    assert lane.candidates([]) == []
    for _ in range(5):
        assert lane.candidates([]) == []
    assert len(looks) == 1
    run = enqueue(planned(), store, "cpu")
    assert [r.id for r in lane.candidates([run.id])] == [run.id]  # named while nothing waited: no look at all
    assert len(looks) == 1
    lane.claimed()
    assert withdraw(run)
    other = enqueue(planned(), store, "cpu")
    assert [r.id for r in lane.candidates([])] == [other.id]
    enqueue(planned(), store, "cuda:0")
    assert [r.id for r in lane.candidates([])] == [other.id]


def test_only_runs_of_the_store_can_be_named(store: Path, tmp_path: Path) -> None:
    elsewhere = enqueue(planned(), tmp_path / "elsewhere", "cpu")
    store.mkdir()
    lane = Lane(store, "cpu")
    lane.candidates([])
    for name in (str(elsewhere.path), f"../elsewhere/{elsewhere.id}", ".", "", "x"):
        assert lane.candidates([name]) == []


def test_live_runs_come_before_all_others_the_newest_first(store: Path) -> None:
    lane = Lane(store, INTERACTIVE)
    waits = enqueue(planned(), store)
    one, other = Scratch(store), Scratch(store)
    first = one.request(planned())
    second = other.request(planned())
    named = [f".live/{run.path.parent.name}/{run.id}" for run in (first, second)]
    assert [r.id for r in lane.candidates(named)] == [second.id, first.id]
    found = [r.id for r in lane.candidates([])]
    assert set(found[:2]) == {first.id, second.id}
    assert found[2:] == [waits.id]
    one.close()
    other.close()
