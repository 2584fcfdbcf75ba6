"""The law of two parameters that a law settles to: stationary, or what leaks too slowly to be seen leaving.

A law on few cells is followed through its transient in a box that holds everything reachable, and then in boxes
closer and closer around it, down to its own size. What it has become is followed further there, on finer cells and on
cells of twice that size, whose difference shows what the cells do to it. Cells carry their moments, so few suffice.
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
    normal_state,
    plane_operator,
)
from tui_opt.kernels.plane_box import box_around, reachable_box
from tui_opt.kernels.plane_step import FORGOTTEN, MOMENTS

TOLERANCE: Final = 1e-4
"""What mean and covariance may still move until the end of time, in units of the law's spread."""
NARROWEST: Final = 0.02
"""The spread taken for that of narrower laws, in cells: they lie on a point."""
ON_THE_WAY: Final = 50.0
"""How much wider that is, and how much finer the tolerance, as long as a closer box may follow."""
NOTHING: Final = 1e-9
"""A law of which no more is left inside is gone."""
TAIL: Final = 1e-8
"""Mass of the settled law that its own box may leave out on each side."""
TAILS: Final = 8.0
"""Standard deviations on each side of the mean that it has room for."""
PILOT_CELLS: Final = 64
ROUNDING: Final = 1e-10
"""Boxes narrower than this share of their distance from the origin would have cells as small as roundings."""
SMALLEST: Final = 1e-6
"""A box narrower than this share of the first one holds a point, for all that is asked here."""
CLOSER: Final = 0.5
"""A law that fits into less than this share of its box gets a box of its own."""
CLOSEST: Final = 6
"""Boxes, each inside the one before; what is still narrower than a cell then is a point."""
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
    fixed: tuple[tuple[float | None, float | None], tuple[float | None, float | None]],
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
    pilot = plane_operator(maps, reachable_box(maps, mean, sd, most_steps, fixed, check), PILOT_CELLS, check)
    start = normal_state(pilot, mean, sd)
    last = settle(pilot, start, most_steps, threads, check, ON_THE_WAY)
    steps, settled, whole = last.steps, last.settled, pilot.box
    for _ in range(CLOSEST):
        box = _room(pilot, start)
        if not settled or not _closer(box, pilot.box, whole):
            break
        closer = plane_operator(maps, box, PILOT_CELLS, check)
        start = regridded(pilot, start, closer)
        pilot = closer
        last = settle(pilot, start, most_steps, threads, check, ON_THE_WAY)
        steps, settled = steps + last.steps, last.settled
    box = _room(pilot, start)
    laws = []
    more = most_steps if settled else STEPS_MORE
    for number in (max(cells // 2, 4), cells):
        operator = plane_operator(maps, box, number, check)
        state = regridded(pilot, start, operator)
        last = settle(operator, state, more, threads, check)
        laws.append((operator, state))
    return Settled(
        *laws[1], *laws[0], steps + last.steps, settled and last.settled, last.change, laws[1][1].outside
    )  # fmt: skip


def _room(operator: PlaneOperator, state: PlaneState) -> Box:
    """The operator's box cut to where the law is, with room for tails that take longer to settle than its spread."""
    box = box_around(operator, state.mass, TAIL)
    mean, covariance = mean_and_covariance(operator, state)
    around = TAILS * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    low = np.maximum(np.minimum(box.low, mean - around), operator.box.low)
    high = np.minimum(np.maximum(box.high, mean + around), operator.box.high)
    return Box((float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def _closer(box: Box, outer: Box, whole: Box) -> bool:
    """Whether a box is much smaller than the one it lies in, on either axis, and yet more than a point."""
    sides, others, most = (np.array(b.high) - np.array(b.low) for b in (box, outer, whole))
    least = np.maximum(ROUNDING * np.maximum(np.abs(box.low), np.abs(box.high)), SMALLEST * most)
    return bool((sides < CLOSER * others).any() and (sides > least).all())


@dataclass(frozen=True)
class Settling:
    """How a law settled: steps taken, whether it did, and its change per step at the end."""

    steps: int
    settled: bool
    change: float


def settle(
    operator: PlaneOperator,
    state: PlaneState,
    most_steps: int,
    threads: int = 1,
    check: Check = unchecked,
    wider: float = 1.0,
) -> Settling:
    """Advance a law, in place, until its mean and covariance have settled.

    What is still to come is estimated from two successive changes as a geometric series.

    Args:
        operator, state: the law.
        most_steps: after which it is given up.
        threads: 1, or more for two.
        check: called after every step.
        wider: laws narrower than so many times NARROWEST are taken to be that wide, and for them the tolerance is that
            much finer, so that nothing far away is still on its way.
    """
    before, last, done, change = _described(operator, state), np.inf, 0, np.inf
    while done < most_steps:
        advance(operator, state, STEPS_AT_ONCE, threads, check)
        done += STEPS_AT_ONCE
        if state.mass.sum() <= NOTHING:
            return Settling(done, True, 0.0)
        now = _described(operator, state)
        variances = np.maximum(np.diag(now[1]), (wider * NARROWEST) ** 2)
        spread = np.sqrt(variances)
        tolerance = TOLERANCE / (wider if (np.diag(now[1]) < variances).any() else 1.0)
        moved = np.abs(now[0] - before[0]) / spread
        turned = np.abs(now[1] - before[1]) / np.outer(spread, spread)
        change, before = float(max(moved.max(), turned.max())), now
        ratio = change / last if 0 < last < np.inf else 1.0
        last = change
        if change <= 1e-12 or (ratio < 1.0 and change * ratio / (1.0 - ratio) <= tolerance):
            return Settling(done, True, change / STEPS_AT_ONCE)
    return Settling(done, False, change / STEPS_AT_ONCE)


def regridded(source: PlaneOperator, state: PlaneState, target: PlaneOperator) -> PlaneState:
    """The law on other cells: every cell's mass whole in the cell that holds its mean, so that moments stay."""
    moments = state.moments.reshape(-1, MOMENTS)
    present = np.flatnonzero(moments[:, 0] > FORGOTTEN)
    mass = moments[present, 0]
    offset = moments[present, 1:3] / mass[:, None]
    v = np.array([[0, 1], [1, 2]])
    covariance = moments[present][:, 3 + v] / mass[:, None, None] - offset[:, :, None] * offset[:, None, :]
    number = np.stack(np.divmod(present, source.cells[1]), axis=1)
    place = np.array(source.box.low) + (number + 0.5 + offset) * source.sides
    inside = (place - np.array(target.box.low)) / target.sides - 0.5
    cell = np.rint(inside)
    good = ((cell >= 0) & (cell < np.array(target.cells))).all(axis=1)
    offset = inside - cell
    scale = source.sides / target.sides
    covariance *= np.outer(scale, scale)
    products = covariance + offset[:, :, None] * offset[:, None, :]
    carried = np.stack(
        [np.ones(mass.size), offset[:, 0], offset[:, 1], products[:, 0, 0], products[:, 0, 1], products[:, 1, 1]],
        axis=1,
    )  # fmt: skip
    index = (cell[:, 0] * target.cells[1] + cell[:, 1])[good].astype(np.int64)
    rows, columns = target.cells
    weights = (mass[:, None] * carried)[good]
    sums = np.zeros((rows * columns, MOMENTS))
    np.add.at(sums, index, weights)
    lost = float(mass[~good].sum()) + float(moments[:, 0].sum() - mass.sum())
    return PlaneState(sums.reshape(rows, columns, MOMENTS), state.outside + lost)


def _described(operator: PlaneOperator, state: PlaneState) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance in units of cells."""
    mean, covariance = mean_and_covariance(operator, state)
    return mean / operator.sides, covariance / np.outer(operator.sides, operator.sides)
