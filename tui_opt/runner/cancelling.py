"""Cancelling a run in three steps: a request, SIGTERM to its process, SIGKILL to the process's group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import psutil

from tui_opt.errors import StoreError
from tui_opt.runner import files
from tui_opt.runner.queue import withdraw
from tui_opt.runner.run_directory import RunDirectory

#: seconds between the steps.
GRACE = 5.0
#: a foreground process takes its second SIGTERM as an order not to wait.
_SECOND_SIGNAL = 1.0
_LOOK = 0.02
_ACTIVE = ("queued", "running")


def cancel(
    run: RunDirectory, *, tell: Callable[[str], None] = lambda text: None, grace: float = GRACE
) -> str:
    """Cancel a run, and wait until it has ended.

    Args:
        run: a run in any state.
        tell: called with a sentence before each step that goes beyond asking.
        grace: seconds that each step gives it.

    Returns:
        The state it ended in; `running` or `queued` where it could not be stopped, and `tell` has said why.

    Raises:
        StoreError: its directory cannot be read, or the request not be written.
    """
    if withdraw(run):
        return "cancelled"
    if (state := _state(run)) not in _ACTIVE:
        return state
    try:
        run.request_cancel()
    except OSError as error:
        raise StoreError(f"The run {run.id} cannot be asked to stop: {error.strerror or error}.") from None
    if (state := _ended(run, grace)) not in _ACTIVE:
        return state
    process = _process(run, tell)
    if process is None:
        return _state(run)
    tell(f"{run.id} has not stopped within {grace:g} s; its process is told to leave.")
    for patience in (min(grace, _SECOND_SIGNAL), grace):
        _send(run, process, signal.SIGTERM)
        if (state := _ended(run, patience)) not in _ACTIVE:
            return _marked(run, state, "Its process was told to leave.")
    tell(f"{run.id} does not react; its process is killed.")
    _send(run, process, signal.SIGKILL)
    return _marked(
        run, _ended(run, grace), "Its process was killed, because it did not stop when it was asked to."
    )


def _state(run: RunDirectory) -> str:
    return str(run.status()["state"])


def _ended(run: RunDirectory, patience: float) -> str:
    """The run's state once it has ended or the time is over."""
    deadline = time.monotonic() + patience
    while (state := _state(run)) in _ACTIVE and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return state


def _process(run: RunDirectory, tell: Callable[[str], None]) -> psutil.Process | None:
    """The process that works on a run; None where that cannot be said for sure, or it is out of reach."""
    meta = files.read_json(run.path / "meta.json") or {}
    host = meta.get("host")
    if host is not None and host != socket.gethostname():
        tell(
            f"{run.id} runs on {host}. It has been asked to stop, and stops as soon as it looks; "
            "from here no more can be done."
        )
        return None
    process = _recorded(meta)
    if process is None:
        tell(
            f"{run.id} has been asked to stop; the process that works on it is not known, so it is left alone."
        )
    return process


def _recorded(meta: dict[str, Any]) -> psutil.Process | None:
    """The process that a run names, if it is still the same one: numbers of processes are given again."""
    pid, started = meta.get("pid"), meta.get("pid_started")
    if not isinstance(pid, int) or not isinstance(started, int | float):
        return None
    with contextlib.suppress(psutil.Error, ValueError, OverflowError):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < 0.05:
            return process
    return None


def _send(run: RunDirectory, process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal, if the process still is who it was and still works on this run."""
    with contextlib.suppress(psutil.Error, OSError):
        if not process.is_running() or _state(run) not in _ACTIVE:
            return
        if number == signal.SIGKILL and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)  # with the processes it has started
        else:  # its group is a shell's pipeline, say
            process.send_signal(number)


def _marked(run: RunDirectory, state: str, why: str) -> str:
    """Let a run whose process we ended say that it was cancelled, and not that it was lost."""
    if state != "lost" or not run.lock.acquire(timeout=1.0):
        return state
    try:
        status = run.read_status_file()
        if status["state"] == "running" and not (run.path / "result.json").exists():
            sentence = f"Cancelled. {why} `optexplore runs resume` goes on with it."
            run.write_status({**status, "state": "cancelled", "eta": None, "error": sentence}, sync=True)
            run.event("state", state="cancelled", error=sentence)
    except OSError:
        return state  # it stays lost, which can be resumed just as well
    finally:
        run.lock.release()
    return _state(run)
