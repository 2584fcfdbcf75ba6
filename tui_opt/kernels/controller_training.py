"""Training controllers: back-propagation through time over the closed loop, with Adam, all seeds at once.

The seeds do not act on each other: the loss is a sum over seeds, Adam works on each number by itself, and gradients
are clipped seed by seed. The loop back through time carries the gradient of the plant's state alone, a few numbers;
what falls to the weights is gathered for all steps at once. That makes it several times as fast as recording every
operation, which the tests do with torch.

Reference: Werbos (1990), back-propagation through time; Kingma and Ba (2015), Algorithm 1.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.controllers import Controllers, follow_loops
from tui_opt.kernels.plants import Plant

FloatArray: TypeAlias = NDArray[np.float64]

_FIRST: Final = 0.9
_SECOND: Final = 0.999
_EPSILON: Final = 1e-8
NAMES: Final = ("w1", "b1", "w2", "b2")


def gradients(
    plant: Plant, controllers: Controllers, states: FloatArray, steps: int, check: Check = unchecked
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """The loss of `Loops.loss` and its gradients.

    Args:
        plant, controllers: what acts on what.
        states: [axis, seed, state], where the loops begin.
        steps: for how many steps they are followed.
        check: called at every step; what it raises ends the computation.

    Returns: the loss [seed], and its gradients by w1, b1, w2, b2, of their shapes.
    """
    loops = follow_loops(plant, controllers, states, steps, check=check)
    dynamics = np.moveaxis(plant.slopes(np.moveaxis(loops.states[:-1], 1, 0)), 2, 0)
    slopes = np.moveaxis(controllers.slopes(loops.hidden, np.ones(controllers.w2.shape[1])), -1, 1)
    share = 2.0 / (steps * states.shape[-1])
    costs = share * np.array(plant.weights)[None, :, None, None] * loops.states[1:]
    control_costs = share * plant.control_weight * loops.controls
    push = np.array(plant.input_slope)[:, None, None]
    by_control = np.empty_like(loops.controls)
    by_state = np.zeros(states.shape)
    for t in range(steps - 1, -1, -1):
        check()
        by_state = by_state + costs[t]
        by_control[t] = control_costs[t] + np.sum(push * by_state, axis=0)
        by_state = np.sum(dynamics[t] * by_state[:, None], axis=0) + slopes[t] * by_control[t]
    by_inner = by_control[..., None] * (1.0 - loops.hidden**2) * controllers.w2[:, None, :]
    answer = (
        np.einsum("tisb,tsbh->sih", loops.states[:-1], by_inner, optimize=True),
        by_inner.sum(axis=(0, 2)),
        np.einsum("tsb,tsbh->sh", by_control, loops.hidden, optimize=True),
        by_control.sum(axis=(0, 2)),
    )
    return loops.loss(plant), answer


class Trainer:
    """Controllers being trained.

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
        self._plant, self._states, self._steps, self._rate, self._clip = plant, states, steps, rate, clip
        self._values = [getattr(controllers, name).copy() for name in NAMES]
        self._means = [np.zeros_like(value) for value in self._values]
        self._squares = [np.zeros_like(value) for value in self._values]
        self.done = 0

    def controllers(self) -> Controllers:
        """The networks as they are now."""
        return Controllers(*(value.copy() for value in self._values))

    def update(self, check: Check = unchecked) -> FloatArray:
        """One update of every seed; the loss before it, [seed]. A seed whose gradient is not finite gets none."""
        with np.errstate(all="ignore"):
            loss, slopes = gradients(self._plant, self.controllers(), self._states, self._steps, check)
            seeds = len(loss)
            norms = np.sqrt(sum(np.sum(slope.reshape(seeds, -1) ** 2, axis=1) for slope in slopes))
            shrink = np.minimum(1.0, self._clip / np.maximum(norms, 1e-300))
        known = np.isfinite(norms)
        self.done += 1
        for value, mean, square, slope in zip(self._values, self._means, self._squares, slopes, strict=True):
            each = (-1, *([1] * (slope.ndim - 1)))
            clipped = np.where(known.reshape(each), slope, 0.0) * np.where(known, shrink, 0.0).reshape(each)
            mean += (1 - _FIRST) * (clipped - mean)
            square += (1 - _SECOND) * (clipped**2 - square)
            root = np.sqrt(square / (1 - _SECOND**self.done)) + _EPSILON
            value -= self._rate / (1 - _FIRST**self.done) * mean / root
        return loss

    def state(self) -> FloatArray:
        """All numbers of the training in one array, for a checkpoint."""
        parts = [*self._values, *self._means, *self._squares]
        return np.concatenate([[float(self.done)], *(part.ravel() for part in parts)])

    def restore(self, state: FloatArray) -> None:
        """Go on from a checkpoint of the same networks."""
        self.done, rest = int(state[0]), state[1:]
        for part in (*self._values, *self._means, *self._squares):
            part[...] = rest[: part.size].reshape(part.shape)
            rest = rest[part.size :]
