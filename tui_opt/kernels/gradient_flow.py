"""The exact flow dW/dt = -g_j(W) of every datapoint, at many places at once.

Gragg's modified midpoint rule, extrapolated to the step size 0 (Bulirsch and Stoer): every place has its own step
size, and leaves the extrapolation at the first column that changes nothing, so that easy places cost 6
evaluations and no place waits for another. Between two signs of g that point at each other the flow is caught;
a place caught within a few rounding errors is at rest, however stiff the gradient is there, and also where it is
not continuous.

Reference: Hairer, Norsett & Wanner (1993), Solving Ordinary Differential Equations I, II.9, equations (9.10),
    (9.13).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked

TOLERANCE = 3e-14
"""Error of one step, in units of the largest |W| on the way."""
CAUGHT = 4 * TOLERANCE
"""Half-width, in the same units, of an interval that the flow enters from both sides and that counts as a place."""
SEQUENCE = (2, 4, 6, 8, 10, 12, 14, 16)
"""Midpoint steps per extrapolation column."""
MAX_TRIALS = 20_000
FAR = 1e6
"""Beyond so many times max(1, |start|), a growth rate of more than 1000 over the remaining time is an overflow."""
SLACK = 10.0
"""How much more, in units of the tolerance, two columns may differ that are settled each."""
_SHRINK, _GROW = 0.25, 2.0
_EASY_COLUMN, _HARD_COLUMN = 4, 6

Slope = Callable[[NDArray[np.int64], FloatArray], FloatArray]
"""(lanes[m], w[m]) -> dW/dt[m]."""


def flow(gradients: TermField, w: FloatArray, time: float, check: Check = unchecked) -> FloatArray:
    """Follow dW/dt = -g_j(W) for a time, from every place and for every datapoint.

    Args:
        gradients: g_j, w[n] -> [j, n].
        w: [n], starting places.
        time: positive.
        check: called after every trial step of all places.

    Returns: [j, n]: the places reached, to about 1e-12 of the largest |W| on the way; +-inf where the solution
        leaves every bound before `time`, NaN where the gradient is undefined on the way.
    """
    w = np.asarray(w, dtype=np.float64)
    terms = evaluate_terms(gradients, w[:1]).shape[0] if w.size else 1
    datapoint = np.repeat(np.arange(terms), w.size)

    def slope(lanes: NDArray[np.int64], places: FloatArray) -> FloatArray:
        values = evaluate_terms(gradients, places)
        return np.asarray(-values[datapoint[lanes], np.arange(places.size)])

    return _integrate(slope, np.tile(w, terms), time, check).reshape(terms, w.size)


def _integrate(slope: Slope, start: FloatArray, time: float, check: Check) -> FloatArray:
    places = start.copy()
    scale = np.abs(start)
    left = np.full(start.size, float(time))
    trial = left.copy()
    lanes = np.arange(start.size)
    lost = ~np.isfinite(start)
    lanes = lanes[~lost]
    for _ in range(MAX_TRIALS):
        if not lanes.size:
            return places
        check()
        with np.errstate(all="ignore"):
            lanes = _trial(slope, lanes, start, places, scale, left, trial)
    places[lanes] = np.nan
    return places


def _trial(
    slope: Slope,
    lanes: NDArray[np.int64],
    start: FloatArray,
    places: FloatArray,
    scale: FloatArray,
    left: FloatArray,
    trial: FloatArray,
) -> NDArray[np.int64]:
    """One trial step of the lanes under way, in place; returns those that are still under way."""
    w = places[lanes]
    rate = slope(lanes, w)
    unit = np.maximum(scale[lanes], np.abs(w))
    undefined = ~np.isfinite(rate)
    places[lanes[undefined]] = np.nan
    far = (np.abs(w) > FAR * np.maximum(1.0, np.abs(start[lanes]))) & (w * rate > 0)
    overflowing = far & (left[lanes] * np.abs(rate) > 1000.0 * np.abs(w))
    places[lanes[overflowing]] = np.sign(w[overflowing]) * np.inf
    reach = CAUGHT * unit
    caught = (slope(lanes, w - reach) >= 0.0) & (slope(lanes, w + reach) <= 0.0)
    going = ~(undefined | overflowing | caught)
    lanes, w, rate, unit = lanes[going], w[going], rate[going], unit[going]
    if not lanes.size:
        return lanes
    step = np.minimum(trial[lanes], left[lanes])
    moved, column = _extrapolated(slope, lanes, w, rate, step, unit)
    # A step that cannot move farther than the tolerance is right whatever the gradient does on the way.
    short = (column == 0) & (np.abs(step * rate) <= TOLERANCE * unit)
    moved = np.where(short, step * rate, moved)
    good = (column > 0) | short
    accepted = lanes[good]
    places[accepted] = w[good] + moved[good]
    scale[accepted] = np.maximum(unit[good], np.abs(places[accepted]))
    left[accepted] -= step[good]
    factor = np.where(~good, _SHRINK, np.where(column <= _EASY_COLUMN, _GROW, 1.0))
    factor = np.where(column > _HARD_COLUMN, 0.5, factor)
    trial[lanes] = step * np.where(short, _GROW, factor)
    return lanes[left[lanes] > 0.0]


def _extrapolated(
    slope: Slope,
    lanes: NDArray[np.int64],
    w: FloatArray,
    rate: FloatArray,
    step: FloatArray,
    unit: FloatArray,
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Movement over `step`, and the column of the extrapolation that settled it; 0 where none did."""
    moved = np.zeros(w.size)
    column = np.zeros(w.size, dtype=np.int64)
    waiting = np.arange(w.size)
    row: list[FloatArray] = []
    for k, n in enumerate(SEQUENCE):
        first, onward = _midpoint(slope, lanes[waiting], w[waiting], rate[waiting], step[waiting], n)
        new = [first]
        for m in range(1, k + 1):
            ratio = (n / SEQUENCE[k - m]) ** 2
            new.append(new[-1] + (new[-1] - row[m - 1]) / (ratio - 1.0))
        if k:
            settled = np.abs(new[-1] - new[-2]) <= TOLERANCE * unit[waiting]
            settled &= onward & (np.abs(new[-1] - row[-1]) <= SLACK * TOLERANCE * unit[waiting])
            moved[waiting[settled]] = new[-1][settled]
            column[waiting[settled]] = k + 1
            keep = ~settled & np.isfinite(first)
            waiting = waiting[keep]
            if not waiting.size:
                break
            new = [part[keep] for part in new]
        row = new
    return moved, column


def _midpoint(
    slope: Slope, lanes: NDArray[np.int64], w: FloatArray, rate: FloatArray, step: FloatArray, n: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Movement over `step` by n steps of the modified midpoint rule, whose error is even in the step size.

    Also whether no gradient on the way had the other sign: an orbit never passes a place where its gradient is
    zero, so one that turns around is none.
    """
    h = step / n
    before, now = np.zeros(w.size), h * rate
    onward = np.ones(w.size, dtype=np.bool_)
    for _ in range(n - 1):
        there = slope(lanes, w + now)
        onward &= there * rate >= 0.0
        before, now = now, before + 2.0 * h * there
    there = slope(lanes, w + now)
    onward &= there * rate >= 0.0
    # Gragg's smoothing step: it damps the two interleaved solutions.
    return 0.5 * (before + now + h * there), onward
