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


def built_network(
    layout: Layout, heights: Sequence[float], amplitude: float, teeth: int | None = None
) -> FloatArray:
    """The hand-built network, [parameter].

    Args:
        layout: at least 2 + len(heights) nodes wide; further nodes have no weights.
        heights: of the spline at the end of each of its pieces; it begins with 0 at -1.
        amplitude: half the height of a tooth; the sawtooth goes from 0 to twice this.
        teeth: a power of two up to 2^(layers - 1), which it is if left out; layers that do not fold hand it on.

    Raises:
        ValueError: the layout does not fit, or this number of teeth cannot be made.
    """
    needed = SAW_NODES + len(heights)
    if layout.width < needed:
        raise ValueError(
            f"{len(heights)} heights and {SAW_NODES} nodes of the sawtooth need {needed} nodes in a layer; there are "
            f"{layout.width}."
        )
    folds = layout.layers if teeth is None else teeth.bit_length()
    if teeth is not None and (teeth < 1 or teeth & (teeth - 1) or folds > layout.layers):
        raise ValueError(
            f"{layout.layers} layers make 1, 2, 4, … or {2 ** (layout.layers - 1)} teeth, not {teeth}."
        )
    vector = np.zeros(layout.size)
    parts = layout.parts(vector)
    knots = spline_knots(len(heights))
    slopes = np.diff(np.append(0.0, np.asarray(heights, dtype=float))) / np.diff(np.append(knots, 1.0))
    weights, biases = parts[0]
    weights[0, :needed], biases[:needed] = 1.0, (1.0, 0.0, *-knots)
    spline = range(SAW_NODES, needed)
    for layer in range(1, layout.layers):
        weights, biases = parts[layer]
        weights[0, 0] = 1.0
        if layer <= folds:
            weights[1, 0] = -2.0  # after the last fold the tooth is one node's, and handed on
        if layer < folds:
            weights[:SAW_NODES, 1] = 1.0, -2.0
            biases[1] = -(2.0**-layer)
        weights[spline, spline] = 1.0
    weights, _ = parts[-1]
    scale = 2.0 * amplitude * 2.0 ** (folds - 1)
    weights[:SAW_NODES, 0] = scale, -2.0 * scale if folds == layout.layers else 0.0
    weights[SAW_NODES:needed, 0] = np.diff(np.append(0.0, slopes))
    return vector


def only_spline(layout: Layout, network: FloatArray) -> FloatArray:
    """A built network without its sawtooth."""
    vector = network.copy()
    layout.parts(vector)[-1][0][:SAW_NODES] = 0.0
    return vector
