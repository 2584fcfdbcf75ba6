"""Many processes on one store, disks that are full, clocks that were set back."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import DROP
from tests.forking import Forks
from tui_opt.index import INDEX
from tui_opt.runner import run_directory
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.store import Store

# --- two processes at the same time -----------------------------------------------------------------------


def test_two_processes_work_on_one_store_while_others_list_it(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    path = write(DROP)
    workers = [forks.start("--batch", *[path] * 20, "--json", "--quiet", "--out", runs) for _ in range(2)]
    seen = 0
    while any(worker.poll() is None for worker in workers):
        for rows in (Store(runs).rows(), forks.rows(runs)):
            assert len(rows) >= seen  # nothing that was there goes away
            seen = len(rows)
        assert {row.state for row in Store(runs).rows()} <= {"running", "done"}
    for worker in workers:
        assert worker.wait() == 0, worker.err.read_text()
        documents = [json.loads(line) for line in worker.out.read_text().splitlines()]
        assert [d["status"] for d in documents] == ["done"] * 20
    rows = Store(runs).rows()
    assert len({row.id for row in rows}) == 40
    assert {row.state for row in rows} == {"done"}
    assert forks.rows(runs) == [row.plain() for row in rows]


def test_runs_removed_while_they_are_listed(forks: Forks, write: Callable[..., Path], runs: Path) -> None:
    code, _, err = forks.run("--batch", *[write(DROP)] * 10, "--json", "--quiet", "--out", runs)
    assert code == 0, err
    pruning = forks.start("runs", "prune", "--keep", "0", "--out", runs)
    while pruning.poll() is None:
        assert {row["state"] for row in forks.rows(runs)} <= {"done"}
    assert pruning.wait() == 0
    assert forks.rows(runs) == []


# --- full disks -------------------------------------------------------------------------------------------


def fill(path: Path) -> None:
    """Write a file until there is no space left."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


LARGE = DROP + "[params]\nbounces = 10000\nheight = [" + ", ".join(f"{h}.0" for h in range(1, 51)) + "]\n"


def test_a_disk_that_fills_up_costs_the_run_and_nothing_else(
    forks: Forks, write: Callable[..., Path], small_disk: Path
) -> None:
    store = small_disk / "runs"
    assert forks.run("--batch", write(DROP), "--json", "--quiet", "--out", store)[0] == 0
    (older,) = forks.rows(store)
    code, out, err = forks.run("--batch", write(LARGE), "--json", "--quiet", "--out", store)
    assert code == 1
    assert json.loads(out)["status"] == "failed"
    assert "is full" in err
    assert "prune" in err
    assert "Traceback" not in err
    rows = forks.rows(store)
    assert [row["state"] for row in rows] == ["done", "failed"]
    failed = RunDirectory(Path(rows[1]["run_dir"]))
    assert not list(failed.path.glob("*.npz"))
    assert not list(failed.path.glob(".tmp-*"))
    assert RunDirectory(Path(older["run_dir"])).result().arrays
    # With the same disk and a smaller question it goes on.
    assert forks.run("--batch", write(DROP), "--json", "--quiet", "--out", store)[0] == 0


def test_a_disk_that_is_full_from_the_start(
    forks: Forks, write: Callable[..., Path], small_disk: Path
) -> None:
    store = small_disk / "runs"
    path = write(DROP)
    assert forks.run("--batch", path, "--json", "--quiet", "--out", store)[0] == 0
    fill(small_disk / "filler")
    before = sorted(p.name for p in store.iterdir())
    code, out, err = forks.run("--batch", path, "--json", "--quiet", "--out", store)
    assert (code, out) == (1, "")
    assert "cannot be written: No space left on device" in err
    assert "--out" in err
    assert sorted(p.name for p in store.iterdir() if p.name != INDEX) == [n for n in before if n != INDEX]
    assert [row["state"] for row in forks.rows(store)] == ["done"]
    assert [row["state"] for row in forks.rows(store)] == ["done"]


# --- foreign things in the store --------------------------------------------------------------------------


def test_damaged_and_foreign_things_in_a_store_are_listed_or_passed_over(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    code, _, err = forks.run("--batch", *[write(DROP)] * 4, "--json", "--quiet", "--out", runs)
    assert code == 0, err
    first, second, third, fourth = (Path(row["run_dir"]) for row in forks.rows(runs))
    (first / "result.json").write_bytes((first / "result.json").read_bytes()[:100])
    (second / "arrays.npz").write_bytes((second / "arrays.npz").read_bytes()[:100])
    (third / "status.json").write_text('{"schema": 7, "state": "paused"}')
    (runs / "photos").mkdir()
    (runs / "photos" / "status.json").write_text('{"mine": true}')
    (runs / "notes.txt").write_text("mine")
    (
        runs
        / (
            "20260101T000000Z-\x1b[2J-\ud800-abcdef".encode("utf-8", "surrogatepass").decode(
                "utf-8", "surrogateescape"
            )
        )
    ).mkdir()
    states = {row["id"]: row["state"] for row in forks.rows(runs)}
    assert states.pop(first.name) == states.pop(second.name) == states.pop(fourth.name) == "done"
    assert set(states.values()) == {"unreadable"}
    assert forks.run("runs", "rm", "photos", "--out", runs)[0] == 2
    assert (runs / "photos" / "status.json").exists()
    assert len(states) == 2  # the folder of photos does not have the name of a run
    for run, words in (
        (first, "damaged"),
        (second, "cannot be read"),
        (third, "Upgrade"),
    ):
        code, out, err = forks.run("runs", "show", run.name, "--out", runs)
        assert code == 1, err
        assert words in err
        assert "Traceback" not in err
        assert len(err.splitlines()) == 1
    code, out, err = forks.run("runs", "list", "--out", runs)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert fourth.name in out


# --- clocks -----------------------------------------------------------------------------------------------


class SetBack(datetime):
    """A clock that runs backwards, an hour at every look."""

    looks = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        cls.looks += 1
        return datetime(2026, 6, 1, tzinfo=UTC) - timedelta(hours=cls.looks)


def test_a_clock_that_runs_backwards_mixes_nothing_up(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "datetime", SetBack)
    made = [RunDirectory.create(runs, "bouncing-ball", "drop", str(i), claim=True) for i in range(20)]
    assert len({run.id for run in made}) == 20
    store = Store(runs)
    assert [row.id for row in store.rows()] == [run.id for run in reversed(made)]
    for state in ("running", "failed", "done"):
        for i, run in enumerate(made):
            run.write_status({**run.read_status_file(), "state": state}, sync=False)
            # The file's time goes back as well, and its size stays.
            past = time.time() - 3600 * (i + 1)
            os.utime(run.path / "status.json", (past, past))
        assert {row.state for row in store.rows()} == {state}
        assert {row.state for row in store.rows()} == {state}
    for run in made:
        run.lock.release()


def test_runs_from_the_future_do_not_disturb_those_of_today(
    forks: Forks, write: Callable[..., Path], runs: Path
) -> None:
    future = runs / "20991231T235959Z-bouncing-ball-drop-ffffff"
    future.mkdir(parents=True)
    created = "2099-12-31T23:59:59.000Z"
    (future / "status.json").write_text(json.dumps({"schema": 1, "state": "running", "created": created}))
    os.utime(future / "status.json", (4e9, 4e9))
    assert forks.run("--batch", write(DROP), "--json", "--quiet", "--out", runs)[0] == 0
    assert [row["state"] for row in forks.rows(runs)] == ["done", "lost"]
    (future / "status.json").write_text(json.dumps({"schema": 1, "state": "failed", "created": created}))
    assert [row["state"] for row in forks.rows(runs)] == ["done", "failed"]
