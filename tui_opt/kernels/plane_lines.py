"""Cells' numbers between memory, where those of a cell lie together, and work arrays, where cells lie side by side.

EIGHT cells, a line of eight numbers each, are turned in registers. Compilers do not find that by themselves: they take
the numbers one by one, which costs more than all the arithmetic on them.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tui_opt.kernels.plane_cells import LANES, MOMENTS

EIGHT: Final = 8
_LINE: Final = ir.VectorType(ir.DoubleType(), EIGHT)
_INT: Final = ir.IntType(64)


@intrinsic
def take_lines(_context: Any, half: Any, at: Any, work: Any, row: Any, lane: Any) -> Any:
    """work[row : row + 6, lane : lane + 8] += half[at : at + 64].reshape(8, 8)[:, :6].T; then half[...] = 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory, offset, table, first, column = arguments
        place = _pointer(context, builder, signature.args[0], memory, offset)
        lines = [_line(builder, place, k * EIGHT) for k in range(EIGHT)]
        cells = [builder.load(line, align=8) for line in lines]
        nothing = ir.Constant(_LINE, [0.0] * EIGHT)
        for line in lines:
            builder.store(nothing, line, align=8)
        rows = _rows(context, builder, signature.args[2], table, first, column)
        for target, values in zip(rows, _turned(builder, cells), strict=False):
            builder.store(builder.fadd(builder.load(target, align=8), values), target, align=8)
        return context.get_dummy_value()

    return types.void(half, at, work, row, lane), codegen


@intrinsic
def add_lines(_context: Any, state: Any, targets: Any, piece: Any, work: Any, row: Any, lane: Any) -> Any:
    """state[8 cell : 8 cell + 6] += work[row : row + 6, lane + k], cell = targets[piece, lane + k], k from 0 to 7."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory, cells, number, table, first, column = arguments
        rows = _rows(context, builder, signature.args[3], table, first, column)
        values = [builder.load(place, align=8) for place in rows]
        nothing = ir.Constant(_LINE, [0.0] * EIGHT)
        turned = _turned(builder, values + [nothing] * (EIGHT - MOMENTS))
        at = builder.add(builder.mul(number, ir.Constant(_INT, LANES)), column)
        cell = _pointer(context, builder, signature.args[1], cells, at)
        for k, line in enumerate(turned):
            index = builder.load(builder.gep(cell, [ir.Constant(_INT, k)]))
            offset = builder.mul(index, ir.Constant(_INT, EIGHT))
            place = _line(builder, _pointer(context, builder, signature.args[0], memory, offset), 0)
            builder.store(builder.fadd(builder.load(place, align=8), line), place, align=8)
        return context.get_dummy_value()

    return types.void(state, targets, piece, work, row, lane), codegen


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def _line(builder: Any, place: Any, offset: int) -> Any:
    return builder.bitcast(builder.gep(place, [ir.Constant(_INT, offset)]), _LINE.as_pointer())


def _rows(context: Any, builder: Any, kind: Any, table: Any, first: Any, column: Any) -> list[Any]:
    """Where six rows of a work array begin, from a lane on."""
    at = builder.add(builder.mul(first, ir.Constant(_INT, LANES)), column)
    place = _pointer(context, builder, kind, table, at)
    return [_line(builder, place, k * LANES) for k in range(MOMENTS)]


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """The transpose of eight vectors of eight: pairs, then fours, then halves change places."""
    for step in (1, 2, 4):
        mixed: list[Any] = [None] * EIGHT
        for k in range(EIGHT):
            if k & step:
                continue
            low, high = rows[k], rows[k + step]
            lanes = range(EIGHT)
            mixed[k] = _shuffled(builder, low, high, [i if not i & step else i - step + EIGHT for i in lanes])
            mixed[k + step] = _shuffled(
                builder, low, high, [i + step if not i & step else i + EIGHT for i in lanes]
            )
        rows = mixed
    return rows


def _shuffled(builder: Any, low: Any, high: Any, lanes: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), EIGHT), lanes)
    return builder.shuffle_vector(low, high, mask)
