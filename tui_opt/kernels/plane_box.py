"""A box that holds the law of two parameters over a number of steps, and is no larger than it needs to be.

The hull of what can be reached is found first, by mapping boxes; then laws on few cells are followed through all
steps, and the box is cut down to what they ever reach with more than a given mass. Cells that carry their
moments add no variance, so few of them suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.plane import (
    Box,
    PlaneField,
    advance,
    evaluate_pairs,
    normal_state,
    plane_operator,
)

TAIL: Final = 1e-12
"""Mass that may leave the box."""
PILOT_CELLS: Final = 64
MAX_WIDTH: Final = 256.0
"""Widest hull, in widths of the initial law; what diverges beyond is lost."""
_NODES: Final = 65
_MAX_GROWTHS: Final = 400
_ROUNDS: Final = 4
_WORTH_ANOTHER: Final = 0.8


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
    fixed: tuple[tuple[float | None, float | None], tuple[float | None, float | None]] = (
        (None, None),
        (None, None),
    ),
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
    centre = np.array(mean, dtype=np.float64)
    around = -ndtri(tail / 8) * np.array(sd, dtype=np.float64)
    size = np.maximum(around, 1e-6 * np.maximum(1.0, np.abs(centre)))
    first = np.array([centre - size, centre + size])
    bounds = _with_fixed(_hull(maps, first, steps, check), fixed)
    for _ in range(_ROUNDS):
        trimmed, lost = _trimmed(maps, bounds, mean, sd, steps, tail, check)
        trimmed = _with_fixed(trimmed, fixed)
        shrunk = (trimmed[1] - trimmed[0]) / (bounds[1] - bounds[0])
        bounds = trimmed
        if shrunk.min() > _WORTH_ANOTHER:
            break
    return FoundBox(_box(bounds), lost)


def _box(bounds: FloatArray) -> Box:
    low, high = bounds.tolist()
    return Box((low[0], low[1]), (high[0], high[1]))


def _with_fixed(
    bounds: FloatArray, fixed: tuple[tuple[float | None, float | None], tuple[float | None, float | None]]
) -> FloatArray:
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
    widest = MAX_WIDTH * (first[1] - first[0])
    middle = first.mean(axis=0)
    for _ in range(min(steps, _MAX_GROWTHS)):
        check()
        nodes = [np.linspace(bounds[0, axis], bounds[1, axis], _NODES) for axis in range(2)]
        w = np.stack([np.repeat(nodes[0], _NODES), np.tile(nodes[1], _NODES)])
        images = np.moveaxis(evaluate_pairs(maps, w), 1, 0).reshape(2, -1)
        images = images[:, np.isfinite(images).all(axis=0)]
        if images.size == 0:
            break
        reached = np.array([images.min(axis=1), images.max(axis=1)])
        margin = 0.02 * (bounds[1] - bounds[0])  # nodes miss the extremes between them
        grows = (reached[0] < bounds[0]) | (reached[1] > bounds[1])
        if not grows.any():
            break
        bounds[0] = np.maximum(np.minimum(bounds[0], reached[0] - margin), middle - widest / 2)
        bounds[1] = np.minimum(np.maximum(bounds[1], reached[1] + margin), middle + widest / 2)
    return bounds


def _trimmed(
    maps: PlaneField,
    bounds: FloatArray,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    tail: float,
    check: Check,
) -> tuple[FloatArray, float]:
    """The bounds cut to where a law on few cells ever has more than `tail` beyond, and what that law loses."""
    operator = plane_operator(maps, _box(bounds), PILOT_CELLS, check)
    state = normal_state(operator, mean, sd)
    most = [state.mass.sum(axis=1), state.mass.sum(axis=0)]
    for _ in range(steps):
        advance(operator, state, 1, check=check)
        most = [np.maximum(most[k], state.mass.sum(axis=1 - k)) for k in range(2)]
    trimmed = bounds.copy()
    for axis in range(2):
        side = operator.sides[axis]
        below, above = np.cumsum(most[axis]), np.cumsum(most[axis][::-1])
        # One cell more than needed: a cell's mass may reach into the next one.
        first = max(0, int(np.searchsorted(below, tail)) - 1)
        last = max(0, int(np.searchsorted(above, tail)) - 1)
        if first + last < PILOT_CELLS:
            trimmed[0, axis] += first * side
            trimmed[1, axis] -= last * side
    return trimmed, state.outside
