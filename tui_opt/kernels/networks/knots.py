"""The knots of a ReLU network: its output is a straight line between them, exactly."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import outputs

FloatArray: TypeAlias = NDArray[np.float64]

SAME_PLACE = 1e-12
"""Crossings nearer than this, times the interval, are one."""
BEND = 1e-9
"""Changes of slope below this part of the largest slope are rounding."""


def breaks(
    layout: Layout, network: FloatArray, low: float = -1.0, high: float = 1.0, check: Check = unchecked
) -> FloatArray:
    """Every place in the interval where some node switches, with both ends, ascending.

    Between neighbours every node is a straight line in x, so its zeros are found exactly, layer by layer.

    Args:
        layout: the network's shape.
        network: [parameter].
        low: left end.
        high: right end.
        check: called before each layer, whose nodes may cross millions of times.
    """
    places = np.array([low, high])
    values = places[:, None]
    near = SAME_PLACE * (high - low)
    for number, (weights, biases) in enumerate(layout.parts(network)):
        check()
        z = values @ weights + biases
        if number == layout.layers:
            break
        left, right = z[:-1], z[1:]
        pieces, nodes = np.nonzero(left * right < 0)
        a, b = left[pieces, nodes], right[pieces, nodes]
        width = np.diff(places)[pieces]
        new = places[pieces] + width * (a / (a - b))
        everything = np.concatenate([places, new])
        order = np.argsort(everything, kind="stable")
        everything = everything[order]
        keep = np.append(True, np.diff(everything) > near)
        keep[-1] = True  # the right end stays, whatever crosses just before it
        if keep.size > 1 and everything[-1] - everything[keep][-2] <= near:
            keep[np.flatnonzero(keep)[-2]] = everything.size == 2
        share = np.interp(everything[keep], places, np.arange(places.size, dtype=float))
        piece = np.minimum(share.astype(int), places.size - 2)
        t = ((everything[keep] - places[piece]) / np.diff(places)[piece])[:, None]
        z = (1.0 - t) * z[piece] + t * z[piece + 1]
        # At a crossing the node is zero, not the rounding of an interpolation.
        values = np.maximum(np.where(np.abs(z) < 1e-15 * np.abs(z).max(initial=0.0), 0.0, z), 0.0)
        places = everything[keep]
    return places


def knots(
    layout: Layout, network: FloatArray, low: float = -1.0, high: float = 1.0, check: Check = unchecked
) -> FloatArray:
    """Where the output bends, with both ends of the interval, ascending; switches that cancel are no knots.

    Args:
        layout: the network's shape.
        network: [parameter].
        low: left end.
        high: right end.
        check: called on the way, every tenth of a second at the least.
    """
    places = breaks(layout, network, low, high, check)
    slopes = np.diff(outputs(layout, network, places, check)) / np.diff(places)
    bends = np.abs(np.diff(slopes)) > BEND * np.abs(slopes).max(initial=0.0)
    return np.asarray(places[np.concatenate([[True], bends, [True]])])


def training_set(places: FloatArray, between: int) -> FloatArray:
    """All knots, and `between` points spread evenly between neighbours, ascending."""
    steps = np.arange(between + 1) / (between + 1)
    inner = places[:-1, None] + np.diff(places)[:, None] * steps
    return np.append(inner.ravel(), places[-1])
