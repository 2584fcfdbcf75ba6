"""Many Lorenz trajectories at once, each with its tangents: lanes innermost, so that a loop over them is vectors.

A block of lanes fits the first-level cache. One turn of the loop makes a whole step of W and of both tangents for a
lane, in registers; the three are mixed stage by stage, which gives the processor independent work. Multiply-adds are
contracted, so the last bits differ from those of `tui_opt.kernels.tangents.follow`, but never with the number of
threads or of lanes: lanes do not know of each other.

The plain version is `follow` with `Lorenz.system()` and initial values [3, lane].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.lanes import bits_of, from_bits, select
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.system import FloatArray, IntArray, Question
from tui_opt.kernels.tangents.wide import LN2
from tui_opt.kernels.vector_width import widest_vectors

LANES: Final = 64
"""Lanes of a block: eight vectors of 512 bits."""
STRIDE: Final = LANES + 8
"""From row to row of a block; a power of two would make rows compete for the same cache lines."""
TILE: Final = 64 * LANES
"""Lanes that are followed together, in memory of a few hundred kilobytes."""
RENORM: Final = 16
"""Steps between two renormalisations. No step of an accurate course changes a tangent by 1e18."""
SLICE_SECONDS: Final = 0.05
SECONDS_PER_STEP: Final = 1e-8
"""Of a lane, with both tangents, on a slow core."""

_W, _V, _U = 0, 3 * STRIDE, 6 * STRIDE
ROWS: Final = 9 * STRIDE
_MANTISSA_BITS: Final = np.uint64(52)
_EXPONENT_FIELD: Final = np.uint64(0x7FF)
_NEGLIGIBLE: Final = 2.0**-500
_CONTRACT: Final = {"contract"}

vector: Any = numba.njit(forceinline=True, error_model="numpy", fastmath=_CONTRACT)
"""Compile as part of the loop that calls it, with multiply-adds."""


@vector
def slope_of(w: Any, k: Any) -> Any:
    """ds/dt; k is (sigma, rho, beta)."""
    a, b, c = w
    sigma, rho, beta = k
    return sigma * (b - a), a * (rho - c) - b, a * b - beta * c


@vector
def slope_along(w: Any, v: Any, k: Any) -> Any:
    """The Jacobian at w times v."""
    a, b, c = w
    x, y, z = v
    sigma, rho, beta = k
    return sigma * (y - x), (rho - c) * x - y - a * z, b * x + a * y - beta * z


@vector
def slope_held(w: Any, v: Any, k: Any, m: Any) -> Any:
    """The same with rows multiplied; m is (sigma or 0, 1 or 0, 1 or 0)."""
    a, b, c = w
    x, y, z = v
    _, rho, beta = k
    return m[0] * (y - x), m[1] * ((rho - c) * x - y - a * z), m[2] * (b * x + a * y - beta * z)


@vector
def toward(s: Any, reach: float, slope: Any) -> Any:
    """s + reach slope."""
    return s[0] + reach * slope[0], s[1] + reach * slope[1], s[2] + reach * slope[2]


@vector
def unless_negligible(x: float) -> Any:
    """0 for a component so far below the length 1 of its vector that it cannot matter again.

    Such a one decays on its own, and numbers below the normal ones would slow every step down many times.
    """
    return select(abs(x) < _NEGLIGIBLE, 0.0, x)


@numba.njit(error_model="numpy", fastmath=_CONTRACT)
def _rk4_step(rows: FloatArray, k: Any, m: Any, dt: float) -> None:
    widest_vectors()
    half, sixth = 0.5 * dt, dt / 6.0
    for i in range(LANES):
        w = rows[_W + i], rows[_W + STRIDE + i], rows[_W + 2 * STRIDE + i]
        v = rows[_V + i], rows[_V + STRIDE + i], rows[_V + 2 * STRIDE + i]
        u = rows[_U + i], rows[_U + STRIDE + i], rows[_U + 2 * STRIDE + i]
        kw, kv, ku = slope_of(w, k), slope_along(w, v, k), slope_held(w, u, k, m)
        tw, tv, tu = kw, kv, ku
        w2, v2, u2 = toward(w, half, kw), toward(v, half, kv), toward(u, half, ku)
        kw, kv, ku = slope_of(w2, k), slope_along(w2, v2, k), slope_held(w2, u2, k, m)
        tw, tv, tu = toward(tw, 2.0, kw), toward(tv, 2.0, kv), toward(tu, 2.0, ku)
        w2, v2, u2 = toward(w, half, kw), toward(v, half, kv), toward(u, half, ku)
        kw, kv, ku = slope_of(w2, k), slope_along(w2, v2, k), slope_held(w2, u2, k, m)
        tw, tv, tu = toward(tw, 2.0, kw), toward(tv, 2.0, kv), toward(tu, 2.0, ku)
        w2, v2, u2 = toward(w, dt, kw), toward(v, dt, kv), toward(u, dt, ku)
        kw, kv, ku = slope_of(w2, k), slope_along(w2, v2, k), slope_held(w2, u2, k, m)
        tw, tv, tu = toward(tw, 1.0, kw), toward(tv, 1.0, kv), toward(tu, 1.0, ku)
        rows[_W + i], rows[_W + STRIDE + i], rows[_W + 2 * STRIDE + i] = toward(w, sixth, tw)
        rows[_V + i], rows[_V + STRIDE + i], rows[_V + 2 * STRIDE + i] = toward(v, sixth, tv)
        rows[_U + i], rows[_U + STRIDE + i], rows[_U + 2 * STRIDE + i] = toward(u, sixth, tu)


@numba.njit(error_model="numpy", fastmath=_CONTRACT)
def _euler_step(rows: FloatArray, k: Any, m: Any, dt: float) -> None:
    widest_vectors()
    for i in range(LANES):
        w = rows[_W + i], rows[_W + STRIDE + i], rows[_W + 2 * STRIDE + i]
        v = rows[_V + i], rows[_V + STRIDE + i], rows[_V + 2 * STRIDE + i]
        u = rows[_U + i], rows[_U + STRIDE + i], rows[_U + 2 * STRIDE + i]
        kw, kv, ku = slope_of(w, k), slope_along(w, v, k), slope_held(w, u, k, m)
        rows[_W + i], rows[_W + STRIDE + i], rows[_W + 2 * STRIDE + i] = toward(w, dt, kw)
        rows[_V + i], rows[_V + STRIDE + i], rows[_V + 2 * STRIDE + i] = toward(v, dt, kv)
        rows[_U + i], rows[_U + STRIDE + i], rows[_U + 2 * STRIDE + i] = toward(u, dt, ku)


@numba.njit(error_model="numpy", fastmath=_CONTRACT)
def mask_rows(rows: FloatArray, at: int, mask: Any) -> None:
    """Multiply the three rows of a vector that begins at row offset `at`."""
    widest_vectors()
    for i in range(LANES):
        rows[at + i] *= mask[0]
        rows[at + STRIDE + i] *= mask[1]
        rows[at + 2 * STRIDE + i] *= mask[2]


@numba.njit(error_model="numpy")
def _renormalise(rows: FloatArray, powers: IntArray, vector_rows: int, power_row: int) -> None:
    """Scale a tangent by a power of two that makes its largest component of order 1, and keep account of it."""
    widest_vectors()
    for i in range(LANES):
        x, y, z = (
            rows[vector_rows + i],
            rows[vector_rows + STRIDE + i],
            rows[vector_rows + 2 * STRIDE + i],
        )
        largest = max(abs(x), abs(y), abs(z))
        field = (bits_of(largest) >> _MANTISSA_BITS) & _EXPONENT_FIELD
        scale = from_bits((np.uint64(2046) - field) << _MANTISSA_BITS)
        rows[vector_rows + i] = unless_negligible(x * scale)
        rows[vector_rows + STRIDE + i] = unless_negligible(y * scale)
        rows[vector_rows + 2 * STRIDE + i] = unless_negligible(z * scale)
        powers[power_row + i] += np.int64(field) - 1023


@numba.njit(
    "void(float64[:, ::1], int64[:, ::1], int64, boolean, float64, float64, float64, float64, float64[::1], boolean)",
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath=_CONTRACT,
)
def _advance(
    blocks: FloatArray,
    powers: IntArray,
    steps: int,
    is_euler: bool,
    sigma: float,
    rho: float,
    beta: float,
    dt: float,
    mask: FloatArray,
    in_stages: bool,
) -> None:
    """Steps of all blocks[block, ROWS] with powers[block, 2 LANES] of their tangents."""
    widest_vectors()
    k, after = (sigma, rho, beta), (mask[0], mask[1], mask[2])
    m = (mask[0] * sigma, mask[1], mask[2]) if in_stages else (sigma, 1.0, 1.0)
    for number in range(blocks.shape[0]):
        rows, counts = blocks[number], powers[number]
        for step in range(steps):
            if is_euler:
                _euler_step(rows, k, m, dt)
            else:
                _rk4_step(rows, k, m, dt)
            if not in_stages:
                mask_rows(rows, _U, after)
            if step % RENORM == RENORM - 1 or step == steps - 1:
                _renormalise(rows, counts, _V, 0)
                _renormalise(rows, counts, _U, LANES)


@dataclass
class LaneTangents:
    """Where many trajectories end; NaN where they have left the finite numbers.

    Attributes:
        state: w, [3, lane].
        log_x, log_y: ln|v_m| and ln|u_m|, [3, lane]; -inf where a component is exactly 0.
        sign_x, sign_y: float64[3, lane], -1, 0 or 1.
    """

    state: FloatArray
    log_x: FloatArray
    sign_x: FloatArray
    log_y: FloatArray
    sign_y: FloatArray


def relevant(held: tuple[int, ...], measured: int) -> tuple[int, ...]:
    """The free nodes whose changes reach a measured one while others are held, itself among them.

    A held b cuts c off from a, whose change then decays on its own; a scale shared with that of c would lose it.
    """
    reads = {0: (0, 1), 1: (0, 1, 2), 2: (0, 1, 2)}
    found: set[int] = set()
    new = {measured} - set(held)
    while new:
        found |= new
        new = {j for i in found for j in reads[i] if j not in held} - found
    return tuple(sorted(found))


def blank_lanes(lanes: int) -> LaneTangents:
    """Room for so many trajectories."""
    shape = 3, lanes
    return LaneTangents(np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape))


def require_lanes(question: Question) -> None:
    """Raise ValueError unless the question is about many lanes of the flow."""
    starts = question.initial
    if starts.ndim != 2 or len(starts) != 3 or question.integrator == "map":
        raise ValueError(f"initial has shape {starts.shape}; lanes of the Lorenz flow start at [3, lane].")


def mask_of(question: Question, measured: int) -> FloatArray:
    """1 for the nodes of Y that are followed while A is held: the free ones that reach the measured one."""
    mask = question.mask()
    held_for_good = question.held_steps == question.steps
    if question.held and held_for_good and measured not in question.held:
        mask[[k for k in range(3) if k not in relevant(question.held, measured)]] = 0.0
    return mask


def phases(question: Question, mask: FloatArray) -> list[tuple[int, FloatArray, bool]]:
    """How many steps are made with which mask, and whether in every stage: while A is held, and afterwards."""
    held = min(question.held_steps, question.steps)
    found = [(held, mask, question.rule == "stage"), (question.steps - held, np.ones(3), True)]
    return [phase for phase in found if phase[0] > 0]


def finished(answer: LaneTangents, part: slice, rows: FloatArray, exponents: IntArray) -> None:
    """Put rows[9, lane] of w, v and u, with the exponents[2, lane] of v and u, in their places of an answer."""
    lost = ~np.all(np.isfinite(rows), axis=0)
    answer.state[:, part] = np.where(lost, np.nan, rows[:3])
    with np.errstate(divide="ignore", invalid="ignore"):
        for k, (logs, signs) in enumerate(((answer.log_x, answer.sign_x), (answer.log_y, answer.sign_y))):
            components = rows[3 + 3 * k : 6 + 3 * k]
            logs[:, part] = np.where(lost, np.nan, np.log(np.abs(components)) + exponents[k] * LN2)
            signs[:, part] = np.where(lost, np.nan, np.sign(components))


def follow_lanes(lorenz: Lorenz, question: Question, measured: int, check: Check = unchecked) -> LaneTangents:
    """Where every trajectory and its tangents are after the last step.

    Args:
        lorenz: the parameters.
        question: initial[3, lane], and the rest as for `follow`; `every` is not used.
        measured: the node whose Op is asked for. Where nothing of another node's change reaches it while A is held,
            that node's row of Y is not followed, and is 0.
        check: called at least every 100 ms.

    Raises: ValueError where the question is not about three nodes of many lanes of a flow.
    """
    require_lanes(question)
    lanes = question.initial.shape[1]
    answer = blank_lanes(lanes)
    for first in range(0, lanes, TILE):
        _follow_tile(lorenz, question, measured, slice(first, min(first + TILE, lanes)), answer, check)
    return answer


def _follow_tile(
    lorenz: Lorenz, question: Question, measured: int, part: slice, answer: LaneTangents, check: Check
) -> None:
    mask = mask_of(question, measured)
    lanes = part.stop - part.start
    number = -(-lanes // LANES)
    padded = np.zeros((3, number * LANES))
    padded[:, :lanes] = question.initial[:, part]
    blocks = np.zeros((number, 9, STRIDE))
    blocks[:, :3, :LANES] = padded.reshape(3, number, LANES).transpose(1, 0, 2)
    blocks[:, 3 + question.perturbed, :LANES] = 1.0
    blocks[:, 6 + question.perturbed, :LANES] = mask[question.perturbed]
    powers = np.zeros((number, 2 * LANES), dtype=np.int64)
    flat = blocks.reshape(number, ROWS)
    coefficients = lorenz.sigma, lorenz.rho, lorenz.beta, question.dt
    at_once = max(1, int(SLICE_SECONDS / (SECONDS_PER_STEP * number * LANES)))
    at_once = -(-at_once // RENORM) * RENORM  # so that the slices change no bits
    for steps, now, in_stages in phases(question, mask):
        for done in range(0, steps, at_once):
            check()
            more = min(at_once, steps - done)
            _advance(flat, powers, more, question.integrator == "euler", *coefficients, now, in_stages)
    rows = blocks[:, :, :LANES].transpose(1, 0, 2).reshape(9, -1)[:, :lanes]
    exponents = powers.reshape(number, 2, LANES).transpose(1, 0, 2).reshape(2, -1)[:, :lanes]
    finished(answer, part, rows, exponents)
