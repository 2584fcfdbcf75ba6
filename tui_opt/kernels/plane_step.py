"""One step of the chain on cells that carry their moments: the compiled part of `tui_opt.kernels.plane`.

A cell's mass is taken as spread evenly over a rectangle that has the cell's mean and covariance. Its image
under a map, expanded to second order about the mean, is cut where borders of cells run, across axis 1 and then
across axis 2, and every piece adds its mass, first and second moments to the cell it lies in. So mass, mean and
covariance are those of the image, and no variance is added however coarse the cells are: for affine maps the
moments of the whole law are exact.

Layout: state[(row * columns + column) * 6 + k] holds (mass, mass times offset 1 and 2, mass times the products
11, 12 and 22 of the offsets), offsets from the centre of the cell in units of its sides. A rim of RIM cells
around the box collects what leaves it; columns are filled up to a multiple of LANES.

What makes it fast: LANES neighbouring cells are imaged and cut side by side in vector registers, without
branches, at the nearest border, which is all that most images cross; the others are cut one by one. The last
stage goes cell by cell, and adds a cell's six numbers as vectors. Blocks of cells that
hold nothing are flagged and not looked at, and what has been read is cleared at once. Bands of rows write to
one of two halves of the next state, one for each of two threads: neither waits for the other's additions, and
results do not depend on the number of threads.

Reference: B. A. Egan and J. R. Mahoney, "Numerical modeling of advection and diffusion of urban area source
pollutants", J. Appl. Meteorology 11, 1972, section 3 (moments of rectangles in cells); M. J. Prather,
"Numerical advection by conservation of second-order moments", J. Geophys. Res. 91, 1986.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
FlagArray: TypeAlias = NDArray[np.uint8]

MOMENTS: Final = 6
RIM: Final = 2
"""Cells on every side of the box that collect what leaves it in a step."""
LANES: Final = 32
"""Neighbouring columns that are worked on at once."""
BAND: Final = 16
"""Rows in a band; bands take turns in writing to the two halves."""
FORGOTTEN: Final = 1e-18
"""A cell with at most this mass is emptied, and its mass counted as outside."""
LIGHT: Final = 1e-11
"""The image of a cell with less mass is not cut, but added whole to the cell its mean lies in."""
THINNEST: Final = 1e-24
"""Variances below, in squared sides of a cell, are taken as zero."""
MOST_PIECES: Final = 32
"""An image that is longer is laid down in so many pieces per axis, each at most one cell wide."""
FARTHEST: Final = 1e15
"""Images beyond, or wider, in cells, are lost."""
OVERHANG: Final = 0.125
"""How far a piece may reach beyond the far border of its cell; what would reach farther is cut there too."""

_NEAREST: Final = 6755399441055744.0  # 1.5 * 2^52: adding and subtracting it rounds to the nearest integer

# Rows of the work array: what was read, the rectangle (mass, mean, covariance), its image, what is forgotten, and
# whether the cuts would not do, and for each of the four pieces its six moments.
_RAW: Final = 0
_MASS: Final = 6
_D1: Final = 7
_D2: Final = 8
_V11: Final = 9
_V12: Final = 10
_V22: Final = 11
_U1: Final = 12
_U2: Final = 13
_W11: Final = 14
_W12: Final = 15
_W22: Final = 16
_GONE: Final = 17
_WIDE: Final = 18
_PIECES: Final = 19
_WORK_ROWS: Final = 43
# Unsigned indices spare a test for negative ones, which would keep loops from being vectorised.
_K: Final = tuple(np.uint64(k) for k in range(MOMENTS))
_ROUND: Final = np.uint64(MOMENTS)
_BLOCK_BITS: Final = np.uint64(5)

_stage: Any = numba.njit(forceinline=True, error_model="numpy", fastmath={"contract"})


@intrinsic
def _add_moments(_context: Any, state: Any, at: Any, values: Any) -> Any:
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


@_stage
def _nearest(x: float) -> Any:
    return (x + _NEAREST) - _NEAREST


@_stage
def _read(work: FloatArray, half: FloatArray, cell: np.uint64) -> None:
    """Take a block of cells out of an accumulator: add it to the raw moments, and leave zeros."""
    for lane in range(LANES):
        at = (cell + np.uint64(lane)) * _ROUND
        m, m1, m2 = half[at], half[at + _K[1]], half[at + _K[2]]
        m11, m12, m22 = half[at + _K[3]], half[at + _K[4]], half[at + _K[5]]
        work[_RAW, lane] += m
        work[_RAW + 1, lane] += m1
        work[_RAW + 2, lane] += m2
        work[_RAW + 3, lane] += m11
        work[_RAW + 4, lane] += m12
        work[_RAW + 5, lane] += m22
    for k in range(LANES * MOMENTS):
        half[cell * _ROUND + np.uint64(k)] = 0.0


@_stage
def _take_out(work: FloatArray, first: int, last: int) -> float:
    """Empty the lanes from `first` to before `last`, and return the mass they held."""
    taken = 0.0
    for lane in range(max(first, 0), min(last, LANES)):
        taken += work[_RAW, lane]
        work[_RAW, lane] = 0.0
    return taken


@_stage
def _rectangles(work: FloatArray, share: float) -> None:
    """Masses (times `share`, the probability of a datapoint), means and covariances from the raw moments."""
    for i in range(LANES):
        mass = work[_RAW, i]
        present = mass > FORGOTTEN
        per_mass = 1.0 / (mass if present else 1.0)
        d1, d2 = work[_RAW + 1, i] * per_mass, work[_RAW + 2, i] * per_mass
        v11, v22 = work[_RAW + 3, i] * per_mass - d1 * d1, work[_RAW + 5, i] * per_mass - d2 * d2
        work[_MASS, i] = mass * share if present else 0.0
        work[_GONE, i] += 0.0 if present else mass
        work[_D1, i] = d1
        work[_D2, i] = d2
        work[_V11, i] = v11 if v11 > 0.0 else 0.0
        work[_V12, i] = work[_RAW + 4, i] * per_mass - d1 * d2
        work[_V22, i] = v22 if v22 > 0.0 else 0.0


@_stage
def _image(work: FloatArray, images: FloatArray, row: int, column: int) -> None:
    """Means and covariances of the images; derivatives of the map are central differences between cells."""
    for i in range(LANES):
        k = column + i
        d1, d2 = work[_D1, i], work[_D2, i]
        v11, v12, v22 = work[_V11, i], work[_V12, i], work[_V22, i]
        q11, q12, q22 = 0.5 * (d1 * d1 + v11), d1 * d2 + v12, 0.5 * (d2 * d2 + v22)

        u = images[0, row + 1, k + 1]
        u11 = images[0, row + 2, k + 1] - 2.0 * u + images[0, row, k + 1]
        u22 = images[0, row + 1, k + 2] - 2.0 * u + images[0, row + 1, k]
        u12 = 0.25 * (images[0, row + 2, k + 2] - images[0, row + 2, k])
        u12 -= 0.25 * (images[0, row, k + 2] - images[0, row, k])
        u1 = 0.5 * (images[0, row + 2, k + 1] - images[0, row, k + 1])
        u2 = 0.5 * (images[0, row + 1, k + 2] - images[0, row + 1, k])
        work[_U1, i] = u + u1 * d1 + u2 * d2 + u11 * q11 + u12 * q12 + u22 * q22
        u1 += u11 * d1 + u12 * d2
        u2 += u12 * d1 + u22 * d2

        v = images[1, row + 1, k + 1]
        s11 = images[1, row + 2, k + 1] - 2.0 * v + images[1, row, k + 1]
        s22 = images[1, row + 1, k + 2] - 2.0 * v + images[1, row + 1, k]
        s12 = 0.25 * (images[1, row + 2, k + 2] - images[1, row + 2, k])
        s12 -= 0.25 * (images[1, row, k + 2] - images[1, row, k])
        s1 = 0.5 * (images[1, row + 2, k + 1] - images[1, row, k + 1])
        s2 = 0.5 * (images[1, row + 1, k + 2] - images[1, row + 1, k])
        work[_U2, i] = v + s1 * d1 + s2 * d2 + s11 * q11 + s12 * q12 + s22 * q22
        s1 += s11 * d1 + s12 * d2
        s2 += s12 * d1 + s22 * d2

        a1, a2 = u1 * v11 + u2 * v12, u1 * v12 + u2 * v22
        work[_W11, i] = a1 * u1 + a2 * u2
        work[_W12, i] = a1 * s1 + a2 * s2
        work[_W22, i] = (s1 * v11 + s2 * v12) * s1 + (s1 * v12 + s2 * v22) * s2


@_stage
def _cut(work: FloatArray, targets: Any, rows: int, columns: int, light: float, stride: int) -> None:
    """Cut every image into four pieces, find the cells they belong to, and mark images that cross more borders.

    On each axis the frame is mirrored so that the nearest border lies at +1/2, at the distance `near` from the
    mean; a rectangle of half-width r = sqrt(3 variance) has the share (r - near) / 2r beyond it. Across the cut
    the other axis follows by regression, which keeps the covariance.
    """
    last_row, last_column = float(rows), float(columns)
    for i in range(LANES):
        mass, mean1, mean2 = work[_MASS, i], work[_U1, i], work[_U2, i]
        inside = (mean1 >= -1.0) & (mean1 <= last_row) & (mean2 >= -1.0) & (mean2 <= last_column)
        mean1 = mean1 if inside else -1.0
        mean2 = mean2 if inside else -1.0
        w11 = work[_W11, i]
        thick = inside & (w11 > THINNEST)
        w11 = w11 if thick else 0.0
        w12 = work[_W12, i] if thick else 0.0
        w22 = work[_W22, i] if inside else 0.0
        per_w11 = 1.0 / (w11 if thick else 1.0)
        heavy = mass >= light

        r = math.sqrt(3.0 * w11)
        row = _nearest(mean1)
        place = mean1 - row
        side = 1.0 if place >= 0.0 else -1.0
        place = abs(place)
        near = 0.5 - place
        crosses = (r > near) & heavy
        beyond = (r - near) * (r * per_w11) * (1.0 / 6.0) if crosses else 0.0
        slope = w12 * per_w11
        rest = w22 - slope * w12
        rest = rest if rest > 0.0 else 0.0
        outer = place + r - 0.5 if crosses else 0.0
        inner = 2.0 * r - outer
        mass_outer = mass * beyond
        wide = (not inside) | (r > place + (0.5 + OVERHANG))
        for piece in range(2):
            if piece == 0:
                part, width, centre, offset = mass - mass_outer, inner, place - r + 0.5 * inner, 0.0
            else:
                part, width, centre, offset = mass_outer, outer, 0.5 + 0.5 * outer, 1.0
            v11 = width * width * (1.0 / 12.0)
            v12 = slope * v11
            v22 = rest + slope * v12
            mean = mean2 + slope * side * (centre - place)
            x1 = (centre - offset) * side
            thick = v22 > THINNEST
            v22 = v22 if thick else 0.0
            v12 = v12 if thick else 0.0
            per_v22 = 1.0 / (v22 if thick else 1.0)

            r2 = math.sqrt(3.0 * v22)
            column = _nearest(mean)
            column = column if column >= -1.0 else -1.0
            column = column if column <= last_column else last_column
            place2 = mean - column
            side2 = 1.0 if place2 >= 0.0 else -1.0
            place2 = abs(place2)
            near2 = 0.5 - place2
            crosses2 = (r2 > near2) & heavy
            beyond2 = (r2 - near2) * (r2 * per_v22) * (1.0 / 6.0) if crosses2 else 0.0
            beyond2 = beyond2 if beyond2 < 1.0 else 1.0
            slope2 = v12 * per_v22
            rest1 = v11 - slope2 * v12
            rest1 = rest1 if rest1 > 0.0 else 0.0
            wide = wide | (r2 > place2 + (0.5 + OVERHANG))
            outer2 = place2 + r2 - 0.5 if crosses2 else 0.0
            inner2 = 2.0 * r2 - outer2
            part_outer = part * beyond2
            cell = (row + side * offset + RIM) * stride + column + RIM
            for half in range(2):
                if half == 0:
                    m, w, c, o = part - part_outer, inner2, place2 - r2 + 0.5 * inner2, 0.0
                else:
                    m, w, c, o = part_outer, outer2, 0.5 + 0.5 * outer2, 1.0
                y22 = w * w * (1.0 / 12.0)
                y12 = slope2 * y22
                y11 = rest1 + slope2 * y12
                y1 = x1 + slope2 * side2 * (c - place2)
                y2 = (c - o) * side2
                k = _PIECES + (2 * piece + half) * MOMENTS
                work[k, i] = m
                work[k + 1, i] = m * y1
                work[k + 2, i] = m * y2
                work[k + 3, i] = m * (y1 * y1 + y11)
                work[k + 4, i] = m * (y1 * y2 + y12)
                work[k + 5, i] = m * (y2 * y2 + y22)
                targets[2 * piece + half, i] = np.uint64(np.int64(cell + side2 * o))
        work[_WIDE, i] = 1.0 if wide else 0.0


@numba.njit(error_model="numpy", fastmath={"contract"})
def _ends(mean: float, half_width: float, cells: int) -> Any:
    """The part of [mean - half_width, mean + half_width] inside the box, how many pieces it is laid down in (none if
    there is no such part), whether these are the cells, and the first cell."""
    low, high = max(mean - half_width, -0.5), min(mean + half_width, cells - 0.5)
    if low > high:
        return low, high, 0, True, 0
    first, last = min(int(np.floor(low + 0.5)), cells - 1), min(int(np.floor(high + 0.5)), cells - 1)
    number = last - first + 1
    return low, high, min(number, MOST_PIECES), number <= MOST_PIECES, first


@numba.njit(error_model="numpy", fastmath={"contract"})
def _spread(
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

    The cuts are those of `_cut`, first across axis 1 and then across axis 2.
    """
    if not ((abs(mean1) < FARTHEST) & (abs(mean2) < FARTHEST) & (w11 < FARTHEST**2) & (w22 < FARTHEST**2)):
        return mass
    thick = w11 > THINNEST
    w11, w12 = (w11, w12) if thick else (0.0, 0.0)
    slope = w12 / w11 if thick else 0.0
    rest = max(w22 - slope * w12, 0.0)
    r = math.sqrt(3.0 * w11)
    low, high, pieces, by_cell, first = _ends(mean1, r, rows)
    held = 0.0
    for k in range(pieces):
        if by_cell:
            a, b = max(low, first + k - 0.5), min(high, first + k + 0.5)
        else:
            a, b = low + (high - low) * k / pieces, low + (high - low) * (k + 1) / pieces
        centre, width = 0.5 * (a + b), b - a
        part = mass * width / (2.0 * r) if thick else mass
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
        low2, high2, pieces2, by_cell2, first2 = _ends(mean, r2, columns)
        for k2 in range(pieces2):
            if by_cell2:
                a, b = max(low2, first2 + k2 - 0.5), min(high2, first2 + k2 + 0.5)
            else:
                a, b = low2 + (high2 - low2) * k2 / pieces2, low2 + (high2 - low2) * (k2 + 1) / pieces2
            centre2, width2 = 0.5 * (a + b), b - a
            m = part * width2 / (2.0 * r2) if thick2 else part
            column = first2 + k2 if by_cell2 else min(int(np.floor(centre2 + 0.5)), columns - 1)
            width2 = min(width2, 1.0)
            y22 = width2 * width2 * (1.0 / 12.0)
            y12 = slope2 * y22
            y11 = rest1 + slope2 * y12
            y1, y2 = centre - row + slope2 * (centre2 - mean), centre2 - column
            values = (m, m * y1, m * y2, m * (y1 * y1 + y11), m * (y1 * y2 + y12), m * (y2 * y2 + y22))
            cell = np.uint64((row + RIM) * stride + column + RIM)
            _add_moments(target, cell * _ROUND, values)
            flags[cell >> _BLOCK_BITS] = 1
            held += m
    return mass - held


@_stage
def _add(
    work: FloatArray,
    targets: Any,
    target: FloatArray,
    flags: FlagArray,
    rows: int,
    columns: int,
    stride: int,
) -> None:
    """Add the pieces to their cells, and flag the blocks these are in."""
    for i in range(LANES):
        if work[_MASS, i] > 0.0:
            if work[_WIDE, i] != 0.0:
                work[_GONE, i] += _spread(
                    work[_MASS, i], work[_U1, i], work[_U2, i], work[_W11, i], work[_W12, i], work[_W22, i],
                    target, flags, rows, columns, stride,
                )  # fmt: skip
                continue
            for piece in range(4):
                k = _PIECES + piece * MOMENTS
                values = (
                    work[k, i], work[k + 1, i], work[k + 2, i], work[k + 3, i], work[k + 4, i], work[k + 5, i]
                )  # fmt: skip
                cell = targets[piece, i]
                _add_moments(target, cell * _ROUND, values)
                flags[cell >> _BLOCK_BITS] = 1


@_stage
def _add_whole(
    work: FloatArray, target: FloatArray, flags: FlagArray, rows: int, columns: int, stride: int
) -> None:
    """Add images that are not cut."""
    for i in range(LANES):
        mass, mean1, mean2 = work[_MASS, i], work[_U1, i], work[_U2, i]
        if mass > 0.0:
            w11, w12, w22 = work[_W11, i], work[_W12, i], work[_W22, i]
            inside = (mean1 >= -1.0) & (mean1 <= rows) & (mean2 >= -1.0) & (mean2 <= columns)
            row, column = _nearest(mean1), _nearest(mean2)
            y1, y2 = mean1 - row, mean2 - column
            short = math.sqrt(3.0 * w11) <= abs(y1) + (0.5 + OVERHANG)
            low = math.sqrt(3.0 * w22) <= abs(y2) + (0.5 + OVERHANG)
            if inside & short & low:
                values = (
                    mass, mass * y1, mass * y2,
                    mass * (y1 * y1 + w11), mass * (y1 * y2 + w12), mass * (y2 * y2 + w22),
                )  # fmt: skip
                cell = np.uint64(np.int64((row + RIM) * stride + column + RIM))
                _add_moments(target, cell * _ROUND, values)
                flags[cell >> _BLOCK_BITS] = 1
            else:
                work[_GONE, i] += _spread(
                    mass, mean1, mean2, w11, w12, w22, target, flags, rows, columns, stride
                )


@numba.njit(
    "float64(float64[:, :, :, ::1], int64, int64, float64[:, ::1], uint8[:, ::1], float64[::1], uint8[::1], int64,"
    "int64, int64)",
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def step_bands(
    images: FloatArray,
    rows: int,
    columns: int,
    halves: FloatArray,
    flags: FlagArray,
    target: FloatArray,
    target_flags: FlagArray,
    turn: int,
    first_row: int,
    last_row: int,
) -> float:
    """Move the mass of every second band of rows one step on, from `first_row` to before `last_row`.

    Args:
        images: [j, axis, rows + 2 RIM + 2, stride + 2], images of the centres of the cells of box, rim and one
            more, in units of cells: k is the centre of cell k.
        rows, columns: of the box.
        halves: [2, size], the state, as the sum of two accumulators; the bands of this turn are read and cleared.
        flags: [2, (rows + 2 RIM) blocks], the blocks of cells where each half may hold something; likewise.
        target: [size], the half of the next state that this turn writes to.
        target_flags: [(rows + 2 RIM) blocks].
        turn: 0 or 1.
        first_row, last_row: counted with the rim.

    Returns: mass that has left the box, or is forgotten.
    """
    datapoints = images.shape[0]
    blocks = (images.shape[3] - 2) // LANES
    stride = blocks * LANES
    share = 1.0 / datapoints
    light = LIGHT * share
    work = np.zeros((_WORK_ROWS, LANES))
    targets = np.zeros((4, LANES), np.uint64)
    lost = 0.0
    for row in range(first_row, min(last_row, rows + 2 * RIM)):
        if (row // BAND) % 2 != turn:
            continue
        for number in range(blocks):
            block = row * blocks + number
            if flags[0, block] + flags[1, block] == 0:
                continue
            for k in range(MOMENTS):
                for i in range(LANES):
                    work[_RAW + k, i] = 0.0
            for half in range(2):
                if flags[half, block] != 0:
                    _read(work, halves[half], np.uint64(block * LANES))
                    flags[half, block] = 0
            column = number * LANES
            if row < RIM or row >= rows + RIM:
                lost += _take_out(work, 0, LANES)
                continue
            lost += _take_out(work, 0, RIM - column)
            lost += _take_out(work, columns + RIM - column, LANES)
            _rectangles(work, share)
            present, heavy = 0, 0
            for i in range(LANES):
                present += 1 if work[_MASS, i] > 0.0 else 0
                heavy += 1 if work[_MASS, i] >= light else 0
            if present == 0:
                continue
            for j in range(datapoints):
                _image(work, images[j], row, column)
                if heavy == 0:
                    _add_whole(work, target, target_flags, rows, columns, stride)
                else:
                    _cut(work, targets, rows, columns, light, stride)
                    _add(work, targets, target, target_flags, rows, columns, stride)
    for i in range(LANES):
        lost += work[_GONE, i]
    return lost
