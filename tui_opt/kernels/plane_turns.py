"""Steps of two parameters one after another, by one thread or by two that keep in step.

The first rows of a state are one side's, the others the other side's. Neither begins a step before the other has ended
the one before; to be woken up by Python for that would take a tenth of a step's time, so they look at a counter for a
while, in compiled code, and give up their processor only when that does not help. Where the processors are busy with
other things that is often; then one thread goes on alone for a while.
"""

from __future__ import annotations

from threading import Thread
from time import sleep
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray
from tui_opt.kernels.plane_cells import FlagArray
from tui_opt.kernels.plane_step import step_rows
from tui_opt.kernels.plane_workspace import Workspace

CELLS_AT_ONCE: Final = 1 << 19
"""Cells, over all steps, that are moved before the next look at whether to go on: some milliseconds. Steps on more are
done in parts."""
_LOOKS: Final = 2_000_000
"""About a millisecond."""
LATE: Final = 3
"""How often in a row one side waits in vain so long for the other, which then has no processor."""
ALONE: Final = 16
"""So many times some milliseconds one thread then goes on alone."""
_PAUSE: Final = 2e-4


@intrinsic
def _read(_context: Any, counters: Any, index: Any) -> Any:
    """counters[index], and with it all that was written before it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(counters, index), codegen


@intrinsic
def _write(_context: Any, counters: Any, index: Any, number: Any) -> Any:
    """counters[index] = number, for other threads to see not before all that was written before it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store_atomic(arguments[2], builder.gep(array.data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(counters, index, number), codegen


@numba.njit(
    "void(int64, int64, int64, int64[::1], float64[::1], float64[:, :, :, ::1], int64, int64, float64[:, :, ::1],"
    "uint8[:, :, ::1], float64[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _move(
    side: int,
    until: int,
    parts: int,
    done: NDArray[np.int64],
    lost: FloatArray,
    images: FloatArray,
    rows: int,
    columns: int,
    states: FloatArray,
    flags: FlagArray,
    effort: FloatArray,
) -> None:
    """Do the parts of steps of one side up to number `until`, or as many as the other side allows for.

    Args:
        side: 0 or 1.
        until: number of parts.
        parts: of a step.
        done: [side], number of parts done.
        lost: [side], mass that has left the box.
        images, rows, columns: as for `step_rows`.
        states, flags, effort: of the workspace.
    """
    for number in range(done[side], until):
        step, part = number // parts, number % parts
        now = step % 2
        if part == 0:
            looks = 0
            while _read(done, 1 - side) < step * parts:
                looks += 1
                if looks > _LOOKS:
                    return
        # Half of the work of the step before was in the rows before this one.
        half, middle, before = 0.5 * effort[now].sum(), 0, 0.0
        while before < half:
            before += effort[now, middle]
            middle += 1
        begin, end = (middle, effort.shape[1]) if side else (0, middle)
        lost[side] += step_rows(
            images, rows, columns, states[now], flags[now], states[1 - now, side], flags[1 - now, side],
            effort[1 - now], begin + (end - begin) * part // parts, begin + (end - begin) * (part + 1) // parts,
        )  # fmt: skip
        _write(done, side, number + 1)


def move(work: Workspace, images: FloatArray, steps: int, threads: int, check: Check) -> float:
    """Move the law in a workspace on by `steps` steps.

    Args:
        work: with a law in it; of no use any more when `check` raises.
        images: as for `step_rows`.
        steps: number of steps.
        threads: 1, or more for two.
        check: called before the first step, and every few milliseconds.

    Returns: mass that has left the box, or is forgotten.
    """
    full = work.effort.shape[1] * work.stride
    parts = -(-full // CELLS_AT_ONCE)
    unchecked = max(1, CELLS_AT_ONCE * parts // full)
    total = steps * parts
    done, lost = np.zeros(2, np.int64), np.zeros(2)
    fixed = parts, done, lost, images, work.rows, work.columns, work.states, work.flags, work.effort
    shared = threads > 1 and total * full >= CELLS_AT_ONCE * parts
    while done.min() < total:
        if shared:
            _move_together(done, total, unchecked, fixed, check)
        for _ in range(ALONE):
            check()
            for number in range(int(done[0]) + 1, min(total, int(done[0]) + unchecked) + 1):
                _move(0, number, *fixed)
                _move(1, number, *fixed)
            if done.min() == total:
                break
    work.now = (work.now + steps) % 2
    return float(lost.sum())


def _move_together(
    done: NDArray[np.int64], total: int, unchecked: int, fixed: tuple[Any, ...], check: Check
) -> None:
    """Do the parts of both sides, the second one's on a thread of its own, until that has no processor.

    Args:
        done: [side], number of parts done.
        total: number of parts of either side.
        unchecked: parts before the next look at whether to go on.
        fixed: the other arguments of `_move`.
        check: called before the first step, and every few milliseconds.
    """
    stopped = False

    def other_side() -> None:
        while done[1] < total and not stopped:
            _move(1, total, *fixed)
            if done[1] < total:
                sleep(_PAUSE)

    partner = Thread(target=other_side, daemon=True)
    check()
    partner.start()
    late = 0
    try:
        while done[0] < total and late < LATE:
            check()
            until = min(total, int(done[0]) + unchecked)
            _move(0, until, *fixed)
            if done[0] < until:
                late += 1
                sleep(_PAUSE)
            else:
                late = 0
    finally:
        stopped = done[0] < total
        partner.join()
