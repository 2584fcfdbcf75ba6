"""Small neural controllers in closed loop with a plant, many at once: courses, Op of their output and of each neuron.

u = w2 . tanh(W1 s + b1) + b2. Op of the output u for a change of the plant's first component at the start and that
component n steps later: in X the controller reacts, in Y the controls of W are played again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.plants import Plant

FloatArray: TypeAlias = NDArray[np.float64]
ACTIVATIONS_TOGETHER: Final = 1_000_000
STEPS_TOGETHER: Final = 4
"""Steps after which a tangent's size is taken out into a logarithm: before it can over- or underflow."""
FIRST_WIDTH: Final = 1.0
"""Spread of the first layer's weights and biases at the start, per unit of the plant's spread."""


@dataclass(frozen=True)
class Controllers:
    """Networks of one shape, a seed each.

    Attributes:
        w1: [seed, axis, hidden].
        b1: [seed, hidden].
        w2: [seed, hidden].
        b2: [seed].
    """

    w1: FloatArray
    b1: FloatArray
    w2: FloatArray
    b2: FloatArray

    def hidden(self, s: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """tanh(W1 s + b1), [seed, state, hidden], at s[axis, seed, state]; written to `out` where it is given."""
        h: FloatArray = np.multiply(s[0][:, :, None], self.w1[:, 0, None, :], out=out)
        for i in range(1, len(s)):
            h += s[i][:, :, None] * self.w1[:, i, None, :]
        h += self.b1[:, None, :]
        np.tanh(h, out=h)
        return h

    def output(self, hidden: FloatArray) -> FloatArray:
        """u[seed, state] of activations."""
        return np.asarray(np.matmul(hidden, self.w2[:, :, None])[:, :, 0] + self.b2[:, None])

    def slopes(self, hidden: FloatArray, reacting: FloatArray) -> FloatArray:
        """du/ds[.., state, axis] at activations hidden[.., seed, state, hidden].

        Args:
            reacting: [hidden], 1 for a neuron that reacts to s, and 0 for one that is held.
        """
        reach = (1.0 - hidden**2) * (self.w2 * reacting)[:, None, :]
        return np.asarray(np.matmul(reach, np.swapaxes(self.w1, 1, 2)))


def draw(plant: Plant, hidden: int, generators: list[np.random.Generator]) -> Controllers:
    """Untrained networks: normal weights, a generator each; first-layer weights are scaled to the plant's states."""
    axes = len(plant.axes)
    scale = FIRST_WIDTH / np.array(plant.spread)
    w1, b1, w2 = [], [], []
    for generator in generators:
        w1.append(generator.standard_normal((axes, hidden)) * scale[:, None])
        b1.append(generator.standard_normal(hidden) * 0.5)
        w2.append(generator.standard_normal(hidden) / np.sqrt(hidden))
    return Controllers(np.stack(w1), np.stack(b1), np.stack(w2), np.zeros(len(generators)))


def draw_states(plant: Plant, count: int, generator: np.random.Generator) -> FloatArray:
    """Initial states, [axis, state]."""
    return np.asarray(
        generator.uniform(-1.0, 1.0, (len(plant.axes), count)) * np.array(plant.spread)[:, None]
    )


@dataclass(frozen=True)
class Loops:
    """Closed loops followed for n steps.

    Attributes:
        states: [n+1, axis, seed, state].
        controls: [n, seed, state].
        hidden: [n, seed, state, hidden].
    """

    states: FloatArray
    controls: FloatArray
    hidden: FloatArray

    def loss(self, plant: Plant) -> FloatArray:
        """Mean over steps and states of what s and u cost, [seed]."""
        weights = np.array(plant.weights)[None, :, None, None]
        cost = np.sum(weights * self.states[1:] ** 2, axis=1) + plant.control_weight * self.controls**2
        return np.asarray(cost.mean(axis=(0, 2)))


def follow_loops(
    plant: Plant,
    controllers: Controllers,
    states: FloatArray,
    steps: int,
    clamp: tuple[int, FloatArray] | None = None,
    check: Check = unchecked,
) -> Loops:
    """Follow the closed loops.

    Args:
        plant, controllers: what acts on what.
        states: [axis, seed, state], or [axis, state] for the same in every seed.
        steps: number of steps n.
        clamp: a neuron, and the activation [seed] it has instead of its own.
        check: called at every step; what it raises ends the computation.
    """
    axes, seeds, neurons = len(plant.axes), *controllers.w2.shape
    courses = np.empty((steps + 1, axes, seeds, states.shape[-1]))
    controls = np.empty((steps, seeds, states.shape[-1]))
    activations = np.empty((*controls.shape, neurons))
    courses[0] = states if states.ndim == 3 else states[:, None, :]
    for t in range(steps):
        check()
        h = controllers.hidden(courses[t], activations[t])
        if clamp is not None:
            h[:, :, clamp[0]] = clamp[1][:, None]
        controls[t] = controllers.output(h)
        for i, after in enumerate(plant.step(courses[t], controls[t], np.sin)):
            courses[t + 1, i] = after
    return Loops(courses, controls, activations)


@dataclass(frozen=True)
class Answer:
    """Op at one time.

    Attributes:
        op: -ln|Comp|, [.., seed, state].
        sign: of Comp, likewise.
    """

    op: FloatArray
    sign: FloatArray


def op_of_output(plant: Plant, controllers: Controllers, loops: Loops, check: Check = unchecked) -> Answer:
    """Op of the control u, by exact tangents along the loops, [seed, state]."""
    answer = _compared(plant, controllers, loops, np.zeros((1, controllers.w2.shape[1])), check)
    return Answer(answer.op[0], answer.sign[0])


def op_of_neurons(plant: Plant, controllers: Controllers, loops: Loops, check: Check = unchecked) -> Answer:
    """Op of each hidden neuron, the others reacting in Y too, [hidden, seed, state]."""
    return _compared(plant, controllers, loops, 1.0 - np.eye(controllers.w2.shape[1]), check)


def _compared(
    plant: Plant, controllers: Controllers, loops: Loops, reacting: FloatArray, check: Check
) -> Answer:
    """Op of what does not react in each row of reacting[case, hidden], [case, seed, state]."""
    free, free_sign = _tangent(plant, controllers, loops, np.ones(controllers.w2.shape[1]), check)
    answers = [_tangent(plant, controllers, loops, row, check) for row in reacting]
    op = np.stack([held - free + 0.0 for held, _ in answers])
    return Answer(op, np.stack([sign * free_sign for _, sign in answers]))


def _tangent(
    plant: Plant, controllers: Controllers, loops: Loops, reacting: FloatArray, check: Check
) -> tuple[FloatArray, FloatArray]:
    """ln|.| and sign of the first component, after all steps, of a change of that component, [seed, state] each.

    The derivatives of many steps are put together at once, which is what makes it fast, but not of all: there may be
    gigabytes of them.
    """
    push = np.array(plant.input_slope)[None, :, None, None, None]
    v = np.zeros(loops.states.shape[1:])
    v[0] = 1.0
    logs = np.zeros(v.shape[1:])
    size = max(1, ACTIVATIONS_TOGETHER // loops.hidden[0].size)
    for begin in range(0, len(loops.hidden), size):
        check()
        now = slice(begin, begin + size)
        states = np.moveaxis(loops.states[:-1][now], 1, 0)
        slopes = np.moveaxis(controllers.slopes(loops.hidden[now], reacting), -1, 1)
        for t, step in enumerate(np.moveaxis(plant.slopes(states), 2, 0) + push * slopes[:, None]):
            v = np.sum(step * v, axis=1)
            if t % STEPS_TOGETHER == STEPS_TOGETHER - 1:
                largest = np.abs(v).max(axis=0)
                scale = np.where((largest > 0.0) & np.isfinite(largest), largest, 1.0)
                v = v / scale
                logs = logs + np.log(scale)
    with np.errstate(divide="ignore"):
        return logs + np.log(np.abs(v[0])), np.sign(v[0])


def differences_of_output(
    plant: Plant, controllers: Controllers, loops: Loops, delta: float, check: Check = unchecked
) -> tuple[FloatArray, FloatArray]:
    """X - W and Y - W of the first component at all steps by finite differences, [n+1, seed, state] each."""
    start = loops.states[0].copy()
    start[0] += delta
    x = follow_loops(plant, controllers, start, len(loops.controls), check=check)
    s = start
    y = [s]
    for u in loops.controls:
        s = np.stack(plant.step(s, u, np.sin))
        y.append(s)
    return x.states[:, 0] - loops.states[:, 0], np.stack(y)[:, 0] - loops.states[:, 0]


def ablation_losses(
    plant: Plant, controllers: Controllers, loops: Loops, check: Check = unchecked
) -> FloatArray:
    """How much the loss grows where a neuron is replaced by its mean activation along the loops, [seed, hidden]."""
    base = loops.loss(plant)
    means = loops.hidden.mean(axis=(0, 2))
    steps, start = len(loops.controls), loops.states[0]
    grown = []
    for neuron in range(means.shape[1]):
        found = follow_loops(plant, controllers, start, steps, (neuron, means[:, neuron]), check)
        grown.append(found.loss(plant) - base)
    return np.stack(grown, axis=1)


def rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman's: Pearson's of the ranks, equal values sharing theirs; NaN where all of one are equal.

    Reference: Spearman (1904).
    """
    ranks = [_ranks(values) for values in (a, b)]
    centred = [r - r.mean() for r in ranks]
    lengths = [float(np.sqrt(np.sum(c**2))) for c in centred]
    if min(lengths) == 0.0:
        return float("nan")
    return float(np.sum(centred[0] * centred[1]) / (lengths[0] * lengths[1]))


def _ranks(values: FloatArray) -> FloatArray:
    below = np.sum(values[None, :] < values[:, None], axis=1)
    equal = np.sum(values[None, :] == values[:, None], axis=1)
    return np.asarray(below + 0.5 * (equal - 1), dtype=np.float64)
