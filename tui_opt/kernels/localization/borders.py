"""Weights from constant inputs against the bias they inherit their shares from, and what rounding leaves of that.

An input that is the constant k on every image gives each of its weights k times every update of the bias: the shares of
both are equal. In floating point they are ratios of differences between forks, and those of a unit that hardly learns
any more are differences of roundings. How large these are is known from the sizes of the parameters alone.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.localization.shares import correlation

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

CLEAR: Final = 1e9
"""A unit is compared where its forks differ by so many times their rounding."""
_ROUNDINGS: Final = 8.0
"""Of a constant pixel's weight: it is changed now and then by what was carried in a number of its own."""


def rounding_of_changes(biases: FloatArray, weights: FloatArray, constant: float, steps: int) -> FloatArray:
    """How far rounding moves differences between forks, in units of the bias, [unit].

    A bias is rounded at every step, which adds up like a random walk. A weight is rounded seldom, but a change of
    k times the bias's is measured on it.

    Args:
        biases: [fork, unit].
        weights: of the constant pixels, [fork, pixel, unit].
        constant: k.
        steps: of the longest fork.
    """
    of_bias = np.sqrt(float(steps)) * np.abs(biases).max(axis=0)
    of_weight = _ROUNDINGS / constant * np.abs(weights).max(axis=(0, 1), initial=0.0)
    return np.asarray(np.finfo(np.float64).eps * (of_bias + of_weight))


def clear_units(change: FloatArray, rounding: FloatArray) -> BoolArray:
    """Units whose change, the sum of both groups' differences between forks, stands above its rounding, [unit]."""
    return np.asarray(change > CLEAR * rounding)


def border_error(
    x: FloatArray, y: FloatArray, bias_x: FloatArray, bias_y: FloatArray, clear: BoolArray
) -> float:
    """Largest distance of a constant pixel's correlation from that of the biases, over the clear units.

    Args:
        x: update shares of the constant pixels' weights, [pixel, unit].
        y: change shares, likewise.
        bias_x: update shares of the biases, [unit].
        bias_y: change shares, likewise.
        clear: [unit].

    Returns: NaN where there is no constant pixel, or no correlation.
    """
    of_biases = correlation(bias_x[clear], bias_y[clear])
    away = [abs(correlation(a[clear], b[clear]) - of_biases) for a, b in zip(x, y, strict=True)]
    return float(max(away, default=np.nan))
