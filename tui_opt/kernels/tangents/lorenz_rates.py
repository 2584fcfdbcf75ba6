"""Rates of growth along many Lorenz trajectories: Lyapunov exponents, and those of a tangent with nodes held.

Benettin's method: a frame of tangents is made orthogonal again every few steps, and the logarithms of its lengths are
summed (G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15 (1980) 9). Three frames follow W: the full
one of three, that of the free nodes with the others held (conditional exponents), and the tangent Y-W itself, of which
only what reaches the measured node is followed.

Trajectories are lanes, as in `tui_opt.kernels.tangents.lorenz_lanes`; they are cut into blocks of time, whose scatter
gives the standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.lanes import log
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.lorenz_lanes import (
    LANES,
    STRIDE,
    mask_rows,
    relevant,
    slope_along,
    slope_held,
    slope_of,
    toward,
    unless_negligible,
)
from tui_opt.kernels.tangents.system import FloatArray, HoldRule, Integrator
from tui_opt.kernels.vector_width import widest_vectors

VECTORS: Final = 7
"""W, three of the full frame, two of the held one, and Y-W."""
QUANTITIES: Final = 6
SLICE_SECONDS: Final = 0.05
SECONDS_PER_STEP: Final = 2e-8
_CONTRACT: Final = {"contract"}


@dataclass(frozen=True)
class RateQuestion:
    """What is averaged.

    Attributes:
        starts: w_0, [3, trajectory].
        perturbed, measured: nodes.
        held: nodes that keep their values of W.
        integrator, dt: how W is stepped.
        rule: as in `Question`.
        transient: steps before the averages begin.
        block: steps of a block of time.
        blocks: number of blocks.
    """

    starts: FloatArray
    perturbed: int
    measured: int
    held: tuple[int, ...]
    integrator: Integrator
    rule: HoldRule
    dt: float
    transient: int
    block: int
    blocks: int


@dataclass
class Rates:
    """Growth per unit of time in each block of time, [block, trajectory]; NaN where it is not computed yet or lost.

    Attributes:
        full: [3, block, trajectory], of the full frame, whose first vector is the perturbation X-W.
        free: [2, block, trajectory], of the frame of free nodes; NaN where there are fewer of them.
        held: [block, trajectory], of Y-W at the measured node; -inf where nothing reaches it.
    """

    full: FloatArray
    free: FloatArray
    held: FloatArray


@numba.njit(error_model="numpy", fastmath=_CONTRACT)
def _step(rows: FloatArray, k: Any, masks: Any, dt: float, is_euler: bool) -> None:
    """A step of every vector; the states of W at the four stages are kept in rows of their own."""
    widest_vectors()
    half, sixth = 0.5 * dt, dt / 6.0
    base = 3 * STRIDE
    for i in range(LANES):
        w1 = rows[i], rows[STRIDE + i], rows[2 * STRIDE + i]
        k1 = slope_of(w1, k)
        if is_euler:
            w2, w3, w4 = w1, w1, w1
            end = toward(w1, dt, k1)
        else:
            w2 = toward(w1, half, k1)
            k2 = slope_of(w2, k)
            w3 = toward(w1, half, k2)
            k3 = slope_of(w3, k)
            w4 = toward(w1, dt, k3)
            k4 = slope_of(w4, k)
            end = toward(w1, sixth, toward(toward(toward(k1, 2.0, k2), 2.0, k3), 1.0, k4))
        rows[i], rows[STRIDE + i], rows[2 * STRIDE + i] = end
        for n in range(3):
            at = base + 3 * n * STRIDE + i
            v = rows[at], rows[at + STRIDE], rows[at + 2 * STRIDE]
            s1 = slope_along(w1, v, k)
            if is_euler:
                end = toward(v, dt, s1)
            else:
                s2 = slope_along(w2, toward(v, half, s1), k)
                s3 = slope_along(w3, toward(v, half, s2), k)
                s4 = slope_along(w4, toward(v, dt, s3), k)
                end = toward(v, sixth, toward(toward(toward(s1, 2.0, s2), 2.0, s3), 1.0, s4))
            rows[at], rows[at + STRIDE], rows[at + 2 * STRIDE] = end
        for n in range(3):
            at = base + 3 * (n + 3) * STRIDE + i
            v = rows[at], rows[at + STRIDE], rows[at + 2 * STRIDE]
            m = masks[0] if n < 2 else masks[1]
            s1 = slope_held(w1, v, k, m)
            if is_euler:
                end = toward(v, dt, s1)
            else:
                s2 = slope_held(w2, toward(v, half, s1), k, m)
                s3 = slope_held(w3, toward(v, half, s2), k, m)
                s4 = slope_held(w4, toward(v, dt, s3), k, m)
                end = toward(v, sixth, toward(toward(toward(s1, 2.0, s2), 2.0, s3), 1.0, s4))
            rows[at], rows[at + STRIDE], rows[at + 2 * STRIDE] = end


@numba.njit(error_model="numpy", fastmath=_CONTRACT)
def _make_orthogonal(rows: FloatArray, sums: FloatArray, vector: int, earlier: int, quantity: int) -> None:
    """Take the `earlier` vectors before it out of one, make its length 1, and add the logarithm of what it was."""
    widest_vectors()
    at = 3 * vector * STRIDE
    for n in range(vector - earlier, vector):
        other = 3 * n * STRIDE
        for i in range(LANES):
            x, y, z = rows[at + i], rows[at + STRIDE + i], rows[at + 2 * STRIDE + i]
            p, q, r = rows[other + i], rows[other + STRIDE + i], rows[other + 2 * STRIDE + i]
            along = x * p + y * q + z * r
            rows[at + i] = x - along * p
            rows[at + STRIDE + i] = y - along * q
            rows[at + 2 * STRIDE + i] = z - along * r
    for i in range(LANES):
        x, y, z = rows[at + i], rows[at + STRIDE + i], rows[at + 2 * STRIDE + i]
        length = math.sqrt(x * x + y * y + z * z)
        sums[quantity * LANES + i] += log(length)
        inverse = 1.0 / length
        rows[at + i] = unless_negligible(x * inverse)
        rows[at + STRIDE + i] = unless_negligible(y * inverse)
        rows[at + 2 * STRIDE + i] = unless_negligible(z * inverse)


@numba.njit(
    "void(float64[:, ::1], float64[:, ::1], int64, int64, boolean, float64, float64, float64, float64, float64[:, ::1],"
    "boolean, int64)",
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath=_CONTRACT,
)
def _advance(
    groups: FloatArray,
    sums: FloatArray,
    steps: int,
    every: int,
    is_euler: bool,
    sigma: float,
    rho: float,
    beta: float,
    dt: float,
    masks: FloatArray,
    in_stages: bool,
    free: int,
) -> None:
    """Steps of groups[group, rows of lanes], adding to sums[group, QUANTITIES LANES]."""
    widest_vectors()
    k = sigma, rho, beta
    whole = sigma, 1.0, 1.0
    first, second = (masks[0, 0], masks[0, 1], masks[0, 2]), (masks[1, 0], masks[1, 1], masks[1, 2])
    both = (whole, whole)
    if in_stages:
        both = ((first[0] * sigma, first[1], first[2]), (second[0] * sigma, second[1], second[2]))
    for number in range(groups.shape[0]):
        rows, counts = groups[number], sums[number]
        for step in range(steps):
            if is_euler:
                _step(rows, k, both, dt, True)
            else:
                _step(rows, k, both, dt, False)
            if not in_stages:
                for n in range(3):
                    mask_rows(rows, 3 * (n + 4) * STRIDE, first if n < 2 else second)
            if step % every == every - 1 or step == steps - 1:
                for n in range(3):
                    _make_orthogonal(rows, counts, 1 + n, n, n)
                for n in range(free):
                    _make_orthogonal(rows, counts, 4 + n, n, 3 + n)
                _make_orthogonal(rows, counts, 6, 0, 5)


def rates(
    lorenz: Lorenz,
    question: RateQuestion,
    check: Check = unchecked,
    told: Callable[[int, Rates], None] | None = None,
) -> Rates:
    """Growth of every frame in every block of time.

    Args:
        lorenz: the parameters.
        question: what is averaged.
        check: called at least every 100 ms.
        told: told how many blocks are done, with what is known so far.

    Raises: ValueError where the perturbed node is held, or nothing is left free.
    """
    held, n, m = question.held, question.perturbed, question.measured
    if n in held:
        raise ValueError("The perturbed node is held, so its variation cannot begin; free one of the two.")
    trajectories = question.starts.shape[1]
    shape = question.blocks, trajectories
    answer = Rates(np.full((3, *shape), np.nan), np.full((2, *shape), np.nan), np.full(shape, np.nan))
    reaching = relevant(held, m)
    arrives = m not in held and n in reaching
    free = [n, *(k for k in range(3) if k not in (n, *held))]
    groups, masks = _begin(question, free, reaching if arrives else tuple(free))
    sums = np.zeros((len(groups), QUANTITIES * LANES))
    stiff = question.dt * -lorenz.trace
    every = int(min(16, max(1, 2.0 / stiff))) if stiff > 0 else 16
    free_vectors = min(2, len(free))
    common = (
        every, question.integrator == "euler", lorenz.sigma, lorenz.rho, lorenz.beta, question.dt, masks,
        question.rule == "stage", free_vectors
    )  # fmt: skip
    at_once = max(1, int(SLICE_SECONDS / (SECONDS_PER_STEP * len(groups) * LANES)))
    at_once = -(-at_once // every) * every
    for number, steps in enumerate((question.transient, *[question.block] * question.blocks)):
        sums[:] = 0.0
        done = 0
        while done < steps:
            check()
            more = min(at_once, steps - done)
            _advance(groups, sums, more, *common)
            done += more
        if number == 0:
            continue
        grown = (
            sums.reshape(-1, QUANTITIES, LANES).transpose(1, 0, 2).reshape(QUANTITIES, -1)[:, :trajectories]
        )
        grown = grown / (question.block * question.dt)
        answer.full[:, number - 1] = grown[:3]
        answer.free[:free_vectors, number - 1] = grown[3 : 3 + free_vectors]
        answer.held[number - 1] = grown[5] if arrives else -np.inf
        if told is not None:
            told(number, answer)
    return answer


def _begin(
    question: RateQuestion, free: list[int], reaching: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Groups of lanes with the states and the frames they begin with, and the masks of both held frames."""
    trajectories = question.starts.shape[1]
    number = -(-trajectories // LANES)
    groups = np.zeros((number, 3 * VECTORS, STRIDE))
    padded = np.ones((3, number * LANES))
    padded[:, :trajectories] = question.starts
    groups[:, :3, :LANES] = padded.reshape(3, number, LANES).transpose(1, 0, 2)
    n = question.perturbed
    for vector, node in enumerate((n, *(k for k in range(3) if k != n)), start=1):
        groups[:, 3 * vector + node] = 1.0
    for vector, node in enumerate(free[:2], start=4):
        groups[:, 3 * vector + node] = 1.0
    groups[:, 18 + n] = 1.0
    masks = np.zeros((2, 3))
    masks[0, free] = 1.0
    masks[1, list(reaching)] = 1.0
    return groups.reshape(number, -1), masks
