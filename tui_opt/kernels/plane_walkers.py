"""Monte Carlo of two parameters: many walkers, and their statistics per axis at chosen steps.

Walkers draw the datapoints that walkers of one parameter with the same numbers and key draw (see
`tui_opt.kernels.walkers`), and statistics are kept per block of walkers, so results do not depend on how a run is
cut into groups of whole blocks, slices of steps or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.ensembles import FAR, Record
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import PROGRAM_TYPES, Program, execute, workspace
from tui_opt.kernels.walkers import BLOCK, FloatArray, IntArray, bits_per_choice, draw, drawn_gradient

BoolArray: TypeAlias = NDArray[np.bool_]

WORK_IN_A_SLICE: Final = 5e7
"""Walker steps, times instructions of the program, between two checks."""


def walk_pairs(
    program: Program,
    w: FloatArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    key: int,
) -> None:
    """Advance walkers W <- W - T g_j(W) in place.

    Args:
        program: of two variables, outputs g_1 on axis 1, g_1 on axis 2, g_2 on axis 1, ...
        w: float64[2, n], the walkers.
        first_walker: number of the first of them in the whole run.
        first_step: steps already done.
        steps: steps to do now.
        temperature: T.
        key: 64-bit key of the random stream.

    Raises: ValueError for another shape, or a program of another kind.
    """
    if w.ndim != 2 or w.shape[0] != 2 or w.dtype != np.float64 or not w.flags.c_contiguous:
        raise ValueError(f"w has shape {w.shape}; it must be a C-contiguous float64 array of shape (2, n).")
    if program.n_variables != 2 or program.outputs.size % 2:
        raise ValueError(
            f"The program has {program.n_variables} variables and {program.outputs.size} outputs; walkers in the "
            "plane need 2 variables and two outputs per datapoint."
        )
    if min(first_walker, first_step, steps) < 0:
        raise ValueError("first_walker, first_step and steps must not be negative.")
    _walk_pairs(*program.arrays, w, first_walker, first_step, steps, temperature, np.uint64(key))


def follow_pairs(
    program: Program,
    temperature: float,
    key: int,
    w: FloatArray,
    first_walker: int,
    outputs: Sequence[int],
    edges: Sequence[FloatArray],
    check: Check = unchecked,
    report: Callable[[int], None] | None = None,
) -> tuple[Record, Record]:
    """Walk a group of walkers and take their statistics at the asked steps.

    Args:
        program, temperature, key: as in `walk_pairs`.
        w: float64[2, n], their places; left where they are after the last output.
        first_walker: number of the first of them in the whole run, a multiple of BLOCK.
        outputs: steps at which statistics are taken, increasing, from 0.
        edges: of the histograms, equally spaced, per axis.
        check: called between slices of some tens of milliseconds.
        report: called with the walker steps done since its last call.

    Returns: a record per axis; a walker that is lost on one axis is lost on both.
    Raises: ValueError when groups do not begin with a block, or outputs do not increase.
    """
    if first_walker % BLOCK:
        raise ValueError(f"first_walker is {first_walker}; a group must begin with a block of {BLOCK}.")
    wanted = [int(n) for n in outputs]
    if any(later <= earlier for earlier, later in pairwise(wanted)) or min(wanted) < 0:
        raise ValueError("outputs must be increasing numbers of steps, 0 or more.")
    size = w.shape[1]
    records = [
        Record(
            np.zeros((len(wanted), -(-size // BLOCK), 5)),
            np.zeros((len(wanted), edges[axis].size + 2), dtype=np.int64),
        )
        for axis in range(2)
    ]
    slice_steps = max(1, int(WORK_IN_A_SLICE / max(size, 1) / (16 + program.code.shape[0])))
    done = 0
    for output, then in enumerate(wanted):
        while done < then:
            check()
            count = min(slice_steps, then - done)
            walk_pairs(program, w, first_walker, done, count, temperature, key)
            done += count
            if report is not None:
                report(count * size)
        check()
        kept: BoolArray = np.all(np.abs(w) <= FAR, axis=0)
        for axis in range(2):
            _tally(w[axis], kept, edges[axis], records[axis].blocks[output], records[axis].counts[output])
    return records[0], records[1]


def _tally(x: FloatArray, kept: BoolArray, edges: FloatArray, blocks: FloatArray, counts: IntArray) -> None:
    """Columns as `ensembles.Record` has them, of the walkers that are kept."""
    for number in range(blocks.shape[0]):
        part = slice(number * BLOCK, (number + 1) * BLOCK)
        values = x[part][kept[part]]
        if values.size == 0:
            continue
        mean = values.mean()
        away = values - mean
        square = away * away
        blocks[number] = values.size, mean, square.sum(), (square * away).sum(), (square * square).sum()
    values = x[kept]
    cells = edges.size - 1
    inside = values[(values >= edges[0]) & (values <= edges[-1])]
    cell = ((inside - edges[0]) * (cells / (edges[-1] - edges[0]))).astype(np.int64)
    counts[:cells] = np.bincount(np.minimum(cell, cells - 1), minlength=cells)
    counts[cells:] = (values > edges[-1]).sum(), (values < edges[0]).sum(), x.size - values.size


@nb.njit(
    f"void({PROGRAM_TYPES}, float64[:, ::1], int64, int64, int64, float64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _walk_pairs(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    w: FloatArray,
    first_walker: int,
    first_step: int,
    steps: int,
    temperature: float,
    key: np.uint64,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    x, y = operands[0], operands[1]
    along_x, along_y = outputs[::2].copy(), outputs[1::2].copy()
    g, h = np.empty(LANES), np.empty(LANES)
    words = np.empty((2, LANES), dtype=np.uint64)
    bits = bits_per_choice(np.uint64(along_x.size))
    per_word = int(np.uint64(64) // bits)
    for start in range(0, w.shape[1], LANES):
        width = min(LANES, w.shape[1] - start)
        for i in range(width):
            x[i] = w[0, start + i]
            y[i] = w[1, start + i]
        drawn = -1
        for s in range(first_step, first_step + steps):
            block = s // (2 * per_word)
            if block != drawn:
                draw(words, np.uint64(first_walker + start), np.uint64(block), key)
                drawn = block
            position = s - block * 2 * per_word
            shift = np.uint64(position % per_word) * bits
            execute(code, operands)
            # Both before either is used: an output may be a variable itself.
            drawn_gradient(operands, along_x, words[position // per_word], shift, bits, g)
            drawn_gradient(operands, along_y, words[position // per_word], shift, bits, h)
            for i in range(LANES):
                x[i] = x[i] - temperature * g[i]
                y[i] = y[i] - temperature * h[i]
        for i in range(width):
            w[0, start + i] = x[i]
            w[1, start + i] = y[i]
