"""The two pipes of a worker: what its app wishes, and what the app is told. Neither can make the worker wait."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

_CHUNK = 65_536


class Wishes:
    """Lines from the app: `run <path>`, `warm <scenario> <experiment>`.

    Args:
        descriptor: the end of the pipe to read from.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._runs: list[str] = []
        self.experiments: list[tuple[str, str]] = []
        self.ended = False

    def read(self) -> None:
        """Take in what there is."""
        while not self.ended and select.select([self._descriptor], [], [], 0)[0]:
            try:
                data = os.read(self._descriptor, _CHUNK)
            except OSError:
                data = b""
            self.ended = not data
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "surrogateescape"))

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "run" and rest:
            self._runs.append(rest)
        elif word == "warm":
            scenario, _, experiment = rest.partition(" ")
            self.experiments = [*self.experiments[-3:], (scenario, experiment)]

    def take_runs(self) -> list[str]:
        """The runs named since they were last taken, the newest last."""
        runs, self._runs = self._runs, []
        return runs

    def wait(self, seconds: float) -> None:
        """Sleep until there is something to read, a signal comes, or the time is over."""
        with contextlib.suppress(OSError):
            if self.ended:
                time.sleep(seconds)
            else:
                select.select([self._descriptor], [], [], seconds)


class Notices:
    """Tells the app which run directories show something new; a notice is dropped where the app does not read.

    Args:
        descriptor: the end of the pipe to write to.
        store: the folder that run directories are named from, since the app may know it by another path.
    """

    def __init__(self, descriptor: int, store: Path) -> None:
        self._descriptor = descriptor
        self._store = store
        os.set_blocking(descriptor, False)

    def say(self, path: Path) -> None:
        """Something has changed in this run directory. Safe from any thread: a short line is written as one."""
        with contextlib.suppress(OSError):  # full, or nobody is there any more
            os.write(self._descriptor, os.fsencode(os.path.relpath(path, self._store)) + b"\n")
