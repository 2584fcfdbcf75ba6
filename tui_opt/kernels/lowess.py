"""LOWESS: a smooth curve through a scatter, by straight lines fitted to the neighbours of each place.

Cleveland (1979), Robust locally weighted regression and smoothing scatterplots: tricube weights of the distance in x,
then bisquare weights of the residuals, a few times over.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


def lowess(x: FloatArray, y: FloatArray, at: FloatArray, share: float = 2 / 3, rounds: int = 3) -> FloatArray:
    """The curve at given places, [place].

    Args:
        x: [point], in any order.
        y: [point], finite.
        at: [place].
        share: of the points that each line is fitted to, above 0 and at most 1.
        rounds: of weighting by residuals; 0 for none.

    Raises:
        ValueError: there are no points, or the share is not a share.
    """
    if not x.size or x.shape != y.shape:
        raise ValueError(f"LOWESS needs points with one y for each x, not {x.size} and {y.size}.")
    if not 0 < share <= 1:
        raise ValueError(f"The share of the points is {share}; it must be above 0 and at most 1.")
    neighbours = min(x.size, max(2, math.ceil(share * x.size - 1e-9)))
    robust = np.ones(x.size)
    for _ in range(rounds):
        away = np.abs(y - _lines(x, y, robust, x, neighbours))
        scale = 6.0 * float(np.median(away))
        if scale <= 0.0:
            break  # more than half of the points are met exactly
        robust = np.square(np.clip(1.0 - np.square(away / scale), 0.0, None))
    return _lines(x, y, robust, at, neighbours)


def _lines(x: FloatArray, y: FloatArray, robust: FloatArray, at: FloatArray, neighbours: int) -> FloatArray:
    found = np.empty(at.size)
    for k, place in enumerate(at):
        distance = np.abs(x - place)
        reach = np.partition(distance, neighbours - 1)[neighbours - 1]
        near = distance <= reach
        # A little beyond the last neighbour, which would have no weight, and would be alone where all x are equal.
        close = distance[near] / (reach * (1.0 + 1e-9) + np.finfo(float).tiny)
        weights = (1.0 - close**3) ** 3 * robust[near]
        total = weights.sum()
        if total <= 0.0:
            weights, total = np.ones(int(near.sum())), float(near.sum())
        centre = (weights @ x[near]) / total
        level = (weights @ y[near]) / total
        spread = weights @ np.square(x[near] - centre)
        slope = 0.0
        if spread > 1e-18 * total * max(reach, np.finfo(float).tiny) ** 2:
            slope = (weights @ ((x[near] - centre) * y[near])) / spread
        found[k] = level + slope * (place - centre)
    return found
