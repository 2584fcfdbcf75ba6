"""Training controllers: back-propagation through time over the closed loop, with Adam, all seeds at once, in torch.

The seeds do not act on each other: the loss is a sum over seeds, Adam works on each number by itself, and gradients
are clipped seed by seed.

Reference: Werbos (1990), back-propagation through time; Kingma and Ba (2015), Algorithm 1.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.controllers import Controllers
from tui_opt.kernels.plants import Plant

FloatArray: TypeAlias = NDArray[np.float64]

_FIRST: Final = 0.9
_SECOND: Final = 0.999
_EPSILON: Final = 1e-8
NAMES: Final = ("w1", "b1", "w2", "b2")


class Trainer:
    """Controllers being trained, float64 on the CPU.

    Attributes:
        done: how many updates were made.
    """

    def __init__(
        self,
        plant: Plant,
        controllers: Controllers,
        states: FloatArray,
        steps: int,
        rate: float,
        clip: float = 1.0,
    ) -> None:
        """Begin.

        Args:
            plant: what is regulated.
            controllers: the networks at the start.
            states: [axis, seed, state], from which every update follows the loop.
            steps: for how many steps.
            rate: Adam's step size.
            clip: the largest norm of a seed's gradient.
        """
        self._plant, self._steps, self._rate, self._clip = plant, steps, rate, clip
        self._values = [torch.from_numpy(getattr(controllers, name).copy()) for name in NAMES]
        self._means = [torch.zeros_like(value) for value in self._values]
        self._squares = [torch.zeros_like(value) for value in self._values]
        self._states = torch.from_numpy(np.ascontiguousarray(states))
        self.done = 0

    def controllers(self) -> Controllers:
        """The networks as they are now."""
        return Controllers(*(value.numpy().copy() for value in self._values))

    def gradients(self) -> tuple[FloatArray, list[torch.Tensor]]:
        """The loss [seed], and its gradients, unclipped."""
        leaves = [value.detach().requires_grad_() for value in self._values]
        loss = self._loss(*leaves)
        slopes = torch.autograd.grad(loss.sum(), leaves)
        return loss.detach().numpy().copy(), list(slopes)

    def update(self) -> FloatArray:
        """One update of every seed; the loss before it, [seed]."""
        loss, slopes = self.gradients()
        self.done += 1
        squares = sum(slope.flatten(1).square().sum(1) for slope in (s.unsqueeze(-1) for s in slopes))
        norms = torch.as_tensor(squares).sqrt()
        shrink = torch.clamp(self._clip / norms.clamp(min=1e-300), max=1.0)
        shrink = torch.where(torch.isfinite(norms), shrink, torch.zeros_like(shrink))
        for value, mean, square, slope in zip(self._values, self._means, self._squares, slopes, strict=True):
            scaled = torch.nan_to_num(slope) * shrink.reshape(-1, *([1] * (slope.ndim - 1)))
            mean.mul_(_FIRST).add_(scaled, alpha=1 - _FIRST)
            square.mul_(_SECOND).addcmul_(scaled, scaled, value=1 - _SECOND)
            root = (square / (1 - _SECOND**self.done)).sqrt_().add_(_EPSILON)
            value.addcdiv_(mean, root, value=-self._rate / (1 - _FIRST**self.done))
        return loss

    def state(self) -> FloatArray:
        """All numbers of the training in one array, for a checkpoint."""
        parts = [*self._values, *self._means, *self._squares]
        return np.concatenate([[float(self.done)], *(part.numpy().ravel() for part in parts)])

    def restore(self, state: FloatArray) -> None:
        """Go on from a checkpoint of the same networks."""
        self.done = int(state[0])
        rest = torch.from_numpy(state[1:].copy())
        for part in (*self._values, *self._means, *self._squares):
            part.copy_(rest[: part.numel()].reshape(part.shape))
            rest = rest[part.numel() :]

    def _loss(self, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, b2: torch.Tensor) -> torch.Tensor:
        """Mean over steps and states of what s and u cost, [seed]."""
        plant = self._plant
        s = tuple(self._states)
        out, bias, bias_out = w2.unsqueeze(-1), b1.unsqueeze(1), b2.reshape(-1, 1, 1)
        states, controls = [], []
        for _ in range(self._steps):
            h = torch.tanh(torch.baddbmm(bias, torch.stack(s, dim=-1), w1))
            u = torch.baddbmm(bias_out, h, out).squeeze(-1)
            s = plant.step(s, u, torch.sin)
            states.append(s)
            controls.append(u)
        cost = plant.control_weight * torch.stack(controls).square()
        for i, weight in enumerate(plant.weights):
            cost = cost + weight * torch.stack([state[i] for state in states]).square()
        return cost.mean(dim=(0, 2))
