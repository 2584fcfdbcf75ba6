"""How rare escapes scale as T -> 0: the chain's own exponent, its diffusion limit's, and where both end.

The mean number of steps to leave a pit grows like exp(dV / T). For the chain dV is the integral of p(W), the
nonzero root of mean_j exp(-p g_j(W)) = 1; in the diffusion limit the steps are taken as Gaussian and
p = 2 G / S^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.optimize import brentq

from tui_opt.kernels.callables import Field, FloatArray, TermField, evaluate_terms

NEWTON_STEPS = 200
NEGLIGIBLE = 1e-290
"""A push outward below this fraction of the largest gradient counts as none: its root would overflow."""


@dataclass(frozen=True)
class Exponent:
    """A barrier exponent: its value, an estimate of its error, and why it is inf or NaN where it is."""

    value: float
    error: float
    reason: str = ""


def tilting_root(gradients: TermField, w: FloatArray) -> FloatArray:
    """Solve mean_j exp(-p g_j(W)) = 1 for p != 0 at each place.

    Args:
        gradients: g_j, w[n] -> [j, n].
        w: places, [n].

    Returns: p[n]; of the sign of G = mean_j g_j. inf (or -inf) where all g_j have one sign (no datapoint
        helps against the drift); 0 where G is 0, the double root; NaN where all g_j vanish or one is not
        finite.
    Reference: Freidlin & Wentzell (1998), Random Perturbations of Dynamical Systems, chapter 5, for the
        Legendre transform of the cumulant generating function.
    """
    g = evaluate_terms(gradients, np.atleast_1d(np.asarray(w, dtype=np.float64)))
    drift = g.mean(axis=0)
    sign = np.sign(drift)
    # Mirrored so that the drift is positive and the root p > 0.
    g = g * np.where(sign == 0, 1.0, sign)
    largest = np.abs(g).max(axis=0)
    lowest = g.min(axis=0)
    root = np.full(drift.shape, np.nan)
    usable = np.isfinite(largest) & (largest > 0)
    helped = lowest < -NEGLIGIBLE * largest
    root[usable & ~helped] = np.inf
    root[usable & (sign == 0)] = 0.0
    solve = usable & helped & (sign != 0)
    if solve.any():
        scale = largest[solve]
        with np.errstate(over="ignore"):
            root[solve] = _newton_from_above(g[:, solve] / scale) / scale
    return np.asarray(np.where(sign == 0, root, sign * root), dtype=np.float64)


def _newton_from_above(g: FloatArray) -> FloatArray:
    """p > 0 with mean_j exp(-p g_j) = 1, for mean g > 0 > min g and max |g| = 1; g[j, n] -> p[n].

    log mean exp(-p g) is convex, and not negative at p = log N / |min g|: Newton's steps from there descend
    monotonically to the root.
    """
    p = np.log(g.shape[0]) / -g.min(axis=0)
    for _ in range(NEWTON_STEPS):
        exponent = -p * g
        top = exponent.max(axis=0)
        weight = np.exp(exponent - top)
        total = weight.sum(axis=0)
        slope = (weight * -g).sum(axis=0) / total
        # For a small p, 1 + x - 1 would cancel: expm1 keeps the digits.
        small = np.log1p(np.expm1(np.minimum(exponent, 1.0)).mean(axis=0))
        value = np.where(top < 1.0, small, top + np.log(total / g.shape[0]))
        with np.errstate(all="ignore"):
            step = np.where(slope > 0, value / slope, 0.0)
        p_next = np.maximum(p - step, 0.0)
        if np.all(np.abs(p_next - p) <= 1e-15 * p):
            break
        p = p_next
    return np.asarray(p, dtype=np.float64)


def barrier_exponent(gradients: TermField, pit: float, maximum: float) -> Exponent:
    """Large-deviation exponent dV = integral of p dW from a minimum of L to the maximum to cross.

    Args:
        gradients: g_j, w[n] -> [j, n].
        pit, maximum: stationary points of L; the maximum may lie on either side.

    Returns: dV; inf where somewhere on the way no datapoint pushes outward: with small steps the pit is not
        left.
    """
    return _integrate(lambda w: tilting_root(gradients, w), pit, maximum, "no datapoint pushes outward")


def kramers_exponent(gradients: TermField, pit: float, maximum: float) -> Exponent:
    """Exponent of the diffusion limit: integral of 2 G / S^2 dW, S^2 the population variance of g_j.

    Returns: the exponent; inf where the noise vanishes or fades out on the way while the drift does not.
    Reference: Kramers (1940), Physica 7, 284, with a place-dependent diffusivity T^2 S^2 / 2 and drift -T G.
    """

    def ratio(w: FloatArray) -> FloatArray:
        g = evaluate_terms(gradients, w)
        with np.errstate(all="ignore"):
            return np.asarray(2 * g.mean(axis=0) / g.var(axis=0))

    return _integrate(ratio, pit, maximum, "the noise vanishes but the drift does not")


def quasipotential(gradients: TermField, w: FloatArray) -> FloatArray:
    """Running integral of p dW over increasing places w[n], least value 0.

    Where no root exists p is taken as 0, so this is a scale for tilting sums, not an exponent.
    """
    p = tilting_root(gradients, w)
    p = np.where(np.isfinite(p), p, 0.0)
    total = np.asarray(cumulative_simpson(p, x=w, initial=0.0))
    return np.asarray(total - total.min(), dtype=np.float64)


def stability_temperature(curvatures: FloatArray) -> float:
    """Step size at which a common resting place of all maps loses stability under random choice of datapoint.

    The smallest T > 0 at which the Lyapunov exponent mean_j log|1 - T l_j''| reaches zero from below; for one
    datapoint (or L itself) it is 2 / L''. `curvatures` are taken at one place: where S^2 vanishes if the pit
    has such a place (there the noise only multiplies), or else at the minimum of L.

    Args:
        curvatures: l_j'' at that place, [j].

    Returns: T; NaN where the mean curvature is not positive (no pit).
    """
    c = np.asarray(curvatures, dtype=np.float64)
    if not np.all(np.isfinite(c)) or c.mean() <= 0:
        return float("nan")

    def exponent(temperature: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.log(np.abs(1.0 - temperature * c)).mean())

    # log(1 - x) <= -x: the exponent is below -T mean c < 0 up to T = 1 / max |c|. Beyond, it is looked for up to
    # twice the limit 2 / mean c of L itself, evenly and, where max |c| is much larger, by constant factors.
    lowest, highest = 1.0 / np.abs(c).max(), 4.0 / c.mean()
    evenly, by_factors = np.linspace(lowest, highest, 4001), np.geomspace(lowest, highest, 4001)
    steps = np.unique(np.concatenate([evenly, by_factors]))
    values = np.array([exponent(t) for t in steps])
    first = np.flatnonzero(values[1:] >= 0) + 1
    if first.size == 0:
        return float("nan")
    high = steps[first[0]]
    low = steps[first[0] - 1]
    # The exponent is -inf at T = 1 / c: a bracket must start with a finite value.
    while not np.isfinite(exponent(low)):
        low = 0.5 * (low + high)
    return float(brentq(exponent, low, high, xtol=1e-16, rtol=1e-14))


def noise_free_place(gradients: TermField, low: float, high: float, near: float) -> float | None:
    """Where all datapoints agree (S^2 = 0) within [low, high], nearest to `near`; None when nowhere.

    Only a change of sign of the leading deviation from the mean counts, verified on all datapoints.

    Args:
        gradients: g_j, w[n] -> [j, n].
        low, high: the interval that is searched on a grid of 2001 nodes.
        near: the place, usually the pit, to which the answer shall be nearest.
    """
    w = np.linspace(low, high, 2001)
    g = evaluate_terms(gradients, w)
    deviation = g - g.mean(axis=0)
    spread = np.abs(deviation).max(axis=0)
    leader = int(np.argmax(np.abs(deviation).max(axis=1)))
    sign = np.sign(deviation[leader])

    def leading(place: float) -> float:
        terms = evaluate_terms(gradients, np.array([place]))[:, 0]
        return float(terms[leader] - terms.mean())

    crossings = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    places = [float(brentq(leading, w[i], w[i + 1], xtol=1e-15)) for i in crossings]
    # A zero node between nodes that are not zero; where the noise vanishes altogether there is no single place.
    places += [
        float(w[i]) for i in np.flatnonzero(sign[1:-1] == 0) + 1 if sign[i - 1] != 0 and sign[i + 1] != 0
    ]
    for place in sorted(places, key=lambda place: abs(place - near)):
        terms = evaluate_terms(gradients, np.array([place]))[:, 0]
        if np.ptp(terms) < 1e-9 * spread.max():
            return place
    return None


@dataclass(frozen=True)
class LineFit:
    """Least-squares line y = intercept + slope x; r2 is the explained share of variance, rms the residual."""

    intercept: float
    slope: float
    r2: float
    rms: float


def fit_line(x: FloatArray, y: FloatArray) -> LineFit:
    """Fit y against x over the pairs where both are finite; NaN with fewer than 2 different x.

    For escape laws: y = log mean steps, x = T ("log steps is linear in T") or 1 / T (activation).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if x.size < 2 or np.ptp(x) == 0:
        return LineFit(*[float("nan")] * 4)
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual = dy - slope * dx
    total = float(dy @ dy)
    r2 = 1.0 - float(residual @ residual) / total if total > 0 else float("nan")
    return LineFit(float(y.mean() - slope * x.mean()), slope, r2, float(np.sqrt(np.mean(residual**2))))


def _integrate(integrand: Field, low: float, high: float, obstacle: str) -> Exponent:
    """Composite Gauss-Legendre, panels doubled until two results agree; the ends are not nodes."""
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        raise ValueError(f"The path goes from {low} to {high}; its ends must be two different finite places.")
    nodes, weights = np.polynomial.legendre.leggauss(16)
    previous, difference = np.nan, np.inf
    panels = 8
    while panels <= 2048:
        edges = np.linspace(low, high, panels + 1)
        half = 0.5 * np.diff(edges)
        w = 0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * nodes
        values = integrand(w.ravel())
        if not np.all(np.isfinite(values)):
            bad = float(w.ravel()[~np.isfinite(values)][0])
            if np.isnan(values[~np.isfinite(values)]).any():
                return Exponent(float("nan"), float("nan"), f"The gradients are not usable near W = {bad:g}.")
            return Exponent(float("inf"), 0.0, f"Near W = {bad:g} {obstacle}: the exponent is infinite.")
        current = float((values.reshape(w.shape) * weights * half[:, None]).sum())
        difference = abs(current - previous)
        if difference <= 1e-13 * max(1.0, abs(current)):
            return Exponent(current, difference)
        previous = current
        panels *= 2
    if difference <= 1e-6 * abs(previous):
        return Exponent(previous, difference)
    return Exponent(
        float("inf"), difference, f"The integral does not converge: {obstacle} somewhere on the path."
    )
