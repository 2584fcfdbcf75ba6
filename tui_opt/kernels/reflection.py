"""Walls that throw walkers back: the updates and the walks of a closed interval, and walks with an exit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import FloatArray, TermField, evaluate_terms
from tui_opt.kernels.ensembles import Walk


def reflected(w: FloatArray, low: float, high: float) -> FloatArray:
    """Places folded back into [low, high], as often as it takes; NaN where they are not finite.

    Args:
        w: any shape.
        low, high: the walls, low < high; an infinite one is no wall, and what lies beyond it stays there.
    """
    w = np.asarray(w, dtype=np.float64)
    width = high - low
    with np.errstate(invalid="ignore"):
        if np.isfinite(width):
            along = np.mod(w - low, 2 * width)
            folded = low + np.minimum(along, 2 * width - along)
        else:
            folded = 2 * (low if np.isfinite(low) else high) - w
    # A place within the walls keeps all its digits.
    return np.asarray(np.where((w >= low) & (w <= high), w, folded))


def reflected_maps(maps: TermField, low: float, high: float) -> TermField:
    """The maps f_j with images folded back into [low, high]."""

    def inside(w: FloatArray) -> FloatArray:
        return reflected(evaluate_terms(maps, w), low, high)

    return inside


def reflected_walk(walk: Walk, low: float, high: float) -> Walk:
    """A walk between walls: after every step, walkers beyond a wall are folded back."""

    def inside(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
        for step in range(first_step, first_step + steps):
            walk(w, first_walker, step, 1)
            w[:] = reflected(w, low, high)

    return inside


def walk_to_barrier(
    walk: Walk,
    w: FloatArray,
    passage: NDArray[np.int64],
    first_walker: int,
    first_step: int,
    steps: int,
    barrier: float,
    direction: int,
) -> None:
    """Advance walkers in place and note at which step they first are beyond a barrier, where they then stay.

    Args:
        walk: one step of any kind.
        w: [n], places.
        passage: [n], step of the passage, -1 before it.
        first_walker, first_step, steps: see `Walk`.
        barrier: passed when direction * w > direction * barrier.
        direction: 1 or -1.
    """
    beyond = w[passage >= 0]
    for step in range(first_step, first_step + steps):
        walk(w, first_walker, step, 1)
        w[passage >= 0] = beyond
        now = (passage < 0) & (direction * w > direction * barrier)
        if now.any():
            passage[now] = step + 1
            beyond = w[passage >= 0]
