"""Training thousands of small networks: sixteen of them side by side, one in each lane of the processor's vectors.

A network of 136 weights is too small for matrix products. Here every weight of sixteen networks lies together, and the
forward and backward pass of one layer over a few samples is written out as one loop body over the lanes, for a layout
by a program (`lane_source`). Single precision; each lane computes by itself, so a network's result does not depend on
its neighbours, on how many there are, or on threads. Sums over samples are in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.emitted import load_module
from tui_opt.kernels.networks.lane_source import GRADIENT_ONLY, LANES, buffer_size, samples_at_once, source
from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]
Check: TypeAlias = Callable[[], None]
Report: TypeAlias = Callable[[int], None]
"""Called every tenth of a second or so with the steps taken since, of all networks together."""
Optimizer: TypeAlias = Literal["gd", "momentum", "adadelta", "adam"]

WIDEST: Final = 16
"""Nodes of a layer, beyond which the loop body is too long for the compiler."""
FLOPS_IN_A_SLICE: Final = 2e9
"""A tenth of a second on a slow core, between two looks at whether to stop."""
STATES: Final = {"gd": 0, "momentum": 1, "adadelta": 2, "adam": 2}
"""Numbers per parameter that an optimizer keeps."""

NUMBERS: Final = {"gd": 0, "momentum": 0, "adadelta": 1, "adam": 2}
"""What the kernel calls them; gradient descent is momentum 0."""


def unreported(steps: int) -> None:
    """The report of a caller that does not count."""


@dataclass(frozen=True)
class Rule:
    """An optimizer with its constants.

    Args:
        optimizer: gradient descent, heavy ball (Polyak 1964), Adadelta (Zeiler 2012), Adam (Kingma and Ba 2015).
        rate: learning rate.
        momentum: of the heavy ball.
        rho: decay of Adadelta's averages.
        epsilon: added to averages of squares.
        beta1: decay of Adam's mean.
        beta2: decay of Adam's mean square.
    """

    optimizer: Optimizer
    rate: float
    momentum: float = 0.9
    rho: float = 0.95
    epsilon: float = 1e-7
    beta1: float = 0.9
    beta2: float = 0.999


@dataclass
class Crowd:
    """Networks under training, single precision.

    Args:
        networks: [network, parameter].
        state: [state, network, parameter], what the optimizer keeps.
        steps: taken so far.
    """

    networks: SingleArray
    state: SingleArray
    steps: int = 0

    @classmethod
    def beginning(cls, networks: FloatArray, optimizer: Optimizer) -> Crowd:
        """No step taken yet."""
        given = np.ascontiguousarray(networks, dtype=np.float32)
        return cls(given, np.zeros((STATES[optimizer], *given.shape), dtype=np.float32))


class Trainer:
    """Trains networks of one layout on one set of samples.

    Args:
        layout: their shape.
        x: [sample].
        y: [sample].
        directory: where the kernel's source and the compiler's cache are kept.

    Raises:
        ValueError: the layout is too wide for this kernel.
    """

    def __init__(self, layout: Layout, x: FloatArray, y: FloatArray, directory: Path) -> None:
        if layout.width > WIDEST:
            raise ValueError(f"Layers of {layout.width} nodes are too wide for lanes; {WIDEST} is the most.")
        self.layout = layout
        self._module: Any = load_module(source(layout), directory, "networks")
        at_once = samples_at_once(layout)
        padded = -(-x.size // at_once) * at_once
        self._x, self._y, self._counts = (np.zeros(padded, dtype=np.float32) for _ in range(3))
        self._x[: x.size], self._y[: x.size], self._counts[: x.size] = x, y, 1.0 / x.size
        self._flops = float(layout.flops_per_sample) * padded

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = lambda: None, part: slice = slice(None),
        report: Report = unreported,
    ) -> SingleArray:  # fmt: skip
        """Take steps with some of the networks.

        Args:
            crowd: is changed; `steps` is not, since parts are trained one after the other.
            rule: the optimizer.
            steps: how many.
            check: called every tenth of a second.
            part: which networks.
            report: called as often.

        Returns: the loss of each at the last step, before it was taken, [network]. Infinities and NaNs of networks that
            diverged may be missing from it: look at `losses`.
        """
        networks, state = crowd.networks[part], crowd.state[:, part]
        losses = np.zeros(len(networks), dtype=np.float32)
        slice_steps = max(1, int(FLOPS_IN_A_SLICE / (self._flops * LANES)))
        constants = np.array(
            [
                rule.rate,
                rule.momentum if rule.optimizer == "momentum" else 0.0,
                rule.rho,
                rule.epsilon,
                rule.beta1,
                rule.beta2,
            ]
        ).astype(np.float32)
        if rule.optimizer == "gd":
            state = np.zeros((1, *networks.shape), dtype=np.float32)
        work = self._buffer()
        for start in range(0, len(networks), LANES):
            rows = slice(start, min(start + LANES, len(networks)))
            # Of one layout in memory, whatever the number of states: each layout would be compiled by itself.
            kept = np.ascontiguousarray(state[:, rows])
            done = 0
            while done < steps:
                check()
                now = min(slice_steps, steps - done)
                self._module.train(
                    NUMBERS[rule.optimizer], networks[rows], kept, self._x, self._y, self._counts, now,
                    crowd.steps + done, constants, losses[rows], work,
                )  # fmt: skip
                done += now
                report(now * (rows.stop - rows.start))
            state[:, rows] = kept
        return losses

    def loss_and_gradient(self, networks: SingleArray) -> tuple[SingleArray, SingleArray]:
        """Loss [network] and gradient [network, parameter]."""
        losses, gradients = np.zeros(len(networks), dtype=np.float32), np.empty_like(networks)
        work, constants = self._buffer(), np.zeros(6, dtype=np.float32)
        for start in range(0, len(networks), LANES):
            rows = slice(start, min(start + LANES, len(networks)))
            self._module.train(
                GRADIENT_ONLY, networks[rows], gradients[None, rows], self._x, self._y, self._counts, 1, 0, constants,
                losses[rows], work,
            )  # fmt: skip
        return losses, gradients

    def _buffer(self) -> SingleArray:
        """Room for the kernel, beginning where a cache line begins: vectors that lie across two cost twice."""
        numbers = buffer_size(self.layout)
        room = np.zeros(numbers + LANES, dtype=np.float32)
        first = -room.ctypes.data % (4 * LANES) // 4
        return room[first : first + numbers]
