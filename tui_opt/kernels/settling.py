"""When the law among the survivors no longer changes, and what follows from it without further stepping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import FloatArray
from tui_opt.kernels.transfer import ABSORBED, LOST, TransferOperator, advance

CHECK_EVERY = 64
"""Steps between two looks at whether the law still changes."""
STILL_LAW = 1e-9
"""Largest relative change of any cell's share over those steps, and over a single one, of a law that is still."""
STILL_FLUX = 1e-12
"""The same for the escape flux."""
LEAST_SHARE = 1e-280
"""Smaller shares are near the end of the doubles, where relative changes mean nothing."""


@dataclass(frozen=True)
class Tail:
    """A chain whose law among the survivors is still: they decay by one factor from then on.

    What is absorbed after k further steps is flux * (1 + q + ... + q^(k-1)), q = 1 - rate.

    Attributes:
        steps: the step from which this holds.
        absorbed, lost: probabilities by then.
        absorbed_flux, lost_flux: probabilities per step then.
        rate: (absorbed_flux + lost_flux) / survivors.
    """

    steps: int
    absorbed: float
    lost: float
    absorbed_flux: float
    lost_flux: float
    rate: float

    def _weight(self, steps: int) -> float:
        """1 + q + ... + q^(k-1) without cancellation; k where nothing leaves."""
        k = steps - self.steps
        return k if self.rate == 0.0 else -float(np.expm1(k * np.log1p(-self.rate))) / self.rate

    def absorbed_after(self, steps: int) -> float:
        """Probability of having passed the barrier within `steps` steps."""
        return self.absorbed + self.absorbed_flux * self._weight(steps)

    def lost_after(self, steps: int) -> float:
        """Probability of being lost within `steps` steps."""
        return self.lost + self.lost_flux * self._weight(steps)


def settled_tail(
    operator: TransferOperator, before: FloatArray, after: FloatArray, steps: int
) -> Tail | None:
    """The tail of a chain whose law did not change over the last steps, or None while it still does.

    Every cell's share must be still relative to itself, however small it is: a second pit that fills slowly has a
    negligible share for long, but that share keeps growing. It must be still over the last steps and over one step
    more: a law that alternates between two bands repeats itself every other step.

    Args:
        operator: the chain on cells.
        before: state vector [cells + 2] `CHECK_EVERY` steps ago.
        after: state vector now.
        steps: steps taken by now.
    """
    if not _is_still(operator, before, after):
        return None
    next_one = after.copy()
    advance(operator, next_one, 1)
    if not _is_still(operator, after, next_one):
        return None
    alive = float(after[: operator.cells].sum())
    flux = float(after[: operator.cells] @ operator.absorbed)
    leak = float(after[: operator.cells] @ operator.lost)
    if flux + leak >= alive:
        return None
    return Tail(steps, float(after[ABSORBED]), float(after[LOST]), flux, leak, (flux + leak) / alive)


def _is_still(operator: TransferOperator, before: FloatArray, after: FloatArray) -> bool:
    cells = operator.cells
    alive_before, alive = float(before[:cells].sum()), float(after[:cells].sum())
    if alive_before <= 0.0 or alive <= 0.0:
        return False
    law_before, law = before[:cells] / alive_before, after[:cells] / alive
    if largest_change(law_before, law) > STILL_LAW:
        return False
    return all(
        abs(float(law @ chance) - float(law_before @ chance)) <= STILL_FLUX * float(law @ chance)
        for chance in (operator.absorbed, operator.lost)
    )


def largest_change(before: FloatArray, after: FloatArray) -> float:
    """Largest relative change of a share; inf where one appears or disappears.

    Args:
        before, after: [cells], not negative, summing to about 1.
    """
    counted = (before > LEAST_SHARE) | (after > LEAST_SHARE)
    if not np.array_equal(before > 0.0, after > 0.0):
        return float("inf")
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(after[counted] / before[counted] - 1.0)
    return float(change.max(initial=0.0))
