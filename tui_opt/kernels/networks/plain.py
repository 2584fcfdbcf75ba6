"""Outputs, loss and gradient of many networks as one writes them down: the form that everything fast is held to."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]

MOST_ACTIVATIONS: Final = 2_000_000
MOST_SAMPLES: Final = 4096
"""Answered at a time: the activations of a narrow layer stay in the cache, which is several times as fast."""


def outputs(layout: Layout, networks: FloatArray, x: FloatArray, check: Check = unchecked) -> FloatArray:
    """What networks answer, [..., sample].

    Args:
        layout: their shape.
        networks: [..., parameter].
        x: [sample].
        check: called before each block of networks and samples.
    """
    flat = networks.reshape(-1, layout.size)
    found = np.empty((len(flat), x.size))
    for block in _blocks(layout, len(flat), min(x.size, MOST_SAMPLES)):
        for k in range(0, x.size, MOST_SAMPLES):
            check()
            found[block, k : k + MOST_SAMPLES] = _answers(layout, flat[block], x[k : k + MOST_SAMPLES])
    return found.reshape(*networks.shape[:-1], x.size)


def activations(layout: Layout, networks: FloatArray, x: FloatArray) -> list[FloatArray]:
    """Activations of every hidden layer, [..., sample, node]."""
    return _forward(layout, networks, x)[1:-1]


def loss(
    layout: Layout, networks: FloatArray, x: FloatArray, y: FloatArray, check: Check = unchecked
) -> FloatArray:
    """Mean squared error over the samples, [...]; `check` is called as by `outputs`."""
    flat = networks.reshape(-1, layout.size)
    found = np.empty(len(flat))
    for block in _blocks(layout, len(flat), x.size):
        found[block] = np.square(outputs(layout, flat[block], x, check) - y).mean(axis=-1)
    return found.reshape(networks.shape[:-1])


def _blocks(layout: Layout, networks: int, samples: int) -> list[slice]:
    """Networks whose activations are held at the same time: some ten megabytes, whatever their number."""
    at_once = max(1, MOST_ACTIVATIONS // (samples * layout.width * (layout.layers + 2)))
    return [slice(k, k + at_once) for k in range(0, networks, at_once)]


def loss_and_gradient(
    layout: Layout, networks: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean squared error [...] and its gradient [..., parameter]; the slope of a ReLU at 0 is 0."""
    values = _forward(layout, networks, x)
    parts = layout.parts(networks)
    gradient = np.empty_like(networks)
    away = values[-1] - y[:, None]
    error = 2.0 * away / x.size
    for layer in range(layout.layers, -1, -1):
        before = values[layer]
        weights, biases = layout.slices[layer]
        head = networks.shape[:-1]
        gradient[..., weights] = (np.swapaxes(before, -1, -2) @ error).reshape(*head, -1)
        gradient[..., biases] = error.sum(axis=-2)
        if layer:
            error = (error @ np.swapaxes(parts[layer][0], -1, -2)) * (before > 0)
    return np.asarray(np.square(away[..., 0]).mean(axis=-1)), gradient


def _answers(layout: Layout, networks: FloatArray, x: FloatArray) -> FloatArray:
    """The last of what `_forward` gives, [..., sample]; no layer but the one before is kept."""
    values = np.broadcast_to(x[:, None], (*networks.shape[:-1], x.size, 1))
    for number, (weights, biases) in enumerate(layout.parts(networks)):
        values = values @ weights
        values += biases[..., None, :]
        if number < layout.layers:
            np.maximum(values, 0.0, out=values)
    return values[..., 0]


def _forward(layout: Layout, networks: FloatArray, x: FloatArray) -> list[FloatArray]:
    """Input, activations of every hidden layer, output: [..., sample, node]."""
    values = [np.broadcast_to(x[:, None], (*networks.shape[:-1], x.size, 1))]
    for number, (weights, biases) in enumerate(layout.parts(networks)):
        z = values[-1] @ weights + biases[..., None, :]
        values.append(z if number == layout.layers else np.maximum(z, 0.0))
    return values
