"""Deterministic descent in one dimension: paths, what they tend to, and what the last part of an orbit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, Field, FloatArray, evaluate, require_temperature, unchecked

STEPS_PER_CHECK = 100


def gradient_descent(gradient: Field, start: FloatArray, temperature: float, steps: int) -> FloatArray:
    """Descend W <- W - T L'(W) from several starts at once.

    Args:
        gradient: L', w[n] -> [n].
        start: starting places, [s].
        temperature: T, the step size, positive.
        steps: number of steps, 0 or more.

    Returns: w[s, steps + 1], the start included; a path that leaves the numbers continues as inf or NaN.
    """
    if steps < 0:
        raise ValueError(f"steps is {steps}; it must be 0 or more.")
    return gradient_descent_at(gradient, start, temperature, np.arange(steps + 1))


def gradient_descent_at(
    gradient: Field, start: FloatArray, temperature: float, steps: NDArray[np.int64], check: Check = unchecked
) -> FloatArray:
    """Descend as in `gradient_descent`, and keep the places after some of the steps only.

    Args:
        gradient: L', w[n] -> [n].
        start: starting places, [s].
        temperature: T, positive.
        steps: numbers of steps, [k], increasing, 0 or more.
        check: called every few milliseconds.

    Returns: w[s, k].
    """
    temperature = require_temperature(temperature)
    w = _places(start)
    path = np.empty((w.size, len(steps)))
    done = 0
    for kept, wanted in enumerate(steps.tolist() if w.size else []):
        while done < wanted:
            if done % STEPS_PER_CHECK == 0:
                check()
            with np.errstate(all="ignore"):
                after = w - temperature * evaluate(gradient, w)
            # Where nothing moves any more it never will.
            done = int(steps[-1]) if np.array_equal(after, w, equal_nan=True) else done + 1
            w = after
        path[:, kept] = w
    return path


@dataclass(frozen=True)
class NewtonPaths:
    """Paths w[s, steps + 1] of Newton's method; `failed_step[s]` met no finite next W (-1: none did)."""

    w: FloatArray
    failed_step: NDArray[np.int64]


def newton(gradient: Field, curvature: Field, start: FloatArray, factor: float, steps: int) -> NewtonPaths:
    """Iterate W <- W - k L'(W) / L''(W), k dimensionless.

    At a zero of the curvature the step is not finite: the path is NaN from there on and `failed_step` says
    where.
    A place where both derivatives vanish is kept: it is stationary.
    Newton's method goes to the nearest stationary point, a maximum as readily as a minimum.
    """
    path = _empty_path(start, steps)
    failed = np.full(path.shape[0], -1, dtype=np.int64)
    for n in range(steps):
        slope, bend = evaluate(gradient, path[:, n]), evaluate(curvature, path[:, n])
        with np.errstate(all="ignore"):
            step = np.where(slope == 0, 0.0, factor * slope / bend)
            after = path[:, n] - step
        bad = ~np.isfinite(after)
        failed[bad & (failed < 0)] = n
        path[:, n + 1] = np.where(bad, np.nan, after)
    return NewtonPaths(path, failed)


FADED = 1e-6
"""A gradient below this fraction of the steepest one met has faded: the loss is flat there."""


def multiplier(temperature: float, curvature: float) -> float:
    """1 - T L'': the factor on a small distance to a stationary point in one step of descent."""
    return 1.0 - temperature * curvature


def optimal_temperature(curvature: float) -> float:
    """1 / L'' at a minimum: the step size whose multiplier is zero; inf where L'' is zero."""
    return 1.0 / curvature if curvature != 0 else float("inf")


def steps_to_tolerance(path: FloatArray, target: float, tolerance: float) -> int | None:
    """The first step from which path[n] stays within `tolerance` of `target`; None when it does not."""
    outside = np.flatnonzero(~(np.abs(np.asarray(path) - target) < tolerance))
    first = 0 if outside.size == 0 else int(outside[-1]) + 1
    return first if first < len(path) else None


def cobweb(path: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Polyline (x, y) of a path drawn against the graph of its map: up to the map, across to the diagonal.

    Args:
        path: w[n], n >= 2.

    Returns: x[2n - 1], y[2n - 1], starting on the diagonal at (w0, w0).
    """
    path = np.asarray(path, dtype=np.float64)
    doubled = np.repeat(path, 2)
    return doubled[:-1], doubled[1:]


OrbitKind = Literal["fixed point", "cycle", "chaotic band", "approaching", "plateau", "diverged"]


@dataclass(frozen=True)
class OrbitEnd:
    """End of an orbit: kind, period (1 for a fixed point, 0 where there is none), the band it fills."""

    kind: OrbitKind
    period: int
    low: float
    high: float


def orbit_end(
    path: FloatArray,
    gradient_at_end: float,
    curvature_at_end: float,
    steepest: float,
    max_period: int = 32,
    tolerance: float = 1e-7,
) -> OrbitEnd:
    """Classify the last part of one path.

    Args:
        path: w[n]; its last half, and at least the last 2 max_period places, is looked at.
        gradient_at_end, curvature_at_end: L' and L'' at the last place. A path that hardly moves is at a fixed
            point only when Newton's distance L'/L'' to the stationary point is small too.
        steepest: largest |L'| met on the way. A path that hardly moves, or creeps where the loss is concave, is
            on a plateau when |L'| has faded to less than `FADED` of it, or when its steps are mere rounding;
            else it is only slow.
        max_period: longest cycle recognised.
        tolerance: relative distance at which two visits count as the same place.

    Returns: the kind. "approaching" is a path still on its way: monotone, or alternating by less and less.
    """
    path = np.asarray(path, dtype=np.float64)
    if not np.all(np.isfinite(path)):
        return OrbitEnd("diverged", 0, float("nan"), float("nan"))
    tail = path[-max(path.size // 2, min(path.size, 2 * max_period)) :]
    low, high = float(tail.min()), float(tail.max())
    close = tolerance * max(1.0, abs(low), abs(high))
    last = tail[-2 * max_period :]
    faded = abs(gradient_at_end) <= FADED * steepest
    if np.ptp(last) <= close:
        distance = abs(gradient_at_end / curvature_at_end) if curvature_at_end != 0 else np.inf
        settled = gradient_at_end == 0 and curvature_at_end != 0
        if settled or distance <= 100 * close:
            return OrbitEnd("fixed point", 1, float(last.min()), float(last.max()))
        stuck = last.size > 1 and abs(last[-1] - last[-2]) <= 2 * np.spacing(abs(last[-1]))
        flat = stuck or (faded and curvature_at_end <= 0)
        return OrbitEnd("plateau" if flat else "approaching", 0, low, high)
    for period in range(2, min(max_period, last.size // 2) + 1):
        if np.all(np.abs(last[period:] - last[:-period]) <= close):
            return OrbitEnd("cycle", period, float(last.min()), float(last.max()))
    moves = np.diff(tail)
    drifting = np.diff(last)
    if np.all(drifting > 0) or np.all(drifting < 0):
        return OrbitEnd("plateau" if faded and curvature_at_end <= 0 else "approaching", 0, low, high)
    if np.all(np.abs(moves[2:]) <= np.abs(moves[:-2]) * (1 + 1e-12)) and np.all(moves[1:] * moves[:-1] < 0):
        return OrbitEnd("approaching", 0, low, high)
    return OrbitEnd("chaotic band", 0, low, high)


def _places(start: FloatArray) -> FloatArray:
    start = np.atleast_1d(np.asarray(start, dtype=np.float64))
    if start.ndim != 1:
        raise ValueError(f"start has shape {start.shape}; it must be a list of places.")
    return start


def _empty_path(start: FloatArray, steps: int) -> FloatArray:
    start = _places(start)
    if steps < 0:
        raise ValueError(f"steps is {steps}; it must be 0 or more.")
    path = np.empty((start.size, steps + 1))
    path[:, 0] = start
    return path
