"""Lengths in Lamperti's coordinate of ways of any length, also beyond where it is of use."""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, TermField, unchecked
from tui_opt.kernels.lamperti import deviation, require_noise
from tui_opt.kernels.lamperti_ways import (
    LINEAR,
    NODES,
    Reason,
    approach,
    noise_along,
    paces,
    poles_of,
    way_nodes,
    zeros_of_noise,
)
from tui_opt.kernels.running_integrals import integrals_between

DEPTH = 12


def lengths(
    gradients: TermField,
    curvatures: TermField,
    origin: float,
    places: FloatArray,
    tolerance: float = 1e-9,
    check: Check = unchecked,
) -> FloatArray:
    """y at places however long the way, [n]: inf beyond a zero of S² that is infinitely far.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        origin: where y is 0, a place with S > 0.
        places: [n].
        tolerance: relative error of each part of the way.
        check: called now and then.

    Returns: NaN where the way leads over a pole, a zero of S² at a finite length, or places where a gradient is not
        finite or the datapoints differ by rounding only.
    Raises: ValueError where S is 0 or not finite at the origin.
    """
    require_noise(gradients, origin)
    places = np.asarray(places, dtype=np.float64)
    y = np.zeros(places.size)
    for sign in (-1, 1):
        beside = np.flatnonzero(sign * (places - origin) > 0)
        if beside.size == 0:
            continue
        farthest = float(places[beside[np.argmax(sign * places[beside])]])
        low, high = min(origin, farthest), max(origin, farthest)
        limits: list[tuple[float, Reason]] = [
            (z, "zero") for z in zeros_of_noise(gradients, curvatures, low, high, check) if z != origin
        ]
        limits += [(pole, "pole") for pole in poles_of(gradients, low, high)]
        limit = min(limits, key=lambda found: abs(found[0] - origin), default=(farthest, "end"))
        y[beside] = _lengths_on_side(gradients, origin, places[beside], limit, tolerance, check)
    return y


def _lengths_on_side(
    gradients: TermField,
    origin: float,
    places: FloatArray,
    limit: tuple[float, Reason],
    tolerance: float,
    check: Check,
) -> FloatArray:
    end, kind = limit
    sign = 1.0 if end > origin else -1.0
    y = np.full(places.size, np.nan)
    before = sign * (end - places) > 0 if kind in ("zero", "pole") else np.ones(places.size, dtype=bool)
    if kind == "zero":
        nodes, _ = way_nodes(origin, end, kind)
        exponent, _ = approach(gradients, nodes, deviation(gradients, nodes), end)
        y[np.logical_not(before)] = sign * np.inf if exponent >= LINEAR else np.nan
    if not before.any():
        return y
    farthest = places[before][np.argmax(np.abs(places[before] - origin))]
    nodes = np.union1d(np.linspace(origin, farthest, NODES + 1), places[before])[:: int(sign)]
    nodes = nodes[np.logical_and.accumulate(noise_along(gradients, nodes)[1])]
    found = integrals_between(paces(gradients), nodes, tolerance, DEPTH, check)
    along = np.append(0.0, np.cumsum(found.values[0]))
    order = np.searchsorted(sign * nodes, sign * places[before])
    reached = (order < nodes.size) & (nodes[np.minimum(order, nodes.size - 1)] == places[before])
    y[before] = np.where(reached, along[np.minimum(order, nodes.size - 1)], np.nan)
    return y
