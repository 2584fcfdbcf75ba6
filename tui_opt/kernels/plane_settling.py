"""The law of two parameters that a law settles to: stationary, or what leaks too slowly to be seen leaving.

A law on few cells is followed through its transient in a box that moves with it, down to its own size. What it has
become is followed further there, on finer cells and on cells of twice that size, whose difference shows what the cells
do to it. Cells carry their moments, so few suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.plane import (
    Box,
    PlaneField,
    PlaneOperator,
    PlaneState,
    advance,
    mean_and_covariance,
    plane_operator,
)
from tui_opt.kernels.plane_moving import Ends, MovingLaw, along_axes, bounds_of, box_of, cut, regridded

TOLERANCE: Final = 1e-4
"""What mean and covariance may still move until the end of time, in units of the law's spread."""
NARROWEST: Final = 0.02
"""The spread taken for that of narrower laws, in cells: they lie on a point."""
ON_THE_WAY: Final = 50.0
"""How much wider that is, and how much finer the tolerance, as long as a smaller box may follow."""
NOTHING: Final = 1e-9
"""A law of which no more is left inside is gone."""
TAIL: Final = 1e-8
"""Mass of the settled law that its own box may leave out on each side."""
TAILS: Final = 8.0
"""Standard deviations on each side of the mean that it has room for."""
STEPS_AT_ONCE: Final = 16
STEPS_MORE: Final = 128
"""Steps on the final cells of a law that has not settled."""


@dataclass(frozen=True)
class Settled:
    """A law, and how settled it is.

    Attributes:
        operator, state: the law on cells of a box of its own size.
        coarse_operator, coarse_state: the same on cells of twice the size.
        steps: steps it took from the initial law on.
        settled: whether nothing moves any more within the tolerance; else the steps were not enough.
        change: what mean and covariance still move in a step, in units of the law's spread.
        left: share of the initial mass that has left the box.
    """

    operator: PlaneOperator
    state: PlaneState
    coarse_operator: PlaneOperator
    coarse_state: PlaneState
    steps: int
    settled: bool
    change: float
    left: float

    @property
    def gone(self) -> bool:
        """Nothing is left inside."""
        return bool(self.state.mass.sum() <= NOTHING)


def settled_law(
    maps: PlaneField,
    mean: tuple[float, float],
    sd: tuple[float, float],
    fixed: Ends,
    cells: int,
    most_steps: int,
    threads: int = 1,
    check: Check = unchecked,
) -> Settled:
    """Follow two independent normal variables until their law settles.

    Args:
        maps: f_j, w[axis, n] -> [j, axis, n].
        mean, sd: of the initial law, per axis.
        fixed: ends of the box per axis, None where it is to be found.
        cells: per axis of the settled law, at least 8.
        most_steps: after which it is given up.
        threads: 1, or more for two.
        check: called after every step.

    Raises: ValueError when a given end leaves no room.
    """
    law = MovingLaw(maps, mean, sd, fixed, TAIL, check=check)
    watch, steps = _Watch(ON_THE_WAY), 0
    while steps < most_steps and not watch.settled:
        moves = law.moves
        law.advance(STEPS_AT_ONCE, threads, together=STEPS_AT_ONCE)
        steps += STEPS_AT_ONCE
        watch.look(law.operator, law.state, afresh=law.moves > moves)
    settled, box = watch.settled, _room(law)
    laws = []
    for number in (max(cells // 2, 4), cells):
        operator = plane_operator(maps, box, number, check)
        state = regridded(law.operator, law.state, operator)
        last = settle(operator, state, most_steps if settled else STEPS_MORE, threads, check)
        laws.append((operator, state))
    return Settled(
        *laws[1], *laws[0], steps + last.steps, settled and last.settled, last.change, laws[1][1].outside
    )  # fmt: skip


def _room(law: MovingLaw) -> Box:
    """The law's box cut to where it is, with room for tails that take longer to settle than its spread."""
    operator, state = law.operator, law.state
    if state.mass.sum() <= NOTHING:
        return operator.box
    box = bounds_of(operator.box)
    mean, covariance = mean_and_covariance(operator, state)
    around = TAILS * np.sqrt(np.diag(covariance))
    held = cut(box, along_axes(state), operator.sides, TAIL)
    low, high = np.minimum(held[0], mean - around), np.maximum(held[1], mean + around)
    return box_of(np.clip([low, high], box[0], box[1]))


@dataclass(frozen=True)
class Settling:
    """How a law settled: steps taken, whether it did, and its change per step at the end."""

    steps: int
    settled: bool
    change: float


def settle(
    operator: PlaneOperator, state: PlaneState, most_steps: int, threads: int = 1, check: Check = unchecked
) -> Settling:
    """Advance a law, in place, until its mean and covariance have settled.

    Args:
        operator, state: the law.
        most_steps: after which it is given up.
        threads: 1, or more for two.
        check: called after every step.
    """
    watch, done = _Watch(), 0
    watch.look(operator, state, afresh=True)
    while done < most_steps and not watch.settled:
        advance(operator, state, STEPS_AT_ONCE, threads, check)
        done += STEPS_AT_ONCE
        watch.look(operator, state)
    return Settling(done, watch.settled, watch.change / STEPS_AT_ONCE)


class _Watch:
    """Sees from mean and covariance, after every STEPS_AT_ONCE, whether a law has settled.

    Attributes:
        settled: whether it has, or is gone.
        change: by how much they moved between the last two looks, in units of the spread.
    """

    def __init__(self, wider: float = 1.0) -> None:
        """`wider`: laws narrower than so many times NARROWEST are taken to be that wide, and for them the tolerance is
        that much finer, so that nothing far away is still on its way."""
        self._wider = wider
        self._before: tuple[FloatArray, FloatArray] | None = None
        self._last = np.inf
        self.settled, self.change = False, np.inf

    def look(self, operator: PlaneOperator, state: PlaneState, afresh: bool = False) -> None:
        """Look at a law; `afresh` where it cannot be compared with what was seen before."""
        if state.mass.sum() <= NOTHING:
            self.settled, self.change = True, 0.0
            return
        now = _described(operator, state)
        if afresh or self._before is None:
            self._before, self._last = now, np.inf
            return
        variances = np.maximum(np.diag(now[1]), (self._wider * NARROWEST) ** 2)
        tolerance = TOLERANCE / (self._wider if (np.diag(now[1]) < variances).any() else 1.0)
        spread = np.sqrt(variances)
        moved = np.abs(now[0] - self._before[0]) / spread
        turned = np.abs(now[1] - self._before[1]) / np.outer(spread, spread)
        change = float(max(moved.max(), turned.max()))
        # What is still to come is the rest of a geometric series.
        ratio = change / self._last if 0 < self._last < np.inf else 1.0
        self.settled = change <= 1e-12 or (ratio < 1.0 and change * ratio / (1.0 - ratio) <= tolerance)
        self._before, self._last, self.change = now, change, change


def _described(operator: PlaneOperator, state: PlaneState) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance in units of cells."""
    mean, covariance = mean_and_covariance(operator, state)
    return mean / operator.sides, covariance / np.outer(operator.sides, operator.sides)
