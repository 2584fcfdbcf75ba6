"""Training on a device in pieces that fit its memory."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.lanes import Crowd, Rule

SingleArray: TypeAlias = NDArray[np.float32]


class Trains(Protocol):
    """Takes steps with networks: `lanes.Trainer` and what can stand in for it."""

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = ..., part: slice = ...
    ) -> SingleArray:
        """The losses before the last step, [network]."""


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
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = unchecked, part: slice = slice(None)
    ) -> SingleArray:
        """As `lanes.Trainer.train`.

        Raises:
            MemoryError: not even one network fits.
        """
        first, last, _ = part.indices(len(crowd.networks))
        losses = np.zeros(last - first, dtype=np.float32)
        now = first
        while now < last:
            piece = slice(now, min(now + self.most, last))
            try:
                losses[piece.start - first : piece.stop - first] = self._trainer.train(
                    crowd, rule, steps, check, piece
                )
            except MemoryError:
                number = piece.stop - piece.start
                if number == 1:
                    raise
                self.most = (number + 1) // 2
                continue
            now = piece.stop
        return losses
