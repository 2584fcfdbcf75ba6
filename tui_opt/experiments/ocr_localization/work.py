"""How much of a run is done: steps of training from all threads, so that progress moves within one network."""

from __future__ import annotations

import threading
from typing import Final

from tui_opt.runner.context import Context

LEARNING: Final = 0.9
"""Share of a network's work that is its training; the rest is what is then asked of it."""


class Work:
    """Counts networks, and parts of them, that are done.

    Args:
        ctx: is told.
        number: networks, or whatever is done `number` times.
        steps: what one of them takes.
        what: what they are, in the plural.
    """

    def __init__(self, ctx: Context, number: int, steps: float, what: str = "networks") -> None:
        self._ctx, self._number, self._steps, self._what = ctx, number, max(steps, 1.0), what
        self._done = 0.0
        self._lock = threading.Lock()
        self._add(0.0)

    def learning(self, number: int = 1) -> Learning:
        """The training of one begins, or of so many together."""
        return Learning(self, LEARNING * number)

    def answered(self) -> None:
        """What was asked of a trained one is known."""
        self._add(1.0 - LEARNING)

    def found(self) -> None:
        """One was found finished."""
        self._add(1.0)

    def share(self, steps: float) -> float:
        """What so many steps are of one."""
        return LEARNING * steps / self._steps

    def _add(self, number: float) -> None:
        with self._lock:
            self._done += number
            self._ctx.progress(min(self._done, self._number), self._number, self._what)


class Learning:
    """Training of which steps are reported until it ends."""

    def __init__(self, work: Work, share: float) -> None:
        self._work, self._left = work, share

    def report(self, steps: float) -> None:
        """So many steps more were taken; what is over what was expected does not count."""
        self._count(self._work.share(steps))

    def end(self) -> None:
        """All of it is done, whatever was reported."""
        self._count(self._left)

    def _count(self, share: float) -> None:
        share = min(share, self._left)
        self._left -= share
        self._work._add(share)
