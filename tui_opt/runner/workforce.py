"""The workers that an app, or a batch that leaves, has started. They outlive it; a pipe is all that ties them to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tui_opt.errors import StoreError
from tui_opt.runner import files
from tui_opt.runner.queue import INTERACTIVE
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.slots import is_taken, log_path

#: a worker that ends this soon is not simply started again.
TOO_SOON = 2.0
LONGEST_PAUSE = 30.0
MOST_LOG_BYTES = 1_000_000


@dataclass
class _Post:
    """A lane's worker, if this process has started one, and when the next may be started."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    not_before: float = 0.0
    worked: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class Workforce:
    """Starts workers where a lane has none, and wakes them. Safe to use from several threads.

    Args:
        store: the folder of runs.
        processes: processes a worker may use for a sweep.
        changed: called from a thread of its own with a run directory that shows something new.
        command: words put before the worker's command line.
    """

    def __init__(
        self,
        store: Path,
        *,
        processes: int = 1,
        changed: Callable[[Path], None] = lambda path: None,
        command: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._processes = processes
        self._changed = changed
        self._command = command
        self._posts: dict[str, _Post] = {}
        self._lock = threading.Lock()
        self._closed = False

    def ensure(self, lane: str) -> None:
        """Start a worker for the lane where it has none on this machine, and where its device is here.

        Raises:
            StoreError: the worker cannot be started.
        """
        with self._lock:
            post = self._posts.setdefault(lane, _Post())
            if self._closed or self._is_at_work(post) or time.monotonic() < post.not_before:
                return
            if is_taken(self._store, lane) or not _is_here(lane):
                return
            post.not_before = time.monotonic() + TOO_SOON  # also where it cannot be started
            self._start(lane, post)

    def wake(self, lane: str, run: RunDirectory | None = None) -> None:
        """Start a worker for the lane where it has none, and tell ours that there is work; errors as for `ensure`."""
        self.ensure(lane)
        if run is not None:
            self._tell(lane, f"run {os.path.relpath(run.path, self._store)}")
        else:
            self._tell(lane, "run")

    def warm(self, scenario: str, experiment: str) -> None:
        """Let the interactive worker import what an experiment needs; errors as for `ensure`."""
        self.ensure(INTERACTIVE)
        self._tell(INTERACTIVE, f"warm {scenario} {experiment}")

    def settle(self, lane: str, timeout: float) -> bool:
        """Wait until a lane is served, by whomever; False where our worker ended before, or the time is over."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            post = self._posts.get(lane)
            ended = post is None or post.ended.is_set()
            if is_taken(self._store, lane) or (post is not None and post.worked):
                return True
            if ended:
                return post is not None and post.process is not None and post.process.returncode == 0
            time.sleep(0.02)
        return False

    def last_words(self, lane: str) -> str:
        """The last line of a lane's log."""
        lines = files.tail(log_path(self._store, lane), 4096)
        return lines[-1].strip() if lines else ""

    def close(self) -> None:
        """Let the workers go on alone: they drain what they can claim, and exit."""
        with self._lock:
            self._closed = True
            for post in self._posts.values():
                if post.process is not None and post.process.stdin is not None:
                    with contextlib.suppress(OSError):
                        post.process.stdin.close()

    def join(self, timeout: float) -> bool:
        """Wait until the workers of this process have ended; whether they have."""
        deadline = time.monotonic() + timeout
        with self._lock:
            posts = [post for post in self._posts.values() if post.process is not None]
        return all(post.ended.wait(max(0.0, deadline - time.monotonic())) for post in posts)

    # --- inside ---------------------------------------------------------------------------------------------

    def _is_at_work(self, post: _Post) -> bool:
        """Whether our worker lives. One that ended at once without having worked makes the next wait, ever longer."""
        if post.process is None:
            return False
        if not post.ended.is_set():
            return True
        ended_soon = time.monotonic() - post.started < TOO_SOON + post.pause
        in_vain = ended_soon and not post.worked
        post.pause = min(LONGEST_PAUSE, max(1.0, 2 * post.pause)) if in_vain else 0.0
        post.not_before = time.monotonic() + post.pause
        post.process = None
        return False

    def _start(self, lane: str, post: _Post) -> None:
        words = ["--store", str(self._store.absolute()), "--lane", lane, "--processes", str(self._processes)]
        try:
            with _opened_log(self._store, lane) as log:
                process = subprocess.Popen(
                    [*self._command, sys.executable, "-m", "tui_opt.runner.worker", *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise StoreError(
                f"No worker can be started for {self._store}: {error.strerror or error}. The run waits in the queue."
            ) from None
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        post.process, post.started = process, time.monotonic()
        post.worked, post.ended = False, threading.Event()
        reader = threading.Thread(target=self._listen, args=(process, post), daemon=True)
        reader.name = f"worker {lane}"
        reader.start()

    def _tell(self, lane: str, line: str) -> None:
        """Write a line to our worker; one that does not read now looks by itself later."""
        with self._lock:
            post = self._posts.get(lane)
            if post is None or post.process is None or post.process.stdin is None or self._closed:
                return
            with contextlib.suppress(OSError):
                os.write(post.process.stdin.fileno(), f"{line}\n".encode("utf-8", "surrogateescape"))

    def _listen(self, process: subprocess.Popen[bytes], post: _Post) -> None:
        """Pass on what a worker says, and see it off when it ends."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                post.worked = True
                if not self._closed:
                    self._changed(self._store / os.fsdecode(line.rstrip(b"\n")))
        process.wait()
        with self._lock, contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        post.ended.set()


def _is_here(lane: str) -> bool:
    """Whether this machine has the device of a lane: in a store that machines share, others may wait for theirs."""
    kind, _, number = lane.partition(":")
    if kind != "cuda":
        return True
    from tui_opt.device import gpus

    return number.isdigit() and int(number) < len(gpus())


def _opened_log(store: Path, lane: str) -> IO[bytes]:
    """The log of a lane's worker, begun anew where it has become large."""
    path = log_path(store, lane)
    path.parent.mkdir(parents=True, exist_ok=True)
    large = path.exists() and path.stat().st_size > MOST_LOG_BYTES
    return open(path, "wb" if large else "ab")
