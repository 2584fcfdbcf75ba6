"""Monte Carlo without a barrier: many walkers, and mean, spread and histogram at chosen steps.

A `Walk` advances walkers in place; there is one for plain steps, one for several steps on the same datapoint, and
one for the exact flow. All draw the same datapoints for the same key. Statistics are kept per block of 1024
walkers and added up in the order of the blocks, so results do not depend on how a run is cut into groups of whole
blocks, slices of steps or threads.

Reference: P. Pebay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    statistical moments", Sandia report SAND2008-6212, 2008, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numba as nb
import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.philox import philox
from tui_opt.kernels.tabulated import MapTable
from tui_opt.kernels.tape import PROGRAM_TYPES, Program, execute, workspace
from tui_opt.kernels.walkers import (
    BLOCK,
    FloatArray,
    IntArray,
    bits_per_choice,
    check_walkers,
    choice_of,
    draw,
    drawn_gradient,
)

Walk: TypeAlias = Callable[[FloatArray, int, int, int], None]
"""(w[n], number of the first walker, steps already done, steps to do): advances w in place."""

FAR: Final = 1e60
"""Walkers farther out count as lost: fourth powers of their distances would overflow."""
STEPS_IN_A_SLICE: Final = 1e7
"""Walker steps between two checks."""
COUNT, MEAN, SECOND, THIRD, FOURTH = range(5)
"""Columns of `Record.blocks`: walkers, their mean, and the sums of the powers of their distances from it."""
ABOVE, BELOW, LOST = -3, -2, -1
"""Last columns of `Record.counts`: walkers above edges[-1], below edges[0], and lost."""


def plain_walk(kernel: Callable[..., None], temperature: float, key: int) -> Walk:
    """Steps W <- W - T g_j(W).

    Args:
        kernel: `functools.partial(first_passage, program)`, or what `tui_opt.kernels.emit.specialise` returns.
        temperature: T.
        key: 64-bit key of the random stream.
    """

    def walk(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
        under_way = np.full(w.size, -1, dtype=np.int64)
        kernel(w, under_way, first_walker, first_step, steps, temperature, np.inf, 1, key)

    return walk


def repeated_walk(program: Program, temperature: float, substeps: int, key: int) -> Walk:
    """`substeps` steps of size T / substeps on the datapoint that is drawn.

    Args:
        program: N gradients g_j of one variable.
        temperature: T.
        substeps: 1 or more; 1 gives the bits of `plain_walk`.
        key: 64-bit key of the random stream.

    Raises: ValueError for fewer than one substep.
    """
    if substeps < 1:
        raise ValueError(f"substeps is {substeps}; a walk in steps needs at least 1.")

    def walk(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
        check_walkers(w, np.empty(w.size, dtype=np.int64), first_walker, first_step, steps, 1)
        _walk_repeating(
            *program.arrays, w, first_walker, first_step, steps, temperature / substeps, substeps,
            np.uint64(key),
        )  # fmt: skip

    return walk


def tabulated_walk(table: MapTable, key: int) -> Walk:
    """The one-step maps of a table, such as the exact flow of each datapoint.

    Args:
        table: of all datapoints; walkers that leave it become +-inf.
        key: 64-bit key of the random stream.
    """

    def walk(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
        check_walkers(w, np.empty(w.size, dtype=np.int64), first_walker, first_step, steps, 1)
        _walk_table(
            table.breaks, table.coefficients, table.first_piece, w, first_walker, first_step, steps,
            np.uint64(key),
        )  # fmt: skip

    return walk


@dataclass(frozen=True)
class Record:
    """Statistics of walkers at chosen steps.

    Attributes:
        blocks: [outputs, blocks, 5], see COUNT, MEAN, SECOND, THIRD and FOURTH; lost walkers are left out.
        counts: [outputs, cells + 3], walkers in each cell, and ABOVE, BELOW and LOST.
    """

    blocks: FloatArray
    counts: IntArray


def follow(
    walk: Walk,
    w: FloatArray,
    first_walker: int,
    outputs: Sequence[int],
    edges: FloatArray,
    check: Check = unchecked,
    report: Callable[[int], None] | None = None,
) -> Record:
    """Walk a group of walkers and take their statistics at the asked steps.

    Args:
        walk: advances them.
        w: [n], their places; left where they are after the last output.
        first_walker: number of the first of them in the whole run, a multiple of BLOCK.
        outputs: steps at which statistics are taken, increasing, from 0.
        edges: [cells + 1] of the histogram.
        check: called between slices of some tens of milliseconds.
        report: called with the walker steps done since its last call.

    Raises: ValueError when groups do not begin with a block, or outputs do not increase.
    """
    if first_walker % BLOCK:
        raise ValueError(f"first_walker is {first_walker}; a group must begin with a block of {BLOCK}.")
    steps = [int(n) for n in outputs]
    if any(later <= earlier for earlier, later in pairwise(steps)) or min(steps) < 0:
        raise ValueError("outputs must be increasing numbers of steps, 0 or more.")
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    n_blocks = -(-w.size // BLOCK)
    record = Record(
        np.zeros((len(steps), n_blocks, 5)), np.zeros((len(steps), edges.size + 2), dtype=np.int64)
    )
    slice_steps = max(1, int(STEPS_IN_A_SLICE / max(w.size, 1)))
    done = 0
    for output, wanted in enumerate(steps):
        while done < wanted:
            check()
            count = min(slice_steps, wanted - done)
            walk(w, first_walker, done, count)
            done += count
            if report is not None:
                report(count * w.size)
        check()
        _tally(w, edges, BLOCK, FAR, record.blocks[output], record.counts[output])
    return record


def joined(records: Sequence[Record]) -> Record:
    """The record of all groups, given in the order of their walkers."""
    counts = np.sum([record.counts for record in records], axis=0)
    return Record(np.concatenate([record.blocks for record in records], axis=1), counts)


@dataclass(frozen=True)
class Statistics:
    """Estimates from walkers, each [outputs].

    Attributes:
        mean, sd: of the walkers that are not lost; NaN where there are none, the sd also where there is one.
        mean_error, sd_error: their standard errors; that of sd comes from the fourth central moment.
        lost: share of walkers at no finite place (or beyond FAR).
    """

    mean: FloatArray
    sd: FloatArray
    mean_error: FloatArray
    sd_error: FloatArray
    lost: FloatArray


def statistics(record: Record) -> Statistics:
    """Mean and standard deviation with standard errors.

    Reference: Kendall & Stuart (1977), The Advanced Theory of Statistics 1, equation (10.9) and exercise 10.13:
        var(s^2) = (mu4 - mu2^2 (n - 3) / (n - 1)) / n.
    """
    count = record.blocks[:, :, COUNT]
    n = count.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = (count * record.blocks[:, :, MEAN]).sum(axis=1) / n
        away = np.where(count > 0, record.blocks[:, :, MEAN] - mean[:, None], 0.0)
        second, third, fourth = (record.blocks[:, :, power] for power in (SECOND, THIRD, FOURTH))
        square = (second + count * away**2).sum(axis=1)
        mu4 = (fourth + away * (4 * third + away * (6 * second + count * away**2))).sum(axis=1) / n
        variance = square / (n - 1)
        variance_error = np.sqrt(np.maximum(mu4 - (square / n) ** 2 * (n - 3) / (n - 1), 0.0) / n)
        sd = np.where(n > 1, np.sqrt(variance), np.nan)
        return Statistics(
            mean=mean,
            sd=sd,
            mean_error=sd / np.sqrt(n),
            sd_error=np.where(sd > 0, variance_error / (2 * sd), np.where(n > 1, 0.0, np.nan)),
            lost=record.counts[:, LOST] / np.maximum(record.counts.sum(axis=1), 1),
        )


@nb.njit(
    f"void({PROGRAM_TYPES}, float64[::1], int64, int64, int64, float64, int64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _walk_repeating(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    w: FloatArray,
    first_walker: int,
    first_step: int,
    steps: int,
    pace: float,
    substeps: int,
    key: np.uint64,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    x = operands[0]
    g = np.empty(LANES)
    words = np.empty((2, LANES), dtype=np.uint64)
    bits = bits_per_choice(np.uint64(outputs.size))
    per_word = int(np.uint64(64) // bits)
    for start in range(0, w.size, LANES):
        width = min(LANES, w.size - start)
        for i in range(width):
            x[i] = w[start + i]
        drawn = -1
        for s in range(first_step, first_step + steps):
            block = s // (2 * per_word)
            if block != drawn:
                draw(words, np.uint64(first_walker + start), np.uint64(block), key)
                drawn = block
            position = s - block * 2 * per_word
            shift = np.uint64(position % per_word) * bits
            for _ in range(substeps):
                execute(code, operands)
                drawn_gradient(operands, outputs, words[position // per_word], shift, bits, g)
                for i in range(LANES):
                    x[i] = x[i] - pace * g[i]
        for i in range(width):
            w[start + i] = x[i]


@nb.njit(
    "void(float64[::1], float64[:, :, ::1], int64[::1], float64[::1], int64, int64, int64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _walk_table(  # type: ignore[no-untyped-def]
    breaks, coefficients, first_piece, w, first_walker, first_step, steps, key
):
    pieces, datapoints, order = coefficients.shape
    buckets = first_piece.size - 1
    low, high = breaks[0], breaks[pieces]
    per_unit = buckets / (high - low)
    bits = bits_per_choice(np.uint64(datapoints))
    per_word = int(np.uint64(64) // bits)
    for i in range(w.size):
        x = w[i]
        drawn = -1
        even = odd = np.uint64(0)
        for s in range(first_step, first_step + steps):
            block = s // (2 * per_word)
            if block != drawn:
                even, odd = philox(np.uint64(first_walker + i), np.uint64(block), key)
                drawn = block
            position = s - block * 2 * per_word
            word = even if position < per_word else odd
            if not low <= x <= high:
                x = np.inf if x > high else -np.inf if x < low else np.nan
                break
            j = np.int64(choice_of(word, np.uint64(position % per_word) * bits, bits, np.uint64(datapoints)))
            bucket = min(np.int64((x - low) * per_unit), buckets - 1)
            # Rounding may name the bucket beside: one piece more on either side is looked at.
            a = max(first_piece[bucket] - 1, 0)
            b = min(first_piece[bucket + 1] + 2, pieces)
            while b - a > 1:
                middle = (a + b) // 2
                if x >= breaks[middle]:
                    a = middle
                else:
                    b = middle
            t = (2.0 * x - breaks[a] - breaks[a + 1]) / (breaks[a + 1] - breaks[a])
            y = coefficients[a, j, order - 1]
            for power in range(order - 2, -1, -1):
                y = y * t + coefficients[a, j, power]
            x = y
        w[i] = x


@nb.njit(
    "void(float64[::1], float64[::1], int64, float64, float64[:, ::1], int64[::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _tally(w: FloatArray, edges: FloatArray, size: int, far: float, blocks: Any, counts: IntArray) -> None:
    cells = edges.size - 1
    low, high = edges[0], edges[cells]
    per_unit = cells / (high - low)
    for block in range(blocks.shape[0]):
        part = w[block * size : (block + 1) * size]
        n, total = 0, 0.0
        for x in part:
            if abs(x) <= far:
                n += 1
                total += x
        mean = total / n if n > 0 else 0.0
        second = third = fourth = 0.0
        for x in part:
            if not abs(x) <= far:
                counts[cells + 2] += 1
                continue
            away = x - mean
            square = away * away
            second += square
            third += square * away
            fourth += square * square
            if x > high:
                counts[cells] += 1
            elif x < low:
                counts[cells + 1] += 1
            else:
                # Right at once where cells are equal; a few steps to the side where they are not quite.
                k = min(int((x - low) * per_unit), cells - 1)
                while x < edges[k]:
                    k -= 1
                while k < cells - 1 and x >= edges[k + 1]:
                    k += 1
                counts[k] += 1
        blocks[block, 0] = n
        blocks[block, 1] = mean
        blocks[block, 2] = second
        blocks[block, 3] = third
        blocks[block, 4] = fourth
