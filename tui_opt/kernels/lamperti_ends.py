"""Where Lamperti's coordinate ends, or is of no use any more, and how long it is up to there.

Going outward from the origin it ends at the first of these places:

- a zero of S², which may be infinitely far, as where S goes linearly through it;
- a pole of a gradient, or a place beyond which a gradient is no finite number;
- a place where the datapoints differ by rounding only;
- where the noise has faded: the way has become `FADED` times as long in y as it would be with the largest S met on
  it, that is, the harmonic mean of S over the way is 1000 times below its largest value. Walkers there need a million
  times as many steps to spread as far;
- an end of what is searched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, TermField, unchecked
from tui_opt.kernels.lamperti import deviation, require_noise
from tui_opt.kernels.lamperti_ways import (
    LINEAR,
    Reason,
    approach,
    noise_along,
    paces,
    poles_of,
    way_nodes,
    zeros_of_noise,
)
from tui_opt.kernels.running_integrals import integrals_between

FADED = 1000.0
"""Stretching of a way, its length times the largest S over its length in W, beyond which it is of no use."""
LENGTH_TOLERANCE = 1e-10
DEPTH = 12
BISECTIONS = 60
STEEPEST = 10.0
"""Largest exponent that is taken for a power; steeper is noise that fades away."""


@dataclass(frozen=True)
class End:
    """An end of the coordinate.

    Attributes:
        w: the place.
        reason: see the module.
        length: length in y from the origin, inf up to a zero that is infinitely far.
        largest: largest S on the way.
    """

    w: float
    reason: Reason
    length: float
    largest: float


@dataclass(frozen=True)
class Valid:
    """The interval around the origin on which the coordinate is of use."""

    low: End
    high: End


def valid_interval(
    gradients: TermField,
    curvatures: TermField,
    origin: float,
    w_min: float,
    w_max: float,
    check: Check = unchecked,
) -> Valid:
    """The widest interval around the origin on which the coordinate exists and is of use.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        origin: a place with S > 0.
        w_min, w_max: ends of the search, w_min <= origin <= w_max.
        check: called now and then.

    Raises: ValueError where S is 0 or not finite at the origin, or the origin lies outside.
    """
    if not w_min <= origin <= w_max:
        raise ValueError(f"The origin {origin:g} lies outside the interval from {w_min:g} to {w_max:g}.")
    require_noise(gradients, origin)
    places: list[tuple[float, Reason]] = [
        (z, "zero") for z in zeros_of_noise(gradients, curvatures, w_min, w_max, check)
    ]
    places += [(pole, "pole") for pole in poles_of(gradients, w_min, w_max)]
    below = max((p for p in places if p[0] < origin), default=(w_min, "end"))
    above = min((p for p in places if p[0] > origin), default=(w_max, "end"))
    return Valid(_side(gradients, origin, *below, check), _side(gradients, origin, *above, check))


def _side(gradients: TermField, origin: float, end: float, kind: Reason, check: Check) -> End:
    """The end on one side, `end` being the farthest place it can have and `kind` what is there."""
    start = require_noise(gradients, origin)
    if end == origin:
        return End(end, "end", 0.0, start)
    nodes, close = way_nodes(origin, end, kind)
    noise, sound = noise_along(gradients, nodes)
    lost = np.flatnonzero(np.logical_not(sound))
    last = int(lost[0]) - 1 if lost.size else nodes.size - 1
    reason = kind
    if lost.size and (kind == "end" or last < close):
        reason = "rounding" if np.isfinite(noise[last + 1]) else "undefined"
    if last < 0:
        return End(origin, reason, 0.0, start)
    return _end_of_way(
        gradients, nodes[: last + 1], noise[: last + 1], (end, reason), nodes[last:], close, check
    )


def _end_of_way(
    gradients: TermField,
    nodes: FloatArray,
    noise: FloatArray,
    limit: tuple[float, Reason],
    beyond: FloatArray,
    close: int,
    check: Check,
) -> End:
    """The end of a way along sound nodes, towards a limit; `beyond` begins at the last of them."""
    end, reason = limit
    origin = float(nodes[0])
    largest = np.maximum.accumulate(noise)
    if reason == "pole":
        # The last rise is the pole's.
        falls = np.flatnonzero(np.diff(noise) < 0)
        begin = int(falls[-1]) + 1 if falls.size else 0
        largest[begin:] = largest[begin]
    exponent, rest = np.nan, 0.0
    if reason in ("zero", "pole"):
        exponent, rest = approach(gradients, nodes, noise, end)
    way = np.abs(nodes - origin)
    # A rough length first: far beyond the end, S is so small that its rounding would be integrated.
    rough = np.append(0.0, np.cumsum(np.diff(way) / noise[1:])) * largest
    tested = nodes.size
    if reason == "zero" and exponent <= STEEPEST and np.all(noise[close + 1 :] <= 1.001 * noise[close:-1]):
        tested = close + 1  # the length grows as it must towards a zero
    far = np.flatnonzero(rough[:tested] > 100 * FADED * way[:tested])
    count = min(int(far[0]) + 2, nodes.size) if far.size else nodes.size
    found = integrals_between(paces(gradients), nodes[:count], LENGTH_TOLERANCE, DEPTH, check)
    length = np.append(0.0, np.abs(np.cumsum(found.values[0])))
    stretched = np.flatnonzero(
        (length * largest[:count] > FADED * way[:count])[: min(count, tested)]
        & (way[: min(count, tested)] > 0)
    )
    if stretched.size:
        k = int(stretched[0])
        place, total = _faded(gradients, origin, nodes[k - 1], nodes[k], length[k - 1], float(largest[k]))
        return End(place, "faded", total, float(largest[k]))
    top = float(largest[-1])
    if reason == "zero" and exponent >= LINEAR:
        return End(end, reason, np.inf, top)
    if reason in ("zero", "pole", "end"):
        return End(end, reason, float(length[-1] + rest), top)
    place = float(beyond[0])
    if reason == "undefined":
        place = _last_defined(gradients, place, float(beyond[1]))
    step = integrals_between(paces(gradients), np.array([beyond[0], place]), LENGTH_TOLERANCE, DEPTH, check)
    return End(place, reason, float(length[-1] + abs(step.values[0, 0])), top)


def _faded(
    gradients: TermField, origin: float, near: float, far: float, before: float, largest: float
) -> tuple[float, float]:
    """The place between two nodes at which the way has become `FADED` times too long, and the length up to it."""
    for _ in range(BISECTIONS):
        middle = near + 0.5 * (far - near)
        if middle in (near, far):
            break
        step = integrals_between(paces(gradients), np.array([near, middle]), LENGTH_TOLERANCE, DEPTH)
        length = before + abs(float(step.values[0, 0]))
        if length * largest > FADED * abs(middle - origin):
            far = middle
        else:
            near, before = middle, length
    return float(near), float(before)


def _last_defined(gradients: TermField, defined: float, undefined: float) -> float:
    """The last place at which all gradients are finite, and S² too."""
    for _ in range(2000):  # towards 0 there are as many halvings as exponents
        middle = defined + 0.5 * (undefined - defined)
        if middle in (defined, undefined):
            break
        if np.isfinite(deviation(gradients, np.array([middle]))[0]):
            defined = middle
        else:
            undefined = middle
    return defined
