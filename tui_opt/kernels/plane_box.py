"""A box that holds the law of two parameters over a number of steps, and is no larger than it needs to be.

The hull of what can be reached is found first, by mapping boxes; then laws on few cells are followed through all
steps, and the box is cut down to what they ever reach with more than a given mass. Cells that carry their
moments add no variance, so few of them suffice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.plane import (
    Box,
    PlaneField,
    PlaneOperator,
    advance,
    evaluate_pairs,
    normal_state,
    plane_operator,
)
from tui_opt.kernels.plane_step import RIM

TAIL: Final = 1e-12
"""Mass that may leave the box."""
PILOT_CELLS: Final = (64, 128, 256)
"""Cells per axis of the trial laws: the first that resolve the maps are used."""
RESOLVED: Final = 0.5
"""By how many cells the images of neighbouring cells may gape where they meet."""
MAX_WIDTH: Final = 256.0
"""Widest hull, in widths of the initial law (and one unit of W more); what diverges beyond is lost."""
_NODES: Final = 65
_MAX_GROWTHS: Final = 400
_ROUNDS: Final = 4
_WORTH_ANOTHER: Final = 0.8


Ends: TypeAlias = tuple[tuple[float | None, float | None], tuple[float | None, float | None]]
"""(low, high) per axis, a number where that end of a box is given and None where it is to be found."""


@dataclass(frozen=True)
class FoundBox:
    """A box, and the mass that a law on few cells loses from it over all steps."""

    box: Box
    lost: float


def automatic_box(
    maps: PlaneField,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    fixed: Ends = ((None, None), (None, None)),
    tail: float = TAIL,
    check: Check = unchecked,
) -> FoundBox:
    """Find a box for a law that starts as two independent normal variables.

    Args:
        maps: f_j, w[axis, n] -> [j, axis, n].
        mean, sd: of the initial law, per axis.
        steps: how long it is followed.
        fixed: (low, high) per axis, a number where that end is given and None where it is to be found.
        tail: mass that may lie outside at any time, per end.
        check: called after every step of the trial laws.

    Raises: ValueError when a given end leaves no room.
    """
    bounds = _bounds_of(reachable_box(maps, mean, sd, steps, fixed, check, tail))
    for _ in range(_ROUNDS):
        trimmed, lost = _trimmed(maps, bounds, mean, sd, steps, tail, check)
        trimmed = _with_fixed(trimmed, fixed)
        shrunk = (trimmed[1] - trimmed[0]) / (bounds[1] - bounds[0])
        bounds = trimmed
        if shrunk.min() > _WORTH_ANOTHER:
            break
    return FoundBox(_box(bounds), lost)


def reachable_box(
    maps: PlaneField,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    fixed: Ends = ((None, None), (None, None)),
    check: Check = unchecked,
    tail: float = TAIL,
) -> Box:
    """A box that holds whatever the initial law reaches, cut where that is too wide. Arguments: `automatic_box`."""
    centre = np.array(mean, dtype=np.float64)
    around = -ndtri(tail / 8) * np.array(sd, dtype=np.float64)
    size = np.maximum(around, 1e-6 * np.maximum(1.0, np.abs(centre)))
    first = np.array([centre - size, centre + size])
    return _box(_with_fixed(_hull(maps, first, steps, check), fixed))


def box_around(operator: PlaneOperator, mass: FloatArray, tail: float) -> Box:
    """The operator's box cut to where mass[row, column] has no more than `tail` beyond on every side."""
    along = (mass.sum(axis=1), mass.sum(axis=0))
    return _box(_cut(_bounds_of(operator.box), along, operator.sides, tail))


def _bounds_of(box: Box) -> FloatArray:
    return np.array([box.low, box.high], dtype=np.float64)


def _box(bounds: FloatArray) -> Box:
    low, high = bounds.tolist()
    return Box((low[0], low[1]), (high[0], high[1]))


def _with_fixed(bounds: FloatArray, fixed: Ends) -> FloatArray:
    """The bounds with the given ends in place; a found end that lies beyond a given one gives way."""
    bounds = bounds.copy()
    for axis, (low, high) in enumerate(fixed):
        width = bounds[1, axis] - bounds[0, axis]
        if low is not None:
            bounds[0, axis] = low
            bounds[1, axis] = max(bounds[1, axis], low + 1e-3 * width)
        if high is not None:
            bounds[1, axis] = high
            if low is None:
                bounds[0, axis] = min(bounds[0, axis], high - 1e-3 * width)
    return bounds


def _hull(maps: PlaneField, first: FloatArray, steps: int, check: Check) -> FloatArray:
    """[low and high, axis], a box around everything reachable from `first`, cut where it becomes too wide."""
    bounds = first.copy()
    widest = MAX_WIDTH * (1.0 + first[1] - first[0])
    middle = first.mean(axis=0)
    for _ in range(min(steps, _MAX_GROWTHS)):
        check()
        nodes = [np.linspace(bounds[0, axis], bounds[1, axis], _NODES) for axis in range(2)]
        w = np.stack([np.repeat(nodes[0], _NODES), np.tile(nodes[1], _NODES)])
        images = evaluate_pairs(maps, w)
        images[~np.isfinite(images).all(axis=1, keepdims=True).repeat(2, axis=1)] = np.nan
        images = images.reshape(-1, 2, _NODES, _NODES)
        if np.isnan(images).all():
            break
        reached = np.array(
            [[side * max(_highest(side * u[axis]) for u in images) for axis in range(2)] for side in (-1, 1)]
        )
        margin = 0.02 * (bounds[1] - bounds[0])  # fewer rounds where the box grows little by little
        if not ((reached[0] < bounds[0]) | (reached[1] > bounds[1])).any():
            break
        bounds[0] = np.maximum(np.minimum(bounds[0], reached[0] - margin), middle - widest / 2)
        bounds[1] = np.minimum(np.maximum(bounds[1], reached[1] + margin), middle + widest / 2)
    return bounds


def _highest(u: FloatArray) -> float:
    """The largest of u[row, column] on nodes, and what may lie above it between nodes, by its second differences."""
    if np.isnan(u).all():
        return -np.inf
    row, column = np.unravel_index(int(np.nanargmax(u)), u.shape)
    above = 0.0
    for line, k in ((u[:, column], int(row)), (u[row], int(column))):
        bend = abs(line[k + 1] - 2.0 * line[k] + line[k - 1]) if 0 < k < line.size - 1 else 0.0
        above += bend / 8.0 if np.isfinite(bend) else 0.0
    return float(u[row, column]) + above


def _trimmed(
    maps: PlaneField,
    bounds: FloatArray,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    tail: float,
    check: Check,
) -> tuple[FloatArray, float]:
    """The bounds cut to where a law on few cells ever has more than `tail` beyond, and what that law loses.

    Nothing is cut when even the most cells do not resolve the maps: what they do to the law is not known.
    """
    lost = 0.0
    for cells in PILOT_CELLS:
        operator = plane_operator(maps, _box(bounds), cells, check)
        state = normal_state(operator, mean, sd)
        most = state.mass.copy()
        along = [most.sum(axis=1), most.sum(axis=0)]
        for _ in range(steps):
            advance(operator, state, 1, check=check)
            np.maximum(most, state.mass, out=most)
            along = [np.maximum(along[k], state.mass.sum(axis=1 - k)) for k in range(2)]
        lost = state.outside
        if _gape(operator, most > tail) <= RESOLVED:
            return _cut(bounds, along, operator.sides, tail), lost
    return bounds, lost


def _gape(operator: PlaneOperator, held: NDArray[np.bool_]) -> float:
    """How far apart, in cells, the images of neighbouring cells lie where they meet, at most, among cells held."""
    widest = 0.0
    rows, columns = operator.cells
    for u in operator.images[:, :, RIM : RIM + rows + 2, RIM : RIM + columns + 2].reshape(
        -1, rows + 2, columns + 2
    ):
        with np.errstate(all="ignore"):
            for along, where in ((u[:, 1:-1], held), (u[1:-1].T, held.T)):
                slope, bend = 0.5 * (along[2:] - along[:-2]), along[2:] - 2.0 * along[1:-1] + along[:-2]
                upper = along[1:-1] + 0.5 * slope + 0.125 * bend
                lower = along[1:-1] - 0.5 * slope + 0.125 * bend
                gape = np.abs(upper[:-1] - lower[1:])[where[:-1] & where[1:]]
                widest = max(widest, float(gape[np.isfinite(gape)].max(initial=0.0)))
    return widest


def _cut(bounds: FloatArray, along: Sequence[FloatArray], sides: FloatArray, tail: float) -> FloatArray:
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
