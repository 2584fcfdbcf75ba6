"""The mean squared error of a one-parameter part h(theta x) against h(theta0 x), in closed form over the law of x.

Everything follows from the characteristic function c(k) = E cos(k x) and the moment generating function
M(k) = E e^(k x) of a normal or a uniform law. With m = theta + theta0 and d = theta - theta0,

    (cos theta x - cos theta0 x)^2 = (1 - cos m x)(1 - cos d x),

so the loss of a cosine is 1 + c(2 theta)/2 + c(2 theta0)/2 - c(m) - c(d). For a normal law that is a sum of two terms
that are never negative, and is computed as such: the loss keeps its relative accuracy however close the parameters are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

FloatArray: TypeAlias = NDArray[np.float64]
Part: TypeAlias = Literal["cos", "exp", "sqrt"]

_NEAR = 0.3
"""Below this |d| times the spread of x, sums of cosines cancel and the integral is done numerically."""
_PANEL_NODES = 24
_VALUES_AT_ONCE = 1_000_000
_MANY_TURNS = 1e5
"""Beyond this |m| times the spread of x, E cos(m x) is below 1e-5 and is left out next to the target."""
_TAIL = 10.0
"""Standard deviations at which a normal law is cut off; its density there is 1e-22 of the largest."""


@dataclass(frozen=True)
class Law:
    """The law of x: normal about 0 with standard deviation `high`, or uniform on [low, high).

    Raises: ValueError where the interval is empty.
    """

    kind: Literal["normal", "uniform"]
    high: float
    low: float = 0.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(
                f"The law of x has low = {self.low} and high = {self.high}; low must be below high."
            )

    @property
    def spread(self) -> float:
        """Root mean square of x."""
        if self.kind == "normal":
            return self.high
        return float(np.sqrt((self.low**2 + self.low * self.high + self.high**2) / 3.0))

    @property
    def mean(self) -> float:
        """E x."""
        return 0.0 if self.kind == "normal" else 0.5 * (self.low + self.high)

    def cosine(self, k: FloatArray) -> FloatArray:
        """E cos(k x)."""
        k = np.asarray(k, dtype=np.float64)
        if self.kind == "normal":
            return np.exp(-0.5 * (k * self.high) ** 2)
        half = 0.5 * (self.high - self.low)
        return np.cos(k * self.mean) * np.sinc(k * half / np.pi)

    def cosine_slope(self, k: FloatArray) -> FloatArray:
        """The derivative of E cos(k x) by k, -E x sin(k x)."""
        k = np.asarray(k, dtype=np.float64)
        if self.kind == "normal":
            return np.asarray(-k * self.high**2 * self.cosine(k))
        half = 0.5 * (self.high - self.low)
        shift, u = self.mean, k * half
        small = np.abs(u) < 1e-2
        safe = np.where(small, 1.0, u)
        slope = np.where(
            small,
            -u / 3.0 * (1.0 - u**2 / 10.0 * (1.0 - u**2 / 28.0)),
            (np.cos(safe) - np.sin(safe) / safe) / safe,
        )
        return np.asarray(half * slope * np.cos(k * shift) - shift * np.sin(k * shift) * np.sinc(u / np.pi))

    def exponential(self, k: FloatArray) -> FloatArray:
        """E e^(k x); inf where it overflows."""
        k = np.asarray(k, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.kind == "normal":
                return np.exp(0.5 * (k * self.high) ** 2)
            u = k * (self.high - self.low)
            ratio = np.where(u == 0.0, 1.0, np.expm1(u) / np.where(u == 0.0, 1.0, u))
            return np.asarray(np.exp(k * self.low) * ratio)


def part_loss(part: Part, law: Law, theta: FloatArray, target: float) -> FloatArray:
    """E (h(theta x) - h(target x))^2.

    Args:
        part: h.
        law: of x.
        theta: [n].
        target: the true parameter.

    Returns: [n], zero at the target; NaN where h is not defined (the root of a negative number), inf where the
        expectation overflows. Relative accuracy 1e-12 for a normal law; absolute 1e-15 of the largest term else.
    """
    theta = np.asarray(theta, dtype=np.float64)
    if part == "cos":
        return _cosine_loss(law, theta, target)
    if part == "exp":
        return _exponential_loss(law, theta, target)
    return _root_loss(law, theta, target)


def part_mean(part: Part, law: Law, theta: FloatArray) -> FloatArray:
    """E h(theta x), [n]; NaN where h is not defined."""
    theta = np.asarray(theta, dtype=np.float64)
    if part == "cos":
        return law.cosine(theta)
    if part == "exp":
        return law.exponential(theta)
    if law.kind == "normal":
        return np.where(theta == 0.0, 0.0, np.nan)
    with np.errstate(invalid="ignore"):
        low, high = theta * law.low, theta * law.high
        value = 2.0 / 3.0 * np.abs(high**1.5 - low**1.5) / (np.abs(theta) * (law.high - law.low))
    return np.where(theta == 0.0, 0.0, np.where(np.minimum(low, high) < 0, np.nan, value))


def _cosine_loss(law: Law, theta: FloatArray, target: float) -> FloatArray:
    m, d = theta + target, theta - target
    if law.kind == "normal":
        s2 = law.high**2
        near, far = np.minimum(theta**2, target**2), np.abs(m * d)
        difference = np.exp(-near * s2) * np.expm1(-far * s2)
        return np.asarray(np.expm1(-0.5 * m**2 * s2) * np.expm1(-0.5 * d**2 * s2) + 0.5 * difference**2)
    c = law.cosine
    direct = 1.0 + 0.5 * c(2.0 * theta) + 0.5 * c(np.asarray(2.0 * target)) - c(m) - c(d)
    near_target = np.abs(d) * law.spread < _NEAR
    out = np.where(near_target, 0.0, direct)
    out[near_target] = _means_over(law, m[near_target], d[near_target], power=1)
    return np.asarray(np.maximum(out, 0.0))


def _exponential_loss(law: Law, theta: FloatArray, target: float) -> FloatArray:
    m, d = theta + target, theta - target
    with np.errstate(over="ignore", invalid="ignore"):
        if law.kind == "normal":
            s2 = law.high**2
            difference = np.exp(np.maximum(theta**2, target**2) * s2) * -np.expm1(-np.abs(m * d) * s2)
            near = np.exp(0.5 * m**2 * s2) * np.expm1(0.5 * d**2 * s2)
            out = difference**2 + 2.0 * near
        else:
            M = law.exponential
            out = M(2.0 * theta) + M(np.asarray(2.0 * target)) - 2.0 * M(m)
    return np.asarray(np.maximum(np.where(np.isnan(out), np.inf, out), 0.0))


def _root_loss(law: Law, theta: FloatArray, target: float) -> FloatArray:
    if law.kind == "normal" or law.low * law.high < 0:
        return np.full(theta.shape, np.nan)
    # sqrt(theta x) - sqrt(target x) = (sqrt|theta| - sqrt|target|) sqrt|x| where all signs agree.
    sign = 1.0 if law.high > 0 else -1.0
    with np.errstate(invalid="ignore"):
        factor = np.sqrt(sign * theta) - np.sqrt(sign * target)
    return np.asarray(factor**2 * abs(law.mean))


def _means_over(law: Law, m: FloatArray, d: FloatArray, power: int, alone: bool = False) -> FloatArray:
    """E ((1 - cos m x)(1 - cos d x))^power as integrals of what is never negative; m and d are [n].

    With `alone` the first factor is left out.
    """
    out = np.empty(m.shape)
    if m.size == 0:
        return out
    fast = np.abs(m) * law.spread > _MANY_TURNS
    if fast.any() and not alone:
        # cos m x goes round so often that it is a cosine of a phase of its own: means of 1 - cos and its square.
        average = 1.0 if power == 1 else 1.5
        out[fast] = average * _means_over(law, m[fast], d[fast], power, alone=True)
        out[~fast] = _means_over(law, m[~fast], d[~fast], power)
        return out
    fastest = np.abs(d) if alone else np.abs(m) + np.abs(d)
    x, weight = _nodes(law, power * float(np.max(fastest)))
    block = max(1, _VALUES_AT_ONCE // x.size)
    for begin in range(0, m.size, block):
        some = slice(begin, begin + block)
        first = np.full(1, np.sqrt(0.5)) if alone else np.sin(0.5 * np.outer(m[some], x))
        out[some] = (4.0 * (first * np.sin(0.5 * np.outer(d[some], x))) ** 2) ** power @ weight
    return out


def _nodes(law: Law, fastest: float) -> tuple[FloatArray, FloatArray]:
    """Places and weights that integrate frequencies up to `fastest` over a law to rounding."""
    if law.kind == "normal":
        step = 2.0 * np.pi / (fastest + 9.0 / law.high)
        half = int(np.ceil(_TAIL * law.high / step))
        x = step * np.arange(-half, half + 1)
        weight = step * np.exp(-0.5 * (x / law.high) ** 2) / (law.high * np.sqrt(2.0 * np.pi))
        return x.astype(np.float64), weight.astype(np.float64)
    panels = int(np.ceil(fastest * (law.high - law.low) / (2.0 * np.pi))) + 1
    u, w = np.polynomial.legendre.leggauss(_PANEL_NODES)
    edges = np.linspace(law.low, law.high, panels + 1)
    half_width = 0.5 * (edges[1] - edges[0])
    x = np.asarray((0.5 * (edges[1:] + edges[:-1])[:, None] + half_width * u).ravel(), dtype=np.float64)
    return x.astype(np.float64), np.tile(0.5 * w / panels, panels).astype(np.float64)


def cosine_loss_spread(law: Law, theta: FloatArray, target: float, noise: float = 0.0) -> FloatArray:
    """Standard deviation of one sample's (y - cos theta x)^2, with y = cos target x + noise e, e standard normal.

    Divided by the root of the number of samples it is the sampling standard deviation of a sample's loss curve.

    Args:
        law: of x.
        theta: [n].
        target: the true parameter.
        noise: standard deviation of the noise.

    Returns: [n]. The variance is Var(q^2) + 4 noise^2 E q^2 + 2 noise^4 with q = cos theta x - cos target x.
    """
    theta = np.asarray(theta, dtype=np.float64)
    m, d = theta + target, theta - target
    loss = _cosine_loss(law, theta, target)
    # (1 - cos t)^2 = 3/2 - 2 cos t + cos(2 t)/2, twice.
    square = np.zeros(theta.shape)
    weights = (1.5, -2.0, 0.5)
    for i, first in enumerate(weights):
        for j, second in enumerate(weights):
            square += 0.5 * first * second * (law.cosine(i * m + j * d) + law.cosine(i * m - j * d))
    near = np.abs(d) * law.spread < _NEAR
    square[near] = _means_over(law, m[near], d[near], power=2)
    variance = np.maximum(square - loss**2, 0.0) + 4.0 * noise**2 * loss + 2.0 * noise**4
    return np.sqrt(variance)


def cosine_loss_slope(law: Law, theta: FloatArray, target: float) -> FloatArray:
    """The derivative by theta of a cosine's loss, [n]."""
    theta = np.asarray(theta, dtype=np.float64)
    slope = law.cosine_slope
    return slope(2.0 * theta) - slope(theta - target) - slope(theta + target)


def population_basin(law: Law, target: float) -> tuple[float, float]:
    """Where the loss of a cosine stops rising on either side of the target, in closed form but for a root search.

    Below, the basin ends at 0 at the latest: a cosine does not tell theta from -theta. Above, a normal law gives no
    end at all, and inf is returned: its loss rises to 1 for ever. For x uniform on [0, L) with a target far from 0 the
    end is 4.4934/L above it, the first positive root of tan u = u.

    Args:
        law: of x.
        target: the true parameter, positive.

    Returns: low, high.
    """
    if target <= 0.0:
        raise ValueError(f"target is {target}; it must be positive.")
    if law.kind == "normal":
        return 0.0, float("inf")
    step = 0.02 / max(abs(law.low), abs(law.high))
    low = _first_turn(law, target, -step, 0.0)
    return (0.0 if low is None else low), _first_turn(law, target, step, np.inf) or float("inf")


def _first_turn(law: Law, target: float, step: float, end: float) -> float | None:
    """The first place on the way from the target at which the loss stops rising; None where none comes before `end`."""

    def rising(theta: float) -> float:
        return float(np.sign(step) * cosine_loss_slope(law, np.asarray(theta), target))

    for k in range(1, 4000):
        place = target + step * (k + 1)
        if (place - end) * np.sign(step) >= 0:
            return None
        if rising(place) < 0.0:
            return float(brentq(rising, target + step * k, place, xtol=1e-15))
    return None


def ridge_estimate(law: Law, samples: int) -> float:
    """Half-width of the basin that a sample of a wide normal law shows: where its ripple first undoes the slope.

    The population's slope at a distance d is d s^2 e^(-d^2 s^2 / 2). That of a sample differs from it by
    sqrt(3/2) s / sqrt(n), the standard deviation of 2 (cos a x - cos b x) x sin a x over sqrt(n) where all phases are
    spread. They are equal at u = d s with u e^(-u^2 / 2) = sqrt(3 / (2 n)), u > 1.

    Returns: u / s; NaN where samples are so few that there is no such place.
    """
    level = np.sqrt(1.5 / samples)
    if level >= np.exp(-0.5):
        return float("nan")
    u = brentq(lambda v: np.log(v) - 0.5 * v**2 - np.log(level), 1.0, 50.0)
    return float(u / law.spread)
