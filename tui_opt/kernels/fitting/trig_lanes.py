"""Sine and cosine of one float64 that the compiler inlines into loops and vectorises.

Range reduction after Cody and Waite with pi/2 in three parts, then a polynomial and a choice by the quadrant, all
without branches. Good to 2 ulp of 1 for |x| up to `LARGEST`; beyond, and for NaN, callers take the C library's.

Reference: W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980, chapter 8.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tui_opt.kernels.lanes import bits_of, fma, lane, select

LARGEST: Final = 1e6
"""The largest |x| for which three parts of pi/2 keep the remainder exact to an ulp of 1."""

_ROUNDER: Final = 1.5 * 2.0**52
_TWO_OVER_PI: Final = 0.6366197723675814
# pi/2 = P1 + P2 + P3; multiples of P1 and P2 by whole numbers below 2^20 are exact with a fused multiply-add.
_P1: Final = float.fromhex("0x1.921fb54442d18p+0")
_P2: Final = float.fromhex("0x1.1a62633145c07p-54")
_P3: Final = float.fromhex("-0x1.f1976b7ed8fbcp-110")

# Taylor coefficients are enough on |r| <= pi/4: the first left out is 1e-17 of the value.
_S: Final = (
    -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362880.0, -1.0 / 39916800.0, 1.0 / 6227020800.0,
    -1.0 / 1307674368000.0,
)  # fmt: skip
_C: Final = (
    -1.0 / 2.0, 1.0 / 24.0, -1.0 / 720.0, 1.0 / 40320.0, -1.0 / 3628800.0, 1.0 / 479001600.0,
    -1.0 / 87178291200.0, 1.0 / 20922789888000.0,
)  # fmt: skip
_S1, _S2, _S3, _S4, _S5, _S6, _S7 = _S
_C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8 = _C
_ONE: Final = np.uint64(1)
_TWO: Final = np.uint64(2)


@lane
def sine_cosine(x: float) -> Any:
    """(sin x, cos x) for |x| <= LARGEST."""
    shifted = fma(x, _TWO_OVER_PI, _ROUNDER)
    k = shifted - _ROUNDER
    r = fma(k, -_P3, fma(k, -_P2, fma(k, -_P1, x)))
    r2 = r * r
    s = fma(_S7, r2, _S6)
    s = fma(s, r2, _S5)
    s = fma(s, r2, _S4)
    s = fma(s, r2, _S3)
    s = fma(s, r2, _S2)
    s = fma(s, r2, _S1)
    s = fma(s * r2, r, r)
    c = fma(_C8, r2, _C7)
    c = fma(c, r2, _C6)
    c = fma(c, r2, _C5)
    c = fma(c, r2, _C4)
    c = fma(c, r2, _C3)
    c = fma(c, r2, _C2)
    c = fma(c, r2, _C1)
    c = fma(c, r2, 1.0)
    quadrant = bits_of(shifted)
    odd = (quadrant & _ONE) != np.uint64(0)
    sine, cosine = select(odd, c, s), select(odd, s, c)
    sine = select((quadrant & _TWO) != np.uint64(0), -sine, sine)
    cosine = select(((quadrant + _ONE) & _TWO) != np.uint64(0), -cosine, cosine)
    return sine, cosine
