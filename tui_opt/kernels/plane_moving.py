"""A law of two parameters on few cells of a box that moves with it.

A step that loses mass to a border of the box is taken back, and done in a larger one that holds the images of all
cells that hold something; where the law has become small in its box, it gets a smaller one. So the cells are as fine
as the law is wide, whatever it does. Cells carry their moments, and keep them when they are put on other cells.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from scipy.special import ndtri

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.plane import (
    Box,
    PlaneField,
    PlaneOperator,
    PlaneState,
    advance,
    normal_state,
    plane_operator,
)
from tui_opt.kernels.plane_cells import FORGOTTEN, MOMENTS, RIM

Ends: TypeAlias = tuple[tuple[float | None, float | None], tuple[float | None, float | None]]
"""(low, high) per axis, a number where that end of a box is given and None where it is to be found."""

CELLS: Final = 64
MAX_WIDTH: Final = 256.0
"""Widest box, in widths of the initial law (and one unit of W more); what diverges beyond is lost."""
SPARE: Final = 0.25
"""Room on either side of a new box, in widths of what it must hold."""
SMALL: Final = 0.2
"""A law that fits into less than this share of its box, along an axis, gets a smaller one."""
SMALLEST: Final = 1e-6
"""A box is not made smaller than this share of the first one: what is narrower is a point, for all that is asked."""
ROUNDING: Final = 1e-9
"""Nor smaller than this share of its distance from the origin, which would make its cells as small as roundings."""
LOOK_EVERY: Final = 16
"""Steps after which a smaller box is looked for."""
SHARE_OF_A_CELL: Final = 1.0 / 64.0
"""Cells with less than this share of the mass that may be left out do not count."""


class MovingLaw:
    """Two independent normal variables, followed on cells of a box that moves with them.

    Attributes:
        operator, state: the law now.
        moves: boxes so far.
    """

    def __init__(
        self,
        maps: PlaneField,
        mean: tuple[float, float],
        sd: tuple[float, float],
        fixed: Ends = ((None, None), (None, None)),
        tail: float = 1e-12,
        cells: int = CELLS,
        check: Check = unchecked,
    ) -> None:
        """Start with the box of the initial law.

        Args:
            maps: f_j, w[axis, n] -> [j, axis, n].
            mean, sd: of the initial law, per axis.
            fixed: ends that no box goes beyond.
            tail: mass that may be left out, per end.
            cells: per axis.
            check: called before every step.

        Raises: ValueError when a given end leaves no room.
        """
        self._maps, self._fixed, self._tail, self._cells, self._check = maps, fixed, tail, cells, check
        centre = np.array(mean, dtype=np.float64)
        around = -ndtri(tail / 8) * np.array(sd, dtype=np.float64)
        around = np.maximum(around, 1e-6 * np.maximum(1.0, np.abs(centre)))
        first = np.array([centre - around, centre + around])
        widest = 0.5 * MAX_WIDTH * (1.0 + 2.0 * around)
        self._limits = np.array([centre - widest, centre + widest])
        self._least = 2.0 * SMALLEST * around
        self.operator = plane_operator(maps, box_of(self._allowed(first)), cells, check)
        self.state = normal_state(self.operator, mean, sd)
        self.moves = 1
        self._reach = cut(self._bounds, along_axes(self.state), self.operator.sides, tail)
        self._most = along_axes(self.state)
        self._steps = 0

    @property
    def _bounds(self) -> FloatArray:
        return bounds_of(self.operator.box)

    @property
    def reach(self) -> FloatArray:
        """[low and high, axis], where the law ever had more than `tail` beyond."""
        return _around(self._reach, cut(self._bounds, self._most, self.operator.sides, self._tail))

    @property
    def runs_away(self) -> bool:
        """Whether it ever had the widest box: something diverges."""
        return bool(((self.reach[0] <= self._limits[0]) | (self.reach[1] >= self._limits[1])).any())

    def advance(self, steps: int, threads: int = 1, together: int = 1) -> None:
        """Advance by `steps` steps, `together` at a time: between these, what the law reaches is not noted.

        Steps that lose mass to a border are taken back, and done one by one in boxes that are large enough.
        """
        done = 0
        while done < steps:
            self._check()
            if self._steps % LOOK_EVERY == 0:
                self._move()
            count = min(together, steps - done, LOOK_EVERY - self._steps % LOOK_EVERY)
            before = self.state.copy()
            advance(self.operator, self.state, count, threads)
            if self.state.outside - before.outside > self._tail:
                self.state = before
                for _ in range(count):
                    self._step(threads)
            done += count
            self._steps += count
            rows, columns = along_axes(self.state)
            self._most = np.maximum(self._most[0], rows), np.maximum(self._most[1], columns)

    def _step(self, threads: int) -> None:
        """One step, in a larger box if this one is not large enough."""
        self._move()
        advance(self.operator, self.state, 1, threads)

    def _move(self) -> bool:
        """Take a larger or smaller box where the next step asks for it; whether it does."""
        box = self._bounds
        now = cut(box, along_axes(self.state), self.operator.sides, self._tail)
        needed = self._allowed(_around(now, self._reached(now)))
        width = needed[1] - needed[0]
        beyond = ((needed[0] < box[0] - 1e-9 * width) | (needed[1] > box[1] + 1e-9 * width)) & (width > 0)
        new = self._allowed(needed + SPARE * np.array([-width, width]))
        least = np.maximum(self._least, ROUNDING * np.abs(new).max(axis=0))
        middle, half = 0.5 * (new[0] + new[1]), 0.5 * np.maximum(new[1] - new[0], least)
        new = np.array([middle - half, middle + half])
        smaller = new[1] - new[0] < SMALL * (box[1] - box[0])
        if not (beyond.any() or smaller.any()):
            return False
        self._reach = self.reach
        operator = plane_operator(
            self._maps, box_of(np.where(beyond | smaller, new, box)), self._cells, self._check
        )
        self.state = regridded(self.operator, self.state, operator)
        self.operator = operator
        self._most = along_axes(self.state)
        self.moves += 1
        return True

    def _reached(self, otherwise: FloatArray) -> FloatArray:
        """[low and high, axis] around the images of all cells that hold something, and of their neighbours."""
        operator = self.operator
        rows, columns = operator.cells
        held = np.zeros((rows + 2, columns + 2), dtype=np.bool_)
        held[1:-1, 1:-1] = self.state.mass > SHARE_OF_A_CELL * self._tail
        held[1:] |= held[:-1].copy()
        held[:-1] |= held[1:].copy()
        held[:, 1:] |= held[:, :-1].copy()
        held[:, :-1] |= held[:, 1:].copy()
        near = operator.images[:, :, RIM : RIM + rows + 2, RIM : RIM + columns + 2]
        low, sides = np.array(operator.box.low), operator.sides
        bounds = otherwise.copy()
        for axis in range(2):
            places = near[:, axis][:, held]
            places = places[np.isfinite(places)]
            if places.size:
                bounds[0, axis] = low[axis] + (places.min() + 0.5) * sides[axis]
                bounds[1, axis] = low[axis] + (places.max() + 0.5) * sides[axis]
        return bounds

    def _allowed(self, bounds: FloatArray) -> FloatArray:
        """The bounds within the given ends and the widest box; not empty."""
        bounds = np.clip(bounds, self._limits[0], self._limits[1])
        bounds[1] = np.maximum(bounds[1], bounds[0] + 1e-9 * (self._limits[1] - self._limits[0]))
        for axis, (low, high) in enumerate(self._fixed):
            width = max(
                bounds[1, axis] - bounds[0, axis], 1e-9 * max(1.0, float(np.abs(bounds[:, axis]).max()))
            )
            if low is not None:
                bounds[0, axis] = max(bounds[0, axis], low)
                bounds[1, axis] = max(bounds[1, axis], bounds[0, axis] + 1e-3 * width)
            if high is not None:
                bounds[1, axis] = min(bounds[1, axis], high)
                bounds[0, axis] = min(bounds[0, axis], bounds[1, axis] - 1e-3 * width)
        return bounds


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


def bounds_of(box: Box) -> FloatArray:
    """[low and high, axis]."""
    return np.array([box.low, box.high], dtype=np.float64)


def box_of(bounds: FloatArray) -> Box:
    """The box of bounds[low and high, axis]."""
    low, high = bounds.tolist()
    return Box((low[0], low[1]), (high[0], high[1]))


def along_axes(state: PlaneState) -> tuple[FloatArray, FloatArray]:
    """The mass of every row, and of every column."""
    return state.mass.sum(axis=1), state.mass.sum(axis=0)


def cut(
    bounds: FloatArray, along: tuple[FloatArray, FloatArray], sides: FloatArray, tail: float
) -> FloatArray:
    """The bounds without the cells at their ends that hold no more than `tail`, by the mass along each axis."""
    bounds = bounds.copy()
    for axis, mass in enumerate(along):
        below, above = np.cumsum(mass), np.cumsum(mass[::-1])
        # One cell more than needed: a cell's mass may reach into the next one.
        first = max(0, int(np.searchsorted(below, tail)) - 1)
        last = max(0, int(np.searchsorted(above, tail)) - 1)
        if first + last < mass.size:
            bounds[0, axis] += first * sides[axis]
            bounds[1, axis] -= last * sides[axis]
    return bounds


def _around(bounds: FloatArray, others: FloatArray) -> FloatArray:
    return np.array([np.minimum(bounds[0], others[0]), np.maximum(bounds[1], others[1])])
