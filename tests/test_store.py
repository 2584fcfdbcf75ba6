"""The store: the directories are the truth, the index only makes it fast."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_opt.errors import StoreError, UsageError
from tui_opt.index import INDEX, INDEX_VERSION
from tui_opt.runner.run_directory import NEW_MARK, RunDirectory
from tui_opt.store import RunRow, Store


def make(store: Store, state: str = "done", name: str | None = None, **status: Any) -> RunDirectory:
    """A run directory in a state, without the cost of running anything."""
    run = RunDirectory.create(store.path, "bouncing-ball", "drop", "", claim=False)
    if name is not None:
        os.rename(run.path, store.path / name)
        run = RunDirectory(store.path / name)
    created = run.read_status_file()["created"]
    run.write_status({"created": created, "progress": 0.5} | status | {"state": state}, sync=False)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the runs whose status file is opened."""
    opened: list[str] = []
    original = RunDirectory.read_status_file

    def counted(self: RunDirectory) -> dict[str, Any]:
        opened.append(self.id)
        return original(self)

    monkeypatch.setattr(RunDirectory, "read_status_file", counted)
    return opened


def states(store: Store) -> dict[str, str]:
    return {row.id: row.state for row in store.rows()}


# --- reading ----------------------------------------------------------------------------------------------


def test_a_store_that_is_not_there_is_empty_and_stays_away(store: Store) -> None:
    assert store.rows() == []
    assert not store.path.exists()


def test_a_store_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path / "file").rows()


def test_rows_say_what_status_says(store: Store) -> None:
    run = make(store, "failed", error="It broke.", started="2026-01-01T00:00:00Z", elapsed=2.5, progress=0.25)
    (row,) = store.rows()
    assert row == RunRow(
        id=run.id, run_dir=str(run.path), scenario="bouncing-ball", experiment="drop", state="failed", progress=0.25,
        created=row.created, started="2026-01-01T00:00:00Z", elapsed=2.5, error="It broke.",
    )  # fmt: skip
    assert "error" not in RunRow("a", "b", "c", "d", "done", 1.0, "", None, None).plain()


def test_rows_say_how_far_a_run_is_and_where_it_waits(store: Store) -> None:
    run = make(
        store, "failed", eta=3.5, what="walkers", partial=4, lane="cuda:0", order=17.25, title="A title"
    )
    (row,) = store.rows()
    assert (row.eta, row.what, row.partial, row.lane, row.title) == (3.5, "walkers", 4, "cuda:0", "A title")
    assert row.order is None  # it waits no more
    assert store.rows() == [row]  # as it is remembered, too
    run.write_status(
        {**run.read_status_file(), "state": "queued", "eta": "soon", "partial": True}, sync=False
    )
    (row,) = store.rows()
    assert (row.order, row.eta, row.partial) == (17.25, None, None)
    plain = row.plain()
    assert plain["order"] == 17.25
    assert "eta" not in plain


def test_rows_are_in_the_order_of_creation_whatever_the_names(store: Store) -> None:
    order = ["2026-03-01", "2026-01-01", "2026-02-01"]
    ids = {date: make(store, created=f"{date}T00:00:00.000Z").id for date in order}
    assert [row.id for row in store.rows()] == [ids[date] for date in sorted(order)]


def test_the_state_of_a_run_nobody_works_on_is_seen_at_every_list(store: Store) -> None:
    run = RunDirectory.create(store.path, "bouncing-ball", "drop", "", claim=True)
    run.write_status({"state": "running", "created": "2026"}, sync=False)
    assert states(store) == {run.id: "running"}
    run.lock.release()
    assert states(store) == {run.id: "lost"}
    assert states(store) == {run.id: "lost"}
    assert run.lock.acquire()
    assert states(store) == {run.id: "running"}
    run.lock.release()


def test_a_change_of_state_is_seen_even_where_the_clock_stands_still(store: Store) -> None:
    run = make(store, "failed", error="x" * 10)
    path = run.path / "status.json"
    assert states(store) == {run.id: "failed"}
    before = path.stat()
    make_same_size = {"state": "queued", "error": "x" * 10}
    status = run.read_status_file()
    run.write_status({k: v for k, v in status.items() if k != "schema"} | make_same_size, sync=False)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert states(store) == {run.id: "queued"}


def replace_status(run: Path, content: str | bytes) -> None:
    (run / "status.json").write_bytes(content if isinstance(content, bytes) else content.encode())


def make_status_a_directory(run: Path) -> None:
    (run / "status.json").unlink()
    (run / "status.json").mkdir()


def make_status_a_dangling_link(run: Path) -> None:
    (run / "status.json").unlink()
    (run / "status.json").symlink_to("nowhere")


def empty(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no status": lambda run: (run / "status.json").unlink(),
    "empty status": lambda run: replace_status(run, ""),
    "half a status": lambda run: replace_status(run, '{"schema": 1, "sta'),
    "bytes": lambda run: replace_status(run, os.urandom(100)),
    "list": lambda run: replace_status(run, "[]"),
    "newer": lambda run: replace_status(run, '{"schema": 99, "state": "done"}'),
    "deep": lambda run: replace_status(run, "[" * 200_000),
    "status is a directory": make_status_a_directory,
    "dangling link": make_status_a_dangling_link,
    "empty directory": empty,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_a_row_and_the_others_stay(store: Store, damage: str) -> None:
    good, bad = make(store), make(store)
    DAMAGE[damage](bad.path)
    for _ in range(2):
        found = {row.id: row for row in store.rows()}
        assert found[good.id].state == "done"
        assert found[bad.id].state == "unreadable"
        assert found[bad.id].error
        assert found[bad.id].scenario == "bouncing-ball"


@pytest.mark.parametrize(
    "status",
    [
        '"progress": NaN, "elapsed": Infinity', '"progress": 1' + "0" * 400 + ', "elapsed": -1' + "0" * 400,
        '"progress": "half", "elapsed": [], "created": 5, "started": {}, "error": {"a": "\\ud800"}',
        '"progress": true, "elapsed": null, "error": "two\\nlines \\u001b[2J"',
    ],
)  # fmt: skip
def test_strange_values_in_a_status_do_no_harm(store: Store, status: str) -> None:
    run = make(store)
    (run.path / "status.json").write_text('{"schema": 1, "state": "failed", ' + status + "}")
    for _ in range(2):
        (row,) = store.rows()
        assert row.state == "failed"
        assert 0.0 <= row.progress <= 1.0
        json.dumps(row.plain(), allow_nan=False)
        assert isinstance(row.created, str)


def test_foreign_files_and_hidden_directories_are_not_runs(store: Store) -> None:
    run = make(store)
    (store.path / "notes.txt").write_text("mine")
    (store.path / ".git").mkdir()
    (store.path / f"{NEW_MARK}half").mkdir()
    (store.path / "link").symlink_to(run.path)
    assert list(states(store)) == [run.id]


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system there takes only UTF-8 names")
def test_a_directory_whose_name_is_not_text_does_no_harm(store: Store) -> None:
    run = make(store)
    os.rename(os.fsencode(run.path), os.fsencode(store.path) + b"/20260101T000000Z-caf\xe9-run-abc123")
    other = make(store)
    for _ in range(2):
        assert sorted(states(store).values()) == ["done", "done"]
    assert other.id in states(store)


# --- the index --------------------------------------------------------------------------------------------


def test_only_what_changed_is_read_again(store: Store, reads: list[str]) -> None:
    runs = [make(store) for _ in range(20)]
    reads.clear()
    first = store.rows()
    assert sorted(reads) == sorted(r.id for r in runs)
    reads.clear()
    assert store.rows() == first
    assert reads == []
    runs[3].write_status({"state": "failed", "created": "2026"}, sync=False)
    shutil.rmtree(runs[4].path)
    assert states(Store(store.path))[runs[3].id] == "failed"
    assert reads == [runs[3].id]
    assert runs[4].id not in states(store)


def test_five_thousand_runs_are_listed_without_opening_them(store: Store, reads: list[str]) -> None:
    template = make(store)
    status = (template.path / "status.json").read_bytes()
    for i in range(4999):
        folder = store.path / f"20260101T000000Z-bouncing-ball-drop-{i:06x}"
        folder.mkdir()
        (folder / "status.json").write_bytes(status)
    reads.clear()
    assert len(store.rows()) == 5000
    assert len(reads) == 5000
    reads.clear()
    assert len(store.rows()) == 5000
    assert reads == []


def corrupt_middle(index: Path) -> None:
    data = bytearray(index.read_bytes())
    for i in range(100, len(data), 97):
        data[i] ^= 0xFF
    index.write_bytes(data)


def foreign_tables(index: Path) -> None:
    index.unlink()
    with sqlite3.connect(index) as connection:
        connection.execute("CREATE TABLE runs (other INTEGER)")
        connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")
    connection.close()


def empty_database(index: Path) -> None:
    index.unlink()
    with sqlite3.connect(index) as connection:
        connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")
    connection.close()


def other_rows(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE runs SET row = '{\"a\": 1}'")
    connection.close()


def newer_version(index: Path) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


INDEX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda index: index.write_bytes(b""),
    "text": lambda index: index.write_text("not a database " * 1000),
    "truncated": lambda index: index.write_bytes(index.read_bytes()[:2000]),
    "corrupt": corrupt_middle,
    "foreign tables": foreign_tables,
    "no tables": empty_database,
    "other rows": other_rows,
    "newer version": newer_version,
    "stale journal": lambda index: Path(f"{index}-journal").write_bytes(os.urandom(3000)),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
def test_a_damaged_index_is_made_again(store: Store, reads: list[str], damage: str) -> None:
    runs = [make(store) for _ in range(30)]
    expected = store.rows()
    INDEX_DAMAGE[damage](store.path / INDEX)
    for _ in range(3):
        assert store.rows() == expected
    reads.clear()
    assert store.rows() == expected
    assert reads == []
    assert len(runs) == len(expected)


def test_an_index_that_is_a_directory_is_worked_around(store: Store) -> None:
    make(store)
    (store.path / INDEX).mkdir()
    assert len(store.rows()) == 1
    assert len(store.rows()) == 1


def test_a_busy_index_is_worked_around(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make(store)
    store.rows()
    make(store)
    holder = sqlite3.connect(store.path / INDEX, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert len(store.rows()) == 2
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert (store.path / INDEX).exists()


READ_AS_NOBODY = """
import os, pathlib, sys
from tui_opt.scenario import registry
from tui_opt.store import Store
registry()
if os.getuid() == 0:
    os.setuid(65534)  # nothing is forbidden to the superuser
print(Store(pathlib.Path(sys.argv[1])).rows()[0].id)
"""


def test_a_store_that_cannot_be_written_is_read_all_the_same() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        run = make(store)
        store.path.chmod(0o555)
        command = [sys.executable, "-c", READ_AS_NOBODY, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == run.id, done.stderr
        assert not (store.path / INDEX).exists()
        store.path.chmod(0o755)


def test_a_moved_store_says_where_its_runs_are_now(store: Store, tmp_path: Path) -> None:
    run = make(store)
    store.rows()
    moved = Store(tmp_path / "elsewhere")
    store.path.rename(moved.path)
    (row,) = moved.rows()
    assert row.run_dir == str(moved.path / run.id)


# --- finding and removing ---------------------------------------------------------------------------------


def test_a_run_is_found_by_its_id_its_beginning_or_its_end(store: Store) -> None:
    run = make(store, name="20260101T000000Z-bouncing-ball-drop-abc123")
    make(store, name="20260202T000000Z-bouncing-ball-drop-abc124")
    for text in (run.id, "20260101", "abc123"):
        assert store.find(text).id == run.id
    for text, words in (("2026", "any of 2"), ("zzz", "no run"), ("", "any of 2"), ("../x", "no run")):
        with pytest.raises(UsageError, match=words):
            store.find(text)


def test_a_run_that_is_worked_on_is_not_removed(store: Store) -> None:
    run = RunDirectory.create(store.path, "bouncing-ball", "drop", "", claim=True)
    with pytest.raises(UsageError, match="runs cancel"):
        store.remove(RunDirectory(run.path))
    assert run.path.exists()
    run.lock.release()
    store.remove(RunDirectory(run.path))
    assert [p.name for p in store.path.iterdir()] == []


def test_folders_that_are_not_runs_are_never_listed_locked_or_removed(store: Store) -> None:
    run = make(store)
    plain = store.path / "Documents"
    alike = store.path / "20260101T000000Z-thesis-draft-abcdef"
    hidden = store.path / f"{NEW_MARK}ideas"
    for folder in (plain, alike, hidden):
        folder.mkdir()
        (folder / "chapter.txt").write_text("years of work")
        (folder / "status.json").write_text('{"mine": true}')
        os.utime(folder, (1e9, 1e9))
    assert states(store) == {run.id: "done", alike.name: "unreadable"}
    with pytest.raises(UsageError, match="no run 'Doc'"):
        store.find("Doc")
    with pytest.raises(UsageError, match="is not a run of optexplore; remove it yourself"):
        store.find(alike.name)
    for folder in (plain, alike, hidden):
        with pytest.raises(UsageError, match="is not a run of optexplore; remove it yourself"):
            store.remove(RunDirectory(folder))
    assert [row.id for row in store.prune(keep=0, states=["unreadable", "done"], dry=True)] == [run.id]
    assert [row.id for row in store.prune(keep=0, states=["unreadable", "done"], dry=False)] == [run.id]
    for folder in (plain, alike, hidden):
        assert {p.name for p in folder.iterdir()} == {"chapter.txt", "status.json"}


def test_a_link_to_a_folder_elsewhere_is_not_a_run(store: Store, tmp_path: Path) -> None:
    run = make(store)
    link = store.path / "20260101T000000Z-bouncing-ball-drop-abcdef"
    link.symlink_to(run.path)
    with pytest.raises(UsageError, match="is not a run"):
        store.remove(RunDirectory(link))
    assert run.path.exists()


@pytest.mark.parametrize("kept", ["scenario.toml", "status.json"])
def test_a_damaged_run_of_ours_can_be_removed(store: Store, kept: str) -> None:
    run = make(store)
    for path in list(run.path.iterdir()):
        if path.name != kept:
            path.unlink()
    store.remove(store.find(run.id))
    assert not run.path.exists()


def test_pruning_keeps_the_newest_and_clears_old_remains(store: Store) -> None:
    runs = [make(store, created=f"2026-01-{i:02}") for i in range(1, 7)]
    queued = make(store, "queued", created="2025-01-01")
    name = "20260101T000000Z-bouncing-ball-drop-{}"
    old, removed, fresh, held = (
        store.path / f"{NEW_MARK}{name.format(rest)}" for rest in ("abc001", "abc002", "abc003", "abc004")
    )
    removed = removed.with_name(f"{NEW_MARK}removed-{name.format('abc002')}")
    foreign = store.path / f"{NEW_MARK}chapter"
    for folder in (old, removed, fresh, held, foreign):
        folder.mkdir()
    lock = RunDirectory(held).lock
    assert lock.acquire()
    for folder in (old, removed, held, foreign):
        os.utime(folder, (1e9, 1e9))
    expected = [r.id for r in runs[:4]]
    assert [r.id for r in store.prune(keep=2, states=["done"], dry=True)] == expected
    assert len(store.rows()) == 7
    assert [r.id for r in store.prune(keep=2, states=["done"], dry=False)] == expected
    lock.release()
    assert set(states(store)) == {runs[4].id, runs[5].id, queued.id}
    assert not old.exists()
    assert not removed.exists()
    assert foreign.exists()
    assert fresh.exists()
    assert held.exists()
