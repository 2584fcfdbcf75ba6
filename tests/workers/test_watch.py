"""Watching a store: every change is seen, and runs that have ended cost next to nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.workers.conftest import planned
from tui_opt.errors import StoreError
from tui_opt.runner.claiming import claim_again
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.queue import claim, enqueue, move, requeue, withdraw
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.store import Store
from tui_opt.watch import Watch


def ended(store: Path, count: int) -> list[RunDirectory]:
    """Runs that have ended, without the cost of running anything."""
    runs = []
    for _ in range(count):
        run = RunDirectory.create(store, "bouncing-ball", "drop", "", claim=False, durable=False)
        run.write_status({**run.read_status_file(), "state": "failed"}, sync=False)
        runs.append(run)
    return runs


def test_nothing_new_is_none(store: Path) -> None:
    watch = Watch(store)
    assert watch.poll() == []
    assert watch.poll() is None
    run = enqueue(planned(), store)
    rows = watch.poll()
    assert rows == Store(store).rows()
    assert [row.id for row in rows or []] == [run.id]
    assert watch.poll() is None


def test_every_change_of_a_run_is_seen_in_the_next_poll(store: Path) -> None:
    watch = Watch(store)
    first, second = enqueue(planned(), store), enqueue(planned(), store)
    ended(store, 3)

    def check(change: Any) -> None:
        change()
        assert watch.poll() == Store(store).rows()
        assert watch.poll() is None

    check(lambda: move(store, second.id, -1))
    check(lambda: withdraw(second))
    check(lambda: requeue(second, planned()))
    assert claim(first)
    assert watch.poll() is None  # it says nothing yet
    check(lambda: first.write_status({**first.read_status_file(), "state": "running"}, sync=False))
    check(lambda: first.write_status({**first.read_status_file(), "progress": 0.5}, sync=False))
    check(first.lock.release)
    assert {row.state for row in watch.rows} == {"lost", "queued", "failed"}
    check(lambda: first.lock.acquire())
    check(lambda: execute(first, planned()))
    check(lambda: Store(store).remove(first))
    assert withdraw(second)
    watch.poll()
    claim_again(second)
    check(lambda: execute(second, planned()))
    run = begin(planned(), store)
    check(lambda: execute(run, planned()))


def test_thousands_of_ended_runs_are_not_looked_at_in_every_poll(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(store, 400)
    waiting = enqueue(planned(), store)
    watch = Watch(store)
    watch.poll()
    looked: list[str] = []
    original = Store.stamp
    monkeypatch.setattr(Store, "stamp", lambda self, name: looked.append(name) or original(self, name))
    for _ in range(5):
        assert watch.poll() is None
    assert looked.count(waiting.id) == 5
    assert len(looked) < 100


def test_what_a_network_file_system_shows_late_is_seen_in_the_end(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = ended(store, 30)
    watch = Watch(store)
    watch.poll()
    clock = [0.0]
    monkeypatch.setattr("tui_opt.watch.time.monotonic", lambda: clock[0])
    watch.poll()
    runs[17].write_status(
        {**runs[17].read_status_file(), "state": "cancelled"}, sync=False
    )  # without a stamp
    seen = None
    for _ in range(20):
        clock[0] += 0.5
        seen = seen or watch.poll()
    assert seen is not None
    assert [row.state for row in seen].count("cancelled") == 1


def test_hidden_folders_are_in_no_list(store: Path) -> None:
    ended(store, 1)
    for name in (".live", ".slots", ".new-x"):
        (store / name).mkdir()
    assert len(Watch(store).poll() or []) == 1


def test_a_store_that_cannot_be_read_is_said_so_and_watched_on(store: Path) -> None:
    watch = Watch(store)
    store.write_text("")
    with pytest.raises(StoreError, match="cannot be read"):
        watch.poll()
    store.unlink()
    os.mkdir(store)
    ended(store, 1)
    assert len(watch.poll() or []) == 1
