"""Fully connected networks that fit a function, many of equal shape at once: one leading dim of every tensor.

Weights begin as torch.nn.Linear's do, uniform within 1/sqrt(fan_in); Adam works on each number by itself and the loss
is a sum over networks of means over a batch, so that none of them sees the others. float32.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.fitting.minibatch import steps_per_epoch

Tensor: TypeAlias = torch.Tensor
Float32: TypeAlias = NDArray[np.float32]
Activation: TypeAlias = Literal["tanh", "relu", "sin"]
_ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sin": torch.sin,
}
_EVALUATED: Final = 4_000_000
"""Activations per slice of an evaluation."""


def shapes_of(inputs: int, width: int, layers: int) -> list[tuple[int, int]]:
    """(fan in, fan out) of each layer: `layers` hidden ones of `width` units, and one output."""
    sizes = [inputs, *([width] * layers), 1]
    return list(itertools.pairwise(sizes))


def parameters_of(inputs: int, width: int, layers: int) -> int:
    """How many weights and biases a network has."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in shapes_of(inputs, width, layers))


def bytes_of(inputs: int, width: int, layers: int, batch: int) -> int:
    """Memory of one network in training: weights, gradients, two moments, and activations of a batch."""
    return 16 * parameters_of(inputs, width, layers) + 16 * batch * (width * layers + inputs + 1)


@dataclass
class Networks:
    """Networks of equal shape.

    Attributes:
        weights: of each layer [networks, fan in, fan out].
        biases: of each layer [networks, 1, fan out].
        activation: of the hidden layers.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    activation: Activation

    @classmethod
    def drawn(
        cls,
        generators: Sequence[np.random.Generator],
        inputs: int,
        width: int,
        layers: int,
        activation: Activation,
        device: str = "cpu",
    ) -> Networks:
        """One network from each generator."""
        shapes = shapes_of(inputs, width, layers)
        weights: list[list[Float32]] = [[] for _ in shapes]
        biases: list[list[Float32]] = [[] for _ in shapes]
        for generator in generators:
            for k, (fan_in, fan_out) in enumerate(shapes):
                bound = 1.0 / np.sqrt(fan_in)
                weights[k].append(generator.uniform(-bound, bound, (fan_in, fan_out)).astype(np.float32))
                biases[k].append(generator.uniform(-bound, bound, (1, fan_out)).astype(np.float32))

        def tensors(parts: list[list[Float32]]) -> list[Tensor]:
            return [torch.tensor(np.array(p), device=device, requires_grad=True) for p in parts]

        return cls(tensors(weights), tensors(biases), activation)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [networks, n] at x[networks, n, inputs]."""
        act = _ACTIVATIONS[self.activation]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = act(torch.baddbmm(bias, x, weight))
        return torch.baddbmm(self.biases[-1], x, self.weights[-1])[:, :, 0]

    @property
    def count(self) -> int:
        """How many."""
        return int(self.weights[0].shape[0])

    def outputs(self, x: Float32, check: Callable[[], None] = lambda: None) -> Float32:
        """Outputs [networks, n] at the same places x[n, inputs] for all."""
        width = max(int(weight.shape[2]) for weight in self.weights)
        some = max(1, _EVALUATED // (width * self.count))
        found = np.empty((self.count, len(x)), dtype=np.float32)
        with torch.no_grad():
            for begin in range(0, len(x), some):
                check()
                part = torch.tensor(x[begin : begin + some], device=self.weights[0].device)
                found[:, begin : begin + some] = self(part.expand(self.count, -1, -1)).cpu().numpy()
        return found


def train(
    networks: Networks,
    x: Float32,
    y: Float32,
    learning_rate: float,
    batch: int,
    epochs: int,
    order: Callable[[int], NDArray[np.int64]],
    check: Callable[[], None] = lambda: None,
    each_epoch: Callable[[int, Float32], None] = lambda _e, _l: None,
) -> Float32:
    """Minimise the mean squared error of minibatches by Adam; the learning rate falls to 0 along a half cosine.

    Args:
        networks: changed in place.
        x: [n, inputs], the same for all.
        y: [n].
        learning_rate: at the beginning.
        batch: samples per update.
        epochs: passes through the samples.
        order: epoch -> [networks, n], how each network's rows are shuffled in it.
        check: called at every update.
        each_epoch: told the number of epochs done and the mean batch losses of the last, [networks].

    Returns: [epochs, networks], mean loss of each epoch's batches; NaN once a network has left the numbers.
    """
    device = networks.weights[0].device
    optimizer = torch.optim.Adam([*networks.weights, *networks.biases], lr=learning_rate)
    batch = min(batch, len(y))
    total = epochs * steps_per_epoch(len(y), batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total)
    given, wanted = torch.tensor(x, device=device), torch.tensor(y, device=device)
    history = np.full((epochs, networks.count), np.nan, dtype=np.float32)
    for epoch in range(epochs):
        rows = torch.as_tensor(order(epoch), device=device)
        sums = torch.zeros(networks.count, device=device)
        for begin in range(0, len(y), batch):
            check()
            some = rows[:, begin : begin + batch]
            optimizer.zero_grad()
            losses = (networks(given[some]) - wanted[some]).square().mean(dim=1)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            sums += losses.detach() * some.shape[1]
        history[epoch] = (sums / len(y)).cpu().numpy()
        each_epoch(epoch + 1, history[epoch])
    return history
