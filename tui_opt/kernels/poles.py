"""Places on an interval where a derivative grows without bound."""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import Field, FloatArray, evaluate

ROUNDS = 12
SHRINK = 8
GROWTH = 0.4
"""A derivative that grows at least like distance**-GROWTH has a pole (or its loss a cusp) there."""


def poles(gradient: Field, w_min: float, w_max: float, points: int = 4001) -> list[float]:
    """Where the derivative grows like a power of 1 / distance, in increasing order.

    Every largest value among its neighbours on a grid is looked at through windows that shrink by 8: at a
    smooth extremum or a kink the largest value seen settles, at a pole it grows with every window. An end of
    the domain at which the derivative grows counts too.

    Args:
        gradient: first derivative, w[n] -> [n].
        w_min, w_max: interval, finite, w_min < w_max.
        points: nodes of the grid. A pole too weak to be seen on it is missed.
    """
    w = np.linspace(w_min, w_max, points)
    size = _size(evaluate(gradient, w))
    inner = np.flatnonzero((size[1:-1] > size[:-2]) & (size[1:-1] > size[2:])) + 1
    centre = w[inner]
    half = (w_max - w_min) / (points - 1)
    offsets = np.linspace(-1, 1, 2 * SHRINK + 1)
    seen = []
    for _ in range(ROUNDS):
        window = np.clip(centre[:, None] + half * offsets, w_min, w_max)
        values = _size(evaluate(gradient, window.ravel())).reshape(window.shape)
        if centre.size:
            centre = window[np.arange(centre.size), values.argmax(axis=1)]
        # The centre may be the pole to rounding, with the same huge value in every window.
        values[:, SHRINK] = -1.0
        seen.append(np.where(np.isfinite(values), values, -1.0).max(axis=1, initial=-1.0))
        half /= SHRINK
    early, late = seen[3], seen[-1]
    grown = (early > 0) & (late > early * float(SHRINK) ** (GROWTH * (ROUNDS - 4)))
    # One pole may be met from both sides.
    places = np.sort(centre[grown])
    apart = np.diff(places, prepend=-np.inf) > 1e-6 * (w_max - w_min)
    return [float(place) for place in places[apart]]


def _size(values: FloatArray) -> FloatArray:
    """|values|, infinite where infinite, -1 where undefined."""
    return np.where(np.isnan(values), -1.0, np.abs(values))
