"""Live runs: superseded by the newest, kept on request, and gone with their app."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import DROP, SCATTER
from tests.workers.conftest import planned, wait_for_state
from tui_opt.errors import StoreError
from tui_opt.runner import live
from tui_opt.runner.execute import execute
from tui_opt.runner.live import FOLDER, Scratch, remove_leftovers, requests
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import INTERACTIVE, claim, waiting
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_file
from tui_opt.store import Store

LONG = SCATTER + "[params]\nseconds = 600.0\nblocks = 10000\nballs = 10000\n"


def compute(run: RunDirectory) -> None:
    assert claim(run)
    assert execute(run, plan(read_file(run.path / "scenario.toml"), threads=1)).state == "done"


def test_the_newest_request_is_the_only_one_of_its_experiment(store: Path) -> None:
    scratch = Scratch(store)
    assert not store.exists()
    first = scratch.request(planned(DROP, "params.height=1.0"))
    second = scratch.request(planned(DROP, "params.height=2.0"))
    other = scratch.request(planned(SCATTER))
    assert not first.path.exists()
    assert {run.id for run in requests(store)} == {second.id, other.id}
    assert waiting(store) == []  # nobody else sees them
    assert Store(store).rows() == []
    compute(second)
    assert second.result().arrays["height"].values.tolist() == [2.0]
    scratch.close()
    assert list((store / FOLDER).glob("*/*")) == []


def test_a_superseded_run_is_asked_to_stop_and_removed_once_it_has(store: Path) -> None:
    scratch = Scratch(store)
    first = scratch.request(planned(LONG))
    assert claim(first)
    second = scratch.request(planned(LONG))
    assert first.cancel_requested()
    assert first.path.exists()
    first.lock.release()
    third = scratch.request(planned(LONG))
    assert not first.path.exists()
    assert not second.path.exists()
    assert [run.id for run in requests(store)] == [third.id]
    scratch.close()


def test_a_kept_run_is_an_ordinary_one(store: Path) -> None:
    scratch = Scratch(store)
    run = scratch.request(planned(DROP, "params.height=3.0", "title=Worth keeping"))
    compute(run)
    kept = scratch.keep(run)
    assert kept.path == store / run.id
    (row,) = Store(store).rows()
    assert (row.state, row.title) == ("done", "Worth keeping")
    newer = scratch.request(planned())
    assert kept.result().arrays["height"].values.tolist() == [3.0]
    scratch.close()
    assert kept.path.exists()
    assert not newer.path.exists()


def test_a_run_that_has_not_ended_is_not_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEEP_PATIENCE", 0.05)
    scratch = Scratch(store)
    run = scratch.request(planned())
    with pytest.raises(StoreError, match="still queued"):
        scratch.keep(run)
    scratch.request(planned())
    with pytest.raises(StoreError, match="not a run"):
        scratch.keep(run)  # it is gone
    scratch.close()


def test_what_a_dead_app_left_is_removed_by_the_next(store: Path) -> None:
    dead, alive = Scratch(store), Scratch(store)
    left, kept = dead.request(planned()), alive.request(planned())
    assert dead._lock is not None
    dead._lock.release()  # as the system does with a process that ends
    assert [run.id for run in requests(store)] == [kept.id]  # nobody waits for it any more
    remove_leftovers(store)
    assert left.path.exists()  # it might have been made this moment
    for folder in (store / FOLDER).iterdir():
        os.utime(folder, (1, 1))
    remove_leftovers(store)
    assert not left.path.exists()
    assert kept.path.exists()
    alive.close()


def test_a_store_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Scratch(tmp_path / "file").request(planned())


def test_a_worker_serves_live_runs_before_all_others(store: Path, workforce: Workforce) -> None:
    scratch = Scratch(store)
    older = scratch.request(planned(LONG))
    workforce.wake(INTERACTIVE, older)
    wait_for_state(older, "running")
    newest = None
    for height in (1.0, 2.0, 3.0, 4.0):
        newest = scratch.request(planned(DROP, f"params.height={height}"))
        workforce.wake(INTERACTIVE, newest)
    assert newest is not None
    # The worker is busy with another experiment, which only its own next change supersedes.
    last = scratch.request(planned(SCATTER, "params.balls=10"))
    workforce.wake(INTERACTIVE, last)
    wait_for_state(last, "done")
    wait_for_state(newest, "done")
    assert newest.result().arrays["height"].values.tolist() == [4.0]
    assert {run.id for run in requests(store)} == {newest.id, last.id} | (
        {older.id} if older.path.exists() else set()
    )
    scratch.close()
    assert not list((store / FOLDER).glob("*/2*"))


def test_a_worker_of_another_app_finds_live_runs_by_itself(store: Path, workforce: Workforce) -> None:
    workforce.ensure(INTERACTIVE)
    scratch = Scratch(store)
    for height in (1.0, 2.0):
        run = scratch.request(planned(DROP, f"params.height={height}"))
        wait_for_state(run, "done")
    scratch.close()
