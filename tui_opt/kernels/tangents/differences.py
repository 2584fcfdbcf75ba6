"""Finite differences beside the tangents: what follows from a perturbation of a given size, and where that breaks down.

X starts at w_0 + delta e_n; Y too, with the nodes of A kept at their values in W inside every stage (or set to them
after the step, as `Question.rule` says). A difference fails in two ways: it stops being small, where the curvature of
the flow takes over (early for a large delta), or it drowns in the rounding of W (early for a small one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.tangents.comparison import Comparison, compare
from tui_opt.kernels.tangents.compiled import SLICE_SECONDS
from tui_opt.kernels.tangents.scalar import execute_one
from tui_opt.kernels.tangents.system import FloatArray, IntArray, Question, System, TapeSystem, check_fit

BREAKDOWN: Final = 0.1
"""A difference has broken down where its logarithm is off by more."""


@dataclass
class Differences:
    """Differences to W at the output times, [delta, k, n]; NaN where a state is not finite.

    Attributes:
        deltas: [delta].
        x: X - W.
        y: Y - W.
    """

    deltas: FloatArray
    x: FloatArray
    y: FloatArray

    def comparison(self) -> Comparison:
        """Op and sign of Comp as the differences have them, [delta, k, n]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return compare(np.log(np.abs(self.x)), np.sign(self.x), np.log(np.abs(self.y)), np.sign(self.y))


def differences(
    system: System | TapeSystem, question: Question, deltas: Sequence[float], check: Check = unchecked
) -> Differences:
    """W, X and Y of every delta, stepped together.

    Args:
        system, question: as in `follow`; one trajectory.
        deltas: sizes of the perturbation, of either sign.
        check: called at least every 100 ms.

    Raises: ValueError where a delta is 0 or not finite, or system and question do not fit.
    """
    check_fit(system, question)
    if question.initial.ndim != 1:
        raise ValueError("Differences are taken along one trajectory; give initial values of shape [nodes].")
    if not all(math.isfinite(delta) and delta != 0.0 for delta in deltas):
        raise ValueError("A delta must be a finite number that is not 0.")
    sizes = np.array(deltas, dtype=np.float64)
    shape = (sizes.size, question.outputs.size, question.size)
    answer = Differences(sizes, np.full(shape, np.nan), np.full(shape, np.nan))
    states = np.tile(question.initial, (1 + 2 * sizes.size, 1))
    states[1::2, question.perturbed] += sizes
    states[2::2, question.perturbed] += sizes
    if isinstance(system, TapeSystem):
        _by_tape(system, question, states, answer, check)
    else:
        _by_functions(system, question, states, answer, check)
    return answer


def breakdown_time(
    t: FloatArray, differences: FloatArray, logarithms: FloatArray, delta: float, limit: float = BREAKDOWN
) -> float:
    """When |ln(difference/delta) - ln(tangent)| first exceeds the limit; NaN where it never does.

    Args:
        t: [k].
        differences: [k] of a node, or [k, n] for the lengths of the whole vectors, which have no zeros on the way.
        logarithms: ln|tangent|, likewise.
        delta: size of the perturbation.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if differences.ndim == 2:
            highest = np.max(logarithms, axis=1)
            ours = highest + 0.5 * np.log(np.sum(np.exp(2.0 * (logarithms - highest[:, None])), axis=1))
            # Scaled before they are squared: differences of 1e-170 are numbers, and their squares are not.
            largest = np.max(np.abs(differences), axis=1)
            theirs = np.log(largest) + 0.5 * np.log(np.sum((differences / largest[:, None]) ** 2, axis=1))
        else:
            ours, theirs = logarithms, np.log(np.abs(differences))
        off = np.abs(theirs - math.log(abs(delta)) - ours)
    both_zero = (theirs == -np.inf) & (ours == -np.inf)
    broken = np.flatnonzero(~(off <= limit) & ~both_zero & ~np.isnan(ours))
    return float(t[broken[0]]) if broken.size else math.nan


def _record(answer: Differences, states: FloatArray, k: int) -> None:
    with np.errstate(invalid="ignore"):
        answer.x[:, k] = states[1::2] - states[0]
        answer.y[:, k] = states[2::2] - states[0]
    for array in (answer.x, answer.y):
        gone = ~np.all(np.isfinite(array[:, k]), axis=1)
        array[gone, k] = np.nan


def _by_functions(
    system: System, question: Question, states: FloatArray, answer: Differences, check: Check
) -> None:
    """The plain way."""
    rows = {int(step): k for k, step in enumerate(question.outputs)}
    held = list(question.held)
    for step in range(question.steps + 1):
        if step in rows:
            _record(answer, states, rows[step])
        if step == question.steps:
            break
        check()
        kept = held if step < question.held_steps else []
        with np.errstate(all="ignore"):
            states = _stepped(system, question, step, states, kept)


def _stepped(
    system: System, question: Question, step: int, states: FloatArray, kept: list[int]
) -> FloatArray:
    t, dt, scheme = step * question.dt, question.dt, question.scheme
    if question.integrator == "map":
        after = np.array([system.value(t, s) for s in states], dtype=np.float64)
        after[2::2, kept] = after[0, kept]
        return after
    slope, total = np.zeros_like(states), np.zeros_like(states)
    for c, a, b in zip(scheme.times, scheme.reach, scheme.weights, strict=True):
        places = states + a * dt * slope
        slope = np.array([system.value(t + c * dt, place) for place in places], dtype=np.float64)
        if question.rule == "stage":
            slope[2::2, kept] = slope[0, kept]
        total = total + b * slope
    after = states + dt * total
    after[2::2, kept] = after[0, kept]
    return np.asarray(after)


def _by_tape(
    system: TapeSystem, question: Question, states: FloatArray, answer: Differences, check: Check
) -> None:
    scheme = question.scheme
    arguments = (
        *system.value_program.arrays,
        np.ascontiguousarray(question.inputs, dtype=np.float64),
        question.integrator == "map",
        np.array(scheme.times),
        np.array(scheme.reach),
        np.array(scheme.weights),
        question.dt,
        question.mask(),
        question.rule == "stage" and question.integrator != "map",
        question.held_steps,
    )
    room = np.empty((question.outputs.size, *states.shape))
    per_step = len(states) * len(scheme.times) * (4e-9 * len(system.value_program.code) + 2e-8)
    size, done = max(1, int(SLICE_SECONDS / per_step)), 0
    while True:
        check()
        last = min(question.steps, done + size)
        _step_together(*arguments, done, last, question.steps, question.every, states, room)
        done = last
        if done >= question.steps:
            break
    check()
    with np.errstate(invalid="ignore"):
        for first, target in ((1, answer.x), (2, answer.y)):
            np.subtract(room[:, first::2], room[:, :1], out=target.transpose(1, 0, 2))
            target[~np.all(np.isfinite(target), axis=2)] = np.nan


@numba.njit(error_model="numpy")
def _keep(room: FloatArray, k: int, states: FloatArray) -> None:
    """room[k] = states, in loops, which compile in a tenth of the time."""
    for m in range(states.shape[0]):
        for i in range(states.shape[1]):
            room[k, m, i] = states[m, i]


@numba.njit(
    "void(int64[:, ::1], float64[::1], int64[::1], int64, int64, float64[:, ::1], boolean, float64[::1], float64[::1],"
    "float64[::1], float64, float64[::1], boolean, int64, int64, int64, int64, int64, float64[:, ::1],"
    "float64[:, :, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _step_together(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    inputs: FloatArray,
    is_map: bool,
    times: FloatArray,
    reach: FloatArray,
    weights: FloatArray,
    dt: float,
    mask: FloatArray,
    in_stages: bool,
    held_steps: int,
    first: int,
    last: int,
    steps: int,
    every: int,
    states: FloatArray,
    room: FloatArray,
) -> None:
    """Steps first+1 .. last of states[W X Y X Y .., n]; outputs go to room[k]."""
    number, n = states.shape
    operands = np.zeros(n_operands)
    for k in range(constants.size):
        operands[n_variables + k] = constants[k]
    slopes, totals = np.zeros((number, n)), np.zeros((number, n))
    if first == 0:
        _keep(room, 0, states)
    for step in range(first, last):
        holds = step < held_steps
        for k in range(inputs.shape[1]):
            operands[n + 1 + k] = inputs[step, k]
        for m in range(number):
            for i in range(n):
                slopes[m, i], totals[m, i] = 0.0, 0.0
        for s in range(times.size):
            for m in range(number):
                for i in range(n):
                    operands[i] = states[m, i] + reach[s] * dt * slopes[m, i]
                operands[n] = step * dt + times[s] * dt
                execute_one(code, operands)
                keeps = holds and in_stages and m > 0 and m % 2 == 0
                for i in range(n):
                    if keeps and mask[i] == 0.0:
                        slopes[m, i] = slopes[0, i]
                    else:
                        slopes[m, i] = operands[outputs[i]]
                    totals[m, i] += weights[s] * slopes[m, i]
        for m in range(number):
            for i in range(n):
                if holds and mask[i] == 0.0 and m > 0 and m % 2 == 0:
                    states[m, i] = states[0, i]
                else:
                    states[m, i] = totals[m, i] if is_map else states[m, i] + dt * totals[m, i]
        if (step + 1) % every == 0 or step + 1 == steps:
            _keep(room, (step + every) // every, states)
