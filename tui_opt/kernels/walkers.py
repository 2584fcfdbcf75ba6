"""Monte Carlo of the chain W <- W - T g_j(W), j drawn uniformly from N datapoints at every step.

Walkers own their random bits: step s of walker i reads the Philox draw whose counter is (i, s // steps per
draw), so any cut of a run into groups of walkers, slices of steps or threads gives the same bits. When N is
2^k a choice takes k bits of the draw, 128 steps from one draw for two datapoints; for any other N it is the
high word of (32 random bits) * N, whose probabilities are off by less than N / 2^32 relative.

What makes it fast: lanes innermost, many choices per draw, all gradients computed and one selected, so no
lane ever branches; a group of lanes that have all passed is not looked at again. A step only counts the
walkers beyond the barrier. When there are any, `record` notes step and position, and parks their lanes:
at the barrier, with step size 0, from where they are not found beyond it again.

Reference: D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29, 2019, section 3.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.lanes import LANES, lane, out_of_line, row, select
from tui_opt.kernels.philox import philox
from tui_opt.kernels.tape import PROGRAM_TYPES, Program, execute, workspace

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BitArray: TypeAlias = NDArray[np.uint64]

BLOCK: Final = 1024
"""Walkers per unit of work; cut runs at multiples of it, for speed only."""

_SEARCHED: Final = 32
_ONE: Final = np.uint64(1)
_WORD_BITS: Final = np.uint64(64)
_HALF_WORD: Final = np.uint64(32)
_HALF_MASK: Final = np.uint64(0xFFFFFFFF)


@lane
def bits_per_choice(datapoints: np.uint64) -> np.uint64:
    """Random bits one choice takes: k for 2^k datapoints (1 for a single one), else 32."""
    bits = np.uint64(0)
    while _ONE << bits < datapoints:
        bits += _ONE
    return max(bits, _ONE) if _ONE << bits == datapoints else _HALF_WORD


@lane
def choice_of(word: np.uint64, shift: np.uint64, bits: np.uint64, datapoints: np.uint64) -> np.uint64:
    """The datapoint that the bits of `word` from `shift` on stand for."""
    if bits == _HALF_WORD:
        return (((word >> shift) & _HALF_MASK) * datapoints) >> _HALF_WORD
    return (word >> shift) & (datapoints - _ONE)


@lane
def draw(words: BitArray, first_walker: np.uint64, block: np.uint64, key: np.uint64) -> None:
    """Fill words[2, LANES] with the 128 bits of each walker for one block of steps."""
    for i in range(LANES):
        low, high = philox(first_walker + np.uint64(i), block, key)
        words[0, i] = low
        words[1, i] = high


@lane
def enter(
    w: FloatArray,
    passage_step: IntArray,
    temperature: float,
    barrier: float,
    x: FloatArray,
    pace: FloatArray,
    final: FloatArray,
    passed: IntArray,
) -> None:
    """Set up LANES lanes for at most as many walkers; lanes without a walker under way are parked.

    Args:
        w, passage_step, temperature, barrier: as in `first_passage`.
        x: filled with the positions to step from.
        pace: filled with the step sizes, `temperature` or 0.
        final: filled with the positions of walkers that have passed.
        passed: filled with `passage_step`, and 0 in lanes without a walker.
    """
    for i in range(LANES):
        final[i] = w[i] if i < w.size else 0.0
        passed[i] = passage_step[i] if i < w.size else 0
    for i in range(LANES):
        x[i] = select(passed[i] < 0, final[i], barrier)
        pace[i] = select(passed[i] < 0, temperature, 0.0)


@lane
def under_way(x: FloatArray, passed: IntArray) -> int:
    """How many lanes hold a walker that may still pass."""
    count = 0
    for i in range(LANES):
        count += select((passed[i] < 0) & (x[i] == x[i]), 1, 0)
    return count


@lane
def is_beyond(x: float, barrier: float, direction: float) -> Any:
    """Whether x is strictly beyond the barrier; NaN never is."""
    return direction * x > direction * barrier


@row
def record(
    x: FloatArray,
    pace: FloatArray,
    final: FloatArray,
    passed: IntArray,
    barrier: float,
    direction: float,
    step: int,
) -> None:
    """Note that every lane beyond the barrier passed at `step` (from 1), and park it."""
    out_of_line()
    for first in range(0, LANES, _SEARCHED):  # few lanes pass at once: find them by counting in short pieces
        part = x[first : first + _SEARCHED]
        count = 0
        for i in range(_SEARCHED):
            count += select(is_beyond(part[i], barrier, direction), 1, 0)
        if count > 0:
            for i in range(_SEARCHED):
                if is_beyond(part[i], barrier, direction):
                    final[first + i] = part[i]
                    passed[first + i] = step
                    pace[first + i] = 0.0
                    part[i] = barrier


@lane
def leave(x: FloatArray, final: FloatArray, passed: IntArray, w: FloatArray, passage_step: IntArray) -> None:
    """Write the lanes back to at most as many walkers."""
    for i in range(w.size):
        w[i] = select(passed[i] < 0, x[i], final[i])
        passage_step[i] = passed[i]


def first_passage(
    program: Program,
    w: FloatArray,
    passage_step: IntArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    barrier: float,
    direction: int,
    key: int,
) -> None:
    """Advance walkers in place until they are strictly beyond a barrier; calls can be chained.

    Args:
        program: N gradients g_j of one variable.
        w: float64[n], the walkers; one that has passed keeps the value it passed with.
        passage_step: int64[n], -1 for a walker under way, else the step (from 1) at which it passed.
        first_walker: number of the first of these walkers in the whole run.
        first_step: steps already done, 0 at the start of the run.
        steps: steps to do now.
        temperature: the step size T, finite.
        barrier: the position that counts as passed when it is exceeded.
        direction: +1 to pass upwards (W > barrier), -1 downwards (W < barrier).
        key: 64-bit key of the random stream, see `tui_opt.kernels.philox.stream_key`.

    A walker that becomes NaN stays NaN and never passes. Raises ValueError for arguments out of range.
    """
    check_walkers(w, passage_step, first_walker, first_step, steps, direction)
    _check_program(program)
    _first_passage(
        *program.arrays, w, passage_step, first_walker, first_step, steps, temperature, barrier, direction,
        np.uint64(key),
    )  # fmt: skip


def walk(
    program: Program,
    w: FloatArray,
    path: FloatArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    key: int,
) -> None:
    """Advance walkers in place and record every position, with the bits `first_passage` would read.

    Args:
        w: float64[n], the walkers.
        path: float64[steps + 1, n], filled; row 0 is `w` as given.
        program, first_walker, first_step, steps, temperature, key: as in `first_passage`.
    """
    check_walkers(w, np.empty(w.size, dtype=np.int64), first_walker, first_step, steps, 1)
    _check_program(program)
    contiguous = path.flags.c_contiguous and path.flags.writeable
    if path.shape != (steps + 1, w.size) or path.dtype != np.float64 or not contiguous:
        raise ValueError(f"path must be a C-contiguous float64 array of shape {(steps + 1, w.size)}.")
    _walk(*program.arrays, w, path, first_walker, first_step, steps, temperature, np.uint64(key))


def choices(key: int, walker: int, steps: int, n_datapoints: int, first_step: int = 0) -> IntArray:
    """The datapoints that one walker draws: int64[steps], each in [0, n_datapoints)."""
    if n_datapoints < 1 or steps < 0 or walker < 0 or first_step < 0:
        raise ValueError("choices needs n_datapoints >= 1 and steps, walker and first_step >= 0.")
    drawn = np.empty(steps, dtype=np.int64)
    _choices(np.uint64(key), np.uint64(walker), first_step, np.uint64(n_datapoints), drawn)
    return drawn


def check_walkers(
    w: FloatArray, passage_step: IntArray, first_walker: int, first_step: int, steps: int, direction: int
) -> None:
    """Raise ValueError where a kernel would read or write out of bounds, or misread its arguments."""
    for name, array, dtype in (("w", w, np.float64), ("passage_step", passage_step, np.int64)):
        good = array.ndim == 1 and array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
        if not good:
            raise ValueError(
                f"{name} must be a writeable C-contiguous one-dimensional {dtype.__name__} array."
            )
    if w.size != passage_step.size:
        raise ValueError(f"w has {w.size} walkers but passage_step {passage_step.size}; they must agree.")
    if min(first_walker, first_step, steps) < 0:
        raise ValueError("first_walker, first_step and steps must not be negative.")
    if direction not in (-1, 1):
        raise ValueError(f"direction is {direction}; it must be +1 (W > barrier) or -1 (W < barrier).")


def _check_program(program: Program) -> None:
    if program.n_variables != 1:
        raise ValueError(f"The gradients have {program.n_variables} variables; walkers have one.")


@lane
def drawn_gradient(
    operands: FloatArray, outputs: IntArray, word: BitArray, shift: np.uint64, bits: np.uint64, g: FloatArray
) -> None:
    """g[i] = gradient of the datapoint that lane i draws."""
    datapoints = np.uint64(outputs.size)
    first = operands[outputs[0]]
    if outputs.size == 1:
        for i in range(LANES):
            g[i] = first[i]
    for j in range(1, outputs.size):
        before = first if j == 1 else g
        other = operands[outputs[j]]
        number = np.uint64(j)
        for i in range(LANES):
            g[i] = select(choice_of(word[i], shift, bits, datapoints) == number, other[i], before[i])


@numba.njit(
    f"void({PROGRAM_TYPES}, float64[::1], int64[::1], int64, int64, int64, float64, float64, int64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _first_passage(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    w: FloatArray,
    passage_step: IntArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    barrier: float,
    direction: int,
    key: np.uint64,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    x = operands[0]
    g, pace, final = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    passed = np.empty(LANES, dtype=np.int64)
    words = np.empty((2, LANES), dtype=np.uint64)
    bits = bits_per_choice(np.uint64(outputs.size))
    per_word = int(_WORD_BITS // bits)
    sense = float(direction)
    last = first_step + steps
    for start in range(0, w.size, LANES):
        group = slice(start, min(start + LANES, w.size))
        enter(w[group], passage_step[group], temperature, barrier, x, pace, final, passed)
        step = first_step
        while step < last and under_way(x, passed) > 0:
            block = step // (2 * per_word)
            until = min(last, (block + 1) * 2 * per_word)
            draw(words, np.uint64(first_walker + start), np.uint64(block), key)
            for s in range(step, until):
                position = s - block * 2 * per_word
                word = words[position // per_word]
                execute(code, operands)
                drawn_gradient(operands, outputs, word, np.uint64(position % per_word) * bits, bits, g)
                beyond = 0
                for i in range(LANES):
                    y = x[i] - pace[i] * g[i]
                    x[i] = y
                    beyond += select(is_beyond(y, barrier, sense), 1, 0)
                if beyond > 0:
                    record(x, pace, final, passed, barrier, sense, s + 1)
            step = until
        leave(x, final, passed, w[group], passage_step[group])


@numba.njit(
    f"void({PROGRAM_TYPES}, float64[::1], float64[:, ::1], int64, int64, int64, float64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _walk(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    w: FloatArray,
    path: FloatArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    key: np.uint64,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    x = operands[0]
    g = np.empty(LANES)
    words = np.empty((2, LANES), dtype=np.uint64)
    bits = bits_per_choice(np.uint64(outputs.size))
    per_word = int(_WORD_BITS // bits)
    for start in range(0, w.size, LANES):
        width = min(LANES, w.size - start)
        for i in range(width):
            x[i] = w[start + i]
            path[0, start + i] = x[i]
        drawn = -1
        for s in range(first_step, first_step + steps):
            block = s // (2 * per_word)
            if block != drawn:
                draw(words, np.uint64(first_walker + start), np.uint64(block), key)
                drawn = block
            position = s - block * 2 * per_word
            execute(code, operands)
            shift = np.uint64(position % per_word) * bits
            drawn_gradient(operands, outputs, words[position // per_word], shift, bits, g)
            for i in range(LANES):
                x[i] = x[i] - temperature * g[i]
            for i in range(width):
                path[s - first_step + 1, start + i] = x[i]
        for i in range(width):
            w[start + i] = x[i]


@numba.njit("void(uint64, uint64, int64, uint64, int64[::1])", nogil=True, cache=True, error_model="numpy")
def _choices(
    key: np.uint64, walker: np.uint64, first_step: int, datapoints: np.uint64, drawn: IntArray
) -> None:
    bits = bits_per_choice(datapoints)
    per_word = int(_WORD_BITS // bits)
    for k in range(drawn.size):
        step = first_step + k
        block = step // (2 * per_word)
        position = step - block * 2 * per_word
        low, high = philox(walker, np.uint64(block), key)
        word = low if position < per_word else high
        shift = np.uint64(position % per_word) * bits
        drawn[k] = np.int64(choice_of(word, shift, bits, datapoints))
