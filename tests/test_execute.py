"""Carrying out a run: however it ends, the run directory and the exit code say so."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bouncing_ball.compute as plugin
import numpy as np
import pytest

from tests.conftest import DROP, SCATTER
from tui_opt.errors import CancelledError, ExitCode, ExperimentError, StoreError, TooLargeError
from tui_opt.result import Result
from tui_opt.runner import execute as module
from tui_opt.runner import files, gathering, memory, planning
from tui_opt.runner.claiming import claim_again
from tui_opt.runner.context import Context, Progress
from tui_opt.runner.execute import Ended, begin, execute
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.lock import is_locked
from tui_opt.runner.planning import Plan, plan
from tui_opt.runner.report import run_document
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import read_text

SLOW = SCATTER + "[params]\nseconds = 60.0\nblocks = 600\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def planned(text: str, *overrides: str) -> Plan:
    return plan(read_text(text, "test.toml", overrides), threads=2)


def carry_out(text: str, store: Path, *overrides: str, **options: Any) -> Ended:
    settled = planned(text, *overrides)
    return execute(begin(settled, store), settled, **options)


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, compute: Callable[[Any, Context], Any]) -> None:
    monkeypatch.setattr(plugin, name, compute)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def check_consistent(ended: Ended, state: str) -> None:
    """Directory, status and lock agree on how a run ended, and nothing half-written lies about."""
    run = RunDirectory(ended.run.path)
    status = run.status()
    assert (ended.state, status["state"], status["error"]) == (state, state, ended.error)
    assert (run.path / "result.json").exists() == (state == "done")
    assert not is_locked(run.path / "lock")
    assert not list(run.path.rglob(f"{files.TEMPORARY_MARK}*"))
    assert run.events()[-1]["state"] == state
    if ended.error:
        assert "Traceback" not in ended.error
        assert "\n" not in ended.error


# --- done -------------------------------------------------------------------------------------------------


def test_a_run_that_is_done(store: Path) -> None:
    ended = carry_out(DROP, store, "params.height=1.0", "seed=3", "title=A ball")
    check_consistent(ended, "done")
    assert ended.exit_code == ExitCode.OK
    assert ended.result is not None
    closed_form = np.sqrt(2 / 9.81) * 1.8 / 0.2
    assert ended.result.findings["rest_time"].value == pytest.approx(closed_form, rel=1e-14)
    stored = RunDirectory(ended.run.path).result()
    assert stored.findings == ended.result.findings
    np.testing.assert_array_equal(stored.arrays["peak"].values, ended.result.arrays["peak"].values)
    document = ended.run.result_document()
    assert (document["title"], document["seed"], document["device"]) == ("A ball", 3, "cpu")
    assert document["provenance"]["versions"]["numpy"] == np.__version__
    meta = json.loads((ended.run.path / "meta.json").read_text())
    assert (meta["pid"], meta["threads"]) == (os.getpid(), 2)
    assert {p.name for p in ended.run.path.iterdir()} == {
        "scenario.toml", "status.json", "meta.json", "events.jsonl", "lock", "arrays.npz", "result.json",
    } | {p.name for p in ended.run.path.glob("log.txt")}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "shown"), [(None, ["compiling"]), ("", ["compiling", ""]), ("half", ["compiling", "half"])]
)
def test_a_run_that_is_being_compiled_says_so_until_it_says_something_itself(
    store: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, shown: list[str]
) -> None:
    seen: list[str] = []

    def see(progress: Progress, eta: float | None) -> None:
        if seen[-1:] != [progress.what]:
            seen.append(progress.what)

    def compute(params: Any, ctx: Context) -> Result:
        if said is not None:
            wait_until(lambda: seen[-1:] == ["compiling"])
            ctx.progress(1, 2, said)
        wait_until(lambda: seen[-len(shown) :] == shown)
        return Result()

    @contextlib.contextmanager
    def compiling(announce: Callable[[str], None]) -> Iterator[None]:
        announce("compiling")
        yield

    replaced(monkeypatch, "drop", compute)
    monkeypatch.setattr(module, "announced_compilation", compiling)
    ended = carry_out(DROP, store, observe=see)
    check_consistent(ended, "done")
    run = RunDirectory(ended.run.path)
    assert [event["text"] for event in run.events() if event["kind"] == "message"] == ["compiling"]
    assert run.status()["what"] == (said or "")


def test_the_stored_scenario_file_reproduces_the_run(store: Path) -> None:
    first = carry_out(SCATTER, store, "seed=11", "params.balls=500")
    text = (first.run.path / "scenario.toml").read_text()
    again = carry_out(text, store)
    assert again.result is not None
    assert first.result is not None
    assert again.result.findings == first.result.findings
    assert (again.run.path / "scenario.toml").read_text() == text


@pytest.mark.parametrize("threads", [1, 3])
def test_numbers_do_not_depend_on_threads_or_on_where_they_are_computed(store: Path, threads: int) -> None:
    file = read_text(SCATTER + "seed = 5\n")
    settled = plan(file, threads=threads)
    ended = execute(begin(settled, store), settled)
    assert ended.result is not None
    expected = run_in_memory(file, threads=2)
    np.testing.assert_array_equal(
        ended.result.arrays["block_mean"].values, expected.arrays["block_mean"].values
    )


def test_the_document_for_scripts_has_every_part(store: Path) -> None:
    settled = planned(DROP + '[[expect]]\nfinding = "rest_time"\nvalue = inf\n', "params.height=1.0")
    document = run_document(settled, execute(begin(settled, store), settled))
    json.dumps(document, allow_nan=False)
    assert set(document) == {
        "schema", "scenario", "experiment", "title", "params", "seed", "device", "status", "elapsed", "run_dir",
        "findings", "tables", "arrays", "figures", "expectations", "warnings", "provenance",
    }  # fmt: skip
    (expectation,) = document["expectations"]
    assert (expectation["value"], expectation["value_nonfinite"], expectation["holds"]) == (
        None,
        "inf",
        False,
    )
    assert expectation["measured"] == pytest.approx(4.06, abs=0.01)
    assert document["arrays"]["peak"]["dims"] == ["height", "bounce"]


# --- failed -----------------------------------------------------------------------------------------------


def failing(error: BaseException) -> Callable[[Any, Context], Result]:
    def compute(params: Any, ctx: Context) -> Result:
        raise error

    return compute


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ExperimentError("There is no pit for these losses. Lower the barrier."), "There is no pit"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (MemoryError(), "more memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (OSError(errno.EIO, "Input/output error", "/data/x"), "/data/x"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError"),
        (StoreError("The data set is gone."), "The data set is gone."),
    ],
)
def test_a_failure_is_a_sentence_with_the_traceback_in_the_log(
    store: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, words: str
) -> None:
    replaced(monkeypatch, "drop", failing(error))
    ended = carry_out(DROP, store)
    check_consistent(ended, "failed")
    assert ended.exit_code == ExitCode.RUN_FAILED
    assert words in (ended.error or "")
    assert "Traceback" in (ended.run.path / "log.txt").read_text()


def test_a_compute_function_that_cannot_be_imported(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(plugin, "drop")
    ended = carry_out(DROP, store)
    check_consistent(ended, "failed")
    assert "AttributeError" in (ended.error or "")


@pytest.mark.parametrize("answer", [None, {"a": 1}, 1.0])
def test_an_answer_that_is_no_result(store: Path, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    replaced(monkeypatch, "drop", lambda params, ctx: answer)
    ended = carry_out(DROP, store)
    check_consistent(ended, "failed")
    assert "not a Result" in (ended.error or "")


def object_array() -> Result:
    result = Result()
    result.add_array("x", np.array([object()]), ("x",))
    return result


def test_an_answer_that_cannot_be_stored(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, "drop", lambda params, ctx: object_array())
    ended = carry_out(DROP, store)
    check_consistent(ended, "failed")
    assert "Python objects" in (ended.error or "")


def test_a_disk_that_fills_up_while_the_result_is_written(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = carry_out(DROP, store)
    original = files.write_atomic

    def full(path: Path, write: Any, *, sync: bool) -> None:
        if path.name in ("arrays.npz", "result.json"):
            original(path.with_name(".tmp-0-half"), lambda file: file.write(b"half"), sync=False)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(path, write, sync=sync)

    for name in ("arrays.npz", "result.json"):
        with monkeypatch.context() as patch:
            patch.setattr(files, "write_atomic", full)
            ended = carry_out(DROP, store)
        check_consistent(ended, "failed")
        assert "is full" in (ended.error or "")
        assert "prune" in (ended.error or "")
        assert ended.exit_code == 1
        assert not (ended.run.path / name).exists()
    assert older.run.result().findings is not None


def test_a_disk_so_full_that_not_even_the_state_can_be_written(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = planned(DROP)
    run = begin(settled, store)

    def full(path: Path, write: Any, *, sync: bool) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomic", full)
        ended = execute(run, settled)
    assert ended.state == "failed"
    assert ended.exit_code == 1
    assert "is full" in (ended.error or "")
    assert RunDirectory(run.path).status()["state"] == "lost"


def test_a_run_directory_that_is_taken_away(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(params: Any, ctx: Context) -> Result:
        import shutil

        shutil.rmtree(store)
        return Result()

    replaced(monkeypatch, "drop", compute)
    ended = carry_out(DROP, store)
    assert ended.state == "failed"
    assert "could not be" in (ended.error or "")


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check_consistent(carry_out(DROP, store), "done")


def test_a_screen_that_cannot_be_written_does_not_stop_a_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK", 0.001)

    def broken(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def compute(params: Any, ctx: Context) -> Result:
        ctx.message("Half-way.")
        time.sleep(0.05)
        return Result()

    replaced(monkeypatch, "drop", compute)
    ended = carry_out(DROP, store, observe=broken, tell=broken)
    check_consistent(ended, "done")
    assert "Half-way." in (ended.run.path / "log.txt").read_text()


def test_what_cannot_fit_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "available_memory", lambda: 1000)
    with pytest.raises(TooLargeError, match=r"would take about .* GB"):
        planned(SCATTER, "params.balls=1_000_000")


def test_the_refusal_names_the_file_and_what_to_reduce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "available_memory", lambda: 1_000_000)
    with pytest.raises(TooLargeError) as caught:
        planned(DROP, "params.bounces=10_000")
    text = str(caught.value)
    assert text.startswith("test.toml: bouncing-ball/drop")
    assert "bounces (now 10000)" in text
    assert "height (now 3 values)" in text
    assert "gravity" not in text


def test_the_largest_point_of_a_sweep_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = DROP + "[sweep]\nbounces = [1, 10_000, 2]\nrestitution = [0.5, 0.6]\n"
    file = read_text(text)
    need, largest = memory.memory_needed(file)
    assert largest.bounces == 10_000  # type: ignore[attr-defined]
    assert need >= 64 * 3 * 10_000
    monkeypatch.setattr(planning, "available_memory", lambda: need - 1)
    with pytest.raises(TooLargeError, match="bounces"):
        plan(file)
    monkeypatch.setattr(planning, "available_memory", lambda: need)
    assert plan(file).file is file


LIMITED = """
import pathlib, sys
import bouncing_ball.compute as plugin
from tui_opt.result import Result
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.runner.planning import plan
from tui_opt.scenario_file import read_text

def compute(params, ctx):
    import scipy.linalg, threadpoolctl
    result = Result()
    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    result.add_finding("pools", len(pools))
    result.add_finding("threads", max(p["num_threads"] for p in pools))
    return result

plugin.drop = compute
file = read_text('scenario = "bouncing-ball"\\nexperiment = "drop"')
settled = plan(file, threads=1)
if sys.argv[1] == "memory":
    result = run_in_memory(file, threads=1)
else:
    result = execute(begin(settled, pathlib.Path(sys.argv[2])), settled).result
print(int(result.findings["pools"].value), int(result.findings["threads"].value))
"""


@pytest.mark.parametrize("how", ["memory", "directory"])
def test_linear_algebra_that_a_computation_loads_late_keeps_to_its_threads(
    store: Path, environment: Callable[..., dict[str, str]], how: str
) -> None:
    command = [sys.executable, "-c", LIMITED, how, str(store)]
    env = environment(OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pools, threads = map(int, done.stdout.split())
    assert pools >= 1
    assert threads == 1


@pytest.mark.filterwarnings("always")
def test_warnings_of_python_go_to_the_log_and_not_to_the_screen(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compute(params: Any, ctx: Context) -> Result:
        for _ in range(3):
            np.log(np.zeros(1))
        list(ctx.map(lambda k: warnings.warn(f"odd {k}", UserWarning, stacklevel=1), range(2)))
        return Result()

    replaced(monkeypatch, "drop", compute)
    before = warnings.showwarning
    ended = carry_out(DROP, store)
    assert warnings.showwarning is before
    check_consistent(ended, "done")
    lines = (ended.run.path / "log.txt").read_text().splitlines()
    assert sum("divide by zero" in line for line in lines) == 1
    assert {"odd 0", "odd 1"} <= {line[-5:] for line in lines}
    assert capsys.readouterr().err == ""


# --- cancelled and resumed --------------------------------------------------------------------------------


def cancel_when_under_way(run: RunDirectory) -> threading.Thread:
    def wait_and_ask() -> None:
        while run.read_status_file()["progress"] == 0.0:
            time.sleep(0.005)
        run.request_cancel()

    thread = threading.Thread(target=wait_and_ask)
    thread.start()
    return thread


def test_a_cancelled_run_keeps_what_it_has_and_goes_on_from_there(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONTROL_INTERVAL", 0.02)
    monkeypatch.setattr(module, "STATUS_INTERVAL", 0.02)
    settled = planned(SLOW)
    run = begin(settled, store)
    thread = cancel_when_under_way(run)
    ended = execute(run, settled)
    thread.join()
    check_consistent(ended, "cancelled")
    assert ended.exit_code == ExitCode.RUN_FAILED
    kept = files.read_arrays(run.path / "checkpoint.npz")
    assert 0 < len(kept) < 600
    assert run.partial() is not None

    computed: list[int] = []
    original = plugin._block_mean

    def counted(params: Any, ctx: Context, block: int) -> float:
        computed.append(block)
        return original(params.model_copy(update={"seconds": 0.0}), ctx, block)

    monkeypatch.setattr(plugin, "_block_mean", counted)
    again = RunDirectory(run.path)
    claim_again(again)
    resumed = execute(again, settled)
    check_consistent(resumed, "done")
    assert sorted(computed) == [b for b in range(600) if f"block-{b}" not in kept]
    whole = run_in_memory(read_text(SCATTER + "[params]\nblocks = 600\n"))
    assert resumed.result is not None
    np.testing.assert_array_equal(
        resumed.result.arrays["block_mean"].values, whole.arrays["block_mean"].values
    )
    assert not (run.path / "checkpoint.npz").exists()
    assert not (run.path / "control").exists()


def test_a_request_before_the_computation_begins_is_heeded(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONTROL_INTERVAL", 0.02)
    settled = planned(SLOW)
    run = begin(settled, store)
    assert run.status()["state"] == "running"
    RunDirectory(run.path).request_cancel()
    check_consistent(execute(run, settled), "cancelled")
    again = RunDirectory(run.path)
    claim_again(again)
    assert not again.cancel_requested()  # it was meant for the attempt before
    RunDirectory(run.path).request_cancel()
    check_consistent(execute(again, settled), "cancelled")


def test_the_lock_is_free_even_where_a_run_cannot_begin(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = planned(DROP)
    run = begin(settled, store)
    (run.path / "status.json").write_text("half")
    with pytest.raises(StoreError, match=r"status\.json"):
        execute(run, settled)
    assert not is_locked(run.path / "lock")


def test_a_damaged_checkpoint_is_said_so_and_not_used(store: Path) -> None:
    settled = planned(SCATTER)
    run = begin(settled, store)
    (run.path / "checkpoint.npz").write_bytes(b"PK\x03\x04 half")
    ended = execute(run, settled)
    check_consistent(ended, "done")
    assert "checkpoint" in (run.path / "log.txt").read_text()


def test_only_a_run_that_nobody_works_on_and_is_not_done_can_be_resumed(store: Path) -> None:
    settled = planned(DROP)
    run = begin(settled, store)
    with pytest.raises(StoreError, match="another process"):
        claim_again(RunDirectory(run.path))
    execute(run, settled)
    other = RunDirectory(run.path)
    with pytest.raises(StoreError, match="is done"):
        claim_again(other)
    assert not is_locked(run.path / "lock")


def test_a_run_that_failed_can_be_resumed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = planned(DROP)
    with monkeypatch.context() as patch:
        patch.setattr(plugin, "drop", failing(ExperimentError("Not today.")))
        failed = execute(begin(settled, store), settled)
    assert failed.state == "failed"
    again = RunDirectory(failed.run.path)
    claim_again(again)
    check_consistent(execute(again, settled), "done")


def test_a_computation_that_cancels_itself(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, "drop", failing(CancelledError()))
    check_consistent(carry_out(DROP, store), "cancelled")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_for_an_orderly_end(
    store: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)

    def observe(progress: Progress, eta: float | None) -> None:
        if progress.fraction > 0 and not interrupts.count:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        ended = carry_out(SLOW, store, interrupts=interrupts, observe=observe)
    assert signal.getsignal(number) is before
    check_consistent(ended, "cancelled")
    assert ended.exit_code == 128 + number


def test_a_run_that_ends_before_it_notices_a_signal_is_done_in_every_respect(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = plugin.drop

    def drop(params: Any, ctx: Context) -> Result:
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: ctx.cancelled)
        return compute(params, Context("bouncing-ball/drop"))

    replaced(monkeypatch, "drop", drop)
    with Interrupts() as interrupts:
        ended = carry_out(DROP, store, interrupts=interrupts)
    assert interrupts.count == 1
    check_consistent(ended, "done")
    assert (ended.exit_code, ended.error) == (ExitCode.OK, None)
    assert ended.run.status()["progress"] == 1.0


# --- progress ---------------------------------------------------------------------------------------------


def test_progress_is_shown_and_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.005)
    monkeypatch.setattr(module, "STATUS_INTERVAL", 0.01)
    step, total = threading.Semaphore(0), 5
    seen: list[float] = []

    def compute(params: Any, ctx: Context) -> Result:
        for i in range(total):
            ctx.progress(i, total, "steps")
            step.acquire(timeout=30)
        return Result()

    def observe(progress: Progress, eta: float | None) -> None:
        written = run.read_status_file()
        if (
            written["state"] == "running"
            and written["progress"] == progress.fraction
            and written["what"] == "steps"
        ):
            if progress.fraction not in seen:  # once each, or the computation would hurry ahead of who looks
                step.release()
            seen.append(progress.fraction)

    replaced(monkeypatch, "drop", compute)
    settled = planned(DROP)
    run = begin(settled, store)
    execute(run, settled, observe=observe)
    assert seen == sorted(seen)
    assert set(seen) >= {0.0, 0.2, 0.4, 0.6, 0.8}
    assert run.read_status_file()["progress"] == 1.0
    assert "steps" in {e["what"] for e in run.events() if e["kind"] == "progress"}


# --- sweeps -----------------------------------------------------------------------------------------------

SWEEP = DROP + "[params]\nheight = 1.0\n[sweep]\nrestitution = [0.5, 0.7, 0.9]\nbounces = [5, 10]\n"


def fail_at(monkeypatch: pytest.MonkeyPatch, bad: set[float], error: Exception) -> list[tuple[float, int]]:
    """Make the drop fail at some restitutions; returns the points it is asked to compute."""
    asked: list[tuple[float, int]] = []
    original = plugin.drop

    def compute(params: Any, ctx: Context) -> Result:
        asked.append((params.restitution, params.bounces))
        if params.restitution in bad:
            raise error
        return original(params, ctx)

    replaced(monkeypatch, "drop", compute)
    return asked


def test_a_sweep_gathers_its_points_with_the_axes_in_front(store: Path) -> None:
    text = (
        SWEEP + '[[expect]]\nfinding = "rest_time"\nat = {restitution = 0.7, bounces = 10}\n'
        "value = 2.5586\ntolerance = 1e-4\n"
    )
    ended = carry_out(text, store)
    check_consistent(ended, "done")
    assert ended.exit_code == 0
    assert ended.result is not None
    array = ended.result.arrays["rest_time"]
    assert array.dims == ("restitution", "bounces")
    expected = np.sqrt(2 / 9.81) * np.array([1.5 / 0.5, 1.7 / 0.3, 1.9 / 0.1])
    np.testing.assert_allclose(array.values, np.repeat(expected[:, None], 2, axis=1), rtol=1e-12)
    assert ended.result.arrays["status"].values.tolist() == [[0, 0]] * 3
    assert ended.result.arrays["restitution"].values.tolist() == [0.5, 0.7, 0.9]
    assert [o.holds for o in ended.outcomes] == [True]
    for i, point in enumerate(read_text(text).sweep.points()):  # type: ignore[union-attr]
        alone = run_in_memory(read_text(text).at_point(point))
        assert array.values.ravel()[i] == alone.findings["rest_time"].value


@pytest.mark.parametrize("error", [ExperimentError("Too bouncy."), ZeroDivisionError("oops"), MemoryError()])
def test_points_that_fail_cost_only_themselves(
    store: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_at(monkeypatch, {0.7}, error)
    ended = carry_out(SWEEP, store)
    check_consistent(ended, "done")
    assert ended.exit_code == ExitCode.SWEEP_INCOMPLETE
    assert ended.result is not None
    assert ended.result.arrays["status"].values.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert np.isnan(ended.result.arrays["rest_time"].values).tolist() == [
        [False] * 2,
        [True] * 2,
        [False] * 2,
    ]
    table = ended.result.tables["errors"]
    assert table.columns == ("restitution", "bounces", "error")
    assert [row[:2] for row in table.rows] == [(0.7, 5), (0.7, 10)]
    assert str(error) in str(table.rows[0][2])
    assert "2 of 6" in " ".join(ended.result.warnings)


def test_a_sweep_in_which_every_point_fails_is_a_failed_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, {0.5, 0.7, 0.9}, ExperimentError("Too bouncy."))
    ended = carry_out(SWEEP, store)
    check_consistent(ended, "failed")
    assert ended.exit_code == ExitCode.RUN_FAILED
    assert "Too bouncy." in (ended.error or "")


def test_a_point_that_answers_nonsense_fails_alone(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = plugin.drop
    replaced(monkeypatch, "drop", lambda p, ctx: None if p.restitution == 0.7 else original(p, ctx))
    ended = carry_out(SWEEP, store)
    check_consistent(ended, "done")
    assert ended.exit_code == ExitCode.SWEEP_INCOMPLETE


def interrupted(store: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> RunDirectory:
    """A sweep that was cancelled after some points."""
    original = plugin.drop
    count = 0

    def compute(params: Any, ctx: Context) -> Result:
        nonlocal count
        count += 1
        if count > after:
            raise CancelledError
        return original(params, ctx)

    with monkeypatch.context() as patch:
        patch.setattr(plugin, "drop", compute)
        ended = carry_out(SWEEP, store)
    check_consistent(ended, "cancelled")
    return RunDirectory(ended.run.path)


def test_a_resumed_sweep_computes_only_what_is_missing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(store, monkeypatch, after=4)
    asked = fail_at(monkeypatch, set(), ValueError())
    claim_again(run)
    resumed = execute(run, planned(SWEEP))
    check_consistent(resumed, "done")
    assert asked == [(0.9, 5), (0.9, 10)]
    whole = carry_out(SWEEP, store)
    assert resumed.result is not None
    assert whole.result is not None
    for name, array in whole.result.arrays.items():
        np.testing.assert_array_equal(resumed.result.arrays[name].values, array.values)


@pytest.mark.parametrize("content", [b"", b"garbage", None, "half", "foreign"])
def test_a_damaged_chunk_is_computed_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    run = interrupted(store, monkeypatch, after=4)
    chunks = sorted((run.path / "chunks").iterdir())
    assert len(chunks) == 4
    if content == "half":
        chunks[1].write_bytes(chunks[1].read_bytes()[:-200])
    elif content == "foreign":
        np.savez(chunks[1], x=np.zeros(3))
    elif content is None:
        chunks[1].unlink()
    else:
        chunks[1].write_bytes(content)
    asked = fail_at(monkeypatch, set(), ValueError())
    claim_again(run)
    resumed = execute(run, planned(SWEEP))
    assert asked == [(0.5, 10), (0.9, 5), (0.9, 10)]
    assert resumed.result is not None
    assert not np.isnan(resumed.result.arrays["rest_time"].values).any()


def test_points_that_failed_are_not_tried_again_by_a_resume(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, {0.5}, ExperimentError("Too flat."))
    run = interrupted(store, monkeypatch, after=4)
    monkeypatch.undo()
    claim_again(run)
    resumed = execute(run, planned(SWEEP))
    assert resumed.exit_code == ExitCode.SWEEP_INCOMPLETE
    assert resumed.result is not None
    assert resumed.result.findings["failed_points"].value == 2


def test_a_sweep_over_seeds_draws_different_numbers(store: Path) -> None:
    ended = carry_out(SCATTER + "[sweep]\nseed = {from = 0, to = 3, num = 4}\n", store)
    assert ended.result is not None
    assert len(set(ended.result.arrays["mean_rest_time"].values.tolist())) == 4
    alone = run_in_memory(read_text(SCATTER + "seed = 2\n"))
    assert ended.result.arrays["mean_rest_time"].values[2] == alone.findings["mean_rest_time"].value


def test_a_finding_and_an_array_of_one_name_are_both_gathered(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(params: Any, ctx: Context) -> Result:
        result = Result()
        result.add_finding("one", params.restitution)
        result.add_array("one", np.array([params.restitution]), ("k",))
        result.add_finding("two", params.restitution)
        result.add_array("two", params.restitution * np.arange(2.0), ("k",))
        return result

    replaced(monkeypatch, "drop", compute)
    result = carry_out(DROP + "[sweep]\nrestitution = [0.25, 0.5]\n", store).result
    assert result is not None
    assert result.warnings == []
    assert result.arrays["one"].values.tolist() == result.arrays["two"].values.tolist() == [0.25, 0.5]
    assert "one_values" not in result.arrays
    assert result.arrays["two_values"].values.tolist() == [[0.0, 0.25], [0.0, 0.5]]
    assert result.arrays["two_values"].dims == ("restitution", "k")


def test_what_a_sweep_keeps_in_memory_is_bounded(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(params: Any, ctx: Context) -> Result:
        result = Result()
        result.add_array("grid", np.arange(1000.0), ("grid",))
        result.add_array("small", params.restitution * np.arange(10.0), ("k",))
        result.add_array("large", params.restitution * np.arange(1000.0), ("grid",))
        result.add_array("texts", np.array(["a", "b"]), ("t",))
        return result

    replaced(monkeypatch, "drop", compute)
    monkeypatch.setattr(gathering, "MOST_STACKED_BYTES", 500)
    result = carry_out(DROP + "[sweep]\nrestitution = [0.25, 0.5, 0.75]\n", store).result
    assert result is not None
    assert result.arrays["small"].values.shape == (3, 10)
    assert result.arrays["grid"].dims == ("grid",)
    (warning,) = result.warnings
    assert "large, texts" in warning or "texts, large" in warning
    assert not {"large", "texts"} & set(result.arrays)


def test_an_array_that_begins_to_differ_keeps_what_it_was_before(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(params: Any, ctx: Context) -> Result:
        result = Result()
        if params.bounces != 2:
            result.add_array("x", np.array([1.0, float(params.bounces > 3)]), ("x",))
        return result

    replaced(monkeypatch, "drop", compute)
    result = carry_out(DROP + "[sweep]\nbounces = [1, 2, 3, 4]\n", store).result
    assert result is not None
    assert result.arrays["x"].dims == ("bounces", "x")
    np.testing.assert_array_equal(
        result.arrays["x"].values, [[1.0, 0.0], [np.nan, np.nan], [1.0, 0.0], [1.0, 1.0]]
    )


def test_a_sweep_resumes_inside_a_point(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = planned(SCATTER + "[params]\nblocks = 8\nballs = 80\n[sweep]\nseed = [1, 2]\n")
    original = plugin._block_mean
    computed: list[tuple[int, int]] = []

    def stop_at(last: tuple[int, int] | None) -> Callable[[Any, Context, int], float]:
        def block_mean(params: Any, ctx: Context, block: int) -> float:
            if (ctx.seed, block) == last:
                raise CancelledError
            computed.append((ctx.seed, block))
            return original(params, ctx, block)

        return block_mean

    settled = Plan(settled.file, settled.device, 1)
    monkeypatch.setattr(plugin, "_block_mean", stop_at((2, 5)))
    first = execute(begin(settled, store), settled)
    check_consistent(first, "cancelled")
    assert set(files.read_arrays(first.run.path / "checkpoint.npz")) == {
        f"point-1|block-{k}" for k in range(5)
    }
    monkeypatch.setattr(plugin, "_block_mean", stop_at(None))
    again = RunDirectory(first.run.path)
    claim_again(again)
    resumed = execute(again, settled)
    assert computed == [(seed, block) for seed in (1, 2) for block in range(8)]
    assert resumed.result is not None
    for i, seed in enumerate((1, 2)):
        alone = run_in_memory(read_text(SCATTER + f"seed = {seed}\n[params]\nblocks = 8\nballs = 80\n"))
        assert resumed.result.arrays["mean_rest_time"].values[i] == alone.findings["mean_rest_time"].value


def test_ragged_arrays_are_named_and_the_axis_of_the_sweep_is_not_among_them(store: Path) -> None:
    ended = carry_out(DROP + "[sweep]\nheight = [1.0, 2.0]\nbounces = [3, 4]\n", store)
    assert ended.result is not None
    (warning,) = ended.result.warnings
    assert "peak" in warning
    assert "height" not in warning.replace("heights", "")
    assert ended.result.arrays["height"].dims == ("height",)
