"""A worker: one process for a lane of the queue. It holds the lane's slot for life and carries out one run at a time.

Its stdin wakes it: a line `run <path>` names a run that was just queued, `warm <scenario> <experiment>` an experiment
to import. Its end means that the app which started it is gone: the worker drains what it can claim, and exits. On
stdout it writes the directory of a run whenever that shows something new; nobody needs to read it.

python -m tui_opt.runner.worker --store STORE --lane LANE [--processes N]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tui_opt.errors import OptexploreError, StoreError
from tui_opt.runner.calibration import calibrate
from tui_opt.runner.lane import Lane
from tui_opt.runner.live import remove_leftovers
from tui_opt.runner.pipes import Notices, Wishes
from tui_opt.runner.queue import INTERACTIVE, claim
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import busy, busy_workers, slot
from tui_opt.runner.stopping import Stopping
from tui_opt.scenario_file import ScenarioFile, read_file

#: seconds between looks for work, where no pipe says that there is some.
PAUSE = 0.25
INTERACTIVE_PAUSE = 0.1
#: a worker that has used a GPU gives its memory there back after so long without work.
GPU_PATIENCE = 300.0
#: a run that could not even be marked as failed is left alone for so long.
REFUSAL = 30.0


class Worker:
    """Carries out the runs of a lane.

    Args:
        store: the folder of runs.
        lane: the lane it serves.
        processes: processes for a sweep.
        wishes: what its app asks for.
        notices: where it says what has changed.
    """

    def __init__(self, store: Path, lane: str, processes: int, wishes: Wishes, notices: Notices) -> None:
        self._store = store
        self._processes = processes
        self._wishes = wishes
        self._notices = notices
        self._lane = Lane(store, lane)
        self._stopping = Stopping()
        self._slot = slot(store, lane)
        self._busy = busy(store, lane)
        self._refused: dict[str, float] = {}
        self._used_gpu = lane.startswith("cuda")
        self._complaint = ""
        self._calibrated = False
        self._worked = time.monotonic()

    def serve(self) -> int:
        """Work until the app is gone and nothing is left to claim; the exit code."""
        with self._stopping:
            while self._slot.acquire(timeout=0.0):
                self._work()
                self._slot.release()
                if self._stopping.count or not self._has_more():
                    break
        return self._stopping.exit_code if self._stopping.count else 0

    def _work(self) -> None:
        pause = INTERACTIVE_PAUSE if self._lane.name == INTERACTIVE else PAUSE
        if self._lane.name == INTERACTIVE:
            remove_leftovers(self._store)
        while not self._stopping.count:
            self._wishes.read()
            run = self._next()
            if run is not None:
                self._carry_out(run)
                continue
            if self._wishes.experiments:
                self._warm(*self._wishes.experiments.pop(0))
                continue
            if self._wishes.ended or self._is_idle_on_a_gpu():
                return
            if not self._calibrated:
                self._calibrated = True
                calibrate()  # while nobody waits
            self._wishes.wait(pause)

    def _has_more(self) -> bool:
        """Whether a run was queued while this worker made up its mind to leave: whoever did that saw its slot taken."""
        tried = {run.id for run in self._lane.found}
        try:
            return any(run.id not in tried for run in self._lane.waiting())
        except StoreError:
            return False

    def _is_idle_on_a_gpu(self) -> bool:
        return self._used_gpu and time.monotonic() - self._worked > GPU_PATIENCE

    # --- claiming -------------------------------------------------------------------------------------------

    def _next(self) -> RunDirectory | None:
        """Claim the next run, None where there is none."""
        try:
            candidates = self._lane.candidates(self._wishes.take_runs(), drain=self._wishes.ended)
            for run in candidates:
                if self._refused.get(run.id, 0.0) <= time.monotonic() and claim(run):
                    self._lane.claimed()
                    return run
        except StoreError as error:  # not to be read for the moment
            if str(error) != self._complaint:
                self._complaint = str(error)
                print(error, file=sys.stderr)
        return None

    # --- carrying out ---------------------------------------------------------------------------------------

    def _carry_out(self, run: RunDirectory) -> None:
        """Carry out a claimed run. Whatever is wrong with it, the worker goes on."""
        try:
            with self._marked_busy():
                self._execute(run)
        except Exception as error:
            traceback.print_exc()
            self._refuse(run, f"The run could not be begun ({type(error).__name__}: {error}).")
        finally:
            run.lock.release()
            self._notices.say(run.path)
            self._worked = time.monotonic()

    def _execute(self, run: RunDirectory) -> None:
        from tui_opt.runner.execute import execute
        from tui_opt.runner.machine import available_cores
        from tui_opt.runner.planning import plan

        threads = max(1, available_cores() // max(1, busy_workers(self._store)))
        try:
            settled = plan(self._on_our_device(read_file(run.path / "scenario.toml")), threads)
        except OptexploreError as error:
            self._refuse(run, str(error))
            return
        self._used_gpu |= settled.device.startswith("cuda")
        ended = execute(
            run,
            settled,
            processes=self._processes,
            interrupts=self._stopping,
            changed=lambda: self._notices.say(run.path),
        )
        if ended.state == "failed" and run.read_status_file()["state"] == "queued":
            self._leave_alone(run, ended.error or "")

    def _on_our_device(self, file: ScenarioFile) -> ScenarioFile:
        """The lane was chosen when the run was queued: a device that was to be found then is found."""
        if self._lane.name == INTERACTIVE or file.device not in ("auto", "cuda"):
            return file
        return replace(file, device=self._lane.name)

    def _refuse(self, run: RunDirectory, sentence: str) -> None:
        """Mark a run as failed that never began."""
        try:
            status = run.read_status_file()
            run.write_status({**status, "state": "failed", "error": sentence}, sync=True)
            run.event("state", state="failed", error=sentence)
        except (OSError, StoreError) as error:
            self._leave_alone(run, f"{sentence} Its state could not be written: {error}")

    def _leave_alone(self, run: RunDirectory, sentence: str) -> None:
        """Do not try a run that cannot even be marked as failed, on a full disk say, again and again; it waits on."""
        print(f"{run.id}: {sentence}", file=sys.stderr)
        self._refused[run.id] = time.monotonic() + REFUSAL

    @contextlib.contextmanager
    def _marked_busy(self) -> Iterator[None]:
        """Let the other workers of this machine know, who share its cores."""
        with contextlib.suppress(OSError):
            self._busy.acquire(timeout=0.0)
        try:
            yield
        finally:
            self._busy.release()

    def _warm(self, scenario: str, experiment: str) -> None:
        from tui_opt.runner.warming import warm

        try:
            warm(scenario, experiment)
        except Exception:  # it fails again, and is told, when it is run
            traceback.print_exc()


def main(words: Sequence[str] | None = None) -> int:
    """Serve a lane; the exit code."""
    parser = argparse.ArgumentParser(prog="tui_opt.runner.worker", description="A worker of a store.")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--lane", required=True)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(words)
    # What a computation prints, and the processes it starts, must not get at the pipes.
    store = given.store.absolute()
    wishes, notices = Wishes(os.dup(0)), Notices(os.dup(1), store)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        return Worker(store, given.lane, given.processes, wishes, notices).serve()
    except OSError as error:
        print(f"The store {given.store} cannot be served: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
