"""Elementary functions of one float64 that the compiler inlines into loops over lanes and vectorises.

A call into the C library keeps a loop from being vectorised, so `exp` and `log` are written here without
branches: range reduction after Cody and Waite, a polynomial, and the exponent put in through the bits.
Multiply-adds are explicit, and nothing else may be contracted, so every kernel built from these functions
gives the same bits. The remaining functions are the C library's.

Every function follows IEEE 754 for NaN, infinities and zeros, and the conventions of user expressions at
kinks: step(0) = sign(0) = gate(0, x) = 0; min and max hand a NaN through.

Reference: W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980, chapters 5 and 6.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

LANES: Final = 256
"""Lanes per block: sixteen rows of them fill the 32 KB of a first-level cache."""

lane: Any = numba.njit(forceinline=True, error_model="numpy")
"""Compile as part of whatever loop calls it."""

row: Any = numba.njit(forceinline=False, error_model="numpy")
"""Compile for whole rows of LANES lanes, by itself where it calls `out_of_line`; what a `lane` calls would
else be inlined as well."""


@intrinsic
def out_of_line(_context: Any) -> Any:
    """Forbids the compiler to inline the function that calls this.

    A loop whose constants share the vector registers with those of its caller reloads them in every turn.
    """

    def codegen(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def bits_of(_context: Any, x: Any) -> Any:
    """The 64 bits of a float64 as a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint64))

    return (types.uint64(types.float64), codegen) if x == types.float64 else None


@intrinsic
def from_bits(_context: Any, bits: Any) -> Any:
    """The float64 that has these 64 bits."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return (types.float64(types.uint64), codegen) if bits == types.uint64 else None


@intrinsic
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c rounded once: one instruction on any current processor, and the same bits on all."""

    def codegen(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def select(_context: Any, condition: Any, chosen: Any, other: Any) -> Any:
    """`chosen if condition else other` without a branch, both being of one type.

    A branch would let the compiler sink loads and stores into it, which come out as masked memory
    operations: many times slower than blending two registers.
    """

    def codegen(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return (chosen(types.boolean, chosen, other), codegen) if chosen == other else None


# Adding 1.5 * 2^52 leaves the nearest integer in the low bits of the sum.
_ROUNDER: Final = 1.5 * 2.0**52
_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = float.fromhex("0x1.62e42fef00000p-1")  # ln 2 = high + low; multiples of high are exact
_LN2_LOW: Final = float.fromhex("0x1.473de6af278edp-34")

# (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, interpolated at Chebyshev points; relative error of exp 1.6e-17.
_E0: Final = 0.5000000000000001
_E1: Final = 0.16666666666666669
_E2: Final = 0.041666666666624164
_E3: Final = 0.008333333333330065
_E4: Final = 0.001388888891719689
_E5: Final = 0.00019841269863040675
_E6: Final = 2.480152132210459e-05
_E7: Final = 2.7557268480106926e-06
_E8: Final = 2.762007600563138e-07
_E9: Final = 2.5100375929185925e-08

_MANTISSA_BITS: Final = np.uint64(52)
_BIAS_BELOW: Final = np.uint64((1023 + 512) << 52)
_BIAS_ABOVE: Final = np.uint64((1023 - 512) << 52)
_BIAS_TWICE: Final = np.uint64((1023 + 1023) << 52)
_LEAST_PLAIN: Final = np.uint64((0x433 << 52) + (1 << 51) - 512)  # bits of _ROUNDER, less 512
_PLAIN: Final = np.uint64(1023)


@lane
def _shifted(u: float) -> Any:
    """The integer k nearest to u / ln 2, plus _ROUNDER; the low bits of the sum are those of k."""
    return fma(u, _LOG2_E, _ROUNDER)


@lane
def _remainder(u: float, shifted: float) -> Any:
    """u - k ln 2."""
    k = shifted - _ROUNDER
    return fma(k, -_LN2_LOW, fma(k, -_LN2_HIGH, u))


@lane
def _exp_near_zero(r: float) -> Any:
    """e^r in [0.7, 1.42], for |r| <= ln(2)/2."""
    r2 = r * r
    even = fma(fma(fma(fma(_E8, r2, _E6), r2, _E4), r2, _E2), r2, _E0)
    odd = fma(fma(fma(fma(_E9, r2, _E7), r2, _E5), r2, _E3), r2, _E1)
    return fma(fma(odd, r, even), r2, r) + 1.0


@lane
def exp(x: float) -> Any:
    """e^x within 1 ulp, with gradual underflow.

    The scale 2^k is multiplied in as two normal numbers, 2^(k+512) 2^-512 or 2^(k-512) 2^512, so that a
    result below the normal range is rounded once and one above it becomes inf.
    """
    u = select(x < -750.0, -750.0, x)  # a NaN stays
    u = select(u > 720.0, 720.0, u)
    shifted = _shifted(u)
    p = _exp_near_zero(_remainder(u, shifted))
    bias = select(x < 0.0, _BIAS_BELOW, _BIAS_ABOVE)
    return p * from_bits((bits_of(shifted) << _MANTISSA_BITS) + bias) * from_bits(_BIAS_TWICE - bias)


@row
def _exp_row_in_full(target: FloatArray, source: FloatArray) -> None:
    out_of_line()
    for i in range(LANES):
        target[i] = exp(source[i])


@row
def exp_row(target: FloatArray, source: FloatArray) -> None:
    """target[i] = exp(source[i]) for LANES lanes of two different rows.

    Where every k lies in [-512, 512), which is |x| <= 354, it is added to the exponent of e^r; that gives
    the bits of the two factors of `exp` in half the time. A row with any other x, or NaN, is done in full.
    The two loops are faster than one: with a shorter chain of dependent operations per lane the processor
    has more lanes under way at once. For the same reason k is computed twice and not stored.
    """
    out_of_line()
    distances = np.uint64(0)  # k + 512 of all lanes, or-ed; far above 1023 where k is not an integer
    for i in range(LANES):
        shifted = _shifted(source[i])
        target[i] = _remainder(source[i], shifted)
        distances |= bits_of(shifted) - _LEAST_PLAIN
    if distances > _PLAIN:
        _exp_row_in_full(target, source)
    else:
        for i in range(LANES):
            p = _exp_near_zero(target[i])
            target[i] = from_bits(bits_of(p) + (bits_of(_shifted(source[i])) << _MANTISSA_BITS))


# (log((1+s)/(1-s)) / s - 2) / s^2 as a polynomial in s^2 for |s| <= (sqrt 2 - 1)/(sqrt 2 + 1).
_L0: Final = 0.6666666666666666
_L1: Final = 0.4000000000000088
_L2: Final = 0.2857142857080361
_L3: Final = 0.22222222391714783
_L4: Final = 0.18181795640040438
_L5: Final = 0.15386239707844115
_L6: Final = 0.1326877300396345
_L7: Final = 0.13086627556452163

_SMALLEST_NORMAL: Final = 2.0**-1022
_SQRT_HALF_BITS: Final = np.uint64(0x3FE6A09E667F3BCD)
_EXPONENT_OFFSET: Final = np.uint64(2048 << 52)
_TWO_52_BITS: Final = np.uint64(0x4330000000000000)


@lane
def log(x: float) -> Any:
    """The natural logarithm within 1 ulp; -inf at 0, NaN below."""
    subnormal = x < _SMALLEST_NORMAL
    bits = bits_of(select(subnormal, x * 2.0**54, x))
    # x = 2^k m with m in [sqrt(1/2), sqrt(2)); the offset keeps k positive, so a plain shift will do.
    exponent = (bits - _SQRT_HALF_BITS + _EXPONENT_OFFSET) >> _MANTISSA_BITS
    m = from_bits(bits - ((exponent - np.uint64(2048)) << _MANTISSA_BITS))
    k = from_bits(exponent | _TWO_52_BITS) - select(subnormal, 2.0**52 + 2102.0, 2.0**52 + 2048.0)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    high = fma(fma(_L7, z, _L6), z2, fma(_L5, z, _L4))
    r = z * fma(high, z2 * z2, fma(fma(_L3, z, _L2), z2, fma(_L1, z, _L0)))
    half_square = 0.5 * f * f
    y = k * _LN2_HIGH - ((half_square - (s * (half_square + r) + k * _LN2_LOW)) - f)
    y = select(x < math.inf, y, x)  # inf and NaN are their own logarithm
    y = select(x < 0.0, math.nan, y)
    return select(x == 0.0, -math.inf, y)


@lane
def minimum(a: float, b: float) -> Any:
    return select((a < b) | (a != a), a, b)


@lane
def maximum(a: float, b: float) -> Any:
    return select((a > b) | (a != a), a, b)


@lane
def sign(x: float) -> Any:
    y = select(x > 0.0, 1.0, select(x < 0.0, -1.0, 0.0))
    return select(x != x, x, y)


@lane
def step(x: float) -> Any:
    """1 where x > 0, else 0."""
    return select(x != x, x, select(x > 0.0, 1.0, 0.0))


@lane
def relu(x: float) -> Any:
    return select((x > 0.0) | (x != x), x, 0.0)


@lane
def gate(c: float, x: float) -> Any:
    """x where c > 0, else 0 (also where x is infinite or NaN)."""
    return select(c != c, c, select(c > 0.0, x, 0.0))


@lane
def sigmoid(x: float) -> Any:
    return 1.0 / (1.0 + exp(-x))


@lane
def softplus(x: float) -> Any:
    return relu(x) + math.log1p(exp(-abs(x)))


@lane
def power(a: float, b: float) -> Any:
    return math.pow(a, b)


@lane
def cbrt(x: float) -> Any:
    return np.cbrt(x)
