"""Stationary points of a loss on an interval: every zero of its derivative, with its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from tui_opt.kernels.callables import Field, FloatArray, evaluate

Kind = Literal["minimum", "maximum", "inflection"]

NOISE_FLOOR = 1e-14
"""Below this fraction of its largest value a derivative may be rounding noise: its sign proves nothing."""
TANGENT_TOLERANCE = 1e-10
"""A derivative touches zero when its extremum is below this fraction of its values nearby."""
MAX_NODES = 200_000


@dataclass(frozen=True)
class StationaryPoint:
    """A zero of a loss's derivative: its place, kind and second derivative."""

    w: float
    kind: Kind
    curvature: float


def stationary_points(
    gradient: Field, curvature: Field, w_min: float, w_max: float, points: int = 4001
) -> list[StationaryPoint]:
    """Find every stationary point of a loss on [w_min, w_max], in increasing order of w.

    A grid is halved wherever a cubic through its nodes misses the derivative, so features a few times
    narrower than the starting spacing are resolved too; sign changes are then refined to rounding (Brent),
    and derivatives that touch zero without a change of sign are found at the zeros of the curvature. Places
    where the derivative is exactly zero or mere rounding noise over several nodes are plateaus, not points.

    Args:
        gradient: first derivative, w[n] -> [n].
        curvature: second derivative, w[n] -> [n].
        w_min, w_max: interval, finite, w_min < w_max.
        points: nodes of the starting grid, at least 3. A feature that fits between two nodes is not seen.

    Returns: points sorted by w.
    Raises: ValueError for an empty interval or fewer than 3 points.
    """
    if not (np.isfinite(w_min) and np.isfinite(w_max) and w_min < w_max):
        raise ValueError(
            f"The interval is [{w_min}, {w_max}]; both ends must be finite and w_min below w_max."
        )
    if points < 3:
        raise ValueError(f"points is {points}; at least 3 grid nodes are needed.")
    w, g, c = _resolved_grid(gradient, curvature, np.linspace(w_min, w_max, points))
    w, g, c = _with_extrema(gradient, curvature, w, g, c)
    finite = g[np.isfinite(g)]
    floor = NOISE_FLOOR * float(np.max(np.abs(finite), initial=0.0))
    found = _crossings(gradient, w, g, floor) + _touching(w, g, c, floor)
    zeros = np.array(sorted(found, key=lambda pair: pair[0]), dtype=object)
    curvatures = evaluate(curvature, np.array([float(z[0]) for z in zeros]))
    return [
        StationaryPoint(float(z[0]), z[1] or _kind_from_curvature(k), float(k))
        for z, k in zip(zeros, curvatures, strict=True)
    ]


def minima(points: list[StationaryPoint]) -> list[StationaryPoint]:
    """The minima among `points`, in the same order."""
    return [point for point in points if point.kind == "minimum"]


@dataclass(frozen=True)
class Pit:
    """A minimum to escape from: `w`, the `maximum` to cross and the `other` minimum behind it."""

    w: float
    maximum: float
    other: float


def sharpest_pit(points: list[StationaryPoint]) -> Pit | None:
    """The minimum of largest curvature that has another minimum beside it; None when there are not two
    minima.

    Sharpness, not loss, decides what SGD leaves. With neighbours on both sides the nearer maximum is taken.
    """
    wells = sorted(minima(points), key=lambda point: -point.curvature)
    tops = [point.w for point in points if point.kind == "maximum"]
    for well in wells:
        pits = []
        for other in wells:
            between = [top for top in tops if min(well.w, other.w) < top < max(well.w, other.w)]
            if len(between) == 1:
                pits.append(Pit(well.w, between[0], other.w))
        if pits:
            return min(pits, key=lambda pit: abs(pit.maximum - pit.w))
    return None


def _resolved_grid(
    gradient: Field, curvature: Field, w: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Halve the intervals of w where the Hermite cubic misses the midpoint, up to 12 times."""
    g, c = evaluate(gradient, w), evaluate(curvature, w)
    suspicious = np.ones(w.size - 1, dtype=bool)
    for _ in range(12):
        left = np.flatnonzero(suspicious)
        if left.size == 0 or w.size + left.size > MAX_NODES:
            break
        h = w[left + 1] - w[left]
        middle = w[left] + 0.5 * h
        g_mid, c_mid = evaluate(gradient, middle), evaluate(curvature, middle)
        with np.errstate(all="ignore"):
            cubic = 0.5 * (g[left] + g[left + 1]) + 0.125 * h * (c[left] - c[left + 1])
            scale = np.abs(g[left]) + np.abs(g[left + 1]) + np.abs(g_mid)
            missed = np.abs(g_mid - cubic) > 1e-4 * scale
        at = left + 1
        w, g, c = np.insert(w, at, middle), np.insert(g, at, g_mid), np.insert(c, at, c_mid)
        suspicious = np.zeros(w.size - 1, dtype=bool)
        moved = left + np.arange(left.size)
        suspicious[moved] = suspicious[moved + 1] = missed
    return w, g, c


def _with_extrema(
    gradient: Field, curvature: Field, w: FloatArray, g: FloatArray, c: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Insert the derivative's extrema as nodes: two zeros in one interval become two sign changes."""
    bracket = np.flatnonzero((np.sign(c[:-1]) * np.sign(c[1:]) < 0) & (g[:-1] * g[1:] > 0))
    extra = np.array([_root(curvature, w[i], w[i + 1]) for i in bracket], dtype=np.float64)
    inside = np.isfinite(extra) & (extra > w[bracket]) & (extra < w[bracket + 1])
    bracket, extra = bracket[inside], extra[inside]
    at = bracket + 1
    return (
        np.insert(w, at, extra),
        np.insert(g, at, evaluate(gradient, extra)),
        np.insert(c, at, evaluate(curvature, extra)),
    )


def _crossings(
    gradient: Field, w: FloatArray, g: FloatArray, floor: float
) -> list[tuple[float, Kind | None]]:
    """Zeros with a change of sign, and isolated zero nodes. A None kind is left to the curvature."""
    sign = np.sign(g)
    noise = _noise_runs(sign, np.abs(g) <= floor)
    found: list[tuple[float, Kind | None]] = []
    for i in np.flatnonzero(sign[:-1] * sign[1:] < 0):
        if noise[i] and noise[i + 1]:
            continue
        root = _root(gradient, w[i], w[i + 1])
        # A pole changes sign as well, but the value at it is not small.
        if np.isfinite(root) and _value(gradient, root) <= 1e-6 * max(abs(g[i]), abs(g[i + 1])):
            found.append((root, "minimum" if sign[i] < 0 else "maximum"))
    for i in np.flatnonzero(sign == 0):
        before = sign[i - 1] if i > 0 else np.nan
        after = sign[i + 1] if i + 1 < w.size else np.nan
        if noise[i] or before == 0 or after == 0:
            continue
        if np.isnan(before) or np.isnan(after):
            found.append((float(w[i]), None))
        elif before != after:
            found.append((float(w[i]), "minimum" if before < 0 else "maximum"))
        else:
            found.append((float(w[i]), "inflection"))
    return found


def _touching(w: FloatArray, g: FloatArray, c: FloatArray, floor: float) -> list[tuple[float, Kind | None]]:
    """Nodes where the derivative has an extremum that is zero to rounding, its neighbours being nonzero."""
    size = np.abs(g)
    near = np.full(w.size, np.inf)
    near[1:-1] = np.minimum(size[:-2], size[2:])
    extremum = np.zeros(w.size, dtype=bool)
    extremum[1:-1] = (np.sign(g[:-2]) == np.sign(g[2:])) & (size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])
    # Zero nodes are reported by `_crossings`.
    at = extremum & (size > 0) & (size <= TANGENT_TOLERANCE * near) & (near > floor) & np.isfinite(c)
    return [(float(w[i]), "inflection") for i in np.flatnonzero(at)]


def _noise_runs(sign: FloatArray, below: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nodes of a run below the noise floor with several changes of sign or several exact zeros."""
    noise = np.zeros(sign.size, dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], below, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        run = sign[max(start - 1, 0) : end + 1]
        nonzero = run[run != 0]
        zeros = run.size - nonzero.size
        if np.count_nonzero(np.diff(nonzero)) > 1 or zeros > 1:
            noise[start:end] = True
    return noise


def _value(function: Field, w: float) -> float:
    return abs(float(evaluate(function, np.array([w]))[0]))


def _root(function: Field, low: float, high: float) -> float:
    """Brent's root in a bracket, NaN when the function is not finite on the way."""

    def at(w: float) -> float:
        value = float(evaluate(function, np.array([w]))[0])
        if not np.isfinite(value):
            raise ArithmeticError
        return value

    try:
        return float(
            brentq(at, low, high, xtol=1e-15 * max(1.0, abs(low), abs(high)), rtol=8.9e-16, maxiter=200)
        )
    except (ArithmeticError, RuntimeError, ValueError):
        return float("nan")


def _kind_from_curvature(curvature: float) -> Kind:
    if curvature > 0:
        return "minimum"
    return "maximum" if curvature < 0 else "inflection"
