"""A network of one hidden layer, and a training run's sums of absolute updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

OUTPUTS: Final = 2
#: activations and outputs by the numbers that compiled code knows them by.
FUNCTIONS: Final = ("linear", "softplus", "relu", "leaky-relu", "sigmoid", "tanh", "silu", "softmax")
FAR: Final = 1e3
"""Size of a parameter that inputs and answers below 1 never call for: networks that learn stay below 30."""
LEAK: Final = 0.1
"""Slope of the leaky ReLU below zero."""


@dataclass
class Network:
    """Parameters of pixels -> hidden units -> 2 outputs, float64.

    Args:
        weights: [pixel, unit], of the hidden layer.
        biases: [unit].
        output_weights: [output, unit].
        output_biases: [output].
    """

    weights: FloatArray
    biases: FloatArray
    output_weights: FloatArray
    output_biases: FloatArray

    def copy(self) -> Network:
        """Another network with the same parameters."""
        return Network(
            self.weights.copy(), self.biases.copy(), self.output_weights.copy(), self.output_biases.copy()
        )

    @property
    def is_sound(self) -> bool:
        """Whether every parameter is a number, and none so large that only steps that overshot lead there."""
        parts = (self.weights, self.biases, self.output_weights, self.output_biases)
        return all(bool((np.abs(part) < FAR).all()) for part in parts)  # a NaN is not below it


def random_network(pixels: int, hidden: int, rng: np.random.Generator) -> Network:
    """He et al. (2015): normal with variance 2 / inputs of the layer.

    He's law is for weights; the source says that its biases follow it too, and these do, with their layer's inputs.
    """
    first, second = np.sqrt(2.0 / pixels), np.sqrt(2.0 / hidden)
    weights = rng.normal(0.0, first, (pixels, hidden))
    biases = rng.normal(0.0, first, hidden)
    output_weights = rng.normal(0.0, second, (OUTPUTS, hidden))
    return Network(weights, biases, output_weights, rng.normal(0.0, second, OUTPUTS))


@dataclass
class Tallies:
    """Sums of absolute updates by class, and of the loss.

    Args:
        weights: [class, pixel, unit].
        biases: [class, unit].
        loss: sum of the loss of each sample before its update.
        samples: how many there were.
    """

    weights: FloatArray
    biases: FloatArray
    loss: float = 0.0
    samples: int = 0

    @classmethod
    def of(cls, network: Network, classes: int) -> Tallies:
        """Nothing counted yet."""
        return cls(np.zeros((classes, *network.weights.shape)), np.zeros((classes, *network.biases.shape)))

    def add(self, more: Tallies) -> None:
        """Count what was counted of later steps, too."""
        self.weights += more.weights
        self.biases += more.biases
        self.loss += more.loss
        self.samples += more.samples
