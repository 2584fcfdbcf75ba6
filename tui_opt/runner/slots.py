"""Slots: one worker a lane and machine, whatever the number of apps. They are locks in a hidden folder of the store."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from tui_opt.runner.lock import RunLock, is_locked

FOLDER = ".slots"


def _base(store: Path, lane: str) -> Path:
    name = re.sub(r"\W+", "-", f"{socket.gethostname()}-{lane}")
    return store / FOLDER / name


def slot(store: Path, lane: str) -> RunLock:
    """The lock that a lane's worker holds for life. Makes the folder; OSError where that cannot be made."""
    (store / FOLDER).mkdir(parents=True, exist_ok=True)
    return RunLock(_base(store, lane).with_suffix(".lock"))


def is_taken(store: Path, lane: str) -> bool:
    """Whether a worker of this machine serves the lane."""
    return is_locked(_base(store, lane).with_suffix(".lock"))


def busy(store: Path, lane: str) -> RunLock:
    """The lock that a lane's worker holds while it works on a run."""
    return RunLock(_base(store, lane).with_suffix(".busy"))


def busy_workers(store: Path) -> int:
    """How many workers of this machine work on a run of this store."""
    pattern = _base(store, "").name + "*.busy"
    found = 0
    with contextlib.suppress(OSError):
        found = sum(is_locked(path) for path in (store / FOLDER).glob(pattern))
    return found


def log_path(store: Path, lane: str) -> Path:
    """Where a lane's worker says what nobody else hears."""
    return _base(store, lane).with_suffix(".log")
