"""Training thousands of small networks: sixteen of them side by side, one in each lane of the processor's vectors.

A network of 136 weights is too small for matrix products. Here every weight of sixteen networks lies together, and the
loss and gradient of a few samples is written out as one long loop body over the lanes: all activations and errors live
in registers, and weights and gradients in one buffer at constant distances, so that the compiler needs no checks
whether they overlap. Two samples share every weight that is loaded. The source is written by a program for a layout.

Single precision; each lane computes by itself, so a network's result does not depend on its neighbours, on how many
there are, or on threads. Sums over samples are in their order. The compiler may reassociate within a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.emitted import load_module
from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]
Check: TypeAlias = Callable[[], None]
Optimizer: TypeAlias = Literal["gd", "momentum", "adadelta", "adam"]

LANES: Final = 16
SAMPLES: Final = 2
"""Samples that share every weight that is loaded; more do not fit the registers."""
MOST_PARAMETERS: Final = 700
"""Beyond this the loop body is too long for the compiler."""
FLOPS_IN_A_SLICE: Final = 2e9
"""A tenth of a second on a slow core, between two looks at whether to stop."""
STATES: Final = {"gd": 0, "momentum": 1, "adadelta": 2, "adam": 2}
"""Numbers per parameter that an optimizer keeps."""


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
        ValueError: the layout has too many parameters for this kernel.
    """

    def __init__(self, layout: Layout, x: FloatArray, y: FloatArray, directory: Path) -> None:
        if layout.size > MOST_PARAMETERS:
            raise ValueError(
                f"Networks of {layout.size} parameters are too large for lanes; {MOST_PARAMETERS} is the most."
            )
        self.layout = layout
        self._module: Any = load_module(source(layout), directory, "networks")
        padded = -(-x.size // SAMPLES) * SAMPLES
        self._x, self._y, self._counts = (np.zeros(padded, dtype=np.float32) for _ in range(3))
        self._x[: x.size], self._y[: x.size], self._counts[: x.size] = x, y, 1.0 / x.size
        self._flops = float(layout.flops_per_sample) * padded

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = lambda: None, part: slice = slice(None)
    ) -> SingleArray:
        """Take steps with some of the networks.

        Args:
            crowd: is changed; `steps` is not, since parts are trained one after the other.
            rule: the optimizer.
            steps: how many.
            check: called every tenth of a second.
            part: which networks.

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
        kernel = getattr(self._module, "momentum" if rule.optimizer == "gd" else rule.optimizer)
        if rule.optimizer == "gd":
            state = np.zeros((1, *networks.shape), dtype=np.float32)
        for start in range(0, len(networks), LANES):
            rows = slice(start, min(start + LANES, len(networks)))
            done = 0
            while done < steps:
                check()
                now = min(slice_steps, steps - done)
                kernel(
                    networks[rows], state[:, rows], self._x, self._y, self._counts, now, crowd.steps + done, constants,
                    losses[rows],
                )  # fmt: skip
                done += now
        return losses

    def loss_and_gradient(self, networks: SingleArray) -> tuple[SingleArray, SingleArray]:
        """Loss [network] and gradient [network, parameter]."""
        losses, gradients = np.zeros(len(networks), dtype=np.float32), np.empty_like(networks)
        for start in range(0, len(networks), LANES):
            rows = slice(start, min(start + LANES, len(networks)))
            self._module.gradient(
                networks[rows], self._x, self._y, self._counts, gradients[rows], losses[rows]
            )
        return losses, gradients


# --- the source -----------------------------------------------------------------------------------------------

_HEAD: Final = '''\
"""{layers} x {width} networks in {lanes} lanes. Written by a program; edits are discarded."""

import numba
import numpy as np

U = np.uint64
F = np.float32
LANES = {lanes}
SIZE = {size}
OPTIONS = {{"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {{"contract", "reassoc", "nsz", "arcp"}}}}


@numba.njit(**OPTIONS)
def loss_and_gradient(b, xs, ys, counts):
    zero = F(0)
    two = F(2)
    for q in range(SIZE * LANES, (2 * SIZE + 1) * LANES):
        b[q] = zero
    for s in range(0, xs.size, {samples}):
{samples_loaded}
        for k in range(U(LANES)):
{body}


@numba.njit(**OPTIONS)
def enter(networks, b):
    for q in range(SIZE):
        for k in range(LANES):
            b[q * LANES + k] = networks[min(k, networks.shape[0] - 1), q]


@numba.njit(**OPTIONS)
def leave(b, networks):
    for k in range(networks.shape[0]):
        for q in range(SIZE):
            networks[k, q] = b[q * LANES + k]


@numba.njit(**OPTIONS)
def gradient(networks, xs, ys, counts, gradients, loss):
    b = np.zeros((2 * SIZE + 1) * LANES, F)
    enter(networks, b)
    loss_and_gradient(b, xs, ys, counts)
    leave(b[SIZE * LANES :], gradients)
    for k in range(loss.size):
        loss[k] = b[2 * SIZE * LANES + k]


@numba.njit(**OPTIONS)
def momentum(networks, state, xs, ys, counts, steps, taken, constants, loss):
    n = SIZE * LANES
    rate, mu = constants[0], constants[1]
    b, v = np.zeros(2 * n + LANES, F), np.zeros(n, F)
    enter(networks, b)
    enter(state[0], v)
    for _ in range(steps):
        loss_and_gradient(b, xs, ys, counts)
        for q in range(n):
            v[q] = mu * v[q] - rate * b[n + q]
            b[q] += v[q]
    leave(b, networks)
    leave(v, state[0])
    for k in range(loss.size):
        loss[k] = b[2 * n + k]


@numba.njit(**OPTIONS)
def adadelta(networks, state, xs, ys, counts, steps, taken, constants, loss):
    n = SIZE * LANES
    rate, rho, epsilon = constants[0], constants[2], constants[3]
    rest = F(1) - rho
    b, squares, moves = np.zeros(2 * n + LANES, F), np.zeros(n, F), np.zeros(n, F)
    enter(networks, b)
    enter(state[0], squares)
    enter(state[1], moves)
    for _ in range(steps):
        loss_and_gradient(b, xs, ys, counts)
        for q in range(n):
            g = b[n + q]
            squares[q] = rho * squares[q] + rest * g * g
            move = g * np.sqrt((moves[q] + epsilon) / (squares[q] + epsilon))
            b[q] -= rate * move
            moves[q] = rho * moves[q] + rest * move * move
    leave(b, networks)
    leave(squares, state[0])
    leave(moves, state[1])
    for k in range(loss.size):
        loss[k] = b[2 * n + k]


@numba.njit(**OPTIONS)
def adam(networks, state, xs, ys, counts, steps, taken, constants, loss):
    n = SIZE * LANES
    rate, epsilon, beta1, beta2 = constants[0], constants[3], constants[4], constants[5]
    b, means, squares = np.zeros(2 * n + LANES, F), np.zeros(n, F), np.zeros(n, F)
    enter(networks, b)
    enter(state[0], means)
    enter(state[1], squares)
    for t in range(steps):
        loss_and_gradient(b, xs, ys, counts)
        power = taken + t + 1
        step = F(rate / (1.0 - np.float64(beta1) ** power))
        scale = F(1.0 / (1.0 - np.float64(beta2) ** power))
        for q in range(n):
            g = b[n + q]
            means[q] = beta1 * means[q] + (F(1) - beta1) * g
            squares[q] = beta2 * squares[q] + (F(1) - beta2) * g * g
            b[q] -= step * means[q] / (np.sqrt(squares[q] * scale) + epsilon)
    leave(b, networks)
    leave(means, state[0])
    leave(squares, state[1])
    for k in range(loss.size):
        loss[k] = b[2 * n + k]
'''


def source(layout: Layout) -> str:
    """The module that trains networks of a layout."""
    samples = "\n".join(
        f"        x{r} = xs[s + {r}]\n        y{r} = ys[s + {r}]\n        c{r} = counts[s + {r}]"
        for r in range(SAMPLES)
    )
    return _HEAD.format(
        layers=layout.layers,
        width=layout.width,
        lanes=LANES,
        size=layout.size,
        samples=SAMPLES,
        samples_loaded=samples,
        body="\n".join(" " * 12 + line for line in _body(layout)),
    )


def _body(layout: Layout) -> list[str]:
    """Loss and gradient of SAMPLES samples in one lane, added to the buffer's."""
    numbers = np.arange(float(layout.size))
    parts = layout.parts(numbers)
    all_samples = range(SAMPLES)

    def weight(place: int) -> str:
        return f"b[k + U({LANES * int(place)})]"

    def slope(place: int) -> str:
        return f"b[k + U({LANES * (layout.size + int(place))})]"

    def total(text: str) -> str:
        """The sum over the samples of a term with `@` for the sample."""
        return " + ".join(text.replace("@", str(r)) for r in all_samples)

    lines: list[str] = []
    for layer, (weights, biases) in enumerate(parts[:-1]):
        for j in range(layout.width):
            lines.append(f"t = {weight(biases[j])}")
            lines += [f"a{layer}_{j}_{r} = t" for r in all_samples]
            for i in range(weights.shape[0]):
                lines.append(f"t = {weight(weights[i, j])}")
                before = "x@" if layer == 0 else f"a{layer - 1}_{i}_@"
                lines += [f"a{layer}_{j}_{r} += {before.replace('@', str(r))} * t" for r in all_samples]
            lines += [f"a{layer}_{j}_{r} = max(a{layer}_{j}_{r}, zero)" for r in all_samples]
    last = layout.layers - 1
    weights, biases = parts[-1]
    lines.append(f"t = {weight(biases[0])}")
    lines += [f"o{r} = t - y{r}" for r in all_samples]
    for i in range(layout.width):
        lines.append(f"t = {weight(weights[i, 0])}")
        lines += [f"o{r} += a{last}_{i}_{r} * t" for r in all_samples]
    lines += [f"e{r} = o{r} * c{r}" for r in all_samples]
    lines.append(f"b[k + U({LANES * 2 * layout.size})] += {total('o@ * e@')}")
    lines += [f"e{r} = two * e{r}" for r in all_samples]
    lines.append(f"{slope(biases[0])} += {total('e@')}")
    for i in range(layout.width):
        lines.append(f"t = {weight(weights[i, 0])}")
        lines.append(f"{slope(weights[i, 0])} += {total(f'a{last}_{i}_@ * e@')}")
        lines += [f"d{i}_{r} = t * e{r} if a{last}_{i}_{r} > zero else zero" for r in all_samples]
    for layer in range(last, -1, -1):
        weights, biases = parts[layer]
        for j in range(layout.width):
            lines.append(f"{slope(biases[j])} += {total(f'd{j}_@')}")
            if layer == 0:
                lines.append(f"{slope(weights[0, j])} += {total(f'x@ * d{j}_@')}")
        if layer == 0:
            break
        for i in range(layout.width):
            for j in range(layout.width):
                lines.append(f"t = {weight(weights[i, j])}")
                lines.append(f"{slope(weights[i, j])} += {total(f'a{layer - 1}_{i}_@ * d{j}_@')}")
                sign = "=" if j == 0 else "+="
                lines += [f"h{i}_{r} {sign} t * d{j}_{r}" for r in all_samples]
        for i in range(layout.width):
            lines += [f"d{i}_{r} = h{i}_{r} if a{layer - 1}_{i}_{r} > zero else zero" for r in all_samples]
    return lines
