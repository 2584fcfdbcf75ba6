"""Follow a trajectory W with its tangents X-W and Y-W.

Each step multiplies the tangents by the exact derivative of that step. The derivative is put together first, in plain
numbers, and then applied to vectors whose components have exponents of their own (`tui_opt.kernels.tangents.wide`):
the logarithm of a tangent keeps its absolute accuracy (1e-11 after 1e5 chaotic steps), however long it grows or
decays, and its sign is kept beside it.

Holding a set A: u <- P Df u, with the rows of A zeroed inside every stage, or after the step (`Question.rule`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.tangents.compiled import Run
from tui_opt.kernels.tangents.system import FloatArray, Question, SignArray, System, TapeSystem, check_fit
from tui_opt.kernels.tangents.wide import applied, logarithm, wide

Told: TypeAlias = Callable[[int], None]
"""Told how many steps are done."""


def untold(steps: int) -> None:
    """What is told to nobody."""


@dataclass
class Tangents:
    """W and its tangents at the output times; NaN from where they are no numbers any more, and where not computed yet.

    Attributes:
        t: [k], times (steps of a map).
        state: [k, n], or [k, n, lane] where many trajectories were asked for; so have all that follow.
        log_x, log_y: ln|v_i| and ln|u_i| for a perturbation of size 1; -inf where the component is exactly 0.
        sign_x, sign_y: int8, -1 or 1; 0 where the component is 0 or unknown.
        state_lost: the first step after which W is not finite, None where it always is.
        tangent_lost: likewise for the tangents; the derivative does not exist there, or is infinite.
    """

    t: FloatArray
    state: FloatArray
    log_x: FloatArray
    sign_x: SignArray
    log_y: FloatArray
    sign_y: SignArray
    state_lost: int | None = None
    tangent_lost: int | None = None


def blank(question: Question) -> Tangents:
    """Room for the answer to a question: times, and NaN everywhere else."""
    shape = (question.outputs.size, *question.initial.shape)
    state, log_x, log_y = (np.full(shape, np.nan) for _ in range(3))
    sign_x, sign_y = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
    return Tangents(question.times, state, log_x, sign_x, log_y, sign_y)


def follow(
    system: System | TapeSystem,
    question: Question,
    check: Check = unchecked,
    told: Told = untold,
    into: Tangents | None = None,
) -> Tangents:
    """Follow W and both tangents.

    Args:
        system: functions (plain NumPy, also for many trajectories), or tapes (compiled, about 1e6 steps a second).
        question: what is asked.
        check: called at least every 100 ms; what it raises ends the computation.
        told: called beside it, with the number of steps done.
        into: room made by `blank`, filled as the steps are made, so that others can look at it; new where left out.

    Returns: the filled room.
    Raises: ValueError where system and question do not fit.
    """
    check_fit(system, question)
    answer = blank(question) if into is None else into
    if isinstance(system, TapeSystem):
        _follow_tape(system, question, answer, check, told)
    else:
        _follow_functions(system, question, answer, check, told)
    return answer


def _follow_tape(system: TapeSystem, question: Question, answer: Tangents, check: Check, told: Told) -> None:
    if question.initial.ndim != 1:
        raise ValueError("A system of tapes follows one trajectory; give initial values of shape [nodes].")
    run = Run(system, question)
    while run.done < question.steps or run.done == 0:
        check()
        run.advance(answer.state, answer.log_x, answer.sign_x, answer.log_y, answer.sign_y)
        told(run.done)
        if question.steps == 0 or run.state_lost is not None:
            break
    answer.state_lost, answer.tangent_lost = run.state_lost, run.tangent_lost


# --- the plain way ----------------------------------------------------------------------------------------------------


def _follow_functions(system: System, question: Question, answer: Tangents, check: Check, told: Told) -> None:
    """The same in NumPy."""
    shape = question.initial.shape
    state = question.initial.copy()
    begin = np.zeros(shape)
    begin[question.perturbed] = 1.0
    x, y = wide(begin), wide(begin)
    rows = {int(step): k for k, step in enumerate(question.outputs)}
    for step in range(question.steps + 1):
        if step in rows:
            _record(answer, rows[step], state, x, y)
        if step == question.steps:
            break
        check()
        told(step)
        mask = question.mask() if step < question.held_steps else np.ones(question.size)
        with np.errstate(all="ignore"):
            state, free, held = step_and_derivative(system, question, step, state, mask)
            x, y = applied(free, *x), applied(held, *y)
        finite = bool(np.all(np.isfinite(state)))
        if answer.state_lost is None and not finite:
            answer.state_lost = step + 1
        known = np.isfinite(x[0]) & np.isfinite(y[0])
        if answer.tangent_lost is None and finite and not np.all(known):
            answer.tangent_lost = step + 1
        if not np.any(np.all(np.isfinite(state), axis=0)):
            break
    told(question.steps)


def _record(answer: Tangents, k: int, state: FloatArray, x: tuple, y: tuple) -> None:  # type: ignore[type-arg]
    answer.state[k] = state
    lost = ~np.all(np.isfinite(state), axis=0)
    for (mantissa, exponent), logs, signs in (
        (x, answer.log_x, answer.sign_x),
        (y, answer.log_y, answer.sign_y),
    ):
        gone = lost | ~np.all(np.isfinite(mantissa), axis=0)
        logs[k] = np.where(gone, np.nan, logarithm(mantissa, exponent))
        signs[k] = np.where(gone, 0.0, np.sign(mantissa))


def step_and_derivative(
    system: System, question: Question, step: int, state: FloatArray, mask: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One step of W, and the derivative of that step.

    Args:
        system, question: as in `follow`.
        step: how many steps were made before.
        state: w, [n] or [n, lane].
        mask: [n], 0 where a node is held.

    Returns: w after the step, and d w_i(after) / d w_j(before) as [n, n] or [n, n, lane], free and with nodes held.
    """
    n, t, dt = question.size, step * question.dt, question.dt
    if question.integrator == "map":
        free = _columns(system, t, state, _identity(n, state))
        return np.asarray(system.value(t, state), dtype=np.float64), free, _rows(mask, free)
    one, scheme = _identity(n, state), question.scheme
    stage_mask = mask if question.rule == "stage" else np.ones(n)
    slope = np.zeros_like(state)
    slopes = [np.zeros_like(one), np.zeros_like(one)]
    total, totals = np.zeros_like(state), [np.zeros_like(one), np.zeros_like(one)]
    for c, a, b in zip(scheme.times, scheme.reach, scheme.weights, strict=True):
        now, place = t + c * dt, state + a * dt * slope
        slope = np.asarray(system.value(now, place), dtype=np.float64)
        slopes[0] = _columns(system, now, place, one + a * dt * slopes[0])
        slopes[1] = _rows(stage_mask, _columns(system, now, place, one + a * dt * slopes[1]))
        total = total + b * slope
        totals = [totals[k] + b * slopes[k] for k in range(2)]
    free, held = one + dt * totals[0], _rows(mask, one + dt * totals[1])
    return state + dt * total, free, held


def _identity(n: int, state: FloatArray) -> FloatArray:
    one = np.zeros((n, *state.shape))
    one[np.arange(n), np.arange(n)] = 1.0
    return one


def _rows(mask: FloatArray, matrix: FloatArray) -> FloatArray:
    """The rows that are not held; a held row is zero even where its entries are not finite."""
    free = mask.reshape(-1, *([1] * (matrix.ndim - 1))) != 0.0
    return np.where(free, matrix, 0.0)


def _columns(system: System, t: float, state: FloatArray, matrix: FloatArray) -> FloatArray:
    """Df(t, s) times every column of matrix[i, j(, lane)]."""
    columns = [system.product(t, state, matrix[:, j]) for j in range(len(matrix))]
    return np.stack([np.broadcast_to(column, state.shape) for column in columns], axis=1)
