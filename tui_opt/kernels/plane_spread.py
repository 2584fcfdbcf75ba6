"""An image of any size cut at every border of cells that it crosses, and added to their moments."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tui_opt.kernels.plane_cells import (
    BLOCK_BITS,
    FARTHEST,
    MOST_PIECES,
    RIM,
    SLOT,
    THINNEST,
    FlagArray,
    FloatArray,
)


@intrinsic
def add_moments(_context: Any, state: Any, at: Any, values: Any) -> Any:
    """state[at : at + 6] += values, as a vector of four and one of two."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        numbers = cgutils.unpack_tuple(builder, arguments[2])
        for first, width in ((0, 4), (4, 2)):
            kind = ir.VectorType(ir.DoubleType(), width)
            part = builder.gep(place, [ir.Constant(ir.IntType(64), first)])
            part = builder.bitcast(part, kind.as_pointer())
            added = ir.Constant(kind, ir.Undefined)
            for k in range(width):
                added = builder.insert_element(added, numbers[first + k], ir.Constant(ir.IntType(32), k))
            builder.store(builder.fadd(builder.load(part, align=8), added), part, align=8)
        return context.get_dummy_value()

    return types.void(state, at, values), codegen


@numba.njit(error_model="numpy", fastmath={"contract"})
def _ends(mean: float, half_width: float, cells: int) -> Any:
    """The part of [mean - half_width, mean + half_width] inside the box, how many pieces it is laid down in (none if
    there is no such part), whether these are the cells, the first cell, and how long all of it is.

    All of it with the roundings of its ends, so that a thin image far from the first cell keeps its mass.
    """
    low, high = mean - half_width, mean + half_width
    span = high - low
    low, high = max(low, -0.5), min(high, cells - 0.5)
    if low > high:
        return low, high, 0, True, 0, span
    first, last = min(int(np.floor(low + 0.5)), cells - 1), min(int(np.floor(high + 0.5)), cells - 1)
    # Half a cell more may be rounded up to the border of a cell that is not reached.
    last -= (last - 0.5 > high) & (last > first)
    number = last - first + 1
    return low, high, min(number, MOST_PIECES), number <= MOST_PIECES, first, span


@numba.njit(error_model="numpy", fastmath={"contract"})
def spread(
    mass: float,
    mean1: float,
    mean2: float,
    w11: float,
    w12: float,
    w22: float,
    target: FloatArray,
    flags: FlagArray,
    rows: int,
    columns: int,
    stride: int,
) -> float:
    """Cut an image at every border it crosses, add the pieces to their cells, and return the mass outside the box.

    The cuts are those of `plane_cuts`, first across axis 1 and then across axis 2.
    """
    if not ((abs(mean1) < FARTHEST) & (abs(mean2) < FARTHEST) & (w11 < FARTHEST**2) & (w22 < FARTHEST**2)):
        return mass
    thick = w11 > THINNEST
    w11, w12 = (w11, w12) if thick else (0.0, 0.0)
    slope = w12 / w11 if thick else 0.0
    rest = max(w22 - slope * w12, 0.0)
    r = math.sqrt(3.0 * w11)
    low, high, pieces, by_cell, first, span = _ends(mean1, r, rows)
    held = 0.0
    for k in range(pieces):
        if by_cell:
            a, b = max(low, first + k - 0.5), min(high, first + k + 0.5)
        else:
            a, b = low + (high - low) * k / pieces, low + (high - low) * (k + 1) / pieces
        centre, width = 0.5 * (a + b), b - a
        part = mass * width / span if span > 0.0 else mass
        row = first + k if by_cell else min(int(np.floor(centre + 0.5)), rows - 1)
        width = min(width, 1.0)
        v11 = width * width * (1.0 / 12.0)
        v12 = slope * v11
        v22 = rest + slope * v12
        mean = mean2 + slope * (centre - mean1)
        thick2 = v22 > THINNEST
        v12, v22 = (v12, v22) if thick2 else (0.0, 0.0)
        slope2 = v12 / v22 if thick2 else 0.0
        rest1 = max(v11 - slope2 * v12, 0.0)
        r2 = math.sqrt(3.0 * v22)
        low2, high2, pieces2, by_cell2, first2, span2 = _ends(mean, r2, columns)
        for k2 in range(pieces2):
            if by_cell2:
                a, b = max(low2, first2 + k2 - 0.5), min(high2, first2 + k2 + 0.5)
            else:
                a, b = low2 + (high2 - low2) * k2 / pieces2, low2 + (high2 - low2) * (k2 + 1) / pieces2
            centre2, width2 = 0.5 * (a + b), b - a
            m = part * width2 / span2 if span2 > 0.0 else part
            column = first2 + k2 if by_cell2 else min(int(np.floor(centre2 + 0.5)), columns - 1)
            width2 = min(width2, 1.0)
            y22 = width2 * width2 * (1.0 / 12.0)
            y12 = slope2 * y22
            y11 = rest1 + slope2 * y12
            y1, y2 = centre - row + slope2 * (centre2 - mean), centre2 - column
            values = (m, m * y1, m * y2, m * (y1 * y1 + y11), m * (y1 * y2 + y12), m * (y2 * y2 + y22))
            cell = np.uint64((row + RIM) * stride + column + RIM)
            add_moments(target, cell * SLOT, values)
            flags[cell >> BLOCK_BITS] = 1
            held += m
    return mass - held
