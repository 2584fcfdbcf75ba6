"""Progress of a run in parts whose sizes are estimated: it only grows, whatever threads count, and ends at 1.

Sizes are seconds of one core. A part whose estimate was too small stands still at its end, and one whose estimate was
too large jumps there; what was found in a checkpoint counts as done.
"""

from __future__ import annotations

import threading
from typing import Final

from tui_opt.runner.context import Context

SHARE_OF_THE_REST: Final = 0.25


class Work:
    """All of a run's work.

    Args:
        ctx: the run.
        total: the sizes of all parts together.
    """

    def __init__(self, ctx: Context, total: float) -> None:
        self._ctx = ctx
        self._total = total
        self._done = 0.0
        self.lock = threading.Lock()

    def say(self, what: str) -> None:
        """What the run is at."""
        with self.lock:
            self.moved(0.0, what)

    def part(self, size: float, what: str = "") -> Part:
        """A part of the work; without a name it is done under the name of what is done beside it."""
        return Part(self, size, what)

    def end(self) -> None:
        """Everything is done."""
        with self.lock:
            self.moved(self._total, "")

    def moved(self, by: float, what: str) -> None:
        """Count so much; the lock is held."""
        self._done = min(self._done + by, self._total)
        self._ctx.progress(self._done, self._total, what)


class Part:
    """A part of the work, counted by any number of threads.

    Args:
        work: of which it is a part.
        size: the seconds it is thought to take.
        what: its name.
    """

    def __init__(self, work: Work, size: float, what: str) -> None:
        self._work, self._size, self.what = work, size, what
        self._counted = self._shown = 0.0

    def begin(self, done: float = 0.0) -> None:
        """Say its name. A part that is begun again goes back to `done`, and what was shown stays until it is there."""
        with self._work.lock:
            self._counted = done
            self._show()

    def add(self, seconds: float) -> None:
        """So much more is done."""
        with self._work.lock:
            self._counted += seconds
            self._show()

    def nearer(self) -> None:
        """A piece is done of which nobody knows how many there are: a share of what is left counts as done."""
        with self._work.lock:
            self._counted += SHARE_OF_THE_REST * max(0.0, self._size - self._counted)
            self._show()

    def end(self) -> None:
        """All of it is done."""
        with self._work.lock:
            self._counted = self._size
            self._show()

    def _show(self) -> None:
        now = max(self._shown, min(self._counted, self._size))
        by, self._shown = now - self._shown, now
        self._work.moved(by, self.what)
