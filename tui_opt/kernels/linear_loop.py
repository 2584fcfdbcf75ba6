"""A linear loop of two nodes: a room and a thermostat, each of which acts on the other a step later.

    R_(t+1) = R_t - k T_t + f_t        T_(t+1) = R_t - d

The room's response to a change of R_0 obeys c_(t+1) = c_t - k c_(t-1) with c_0 = c_1 = 1, whatever R, T, d, f and the
size of the change are. With the thermostat held the response stays 1, so Comp = c_t. In closed form

    c_t = (l1^(t+1) - l2^(t+1)) / (l1 - l2),   l = (1 +- sqrt(1 - 4k)) / 2,

which is (t+1)/2^t at k = 1/4 and changes its sign forever beyond. Near such a change c_t is a small difference of large
numbers, so everything here is computed with 50 digits where doubles would not do.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context as Arithmetic
from decimal import Decimal, localcontext
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked

FloatArray: TypeAlias = NDArray[np.float64]

DIGITS: Final = 50
NOTHING: Final = Decimal(10) ** -30
"""A response that is smaller, beside the numbers it is a difference of, is 0 but for rounding."""
STEPS_BETWEEN_CHECKS: Final = 1000
_LN10: Final = math.log(10.0)


@dataclass(frozen=True)
class Response:
    """Comp at steps 0 .. n.

    Attributes:
        log: float64[n+1], ln|Comp|; -inf where it is 0.
        sign: float64[n+1], -1, 0 or 1.
    """

    log: FloatArray
    sign: FloatArray


@dataclass(frozen=True)
class Worlds:
    """The three worlds in double precision, float64[n+1] each: W, X with R_0 changed, Y with T held to W besides."""

    w_room: FloatArray
    x_room: FloatArray
    y_room: FloatArray
    w_machine: FloatArray
    x_machine: FloatArray

    def difference_log(self) -> FloatArray:
        """ln|(X-W)/(Y-W)| of the room, with the rounding errors of its differences."""
        with np.errstate(all="ignore"):
            return np.asarray(np.log(np.abs((self.x_room - self.w_room) / (self.y_room - self.w_room))))


def eigenvalues(gain: float) -> tuple[complex, complex]:
    """The eigenvalues l of the loop, the one of larger modulus first; l^2 = l - k."""
    root = cmath.sqrt(1.0 - 4.0 * gain)
    first = (1.0 + root) / 2.0
    return first, gain / first


def rate(gain: float) -> float:
    """ln of the larger modulus of the eigenvalues: how ln|Comp| grows in a step in the long run, nats."""
    if gain > 0.25:
        return 0.5 * math.log(gain)
    # l1 = 1 - 2k/(1+s): no digits are lost for small k.
    return math.log1p(-2.0 * gain / (1.0 + math.sqrt(1.0 - 4.0 * gain))) + 0.0


def response(gain: float, steps: int, check: Check = unchecked) -> Response:
    """Comp by the recursion of the tangent, step by step.

    Args:
        gain: k.
        steps: n, at least 0.
        check: called now and then; what it raises ends the computation.
    """
    k = Decimal(gain)

    def walk() -> list[Decimal]:
        values = [Decimal(1)]
        before, now = Decimal(1), Decimal(1)
        for step in range(steps):
            if step % STEPS_BETWEEN_CHECKS == 0:
                check()
            values.append(now)
            after = now - k * before
            if abs(after) < NOTHING * abs(now):
                after = Decimal(0)
            before, now = now, after
        return values

    return _in_digits(walk)


def closed_response(gain: float, steps: int, check: Check = unchecked) -> Response:
    """Comp by the closed form in the eigenvalues; arguments as for `response`."""
    if gain == 0.25:
        t = np.arange(steps + 1.0)
        return Response(np.log1p(t) - t * math.log(2.0), np.ones(steps + 1))
    if gain < 0.25:
        return _closed_real(gain, steps)
    return _closed_complex(gain, steps, check)


def _closed_real(gain: float, steps: int) -> Response:
    """Two real eigenvalues: c_t = l1^t (1 - q^(t+1)) / (1 - q) with q = l2/l1, which is in (-1, 1)."""
    n = np.arange(1.0, steps + 2.0)
    s = math.sqrt(1.0 - 4.0 * gain)
    if gain > 0.0:
        # ln q = -2 atanh s, and 1 - q = 2s/(1+s): exact also where the eigenvalues nearly meet, and q is nearly 1.
        powers = np.log(-np.expm1(-2.0 * n * math.atanh(s)))
        return Response((n - 1.0) * rate(gain) + powers - math.log(2.0 * s / (1.0 + s)), np.ones(steps + 1))
    q = 4.0 * gain / (1.0 + s) ** 2  # not positive, and nothing cancels
    powers = np.log1p(-(q**n))
    return Response((n - 1.0) * rate(gain) + powers - math.log1p(-q), np.ones(steps + 1))


def _closed_complex(gain: float, steps: int, check: Check) -> Response:
    """A pair of eigenvalues: c_t = Im(l^(t+1)) / Im(l)."""

    def walk() -> list[Decimal]:
        half = Decimal("0.5")
        a, b = half, half * (4 * Decimal(gain) - 1).sqrt()
        x, y = a, b
        values = []
        for step in range(steps + 1):
            if step % STEPS_BETWEEN_CHECKS == 0:
                check()
            values.append(y / b if abs(y) > NOTHING * abs(x) else Decimal(0))
            x, y = a * x - b * y, a * y + b * x
        return values

    return _in_digits(walk)


def _in_digits(walk: Callable[[], list[Decimal]], digits: int = DIGITS) -> Response:
    with localcontext(Arithmetic(prec=digits, Emax=10**15, Emin=-(10**15))):
        values = walk()
        signs = [float((c > 0) - (c < 0)) for c in values]
        return Response(np.array([_log(c) for c in values]), np.array(signs))


def _log(c: Decimal) -> float:
    if not c:
        return -math.inf
    exponent = c.adjusted()
    return math.log(abs(float(c.scaleb(-exponent)))) + exponent * _LN10


def worlds(
    gain: float, setpoint: float, room: float, machine: float, delta: float, forcing: Sequence[float]
) -> Worlds:
    """W, X and Y in double precision, as a program without tangents has them.

    Args:
        gain: k.
        setpoint: d.
        room, machine: R_0 and T_0.
        delta: what is added to R_0 in X and Y.
        forcing: f_t of every step, the same in all worlds.
    """
    w, x, y, machine_w, machine_x = [room], [room + delta], [room + delta], [machine], [machine]
    for f in forcing:
        r, t = w[-1], machine_w[-1]
        w.append(r - gain * t + f)
        y.append(y[-1] - gain * t + f)
        machine_w.append(r - setpoint)
        r, t = x[-1], machine_x[-1]
        x.append(r - gain * t + f)
        machine_x.append(r - setpoint)
    return Worlds(*(np.array(path) for path in (w, x, y, machine_w, machine_x)))


def precise_difference_log(
    gain: float,
    setpoint: float,
    room: float,
    machine: float,
    delta: float,
    forcing: Sequence[float],
    check: Check = unchecked,
) -> FloatArray:
    """ln|(X-W)/(Y-W)| of the room by finite differences that do not lose their digits; arguments as for `worlds`.

    They are given so many digits that 50 are left of the smallest difference beside the largest state.
    """
    logs = closed_response(gain, len(forcing), check).log
    finite = logs[np.isfinite(logs)]
    digits = DIGITS + math.ceil(float(np.ptp(finite)) / _LN10)

    def walk() -> list[Decimal]:
        nothing = Decimal(10) ** (DIGITS // 3 - digits)
        k, d = Decimal(gain), Decimal(setpoint)
        size = Decimal(delta)
        r_w, t_w = Decimal(room), Decimal(machine)
        r_x, t_x, r_y = r_w + size, t_w, r_w + size
        values = [Decimal(1)]
        for step, f in enumerate(map(Decimal, forcing)):
            if step % STEPS_BETWEEN_CHECKS == 0:
                check()
            r_w, t_w, r_y = r_w - k * t_w + f, r_w - d, r_y - k * t_w + f
            r_x, t_x = r_x - k * t_x + f, r_x - d
            ratio = (r_x - r_w) / (r_y - r_w)
            values.append(ratio if abs(r_x - r_w) > nothing * abs(r_x) else Decimal(0))
        return values

    return _in_digits(walk, digits).log
