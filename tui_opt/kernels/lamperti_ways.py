"""What a way along Lamperti's coordinate is made of: its nodes, S along it, and what S does at its end."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tui_opt.kernels.agreement import agreements
from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.lamperti import deviation
from tui_opt.kernels.poles import poles

NODES = 4000
NODES_PER_FOLD = 100
CLOSE, CLOSEST = 0.1, 1e-9
"""Distances from a zero or pole, in units of the way to it, between which the steps become narrower."""
NEAR, NEAREST = 1e-4, 1e-7
"""Distances, in units of the interval, at which S is seen to fall towards a zero."""
NO_POWER = 0.02
"""Exponent up to which S does not fall."""
LINEAR = 0.95
"""Exponent p of S ~ |W - zero|^p from which the length up to the zero is infinite, but for its numerical error."""
ROUNDING = 1e-12
"""S below this fraction of the gradients themselves is rounding."""

Reason = Literal["zero", "pole", "undefined", "rounding", "faded", "end"]
"""Why a coordinate ends, see `tui_opt.kernels.lamperti_ends`."""


def zeros_of_noise(
    gradients: TermField, curvatures: TermField, low: float, high: float, check: Check = unchecked
) -> list[float]:
    """Places towards which S falls to zero like a power of the distance, on one side at least.

    Single places at which the datapoints agree, as where |W| has no derivative, are none.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        low, high: interval.
        check: called now and then.
    """
    places = np.array(agreements(gradients, curvatures, low, high, check))
    if not places.size:
        return []
    exponents = []
    for side in (-1.0, 1.0):
        near, far = (deviation(gradients, places + side * share * (high - low)) for share in (NEAREST, NEAR))
        with np.errstate(all="ignore"):
            exponents.append(np.log(far / near) / np.log(NEAR / NEAREST))
    known = np.isfinite(exponents).any(axis=0) | np.isposinf(exponents).any(axis=0)
    falls = np.logical_not(known) | (np.nan_to_num(np.array(exponents), nan=0.0, posinf=1.0) > NO_POWER).any(
        axis=0
    )
    return [float(place) for place in places[falls]]


def poles_of(gradients: TermField, w_min: float, w_max: float) -> list[float]:
    """Where a gradient grows without bound, in increasing order."""
    return poles(lambda w: sizes(gradients, w), w_min, w_max)


def sound_deviation(gradients: TermField, w: FloatArray) -> FloatArray:
    """S(w), [n], NaN where it is not finite, zero, or no more than the rounding of the gradients."""
    noise = deviation(gradients, w)
    return np.where(is_sound(noise, sizes(gradients, w)), noise, np.nan)


def way_nodes(origin: float, end: float, kind: Reason) -> tuple[FloatArray, int]:
    """Nodes from the origin towards an end; near a zero or pole, which is not among them, with narrower steps.

    Returns: the nodes, and the number of the one where those steps begin (the last one where there are none).
    """
    if kind not in ("zero", "pole"):
        nodes = origin + (end - origin) * np.linspace(0.0, 1.0, NODES + 1)
        nodes[-1] = end
        return nodes, NODES
    # Still nearer, differences of doubles would not say how far away a place is.
    closest = min(max(CLOSEST, 2e-6 * abs(end) / abs(end - origin)), 1.0)
    begin = max(CLOSE, closest)
    even = np.linspace(1.0, begin, int(NODES * (1.0 - begin)) + 1)
    towards = np.geomspace(begin, closest, int(NODES_PER_FOLD * np.log(begin / closest)) + 2)[1:]
    nodes = end + (origin - end) * np.append(even, towards[towards < begin])
    nodes[0] = origin
    return nodes, even.size - 1


def approach(gradients: TermField, nodes: FloatArray, noise: FloatArray, end: float) -> tuple[float, float]:
    """Exponent p of S ~ |W - end|^p near a zero or pole, and the length in y from the last node to the end."""
    distance = np.abs(nodes - end)
    sound = np.flatnonzero(is_sound(noise, sizes(gradients, nodes)))
    if sound.size < 2:
        return np.inf, np.inf
    near = int(sound[-1])
    far = min(int(np.searchsorted(-distance, -100 * distance[near])), near - 1)
    with np.errstate(all="ignore"):
        exponent = float(np.log(noise[far] / noise[near]) / np.log(distance[far] / distance[near]))
        rest = float(distance[near] / (noise[near] * (1 - exponent))) if exponent < LINEAR else np.inf
    return exponent, rest


def noise_along(gradients: TermField, nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """S at nodes, [n], and where it is sound, bool[n]; at single nodes where it is not, the least of its neighbours."""
    noise = deviation(gradients, nodes)
    sound = is_sound(noise, sizes(gradients, nodes))
    alone = np.flatnonzero(sound[:-2] & np.logical_not(sound[1:-1]) & sound[2:]) + 1
    noise[alone] = np.minimum(noise[alone - 1], noise[alone + 1])
    sound[alone] = True
    return noise, sound


def is_sound(noise: FloatArray, sizes: FloatArray) -> FloatArray:
    """Where S is a positive number and no rounding of the gradients, bool[n]."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(noise) & (noise > ROUNDING * sizes) & (noise > 0))


def sizes(gradients: TermField, w: FloatArray) -> FloatArray:
    """max over j of |g_j|, [n]."""
    return np.asarray(np.abs(evaluate_terms(gradients, w)).max(axis=0))


def paces(gradients: TermField) -> TermField:
    """1/S as the only row, w[n] -> [1, n]."""

    def pace(w: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            return 1.0 / deviation(gradients, w)[None, :]

    return pace
