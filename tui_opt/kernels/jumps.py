"""Places where a function of W jumps, as the gradient of abs(W) does at its kink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tui_opt.kernels.callables import FloatArray, evaluate

BISECTIONS: Final = 32
"""Halvings of an interval, after which the change of a smooth function is gone, and that of a root nearly so."""
LEFT_OVER: Final = 0.3
"""Part of a change that a jump keeps; half of it where the function has the value in the middle at the jump itself."""
OUTSTANDING: Final = 2.0
"""A change is looked at where it is that many times the smaller one of its neighbours."""
LEAST: Final = 1e-6, 1e-9
"""Changes worth looking at, relative to the function there and to the largest anywhere: others may be rounding."""


def jumps(function: Callable[[FloatArray], FloatArray], w: FloatArray) -> FloatArray:
    """Places between the nodes w[n] at which a function jumps, increasing; at most one in each interval.

    Intervals across which it changes by much more than across a neighbour are halved again and again towards the
    larger change. What a jump changes stays; the change of a smooth function goes, and that at a pole grows.

    Args:
        function: w[n] -> [n]; intervals with an end where it is not finite are left out.
        w: [n], increasing, at least 3.
    """
    values = evaluate(function, w)
    with np.errstate(all="ignore"):
        changes = np.abs(np.diff(values))
        sizes = np.abs(values[:-1]) + np.abs(values[1:])
        largest = float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
        around = np.minimum(np.append(changes[1], changes[:-1]), np.append(changes[1:], changes[-2]))
        looked_at = (changes > LEAST[0] * sizes) & (changes > LEAST[1] * largest)
        at = np.flatnonzero(looked_at & np.isfinite(changes) & ~(changes <= OUTSTANDING * around))
    if not at.size:
        return np.empty(0)
    low, high, f_low, f_high = w[at], w[at + 1], values[at], values[at + 1]
    for _ in range(BISECTIONS):
        middle = low + 0.5 * (high - low)
        f = evaluate(function, middle)
        with np.errstate(all="ignore"):
            right = np.abs(f_high - f) > np.abs(f - f_low)
        low, f_low = np.where(right, middle, low), np.where(right, f, f_low)
        high, f_high = np.where(right, high, middle), np.where(right, f_high, f)
    with np.errstate(all="ignore"):
        kept = np.abs(f_high - f_low) / changes[at]
    return np.asarray((low + 0.5 * (high - low))[(kept > LEFT_OVER) & (kept < 1 / LEFT_OVER)])
