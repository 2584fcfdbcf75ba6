"""How much of a run is done: steps of training from all threads, so that progress moves within one network."""

from __future__ import annotations

import threading
from typing import Final

from tui_opt.runner.context import Context

LEARNING: Final = 0.9
"""Share of a network's work that is its training, unless told; the rest is what is then asked of it."""


class Work:
    """Counts networks, and parts of them, that are done.

    Args:
        ctx: is told.
        number: networks, or whatever is done `number` times.
        steps: what one of them takes.
        what: what they are, in the plural.
        learning: share of one's work that is its training.
    """

    def __init__(
        self, ctx: Context, number: int, steps: float, what: str = "networks", learning: float = LEARNING
    ) -> None:
        self._ctx, self._number, self._steps, self._what = ctx, number, max(steps, 1.0), what
        self._learning = learning
        self._done = 0.0
        self._lock = threading.Lock()
        self._add(0.0)

    def learning(self, number: int = 1) -> Part:
        """The training of one begins, or of so many together; its steps are reported."""
        return Part(self, self._learning * number, self._learning / self._steps)

    def answering(self, number: int = 1) -> Part:
        """What is asked of a trained one begins to be found, or of so many together; parts of 1 are reported."""
        share = (1.0 - self._learning) * number
        return Part(self, share, share)

    def answered(self) -> None:
        """What was asked of a trained one is known."""
        self._add(1.0 - self._learning)

    def learnt(self) -> None:
        """One was found trained."""
        self._add(self._learning)

    def found(self) -> None:
        """One was found finished."""
        self._add(1.0)

    def _add(self, number: float) -> None:
        with self._lock:
            self._done += number
            self._ctx.progress(min(self._done, self._number), self._number, self._what)


class Part:
    """Training, or answers, of which some is reported until it ends.

    Args:
        work: is told.
        share: what it is of the whole, in networks.
        each: the same of one of what is reported.
    """

    def __init__(self, work: Work, share: float, each: float) -> None:
        self._work, self._left, self._each = work, share, each

    def report(self, amount: float) -> None:
        """So much more was done; what is over what was expected does not count."""
        self._count(self._each * amount)

    def end(self) -> None:
        """All of it is done, whatever was reported."""
        self._count(self._left)

    def _count(self, share: float) -> None:
        share = min(share, self._left)
        self._left -= share
        self._work._add(share)
