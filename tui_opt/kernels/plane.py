"""The law of two parameters under SGD: the transfer operator of the exact chain on cells of a box in the plane.

Every step maps W to f_j(W), j uniform among the datapoints. Cells carry mass, mean and covariance (see
`tui_opt.kernels.plane_step`), all of them >= 0 where they must be, exactly; mass that leaves the box is counted
apart and never returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import index
from typing import Final, TypeAlias

import numpy as np
from scipy.special import ndtr

from tui_opt.kernels.callables import Check, FloatArray, require_temperature, unchecked
from tui_opt.kernels.plane_cells import MOMENTS, RIM
from tui_opt.kernels.plane_turns import move
from tui_opt.kernels.plane_workspace import Workspace, stride_of

PlaneField: TypeAlias = Callable[[FloatArray], FloatArray]
"""w[axis, n] -> value[j, axis, n], one pair per datapoint: gradients g_j, or maps f_j."""

LEAST_CELLS: Final = 4
_BLOCK: Final = 1 << 16


@dataclass(frozen=True)
class Box:
    """A rectangle, low < high on both axes.

    Raises: ValueError for other bounds.
    """

    low: tuple[float, float]
    high: tuple[float, float]

    def __post_init__(self) -> None:
        bounds = np.array([self.low, self.high], dtype=np.float64)
        if bounds.shape != (2, 2) or not (np.isfinite(bounds).all() and (bounds[0] < bounds[1]).all()):
            raise ValueError(
                f"The box reaches from {self.low} to {self.high}; on both axes its lower end must be a finite "
                "number below the upper one."
            )


@dataclass(frozen=True)
class PlaneOperator:
    """One step of the chain on the cells of a box.

    Attributes:
        maps: f_j, w[axis, n] -> [j, axis, n].
        box: what the cells cover.
        cells: number of cells on either axis.
        images: where the centres go, as `plane_step.step_rows` reads them.
        spare: memory for steps, kept for the next call.
    """

    maps: PlaneField = field(repr=False)
    box: Box
    cells: tuple[int, int]
    images: FloatArray = field(repr=False)
    spare: list[Workspace] = field(default_factory=list, repr=False, compare=False)

    @property
    def terms(self) -> int:
        """Number of datapoints."""
        return int(self.images.shape[0])

    @property
    def sides(self) -> FloatArray:
        """[axis], sides of a cell."""
        sides: FloatArray = (np.array(self.box.high) - np.array(self.box.low)) / np.array(self.cells)
        return sides

    def centres(self, axis: int) -> FloatArray:
        """Centres of the cells along an axis (0 or 1)."""
        low, side = self.box.low[axis], self.sides[axis]
        centres: FloatArray = low + (np.arange(self.cells[axis]) + 0.5) * side
        return centres


@dataclass
class PlaneState:
    """A law on cells, of total mass 1.

    Attributes:
        moments: [row, column, 6]: mass, and mass times offset 1, 2 and products 11, 12, 22 of the offsets, which
            are from the centre of the cell in units of its sides.
        outside: mass that has left the box.
        effort: [rows + 2 RIM], how much work each row was in the step that made the law; None where none did.
    """

    moments: FloatArray
    outside: float = 0.0
    effort: FloatArray | None = field(default=None, repr=False, compare=False)

    @property
    def mass(self) -> FloatArray:
        """[row, column], the probability of each cell."""
        return self.moments[:, :, 0]

    def copy(self) -> PlaneState:
        """The same law in an array of its own."""
        return PlaneState(self.moments.copy(), self.outside, self.effort)


def sgd_maps(gradients: PlaneField, temperature: float) -> PlaneField:
    """The maps f_j(W) = W - T g_j(W).

    Args:
        gradients: g_j, w[axis, n] -> [j, axis, n].
        temperature: T, positive.
    """
    temperature = require_temperature(temperature)

    def maps(w: FloatArray) -> FloatArray:
        return w - temperature * gradients(w)

    return maps


def evaluate_pairs(function: PlaneField, w: FloatArray) -> FloatArray:
    """Evaluate `function` at w[axis, n] in silence.

    Returns: [j, axis, n].
    Raises: ValueError when the answer has another shape.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(function(w), dtype=np.float64)
    if values.ndim != 3 or values.shape[0] < 1 or values.shape[1:] != w.shape:
        raise ValueError(
            f"The function of the plane returned shape {values.shape} for w of shape {w.shape}; it must return one "
            f"pair per datapoint, shape (datapoints, {w.shape[0]}, {w.shape[1]})."
        )
    return values


def plane_operator(
    maps: PlaneField, box: Box, cells: int | tuple[int, int], check: Check = unchecked
) -> PlaneOperator:
    """Build the operator on equal cells of a box.

    Args:
        maps: f_j, w[axis, n] -> [j, axis, n]; places without an image (NaN, inf) lose their mass.
        box: what the cells cover.
        cells: number of cells per axis, at least 4, the same on both axes or one number for each.
        check: called now and then.

    Raises: ValueError for fewer cells, or maps that answer with another shape.
    """
    shape = (index(cells[0]), index(cells[1])) if isinstance(cells, tuple) else (index(cells), index(cells))
    if min(shape) < LEAST_CELLS:
        raise ValueError(
            f"There are {shape[0]} x {shape[1]} cells; at least {LEAST_CELLS} per axis are needed."
        )
    low, high = np.array(box.low), np.array(box.high)
    sides = (high - low) / np.array(shape)
    reach = (shape[0] + 2 * RIM + 2, stride_of(shape[1]) + 2)
    places = [low[k] + (np.arange(reach[k]) - RIM - 0.5) * sides[k] for k in range(2)]
    terms = evaluate_pairs(maps, low[:, None]).shape[0]
    images = np.empty((terms, 2, *reach))
    rows = max(1, _BLOCK // (reach[1] * terms))
    for first in range(0, reach[0], rows):
        check()
        part = places[0][first : first + rows]
        w = np.stack([np.repeat(part, reach[1]), np.tile(places[1], part.size)])
        values = evaluate_pairs(maps, w)
        with np.errstate(all="ignore"):
            scaled = (values - low[:, None]) / sides[:, None] - 0.5
        images[:, :, first : first + rows] = scaled.reshape(terms, 2, part.size, reach[1])
    return PlaneOperator(maps, box, shape, images)


def normal_state(operator: PlaneOperator, mean: tuple[float, float], sd: tuple[float, float]) -> PlaneState:
    """Two independent normal variables: the moments of their law in every cell, exactly.

    Args:
        mean, sd: per axis; sd 0 puts everything at the mean.

    Raises: ValueError for numbers that are not finite, or a negative sd.
    """
    if not (np.isfinite([*mean, *sd]).all() and min(sd) >= 0):
        raise ValueError(f"mean is {mean} and sd is {sd}; they must be finite, and sd 0 or more.")
    p, q = (_normal_moments(operator, axis, mean[axis], sd[axis]) for axis in range(2))
    pairs = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    moments = np.stack([np.outer(p[a], q[b]) for a, b in pairs], axis=-1)
    return PlaneState(moments, max(0.0, 1.0 - float(moments[:, :, 0].sum())))


def advance(
    operator: PlaneOperator, state: PlaneState, steps: int, threads: int = 1, check: Check = unchecked
) -> None:
    """Advance a law by `steps` steps, in place. The GIL is released.

    The law does not depend on `threads` or on how steps are cut into calls. When `check` raises, the state is as it
    was before the call.

    Args:
        state: of the operator's cells.
        steps: number of steps, 0 or more.
        threads: 1, or more for two.
        check: called before the first step, and every few milliseconds.

    Raises: ValueError when the state has other cells, or for a negative number of steps.
    """
    steps = index(steps)
    if steps < 0:
        raise ValueError(f"{steps} steps cannot be done; ask for 0 or more.")
    rows, columns = operator.cells
    moments = state.moments
    if moments.shape != (rows, columns, MOMENTS) or moments.dtype != np.float64:
        raise ValueError(
            f"The state has shape {moments.shape}; the operator has cells for {(rows, columns, MOMENTS)}."
        )
    if not (moments.flags.c_contiguous and moments.flags.writeable):
        raise ValueError("The state's moments must be an array in C order that can be written to.")
    work = operator.spare.pop() if operator.spare else Workspace(operator.cells)
    work.load(moments, state.effort)
    lost = move(work, operator.images, steps, threads, check)
    state.effort = work.effort[work.now].copy()
    state.outside = max(state.outside + lost + work.unload(moments), 0.0)
    operator.spare.append(work)


def density(operator: PlaneOperator, state: PlaneState) -> FloatArray:
    """[row, column], probability per area."""
    return np.asarray(state.mass / operator.sides.prod())


def mean_and_covariance(operator: PlaneOperator, state: PlaneState) -> tuple[FloatArray, FloatArray]:
    """Mean [axis] and covariance [axis, axis] of the law inside the box; NaN where nothing is left inside."""
    moments = state.moments
    total = moments[:, :, 0].sum()
    if total <= 0:
        return np.full(2, np.nan), np.full((2, 2), np.nan)
    sides = operator.sides
    row, column = (np.arange(n, dtype=np.float64) for n in operator.cells)
    by_row, by_column = moments.sum(axis=1), moments.sum(axis=0)
    mean1 = (by_row[:, 0] @ row + by_row[:, 1].sum()) / total
    mean2 = (by_column[:, 0] @ column + by_column[:, 2].sum()) / total
    row, column = row - mean1, column - mean2
    v11 = by_row[:, 0] @ row**2 + 2 * by_row[:, 1] @ row + by_row[:, 3].sum()
    v22 = by_column[:, 0] @ column**2 + 2 * by_column[:, 2] @ column + by_column[:, 5].sum()
    v12 = (
        row @ moments[:, :, 0] @ column
        + by_row[:, 2] @ row
        + by_column[:, 1] @ column
        + moments[:, :, 4].sum()
    )
    # Rounding may leave less than nothing of a point's variance.
    covariance = np.array([[max(v11, 0.0), v12], [v12, max(v22, 0.0)]]) / total * np.outer(sides, sides)
    mean = np.array(operator.box.low) + (np.array([mean1, mean2]) + 0.5) * sides
    return mean, covariance


def _normal_moments(
    operator: PlaneOperator, axis: int, mean: float, sd: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mass, first and second moment in each cell along an axis, offsets in units of the side."""
    centres, side = operator.centres(axis), operator.sides[axis]
    offset = (mean - centres) / side
    if sd == 0:
        cell = np.floor((mean - operator.box.low[axis]) / side)
        mass = (np.arange(centres.size) == cell).astype(np.float64)
        return mass, mass * offset, mass * offset**2
    # In the tail of the larger values differences of the distribution function cancel; there it is mirrored.
    spread = sd / side
    edges = np.append(-offset - 0.5, -offset[-1] + 0.5) / spread
    flipped = edges[:-1] > 0
    lower, upper = ndtr(edges[:-1]), ndtr(edges[1:])
    mass = np.where(flipped, ndtr(-edges[:-1]) - ndtr(-edges[1:]), upper - lower)
    with np.errstate(under="ignore"):
        bell = np.exp(-0.5 * edges**2) / np.sqrt(2 * np.pi)
        slope = np.where(bell > 0, edges * bell, 0.0)
    first = -spread * np.diff(bell)
    second = spread**2 * (mass - np.diff(slope))
    return mass, first + mass * offset, second + 2 * offset * first + mass * offset**2
