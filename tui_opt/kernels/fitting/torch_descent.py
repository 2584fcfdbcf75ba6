"""Minibatch descent by torch's own optimizers, as a script would do it, for several repetitions at once.

Repetitions are a leading dim of parameters and samples. An optimizer of torch works on each number by itself, and the
loss is a sum over repetitions of means over a batch, so that none of them sees the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.fitting.minibatch import IntArray, Update, steps_per_epoch
from tui_opt.kernels.fitting.parts import FloatArray
from tui_opt.kernels.fitting.torch_tape import TorchModel

Tensor: TypeAlias = torch.Tensor
Precision: TypeAlias = Literal["float32", "float64"]
TYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class TorchPaths:
    """What a descent did.

    Attributes:
        path: float64[repetitions, steps, parameters], after each update.
        losses: float64[repetitions, steps], of each batch before its update.
        epochs: epochs that are done.
    """

    path: FloatArray
    losses: FloatArray
    epochs: int


def optimizer_of(update: Update, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """The optimizer of torch that makes these updates."""
    if update.rule == "adam":
        return torch.optim.Adam(
            parameters, lr=update.learning_rate, betas=(update.beta1, update.beta2), eps=update.epsilon
        )
    momentum = update.momentum if update.rule == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=update.learning_rate, momentum=momentum)


def descend(
    model: TorchModel,
    columns: NDArray[np.float64],
    y: FloatArray,
    start: FloatArray,
    update: Update,
    batch: int,
    epochs: int,
    order: Callable[[int], IntArray],
    precision: Precision = "float32",
    each_epoch: Callable[[TorchPaths], None] = lambda _: None,
) -> TorchPaths:
    """Descend the mean squared error of minibatches.

    Args:
        model: its variables are the columns and then the parameters.
        columns: [repetitions, columns, samples].
        y: [repetitions, samples].
        start: [parameters], the same in all repetitions.
        update: the rule.
        batch: samples per update; the last batch of an epoch may be smaller.
        epochs: passes through the samples.
        order: epoch -> [repetitions, samples], how the rows are shuffled in it.
        precision: of all numbers.
        each_epoch: told what is known after each epoch; may raise to stop.

    Returns: every update; a path that leaves the numbers goes on as NaN or inf.
    """
    kind = TYPES[precision]
    repetitions, _, samples = columns.shape
    batch = min(batch, samples)
    per_epoch = steps_per_epoch(samples, batch)
    count = start.size
    given = torch.as_tensor(columns, dtype=kind)
    target = torch.as_tensor(y, dtype=kind)
    parameters = [
        torch.full((repetitions, 1), float(value), dtype=kind, requires_grad=True) for value in start
    ]
    optimizer = optimizer_of(update, parameters)
    path = np.full((repetitions, per_epoch * epochs, count), np.nan)
    losses = np.full((repetitions, per_epoch * epochs), np.nan)
    step = 0
    for number in range(epochs):
        rows = torch.as_tensor(order(number))
        shuffled = torch.gather(given, 2, rows[:, None, :].expand(-1, given.shape[1], -1))
        wanted = torch.gather(target, 1, rows)
        for begin in range(0, samples, batch):
            some = slice(begin, min(begin + batch, samples))
            optimizer.zero_grad()
            inputs = [shuffled[:, k, some] for k in range(shuffled.shape[1])]
            each = (model([*inputs, *parameters]) - wanted[:, some]).square().mean(dim=1)
            each.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses[:, step] = each.detach().numpy()
            for k in range(count):
                path[:, step, k] = parameters[k].detach().numpy()[:, 0]
            step += 1
        each_epoch(TorchPaths(path, losses, number + 1))
    return TorchPaths(path, losses, epochs)
