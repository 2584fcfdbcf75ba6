"""Training in pieces: as many networks at a time as fit a device's memory, or as few as threads can share."""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.lane_source import LANES
from tui_opt.kernels.networks.lanes import Crowd, Report, Rule, unreported
from tui_opt.kernels.networks.layout import Layout

SingleArray: TypeAlias = NDArray[np.float32]

OPERATIONS_APART: Final = 200_000_000
"""In a step of a piece that has a thread of its own: with fewer the interpreter would be what threads wait for."""


def networks_apart(layout: Layout, samples: int) -> int:
    """Networks of a piece that has a thread of its own: a power of two up to LANES.

    It does not depend on the threads there are, nor on how networks are cut into chunks of whole LANES. Where it is 1,
    every network is alone; else a batch of one is never multiplied: it would be rounded otherwise than among others.
    """
    number = 1
    while number < LANES and number * 6 * samples * layout.size < OPERATIONS_APART:
        number *= 2
    return number


class Trains(Protocol):
    """Takes steps with networks: `lanes.Trainer` and what can stand in for it."""

    def train(
        self,
        crowd: Crowd,
        rule: Rule,
        steps: int,
        check: Check = ...,
        part: slice = ...,
        report: Report = ...,
    ) -> SingleArray:
        """The losses before the last step, [network]."""


class _Once:
    """Reports of pieces that may be begun again: what was said of one that failed is not said twice."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._of_piece = self._ahead = 0

    def __call__(self, steps: int) -> None:
        self._of_piece += steps
        known = min(steps, self._ahead)
        self._ahead -= known
        if steps > known:
            self._report(steps - known)

    def begin(self, failed: bool) -> None:
        """A piece begins, after one that failed or is finished."""
        if failed:
            self._ahead += self._of_piece
        self._of_piece = 0


class InPieces:
    """Trains as many networks at a time as fit the memory, one piece after the other.

    Where a device turns out to be fuller than thought, the pieces are halved from then on. A piece that failed has
    changed no network, and is begun again.

    Args:
        trainer: raises MemoryError, with its networks untouched, where they are too many.
        most: networks of a piece.
    """

    def __init__(self, trainer: Trains, most: int) -> None:
        self._trainer = trainer
        self.most = max(1, most)

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = unchecked, part: slice = slice(None),
        report: Report = unreported,
    ) -> SingleArray:  # fmt: skip
        """As `lanes.Trainer.train`.

        Raises:
            MemoryError: not even one network fits.
        """
        first, last, _ = part.indices(len(crowd.networks))
        losses = np.zeros(last - first, dtype=np.float32)
        now, told = first, _Once(report)
        while now < last:
            piece = slice(now, min(now + self.most, last))
            try:
                losses[piece.start - first : piece.stop - first] = self._trainer.train(
                    crowd, rule, steps, check, piece, told
                )
            except MemoryError:
                number = piece.stop - piece.start
                if number == 1:
                    raise
                self.most = (number + 1) // 2
                told.begin(failed=True)
                continue
            told.begin(failed=False)
            now = piece.stop
        return losses


class Apart:
    """Trains pieces of a fixed number of networks, which several threads may do side by side.

    Args:
        trainer: uses one thread, whoever calls it.
        networks: of a piece.
        at_once: pieces for which there is memory.
    """

    def __init__(self, trainer: Trains, networks: int, at_once: int) -> None:
        self._trainer = trainer
        self.networks = networks
        self._room = BoundedSemaphore(max(1, at_once))

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = unchecked, part: slice = slice(None),
        report: Report = unreported,
    ) -> SingleArray:  # fmt: skip
        """As `lanes.Trainer.train`; waits while others take the memory."""
        with self._room:
            return self._trainer.train(crowd, rule, steps, check, part, report)

    def pieces(self, networks: int) -> list[slice]:
        """The parts of so many networks, in order."""
        return [slice(k, min(k + self.networks, networks)) for k in range(0, networks, self.networks)]
