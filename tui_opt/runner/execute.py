"""Carry out a run: compute in one thread, supervise in the other, leave a run directory that tells the truth."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psutil

from tui_opt.errors import (
    CancelledError,
    ExitCode,
    OptexploreError,
)
from tui_opt.expectations import Outcome, judge
from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.computation import Computation, DirectoryRecorder
from tui_opt.runner.context import Context, Progress
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.machine import (
    announced_compilation,
    kernel_cache,
    limited_threads,
    prepare_compilation,
    provenance,
    told_warnings,
)
from tui_opt.runner.planning import Plan
from tui_opt.runner.read_inputs import checksums
from tui_opt.runner.run_directory import RunDirectory, State, now
from tui_opt.runner.stamp import touch

TICK = 0.05
CONTROL_INTERVAL = 0.05
STATUS_INTERVAL = 0.25
HEARTBEAT_INTERVAL = 2.0


@dataclass(frozen=True)
class Ended:
    """How a run ended. `result` is there where `state` is done."""

    run: RunDirectory
    state: State
    exit_code: int
    elapsed: float
    error: str | None = None
    result: Result | None = None
    outcomes: tuple[Outcome, ...] = ()


def begin(plan: Plan, store: Any) -> RunDirectory:
    """Make the run's directory and claim it; errors as for `RunDirectory.create`."""
    file = plan.file
    status = {"title": file.label}
    return RunDirectory.create(
        store, file.scenario.name, file.experiment.name, file.to_toml(), claim=True, status=status
    )


def execute(
    run: RunDirectory,
    plan: Plan,
    *,
    interrupts: Interrupts | None = None,
    observe: Callable[[Progress, float | None], None] = lambda progress, eta: None,
    tell: Callable[[str], None] = lambda text: None,
    changed: Callable[[], None] = lambda: None,
    processes: int = 1,
) -> Ended:
    """Carry out a claimed run to its end, whatever that is.

    Args:
        run: its directory, whose lock this process holds; released at the end.
        plan: what to run.
        interrupts: signals to heed.
        observe: called a few times a second with progress and the seconds still to go, if known.
        tell: called with each sentence the computation says.
        changed: called, from any thread, when the run directory shows something new.
        processes: processes that share a sweep.

    Returns:
        How it ended. Errors of the computation are part of that; none is raised.
    """
    try:
        return _Supervisor(
            run, plan, interrupts or Interrupts(), observe, tell, changed, processes
        ).carry_out()
    finally:
        run.lock.release()


class _Supervisor:
    def __init__(
        self,
        run: RunDirectory,
        plan: Plan,
        interrupts: Interrupts,
        observe: Callable[[Progress, float | None], None],
        tell: Callable[[str], None],
        changed: Callable[[], None],
        processes: int,
    ) -> None:
        self.run = run
        self.plan = plan
        self.processes = processes
        self.interrupts = interrupts
        self.observe = observe
        self.changed = changed
        self.began = time.monotonic()
        self.recorder = DirectoryRecorder(run, tell, changed)
        file = plan.file
        prepare_compilation()
        self.context = Context(
            f"{file.scenario.name}/{file.experiment.name}",
            seed=file.seed,
            device=plan.device,
            threads=plan.threads,
            kernels=kernel_cache(),
            recorder=self.recorder,
            runs=run.path.parent,
        )
        self._silent = self.context.now
        self._announced = ""
        before = run.read_status_file()
        self.created = str(before.get("created", now()))
        self.taken_up = before["state"] not in ("queued", "running")
        self.kept = {key: before[key] for key in ("lane", "order") if key in before} | {"title": file.label}
        self.started = now()
        self.provenance = provenance(plan.device, file.experiment.dtype, plan.threads)
        self._status_next = 0.0
        self._heartbeat_next = 0.0
        self._shown: tuple[Any, ...] = ()

    # --- the three acts -------------------------------------------------------------------------------------

    def carry_out(self) -> Ended:
        try:
            self._open()
            computation = Computation(self._compute)
            computation.start()
            self._watch(computation)
            return self._close(computation)
        except Exception as error:  # whatever happens, the run directory must say how the run ended
            return self._fail(self._sentence(error), traceback.format_exc())

    def _open(self) -> None:
        process = psutil.Process()
        meta = {
            "schema": 1,
            "pid": process.pid,
            "pid_started": process.create_time(),
            "started": self.started,
            "seed": self.plan.file.seed,
            **self.provenance,
        }
        files.write_json(self.run.path / "meta.json", meta, sync=self.run.durable)
        self.run.write_status(self._status("running"), sync=True)
        if self.taken_up:
            touch(
                self.run.path.parent, self.run.id
            )  # those who watch the store do not look at ended runs all the time
        self.run.event("state", state="running")
        self.changed()

    def _compute(self) -> Result:
        file = self.plan.file
        self.provenance |= checksums(file.params, self.run.path.parent)
        tell = self.context.message
        with told_warnings(tell), announced_compilation(self._announce):
            compute = file.experiment.load_compute()
            with limited_threads(self.plan.threads):
                return self._answer(compute)

    def _announce(self, text: str) -> None:
        self._announced = text
        self.context.message(text)

    def _answer(self, compute: Callable[[Any, Context], Result]) -> Result:
        file = self.plan.file
        if file.sweep is None:
            result = compute(file.params, self.context)
            if not isinstance(result, Result):
                raise TypeError(f"the compute function returned {type(result).__name__}, not a Result")
            result.headline = result.headline or [n for n in file.experiment.headline if n in result.findings]
            return result
        from tui_opt.runner.sweeping import compute_sweep  # needs numpy, which reading a file does not

        chunks = self.run.path / "chunks"
        return compute_sweep(file, file.sweep, compute, self.context, chunks, self.processes)

    def _watch(self, computation: Computation) -> None:
        control_next = 0.0
        while not computation.ended.wait(TICK):
            moment = time.monotonic()
            if self.interrupts.count > 0:
                self.context.cancel()
            if self.interrupts.count > 1:
                self._show_progress(moment)  # so that whoever draws it takes its line away
                self._abandon()
            if moment >= control_next:
                control_next = moment + CONTROL_INTERVAL
                if self.run.cancel_requested():
                    self.context.cancel()
            self._show_progress(moment)

    def _close(self, computation: Computation) -> Ended:
        if computation.error is None and computation.result is not None:
            return self._finish(computation.result)
        error = computation.error
        if isinstance(error, CancelledError):
            self.context.checkpoint.flush()
            return self._end(
                "cancelled", self._cancel_code(), "Cancelled. `optexplore runs resume` goes on with it."
            )
        if isinstance(error, OptexploreError):
            return self._fail(str(error), computation.trace, error.exit_code)
        return self._fail(self._sentence(error), computation.trace)

    # --- endings --------------------------------------------------------------------------------------------

    def _finish(self, result: Result) -> Ended:
        file = self.plan.file
        elapsed = time.monotonic() - self.began
        outcomes = tuple(judge(file.expectations, result, file.sweep))
        extra = {
            "scenario": file.scenario.name,
            "experiment": file.experiment.name,
            "title": file.title,
            "seed": file.seed,
            "device": self.plan.device,
            "elapsed": elapsed,
            "created": self.created,
            "started": self.started,
            "ended": now(),
            "provenance": self.provenance,
        }
        self.run.write_result(result, extra)
        failed = result.findings.get("failed_points") if file.sweep is not None else None
        code = ExitCode.SWEEP_INCOMPLETE if failed is not None and failed.value > 0 else ExitCode.OK
        ended = self._end("done", code, None)
        return replace(ended, result=result, outcomes=outcomes)

    def _fail(self, sentence: str, trace: str, code: int = ExitCode.RUN_FAILED) -> Ended:
        with contextlib.suppress(OSError):
            self.run.free_space()  # first, so that there is room to say what went wrong
        self.run.log(trace)
        return self._end("failed", code, sentence)

    def _end(self, state: State, code: int, error: str | None) -> Ended:
        elapsed = time.monotonic() - self.began
        try:
            self.run.write_status(self._status(state, error), sync=True)
        except OSError as problem:
            # The lock is about to be free, so the run shows as lost, which is the truth.
            error = f"{error or 'The run ended.'} Its state could not be written: {problem.strerror}."
        self.run.event("state", state=state, error=error)
        self.changed()
        return Ended(self.run, state, code, elapsed, error)

    def _abandon(self) -> None:
        """A second signal: do not wait for the computation to notice."""
        self._end("cancelled", self._cancel_code(), "Cancelled without waiting for the computation to stop.")
        os._exit(self.interrupts.exit_code)

    def _cancel_code(self) -> int:
        return self.interrupts.exit_code if self.interrupts.count else ExitCode.RUN_FAILED

    def _sentence(self, error: BaseException | None) -> str:
        if isinstance(error, MemoryError):
            return "The run needs more memory than this machine has free. Make it smaller."
        if isinstance(error, OSError):
            return self._disk_sentence(error)
        return f"The computation failed unexpectedly ({type(error).__name__}: {error}). {self._see_log()}"

    def _disk_sentence(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                f"The disk of {self.run.path.parent} is full, so the result could not be kept. Free some space "
                "(`optexplore runs prune` removes old runs) or choose another folder with --out."
            )
        return f"A file could not be read or written: {error.strerror or error} ({error.filename}). {self._see_log()}"

    def _see_log(self) -> str:
        return f"The details are in {self.run.path / 'log.txt'}."

    # --- progress -------------------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        """What the computation said last; before it has said anything, that it is being compiled."""
        progress = self.context.now
        return replace(progress, what=self._announced) if progress is self._silent else progress

    def _eta(self) -> float | None:
        fraction = self.context.now.fraction
        elapsed = time.monotonic() - self.began
        return elapsed * (1 - fraction) / fraction if 0.02 <= fraction < 1 and elapsed > 0.5 else None

    def _show_progress(self, moment: float) -> None:
        progress = self._progress()
        eta = self._eta()
        with contextlib.suppress(OSError, ValueError):  # nobody reads the progress any more; the run goes on
            self.observe(progress, eta)
        if moment < self._status_next:
            return
        shown = (round(progress.fraction, 3), progress.what, self.recorder.partials)
        if shown == self._shown and moment < self._heartbeat_next:
            return
        try:
            self.run.write_status(self._status("running"), sync=False)
        except OSError:
            return  # a full disk is reported when it matters: at the result
        if shown != self._shown:
            self.run.event("progress", progress=round(progress.fraction, 4), what=progress.what)
        self._shown = shown
        self.changed()
        self._status_next = moment + STATUS_INTERVAL
        self._heartbeat_next = moment + HEARTBEAT_INTERVAL

    def _status(self, state: State, error: str | None = None) -> dict[str, Any]:
        eta = self._eta() if state == "running" else None
        progress = self._progress() if state == "running" else self.context.now
        return {
            **self.kept,
            "state": state,
            "progress": 1.0 if state == "done" else round(progress.fraction, 4),
            "what": progress.what,
            "eta": None if eta is None else round(eta, 1),
            "partial": self.recorder.partials,
            "created": self.created,
            "started": self.started,
            "heartbeat": now(),
            "elapsed": round(time.monotonic() - self.began, 3),
            "error": error,
        }
