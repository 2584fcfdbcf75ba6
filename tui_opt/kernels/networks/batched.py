"""Training networks by batched matrix products in PyTorch: any width, on a processor or a GPU.

Ten to forty times slower than lanes on a processor, since the matrices are small; for layers too wide for those.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.lanes import Crowd, Report, Rule, unreported
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.pieces import networks_apart

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]

ROOM_ON_A_PROCESSOR = 256_000_000
SHARE_OF_FREE_MEMORY = 0.6


def room(device: str) -> int:
    """Bytes that training may take on one of torch's devices."""
    if device == "cpu":
        return ROOM_ON_A_PROCESSOR
    return int(SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0])


def bytes_of_network(layout: Layout, samples: int) -> int:
    """What a network takes: its activations in every layer, errors and masks, and its weights, state and gradient."""
    return 4 * (samples * (layout.width * (layout.layers + 4) + 4) + 8 * layout.size)


class BatchedTrainer:
    """Trains networks of one layout on one set of samples, as `lanes.Trainer` does.

    Args:
        layout: their shape.
        x: [sample].
        y: [sample].
        device: one of torch's.
        dtype: precision; single unless something is to be compared.
    """

    def __init__(
        self, layout: Layout, x: FloatArray, y: FloatArray, device: str = "cpu", dtype: Any = torch.float32
    ) -> None:
        self.layout = layout
        self._x = torch.as_tensor(x[:, None], dtype=dtype, device=device)
        self._y = torch.as_tensor(y[:, None], dtype=dtype, device=device)

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = unchecked, part: slice = slice(None),
        report: Report = unreported,
    ) -> SingleArray:  # fmt: skip
        """Take steps with some of the networks; as `lanes.Trainer.train`.

        Raises:
            MemoryError: they do not fit the device; none was changed.
        """
        try:
            return self._trained(crowd, rule, steps, check, part, report)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None

    def _trained(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check, part: slice, report: Report
    ) -> SingleArray:
        w = torch.tensor(crowd.networks[part], dtype=self._x.dtype, device=self._x.device)
        state = torch.tensor(crowd.state[:, part], dtype=self._x.dtype, device=self._x.device)
        number = len(w)
        if number == 1 and networks_apart(self.layout, len(self._x)) > 1:
            # A product with a single matrix is rounded otherwise than the same one among others: two of it are not.
            w, state = w.repeat(2, 1), state.repeat(1, 2, 1)
        losses = torch.zeros(len(w), dtype=self._x.dtype, device=self._x.device)
        with torch.no_grad():
            for t in range(steps):
                check()  # in every step: of wide networks one takes a tenth of a second
                losses, gradient = self.loss_and_gradient(w)
                _step(w, state, gradient, rule, crowd.steps + t + 1)
                report(number)
        crowd.networks[part] = w[:number].cpu().numpy()
        crowd.state[:, part] = state[:, :number].cpu().numpy()
        return np.asarray(losses[:number].cpu().numpy(), dtype=np.float32)

    def loss_and_gradient(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss [network] and gradient [network, parameter] of networks on the device."""
        samples = self._x.shape[0]
        values = [self._x.expand(len(w), samples, 1)]
        parts = [
            (w[:, weights].reshape(len(w), *size), w[:, None, biases])
            for (weights, biases), size in zip(self.layout.slices, self.layout.sizes, strict=True)
        ]
        for number, (weights, biases) in enumerate(parts):
            z = torch.baddbmm(biases, values[-1], weights)
            values.append(z if number == self.layout.layers else z.relu_())
        away = values[-1] - self._y
        error = away * (2.0 / samples)
        gradient = torch.empty_like(w)
        for layer in range(self.layout.layers, -1, -1):
            where = self.layout.slices[layer]
            gradient[:, where[0]] = torch.bmm(values[layer].transpose(1, 2), error).reshape(len(w), -1)
            gradient[:, where[1]] = error.sum(dim=1)
            if layer:
                error = torch.bmm(error, parts[layer][0].transpose(1, 2)) * (values[layer] > 0)
        return away[..., 0].square().mean(dim=1), gradient


def _step(w: torch.Tensor, state: torch.Tensor, g: torch.Tensor, rule: Rule, number: int) -> None:
    """One step of an optimizer, in place; steps are numbered from 1."""
    if rule.optimizer == "gd":
        w.sub_(g, alpha=rule.rate)
    elif rule.optimizer == "momentum":
        state[0].mul_(rule.momentum).sub_(g, alpha=rule.rate)
        w.add_(state[0])
    elif rule.optimizer == "adadelta":
        state[0].mul_(rule.rho).addcmul_(g, g, value=1.0 - rule.rho)
        move = g * ((state[1] + rule.epsilon) / (state[0] + rule.epsilon)).sqrt_()
        w.sub_(move, alpha=rule.rate)
        state[1].mul_(rule.rho).addcmul_(move, move, value=1.0 - rule.rho)
    else:
        state[0].lerp_(g, 1.0 - rule.beta1)
        state[1].mul_(rule.beta2).addcmul_(g, g, value=1.0 - rule.beta2)
        root = (state[1] / (1.0 - rule.beta2**number)).sqrt_().add_(rule.epsilon)
        w.sub_(state[0] / root, alpha=rule.rate / (1.0 - math.pow(rule.beta1, number)))
