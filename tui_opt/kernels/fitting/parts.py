"""The parts h(theta x) of the named models, row by row: value and derivative by theta for LANES data at once."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.fitting.trig_lanes import LARGEST, sine_cosine
from tui_opt.kernels.lanes import LANES, exp_row, lane, row

FloatArray: TypeAlias = NDArray[np.float64]

CODES: Final = {"cos": 0, "exp": 1, "sqrt": 2, "none": 3}
"""Codes of the parts in compiled kernels."""
_COS: Final = 0
_EXP: Final = 1
_SQRT: Final = 2


@row
def value_and_slope(
    part: int, theta: float, x: FloatArray, largest: float, value: FloatArray, slope: FloatArray
) -> None:
    """value[i] = h(theta x[i]) and slope[i] = its derivative by theta, for LANES lanes.

    Args:
        part: of `CODES`; `none` gives zeros.
        theta: the parameter.
        x: [LANES].
        largest: at least the largest |x|.
        value, slope: [LANES], filled; different rows from x.
    """
    if part == _COS:
        if abs(theta) * largest <= LARGEST:
            for i in range(LANES):
                s, c = sine_cosine(theta * x[i])
                value[i] = c
                slope[i] = -x[i] * s
        else:  # also where theta is NaN
            for i in range(LANES):
                value[i] = math.cos(theta * x[i]) if abs(theta * x[i]) < np.inf else np.nan
                slope[i] = -x[i] * math.sin(theta * x[i]) if abs(theta * x[i]) < np.inf else np.nan
    elif part == _EXP:
        for i in range(LANES):
            slope[i] = theta * x[i]
        exp_row(value, slope)
        for i in range(LANES):
            slope[i] = x[i] * value[i]
    elif part == _SQRT:
        for i in range(LANES):
            value[i] = np.sqrt(theta * x[i])
            # At x = 0 the root does not depend on theta; the quotient would be 0/0.
            slope[i] = 0.5 * x[i] / value[i] if x[i] != 0.0 else 0.0
    else:
        for i in range(LANES):
            value[i] = 0.0
            slope[i] = 0.0


@lane
def folded(values: FloatArray) -> float:
    """The sum of LANES values, pairwise, in an order that is always the same; the row is used up."""
    width = LANES // 2
    while width >= 1:
        for i in range(width):
            values[i] += values[i + width]
        width //= 2
    return values[0]  # type: ignore[no-any-return]
