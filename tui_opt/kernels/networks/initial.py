"""Random networks before training: the usual laws of their weights."""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]
Init: TypeAlias = Literal[
    "glorot-uniform", "glorot-normal", "he-uniform", "he-normal", "lecun-uniform", "lecun-normal", "torch"
]

FANS: Final = {"glorot": "mean", "he": "half", "lecun": "in"}
"""What the variance of a weight is one over: the mean of inputs and outputs, half the inputs, the inputs."""


def random_networks(layout: Layout, init: Init, number: int, rng: np.random.Generator) -> FloatArray:
    """Networks with random weights, [network, parameter].

    Args:
        layout: their shape.
        init: Glorot and Bengio (2010), He et al. (2015), LeCun et al. (1998), with zero biases; `torch` draws weights
            and biases uniformly within one over the root of the inputs, as its linear layers do.
        number: how many.
        rng: where they are drawn from, one network after the other.
    """
    drawn = np.zeros((number, layout.size))
    uniform = rng.uniform(-1.0, 1.0, drawn.shape) if not init.endswith("normal") else None
    normal = rng.standard_normal(drawn.shape) if uniform is None else None
    for (weights, biases), (inputs, outputs) in zip(layout.slices, layout.sizes, strict=True):
        if init == "torch":
            assert uniform is not None
            bound = 1.0 / math.sqrt(inputs)
            drawn[:, weights], drawn[:, biases] = bound * uniform[:, weights], bound * uniform[:, biases]
            continue
        fan = {"mean": (inputs + outputs) / 2.0, "half": inputs / 2.0, "in": float(inputs)}
        variance = 1.0 / fan[FANS[init.split("-")[0]]]
        if uniform is not None:
            drawn[:, weights] = math.sqrt(3.0 * variance) * uniform[:, weights]
        else:
            assert normal is not None
            drawn[:, weights] = math.sqrt(variance) * normal[:, weights]
    return drawn
