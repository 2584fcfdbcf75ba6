"""The run directory: whole or not there, readable whatever is in it, refused in a sentence where it is not ours."""

from __future__ import annotations

import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.errors import StoreError
from tui_opt.figure import Axis, Figure, Line, Ref
from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.lock import RunLock, is_locked
from tui_opt.runner.run_directory import NEW_MARK, RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "store", "bouncing-ball", "drop", "x = 1\n", claim=True)


def some_result() -> Result:
    result = Result()
    result.add_finding("rest_time", float("inf"), "never")
    result.add_array("x", np.array([1.0, np.nan, np.inf]), ("x",), unit="s")
    result.add_array("flags", np.array([[True, False]]), ("a", "b"))
    result.add_figure(
        Figure(name="f", title="F", x=Axis(label="x"), layers=(Line(x=Ref(array="x"), y=Ref(array="x")),))
    )
    result.add_table("t", ("a",), [(float("nan"),)])
    result.warn("careful")
    return result


# --- creation ---------------------------------------------------------------------------------------------


def test_a_run_appears_whole(run: RunDirectory) -> None:
    assert {p.name for p in run.path.iterdir()} == {"scenario.toml", "status.json", "lock"}
    assert [p.name for p in run.path.parent.iterdir()] == [run.id]
    stamp, _, rest = run.id.partition("-")
    assert len(stamp) == len("20260101T000000Z")
    assert rest.startswith("bouncing-ball-drop-")


def test_a_claimed_run_is_locked_from_the_first_moment_and_a_queued_one_is_free(tmp_path: Path) -> None:
    claimed = RunDirectory.create(tmp_path, "a", "b", "", claim=True)
    queued = RunDirectory.create(tmp_path, "a", "b", "", claim=False)
    assert is_locked(claimed.path / "lock")
    assert not is_locked(queued.path / "lock")
    assert (claimed.status()["state"], queued.status()["state"]) == ("running", "queued")
    claimed.lock.release()
    assert not is_locked(claimed.path / "lock")
    assert claimed.status()["state"] == "lost"


def test_ids_are_unique_even_where_tokens_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["aaaaaa"] * 3 + ["bbbbbb"] * 3
    hidden = tmp_path / "store"

    def token(_: int) -> str:
        return tokens.pop(0)

    monkeypatch.setattr("tui_opt.runner.run_directory.secrets.token_hex", token)
    monkeypatch.setattr("tui_opt.runner.files.secrets.token_hex", lambda _: f"{random.random()}")
    # Half-way through another process's creation of the same name:
    first = RunDirectory.create(hidden, "a", "b", "first", claim=False)
    second = RunDirectory.create(hidden, "a", "b", "second", claim=False)
    assert first.id != second.id
    assert (first.path / "scenario.toml").read_text() == "first"
    assert (second.path / "scenario.toml").read_text() == "second"


def test_another_process_half_way_through_the_same_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr("tui_opt.runner.run_directory.secrets.token_hex", lambda _: next(tokens))
    monkeypatch.setattr("tui_opt.runner.files.secrets.token_hex", lambda _: f"{random.random()}")
    probe = RunDirectory.create(tmp_path, "a", "b", "", claim=False)
    other = tmp_path / f"{NEW_MARK}{probe.id}"
    shutil.rmtree(probe.path)
    other.mkdir()
    other.joinpath("scenario.toml").write_text("theirs")
    made = RunDirectory.create(tmp_path, "a", "b", "", claim=False)
    assert other.joinpath("scenario.toml").read_text() == "theirs" or made.id[:16] != probe.id[:16]


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(*_: Any, error: BaseException = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(files, "write_json", fail)
        with pytest.raises((StoreError, KeyboardInterrupt)):
            RunDirectory.create(tmp_path / "store", "a", "b", "", claim=True)
        assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for store in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot be written"):
            RunDirectory.create(store, "a", "b", "", claim=True)


# --- state ------------------------------------------------------------------------------------------------


def test_a_running_run_nobody_works_on_is_lost_and_says_how_to_go_on(run: RunDirectory) -> None:
    run.write_status({"state": "running", "error": None}, sync=False)
    assert run.status()["state"] == "running"
    run.lock.release()
    status = run.status()
    assert status["state"] == "lost"
    assert f"runs resume {run.id}" in status["error"]
    assert run.read_status_file()["state"] == "running"  # looking changes nothing


def test_a_run_killed_between_its_result_and_its_state_is_done(run: RunDirectory) -> None:
    run.write_status({"state": "running"}, sync=False)
    run.write_result(some_result(), {})
    run.lock.release()
    assert run.status()["state"] == "done"
    assert run.result().findings["rest_time"].value == float("inf")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "missing or damaged"),
        ("", "missing or damaged"),
        ('{"schema": 1, "state": "run', "missing or damaged"),
        ("[1]", "missing or damaged"),
        ("[" * 100_000, "missing or damaged"),
        ("\xff", "missing or damaged"),
        ("{}", "schema"),
        ('{"schema": "1", "state": "done"}', "schema"),
        ('{"schema": true, "state": "done"}', "schema"),
        ('{"schema": 2, "state": "done"}', "Upgrade"),
        ('{"schema": 1}', "no state"),
        ('{"schema": 1, "state": ["done"]}', "no state"),
        ('{"schema": 1, "state": "lost"}', "no state"),
    ],
)
def test_a_status_that_is_not_ours_is_refused_in_a_sentence(
    run: RunDirectory, text: str | None, words: str
) -> None:
    path = run.path / "status.json"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=words):
        run.status()
    with pytest.raises(StoreError):
        run.result_document()


def test_a_status_that_is_a_directory_is_refused(run: RunDirectory) -> None:
    (run.path / "status.json").unlink()
    (run.path / "status.json").mkdir()
    with pytest.raises(StoreError):
        run.status()


# --- events, log, control ---------------------------------------------------------------------------------


def test_a_torn_last_line_and_foreign_lines_are_left_out(run: RunDirectory) -> None:
    run.event("state", state="running")
    with open(run.path / "events.jsonl", "ab") as file:
        file.write(b'not json\n[1]\n\xff\xfe\n\n{"kind": "progress"}\n{"kind": "torn')
    assert [e["kind"] for e in run.events()] == ["state", "progress"]


def test_only_the_tail_of_a_long_log_is_read(run: RunDirectory) -> None:
    line = json.dumps({"kind": "progress", "text": "é" * 50}) + "\n"
    (run.path / "events.jsonl").write_text(line * 20_000, encoding="utf-8")
    run.event("state", state="done")
    events = run.events()
    assert events[-1]["state"] == "done"
    assert 100 < len(events) < 2000


def test_no_events_at_all(run: RunDirectory) -> None:
    assert run.events() == []
    assert run.partial() is None


def test_a_cancel_request_is_seen_and_forgotten(run: RunDirectory) -> None:
    assert not run.cancel_requested()
    run.request_cancel()
    assert run.cancel_requested()
    run.begin_attempt()
    assert not run.cancel_requested()
    (run.path / "control").write_text("garbage")
    assert not run.cancel_requested()


def test_a_new_attempt_clears_what_an_interrupted_write_left(run: RunDirectory) -> None:
    (run.path / "chunks").mkdir()
    strays = [run.path / ".tmp-1234-status.json", run.path / "chunks" / ".tmp-1234-0000000.npz"]
    for stray in strays:
        stray.write_text("half")
    run.begin_attempt()
    assert not any(stray.exists() for stray in strays)


# --- results ----------------------------------------------------------------------------------------------


def assert_same(a: Result, b: Result) -> None:
    assert a.document().model_dump_json() == b.document().model_dump_json()
    assert list(a.arrays) == list(b.arrays)
    for name, array in a.arrays.items():
        assert array.values.dtype == b.arrays[name].values.dtype
        np.testing.assert_array_equal(array.values, b.arrays[name].values)


def test_a_result_reads_back(run: RunDirectory) -> None:
    run.write_partial(Result())
    run.write_status({"state": "done"}, sync=True)
    run.write_result(some_result(), {"elapsed": 1.0})
    assert_same(run.result(), some_result())
    assert list(run.result(("x",)).arrays) == ["x"]
    assert run.result_document()["elapsed"] == 1.0
    assert run.partial() is None
    assert json.loads((run.path / "result.json").read_text())["findings"][0]["nonfinite"] == "inf"


def test_a_partial_reads_back_and_a_damaged_one_is_none(run: RunDirectory) -> None:
    size = run.write_partial(some_result())
    partial = run.partial()
    assert partial is not None
    assert_same(partial, some_result())
    path = run.path / "partial.npz"
    data = path.read_bytes()
    assert abs(len(data) - size) < 2000
    for cut in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        assert run.partial() is None
    np.savez(path, x=np.zeros(3))
    assert run.partial() is None


@pytest.fixture
def done(run: RunDirectory) -> RunDirectory:
    run.write_status({"state": "done"}, sync=True)
    run.write_result(some_result(), {})
    run.lock.release()
    return run


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema=2), "Upgrade"),
        (lambda d: d.pop("schema") and None, "schema"),
        (lambda d: [1], "damaged"),
        (lambda d: d.update(findings=[{"name": "x"}]), "damaged: findings.0"),
        (lambda d: d.update(findings="all"), "damaged: findings"),
        (lambda d: d["figures"][0]["layers"][0].update(kind="cake"), "damaged: figures"),
        (lambda d: d["arrays"]["x"].update(shape=[7]), "shape"),
    ],
)
def test_a_result_that_is_not_ours_is_refused_in_a_sentence(
    done: RunDirectory, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    rewrite(done.path / "result.json", change)
    with pytest.raises(StoreError, match=words) as caught:
        done.result()
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_fields_of_the_same_schema_that_are_not_known_are_ignored(done: RunDirectory) -> None:
    def extend(document: dict[str, Any]) -> None:
        document["later"] = 1
        document["findings"][0]["later"] = 1

    rewrite(done.path / "result.json", extend)
    assert done.result().findings["rest_time"].value == float("inf")


def test_a_missing_archive_is_said_so(done: RunDirectory) -> None:
    (done.path / "arrays.npz").unlink()
    with pytest.raises(StoreError, match=r"arrays of .* cannot be read"):
        done.result()


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_is_refused_or_its_numbers_are_right(
    done: RunDirectory, data: st.DataObject
) -> None:
    path = done.path / "arrays.npz"
    whole = path.read_bytes()
    try:
        content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
        for _ in range(data.draw(st.integers(0, 3))):
            if content:
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            result = done.result()
        except StoreError:  # anything else would be a bug
            result = Result()
        for name, array in result.arrays.items():
            np.testing.assert_array_equal(array.values, some_result().arrays[name].values)
    finally:
        path.write_bytes(whole)


def test_archives_of_objects_are_refused_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    with pytest.raises(ValueError, match="Python objects"):
        files.write_arrays(path, {"x": np.array([object()])}, sync=False)
    assert list(tmp_path.iterdir()) == []
    np.savez(path, x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    with pytest.raises(ValueError, match="not a whole NumPy archive"):
        files.read_arrays(path)
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match="single array"):
        files.read_arrays(tmp_path / "single.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", "this is no array")
    with pytest.raises(ValueError, match="'x' is no array"):
        files.read_arrays(path)


# --- files and locks --------------------------------------------------------------------------------------


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fail(file: Any) -> None:
        file.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_atomic(path, fail, sync=True)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_numbers_that_json_does_not_know_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "x.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_not_utf8_is_kept_as_its_escape(run: RunDirectory) -> None:
    files.write_text(run.path / "note", "caf\udce9")
    assert (run.path / "note").read_text() == "caf\\udce9"
    run.log("lone \ud800 surrogate")
    run.event("message", text="lone \ud800 surrogate")
    assert "lone \\ud800 surrogate" in (run.path / "log.txt").read_text()
    assert run.events()[-1]["kind"] == "message"


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "kwds", "a/b", "x.npy"])
def test_an_array_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    files.write_arrays(path, {name: values, "other": np.zeros(0), "scalar": np.array(3)}, sync=False)
    read = files.read_arrays(path)
    np.testing.assert_array_equal(read[name], values)
    assert (read["other"].shape, int(read["scalar"])) == ((0,), 3)
    with np.load(path) as archive:
        assert set(archive.files) == {name, "other", "scalar"}


def test_looking_at_a_lock_does_not_keep_anybody_from_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = RunLock(path)
    assert not is_locked(path)
    assert lock.acquire(timeout=0)
    assert is_locked(path)
    assert not RunLock(path).acquire(timeout=0.02)
    lock.release()
    assert not is_locked(path)
    assert RunLock(path).acquire(timeout=0)
    assert not is_locked(tmp_path / "nowhere")


def test_a_child_process_does_not_inherit_the_lock(run: RunDirectory) -> None:
    descriptor = run.lock._descriptor
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)


def test_a_request_may_come_while_a_run_clears_up(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has written its request under another name, and not put it in place yet."""
    replace = os.replace

    def cleared_just_before(source: Any, target: Any) -> None:
        RunDirectory(run.path).free_space()
        replace(source, target)

    (run.path / f"{files.TEMPORARY_MARK}00000000-arrays.npz").write_bytes(b"half")
    monkeypatch.setattr(os, "replace", cleared_just_before)
    run.request_cancel()
    assert run.cancel_requested()
    assert not list(run.path.glob(f"{files.TEMPORARY_MARK}*"))
