"""A network built by hand: a sawtooth of high frequency beside a spline of low frequency, and their sum.

Gamst and Walker (2017), The energy landscape of a simple neural network, section 2. Two nodes of every layer fold the
interval [-1, 1] in half again and again, so that K layers make 2^(K-1) teeth; the others hold one hinge of the spline
each and hand it on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]

SAW_NODES = 2


def spline_knots(number: int) -> FloatArray:
    """Where the spline bends: `number` places from -1 on, equally far apart and from 1."""
    return np.asarray(-1.0 + 2.0 * np.arange(number) / number)


def built_network(layout: Layout, heights: Sequence[float], amplitude: float) -> FloatArray:
    """The hand-built network, [parameter].

    Args:
        layout: at least two layers, and 2 + len(heights) nodes wide.
        heights: of the spline at the end of each of its pieces; it begins with 0 at -1.
        amplitude: half the height of a tooth; the sawtooth goes from 0 to twice this.

    Raises:
        ValueError: the layout does not fit.
    """
    nodes = len(heights)
    if layout.width != SAW_NODES + nodes:
        raise ValueError(
            f"{nodes} heights and {SAW_NODES} nodes of the sawtooth do not make {layout.width} nodes."
        )
    vector = np.zeros(layout.size)
    parts = layout.parts(vector)
    knots = spline_knots(nodes)
    slopes = np.diff(np.append(0.0, np.asarray(heights, dtype=float))) / np.diff(np.append(knots, 1.0))
    weights, biases = parts[0]
    weights[0], biases[:] = 1.0, (1.0, 0.0, *-knots)
    for layer in range(1, layout.layers):
        weights, biases = parts[layer]
        weights[0, :SAW_NODES], weights[1, :SAW_NODES] = 1.0, -2.0
        biases[1] = -(2.0**-layer)
        weights[range(SAW_NODES, layout.width), range(SAW_NODES, layout.width)] = 1.0
    weights, _ = parts[-1]
    scale = 2.0 * amplitude * 2.0 ** (layout.layers - 1)
    weights[:SAW_NODES, 0] = scale, -2.0 * scale
    weights[SAW_NODES:, 0] = np.diff(np.append(0.0, slopes))
    return vector


def spline_network(layout: Layout, heights: Sequence[float]) -> FloatArray:
    """The same without its sawtooth."""
    vector = built_network(layout, heights, 1.0)
    layout.parts(vector)[-1][0][:SAW_NODES] = 0.0
    return vector
