"""Density as dots: more of them where counts are high."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Reference: Bayer, "An optimum method for two-level rendition of continuous-tone pictures" (1973).
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16


def dither(counts: NDArray[Any], columns: int, rows: int) -> NDArray[np.bool_]:
    """Dots that are dense where counts are high, for a picture whose every dot is taken.

    Args:
        counts: counts per dot, shape (rows * m, columns * n).
        columns, rows: cells over which the density is taken.

    Returns:
        Which dots to set, among those with a count; every cell with a count keeps at least one. The share of dots
        grows with the logarithm of the cell's count.
    """
    tall, wide = counts.shape[0] // rows, counts.shape[1] // columns
    totals = counts.reshape(rows, tall, columns, wide).sum(axis=(1, 3))
    some = totals > 0
    if not some.any():
        return counts > 0
    logs = np.log(np.maximum(totals, 1))
    low, high = logs[some].min(), logs[some].max()
    level = (logs - low) / (high - low) if high > low else np.ones_like(logs)
    dense = np.repeat(np.repeat(level, tall, axis=0), wide, axis=1)
    threshold = np.tile(_BAYER, (counts.shape[0] // 4 + 1, counts.shape[1] // 4 + 1))
    taken: NDArray[np.bool_] = (counts > 0) & (dense >= threshold[: counts.shape[0], : counts.shape[1]])
    best = (
        counts.reshape(rows, tall, columns, wide)
        .transpose(0, 2, 1, 3)
        .reshape(rows, columns, -1)
        .argmax(axis=2)
    )
    row, column = np.nonzero(some)
    taken[row * tall + best[row, column] // wide, column * wide + best[row, column] % wide] = True
    return taken
