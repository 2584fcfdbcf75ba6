"""Numbers with an exponent of their own: vectors neither overflow nor underflow, however long they grow or decay.

x = mantissa * 2^exponent with |mantissa| in [1/2, 1), or 0 * 2^0. Every component of a vector has its own exponent:
one that decays far below the others is not lost, as it would be under one scale for the whole vector.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

LN2 = 0.6931471805599453


def wide(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Mantissas and exponents of plain numbers, of the same shape. NaN and infinities keep themselves as mantissa."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(mantissa, dtype=np.float64), np.asarray(exponent, dtype=np.int64)


def logarithm(mantissa: FloatArray, exponent: IntArray) -> FloatArray:
    """ln|x|; -inf where x is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.abs(mantissa)) + exponent * LN2)


def applied(matrix: FloatArray, mantissa: FloatArray, exponent: IntArray) -> tuple[FloatArray, IntArray]:
    """The product of a matrix of plain numbers with a vector of wide ones.

    Args:
        matrix: [n, n], or [n, n, lane].
        mantissa, exponent: [n], or [n, lane].

    A component that is exactly 0 contributes nothing, also where the matrix is not finite.
    """
    with np.errstate(all="ignore"):
        products = np.where(mantissa[None] != 0.0, matrix * mantissa[None], 0.0)
    part, power = np.frexp(products)
    power = power.astype(np.int64) + exponent[None]
    highest = np.where(part != 0.0, power, np.iinfo(np.int64).min).max(axis=1)
    shift = np.clip(np.where(part != 0.0, power - highest[:, None], 0), -2000, 0)
    with np.errstate(invalid="ignore"):  # infinities of both signs are NaN, which is looked at later
        total = np.ldexp(part, shift.astype(np.int32)).sum(axis=1)
    mantissa, more = np.frexp(total)
    return mantissa, np.where(mantissa != 0.0, highest + more, 0)
