"""The compiled engine of one trajectory with its tangents, for systems of tapes; `follow` has the same in NumPy."""

from __future__ import annotations

import math
from typing import Any, Final

import numba
import numpy as np

from tui_opt.kernels.lanes import bits_of, from_bits, log
from tui_opt.kernels.tangents.scalar import execute_one
from tui_opt.kernels.tangents.system import FloatArray, IntArray, Question, SignArray, TapeSystem

SLICE_SECONDS: Final = 0.05
_LN2: Final = 0.6931471805599453
_EXPONENT_SHIFT: Final = np.uint64(52)
_EXPONENT_FIELD: Final = np.uint64(0x7FF)
_HALF: Final = np.uint64(1022 << 52)
_LEAST_NORMAL: Final = 2.0**-1022
_NEGLIGIBLE: Final = -200
"""Binary orders of magnitude below which a term changes no sum of doubles."""
_LEAST_PLAIN: Final = 2.0**-500
"""A sum below this may have lost terms that were too small for doubles."""
_NOTHING: Final = -(2**61)

_TYPES: Final = (
    "int64(int64[:, ::1], float64[::1], int64[::1], int64, int64,"  # the program
    "int64[::1], int64[::1],"  # rows and columns of its Jacobian
    "float64[:, ::1],"  # inputs
    "boolean, float64[::1], float64[::1], float64[::1], float64,"  # the scheme and dt
    "float64[::1], boolean, int64,"  # what is held, how, and in how many steps
    "int64, int64, int64,"  # steps: from, to, all
    "int64,"  # every
    "float64[::1], float64[::1], int64[::1], float64[::1], int64[::1],"  # w, v, u
    "float64[:, ::1], float64[:, ::1], int8[:, ::1], float64[:, ::1], int8[:, ::1])"
)


class Run:
    """A trajectory under way.

    Attributes:
        done: steps that are made.
        state: w[n] now.
        state_lost, tangent_lost: as in `Tangents`.
    """

    def __init__(self, system: TapeSystem, question: Question) -> None:
        n = question.size
        self._question = question
        self._program = system.program.arrays
        self._places = system.rows, system.columns, np.ascontiguousarray(question.inputs, dtype=np.float64)
        scheme = question.scheme
        self._scheme = (
            question.integrator == "map",
            np.array(scheme.times),
            np.array(scheme.reach),
            np.array(scheme.weights),
            question.dt,
        )
        in_stages = question.rule == "stage" and question.integrator != "map"
        self._hold = question.mask(), in_stages, question.held_steps
        self.state = question.initial.copy()
        begin = np.zeros(n)
        begin[question.perturbed] = 0.5  # 1 = 0.5 * 2^1
        exponent = (begin != 0.0).astype(np.int64)
        self._vectors = begin, exponent, begin.copy(), exponent.copy()
        self.done = 0
        self.state_lost: int | None = None
        self.tangent_lost: int | None = None
        per_stage = 4e-9 * len(system.program.code) + 4e-9 * n * (system.rows.size + 3 * n)
        per_step = len(scheme.times) * per_stage + 2e-8 * n * n
        self._slice = max(1, int(SLICE_SECONDS / per_step))

    def advance(
        self, state: FloatArray, log_x: FloatArray, sign_x: SignArray, log_y: FloatArray, sign_y: SignArray
    ) -> None:
        """Make the steps of one slice and write the outputs on the way, each array [output, n]."""
        last = min(self._question.steps, self.done + self._slice)
        ended = int(
            _advance(
                *self._program, *self._places, *self._scheme, *self._hold, self.done, last,
                self._question.steps, self._question.every, self.state, *self._vectors,
                state, log_x, sign_x, log_y, sign_y,
            )
        )  # fmt: skip
        self.done = last
        if ended > 0:
            self.state_lost = ended
        elif ended < 0 and self.tangent_lost is None:
            self.tangent_lost = -ended


@numba.njit(forceinline=True, error_model="numpy")
def _split(x: float) -> Any:
    """Mantissa and exponent of a number that is neither 0 nor infinite nor NaN, as `math.frexp` has them."""
    more = 0
    if abs(x) < _LEAST_NORMAL:
        x, more = x * 2.0**54, -54
    exponent = np.int64((bits_of(x) >> _EXPONENT_SHIFT) & _EXPONENT_FIELD) - 1022
    return from_bits((bits_of(x) & ~(_EXPONENT_FIELD << _EXPONENT_SHIFT)) | _HALF), exponent + more


@numba.njit(forceinline=True, error_model="numpy")
def _power_of_two(exponent: int) -> Any:
    """2^exponent for an exponent in [-1022, 1023]."""
    return from_bits(np.uint64(exponent + 1023) << _EXPONENT_SHIFT)


@numba.njit(error_model="numpy")
def _sum_apart(columns: FloatArray, i: int, mantissa: FloatArray, exponent: IntArray) -> Any:
    """A component of the product, term by term: mantissa, which is not finite if a term is not, and exponent."""
    highest, total, broken = _NOTHING, 0.0, 0.0
    for j in range(mantissa.size):
        if mantissa[j] == 0.0:
            continue
        product = columns[j, i] * mantissa[j]
        if product == 0.0:
            continue
        if not math.isfinite(product):
            broken += product
            continue
        m, e = _split(product)
        e += exponent[j]
        if e > highest:
            total = total * _power_of_two(highest - e) if highest - e > _NEGLIGIBLE else 0.0
            highest = e
        if e - highest > _NEGLIGIBLE:
            total += m * _power_of_two(e - highest)
    if broken != 0.0:
        return broken, 0
    if total == 0.0:
        return 0.0, 0
    m, e = _split(total)
    return m, highest + e


@numba.njit(
    "boolean(float64[:, ::1], float64[::1], int64[::1], float64[:, ::1], int64[::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def apply_columns(
    columns: FloatArray, mantissa: FloatArray, exponent: IntArray, room: FloatArray, power: IntArray
) -> bool:
    """Replace a wide vector by the product with a matrix[j, i] of its columns; False where it is no number any more.

    `room` and `power` hold what is computed on the way: [2, n] and [n]. Where the exponents are close, as they mostly
    are, terms are summed under the highest of them.
    """
    n = mantissa.size
    highest, lowest = _NOTHING, -_NOTHING
    for j in range(n):
        if mantissa[j] != 0.0:
            highest, lowest = max(highest, exponent[j]), min(lowest, exponent[j])
    close = highest - lowest < -_NEGLIGIBLE
    if close:
        for j in range(n):
            room[1, j] = mantissa[j] * _power_of_two(exponent[j] - highest) if mantissa[j] != 0.0 else 0.0
    known = True
    for i in range(n):
        total = 0.0
        if close:
            for j in range(n):
                if room[1, j] != 0.0:
                    total += columns[j, i] * room[1, j]
        if _LEAST_PLAIN < abs(total) < math.inf:
            m, e = _split(total)
            room[0, i], power[i] = m, highest + e
        else:
            m, e = _sum_apart(columns, i, mantissa, exponent)
            room[0, i], power[i] = m, e
            known = known and math.isfinite(m)
    for i in range(n):
        mantissa[i], exponent[i] = room[0, i], power[i]
    return known


@numba.njit(error_model="numpy")
def _record(
    k: int, mantissa: FloatArray, exponent: IntArray, logs: FloatArray, signs: SignArray, known: bool
) -> None:
    for i in range(mantissa.size):
        if not known:
            logs[k, i], signs[k, i] = math.nan, 0
        elif mantissa[i] == 0.0:
            logs[k, i], signs[k, i] = -math.inf, 0
        else:
            logs[k, i] = log(abs(mantissa[i])) + exponent[i] * _LN2
            signs[k, i] = 1 if mantissa[i] > 0.0 else -1


@numba.njit(error_model="numpy")
def _multiply(
    slopes: FloatArray,
    totals: FloatArray,
    wanted: FloatArray,
    reach: float,
    weight: float,
    operands: FloatArray,
    entries: IntArray,
    rows: IntArray,
    columns: IntArray,
    mask: FloatArray,
    place: FloatArray,
) -> None:
    """One stage of the columns of the derivative of a step: slopes[j, i] <- mask J (1 + reach slopes)."""
    n = wanted.size
    for j in range(n):
        if wanted[j] == 0.0:
            continue
        for i in range(n):
            place[i] = reach * slopes[j, i]
            slopes[j, i] = 0.0
        place[j] += 1.0
        for e in range(rows.size):
            if mask[rows[e]] != 0.0 and place[columns[e]] != 0.0:
                slopes[j, rows[e]] += operands[entries[e]] * place[columns[e]]
        for i in range(n):
            totals[j, i] += weight * slopes[j, i]


@numba.njit(error_model="numpy")
def _clear(slopes: FloatArray, totals: FloatArray, wanted: FloatArray) -> None:
    n = wanted.size
    for j in range(n):
        if wanted[j] != 0.0:
            for i in range(n):
                slopes[j, i], totals[j, i] = 0.0, 0.0


@numba.njit(error_model="numpy")
def _finish(totals: FloatArray, wanted: FloatArray, dt: float) -> None:
    """1 + dt totals, the columns of the derivative of a step."""
    n = wanted.size
    for j in range(n):
        if wanted[j] != 0.0:
            for i in range(n):
                totals[j, i] *= dt
            totals[j, j] += 1.0


@numba.njit(_TYPES, nogil=True, cache=True, error_model="numpy")
def _advance(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    rows: IntArray,
    columns: IntArray,
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
    w: FloatArray,
    v: FloatArray,
    v_exponent: IntArray,
    u: FloatArray,
    u_exponent: IntArray,
    state: FloatArray,
    log_x: FloatArray,
    sign_x: SignArray,
    log_y: FloatArray,
    sign_y: SignArray,
) -> int:
    """Steps first+1 .. last. Returns 0, or the step after which w is not finite, or minus that of a tangent."""
    n = w.size
    operands = np.zeros(n_operands)
    for k in range(constants.size):
        operands[n_variables + k] = constants[k]
    values, entries = outputs[:n], outputs[n:]
    ones = np.ones(n)
    slope, total, place, moving = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    room, power = np.zeros((2, n)), np.zeros(n, np.int64)
    free_slopes, free = np.zeros((n, n)), np.zeros((n, n))
    held_slopes, held = np.zeros((n, n)), np.zeros((n, n))
    known = True
    for i in range(n):
        known = known and math.isfinite(v[i]) and math.isfinite(u[i])
    answer = 0
    if first == 0:
        for i in range(n):
            state[0, i] = w[i]
        _record(0, v, v_exponent, log_x, sign_x, known)
        _record(0, u, u_exponent, log_y, sign_y, known)
    for step in range(first, last):
        holds = step < held_steps
        apart = holds and in_stages
        for k in range(inputs.shape[1]):
            operands[n + 1 + k] = inputs[step, k]
        for i in range(n):
            slope[i], total[i] = 0.0, 0.0
            moving[i] = 1.0 if v[i] != 0.0 or (u[i] != 0.0 and not apart) else 0.0
        _clear(free_slopes, free, moving)
        if apart:
            _clear(held_slopes, held, u)
        for s in range(times.size):
            for i in range(n):
                operands[i] = w[i] + reach[s] * dt * slope[i]
            operands[n] = step * dt + times[s] * dt
            execute_one(code, operands)
            for i in range(n):
                slope[i] = operands[values[i]]
                total[i] += weights[s] * slope[i]
            if known:
                r = reach[s] * dt
                _multiply(
                    free_slopes, free, moving, r, weights[s], operands, entries, rows, columns, ones, place
                )
                if apart:
                    _multiply(
                        held_slopes, held, u, r, weights[s], operands, entries, rows, columns, mask, place
                    )
        for i in range(n):
            w[i] = total[i] if is_map else w[i] + dt * total[i]
            if not math.isfinite(w[i]):
                answer = step + 1
        if answer > 0:
            return answer
        if known:
            if not is_map:
                _finish(free, moving, dt)
                if apart:
                    _finish(held, u, dt)
            known = apply_columns(free, v, v_exponent, room, power)
            known = apply_columns(held if apart else free, u, u_exponent, room, power) and known
            if holds:
                for i in range(n):
                    if mask[i] == 0.0:
                        u[i], u_exponent[i] = 0.0, 0
            if not known:
                answer = -(step + 1)
        if (step + 1) % every == 0 or step + 1 == steps:
            k = (step + every) // every
            for i in range(n):
                state[k, i] = w[i]
            _record(k, v, v_exponent, log_x, sign_x, known)
            _record(k, u, u_exponent, log_y, sign_y, known)
    return answer
