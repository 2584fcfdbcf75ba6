"""IEEE 754 arithmetic on Python floats that never raises: 1/0 is inf, log(-1) is nan, exp(1000) is inf.

Conventions at kinks, shared with the lane kernels: step(0) = 0, sign(0) = 0, gate(0, x) = 0; min and max
hand a NaN through; gate(c, x) is x where c > 0 and exactly 0 elsewhere, whatever x is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_INF, _NAN = math.inf, math.nan


def _saturating(function: Callable[[float], float]) -> Callable[[float], float]:
    """`function` with overflow as +inf (for exp, expm1 and cosh, which overflow upwards only)."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return _INF

    return guarded


def _logarithm(function: Callable[[float], float], pole: float) -> Callable[[float], float]:
    """`function` with -inf at its pole and NaN below it."""

    def guarded(x: float) -> float:
        if x > pole:
            return function(x)
        return -_INF if x == pole else _NAN

    return guarded


def _on(function: Callable[[float], float], low: float, high: float) -> Callable[[float], float]:
    """`function` on the closed interval [low, high], NaN outside."""

    def guarded(x: float) -> float:
        return function(x) if low <= x <= high else _NAN

    return guarded


def _periodic(function: Callable[[float], float]) -> Callable[[float], float]:
    """`function` with NaN at the infinities."""

    def guarded(x: float) -> float:
        return function(x) if math.isfinite(x) else _NAN

    return guarded


def _sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(_INF, x)


def _atanh(x: float) -> float:
    if abs(x) == 1.0:
        return math.copysign(_INF, x)
    return math.atanh(x) if abs(x) < 1.0 else _NAN


def divide(a: float, b: float) -> float:
    """a / b with IEEE signed infinities."""
    if b != 0.0:
        return a / b
    if a == 0.0 or a != a:
        return _NAN
    return math.copysign(_INF, a) * math.copysign(1.0, b)


def power(a: float, b: float) -> float:
    """C's pow(a, b)."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.copysign(_INF, a) if _odd(b) else _INF
    except ValueError:
        if a == 0.0:  # and b < 0: a pole
            return math.copysign(_INF, a) if _odd(b) else _INF
        return _NAN


def _odd(b: float) -> bool:
    return math.fmod(b, 2.0) in (1.0, -1.0)


def _sign(x: float) -> float:
    return x if x != x else float(x > 0.0) - float(x < 0.0)


def _step(x: float) -> float:
    return x if x != x else float(x > 0.0)


def _gate(c: float, x: float) -> float:
    if c > 0.0:
        return x
    return c if c != c else 0.0


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + exponential(-x))


def _softplus(x: float) -> float:
    return _relu(x) + math.log1p(exponential(-abs(x)))


def _relu(x: float) -> float:
    return x if x > 0.0 or x != x else 0.0


exponential: Final = _saturating(math.exp)

SCALAR: Final[dict[str, Callable[..., float]]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": divide,
    "pow": power,
    "min": lambda a, b: a if a < b or a != a else b,
    "max": lambda a, b: a if a > b or a != a else b,
    "atan2": math.atan2,
    "hypot": math.hypot,
    "gate": _gate,
    "neg": lambda a: -a,
    "abs": math.fabs,
    "sign": _sign,
    "step": _step,
    "relu": _relu,
    "exp": exponential,
    "expm1": _saturating(math.expm1),
    "log": _logarithm(math.log, 0.0),
    "log2": _logarithm(math.log2, 0.0),
    "log10": _logarithm(math.log10, 0.0),
    "log1p": _logarithm(math.log1p, -1.0),
    "sqrt": _on(math.sqrt, 0.0, _INF),
    "cbrt": math.cbrt,
    "sin": _periodic(math.sin),
    "cos": _periodic(math.cos),
    "tan": _periodic(math.tan),
    "asin": _on(math.asin, -1.0, 1.0),
    "acos": _on(math.acos, -1.0, 1.0),
    "atan": math.atan,
    "sinh": _sinh,
    "cosh": _saturating(math.cosh),
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": _on(math.acosh, 1.0, _INF),
    "atanh": _atanh,
    "erf": math.erf,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}
