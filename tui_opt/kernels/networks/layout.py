"""How the parameters of a K x N network lie in one vector: input weights, biases, and so on up to the output's bias.

K hidden layers of N ReLU nodes each between one input and one linear output. 5 x 5 has 136 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """A network's shape, and where in the vector of its parameters each layer is.

    Args:
        layers: K, hidden layers.
        width: N, nodes of each.
    """

    layers: int
    width: int

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of every layer, the output layer last."""
        inner = [(self.width, self.width)] * (self.layers - 1)
        return [(1, self.width), *inner, (self.width, 1)]

    @cached_property
    def slices(self) -> list[tuple[slice, slice]]:
        """The places of every layer's weights, [input, output] row by row, and of its biases."""
        found, start = [], 0
        for inputs, outputs in self.sizes:
            middle = start + inputs * outputs
            found.append((slice(start, middle), slice(middle, middle + outputs)))
            start = middle + outputs
        return found

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.slices[-1][1].stop)

    def parts(self, vector: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """Weights [..., input, output] and biases [..., output] of every layer, as views of `vector` [..., size]."""
        head = vector.shape[:-1]
        return [
            (vector[..., weights].reshape(*head, *size), vector[..., biases])
            for (weights, biases), size in zip(self.slices, self.sizes, strict=True)
        ]

    @property
    def flops_per_sample(self) -> int:
        """Multiply-adds, two operations each, of one sample's loss and gradient.

        Forward and weight gradients one each per weight, errors handed back one per weight of all but the first layer,
        and one per bias.
        """
        weights = [inputs * outputs for inputs, outputs in self.sizes]
        biases = self.size - sum(weights)
        return 2 * (2 * sum(weights) + sum(weights[1:]) + biases)
