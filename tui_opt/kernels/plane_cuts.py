"""Images cut at the nearest border of cells on either axis: four pieces each, which is all that most images need.

An image is cut where borders of cells run, across axis 1 and then across axis 2, and every piece adds its mass, first
and second moments to the cell it lies in. LANES images are cut side by side in vector registers, without branches;
those that cross more borders are marked, and cut one by one by `plane_spread`. The last stage adds the six numbers of a
piece to its cell as one vector (`plane_lines`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tui_opt.kernels.plane_cells import (
    BLOCK_BITS,
    GONE,
    LANES,
    MASS,
    MOMENTS,
    OVERHANG,
    PIECES,
    RIM,
    THINNEST,
    U1,
    U2,
    W11,
    W12,
    W22,
    WIDE,
    FlagArray,
    FloatArray,
    nearest,
    stage,
)
from tui_opt.kernels.plane_lines import EIGHT, add_lines
from tui_opt.kernels.plane_spread import spread


@stage
def root(a: float) -> Any:
    """1 / sqrt(a), to rounding: in single precision, and improved once (Halley); 1e-15 for more than 1e30."""
    a = a if a < 1e30 else 1e30
    y = np.float64(np.float32(1.0) / math.sqrt(np.float32(a)))
    away = 1.0 - a * y * y
    return y + y * away * (0.5 + 0.375 * away)


@stage
def cut_images(work: FloatArray, targets: Any, rows: int, columns: int, light: float, stride: int) -> None:
    """Cut every image into four pieces, find the cells they belong to, and mark images that cross more borders.

    On each axis the frame is mirrored so that the nearest border lies at +1/2, at the distance `near` from the
    mean; a rectangle of half-width r = sqrt(3 variance) has the share (r - near) / 2r beyond it. Across the cut
    the other axis follows by regression, which keeps the covariance.
    """
    last_row, last_column = float(rows), float(columns)
    for i in range(LANES):
        mass, mean1, mean2 = work[MASS, i], work[U1, i], work[U2, i]
        inside = (mean1 >= -1.0) & (mean1 <= last_row) & (mean2 >= -1.0) & (mean2 <= last_column)
        mean1 = mean1 if inside else -1.0
        mean2 = mean2 if inside else -1.0
        w11 = work[W11, i]
        thick = inside & (w11 > THINNEST)
        w12 = work[W12, i] if thick else 0.0
        w22 = work[W22, i] if inside else 0.0
        per_r = root(3.0 * w11 if thick else 1.0)
        heavy = mass >= light

        r = 3.0 * w11 * per_r if thick else 0.0
        row = nearest(mean1)
        place = mean1 - row
        side = 1.0 if place >= 0.0 else -1.0
        place = abs(place)
        near = 0.5 - place
        crosses = (r > near) & heavy
        beyond = (r - near) * (0.5 * per_r) if crosses else 0.0
        slope = w12 * (3.0 * per_r * per_r)
        rest = w22 - slope * w12
        rest = rest if rest > 0.0 else 0.0
        outer = place + r - 0.5 if crosses else 0.0
        inner = 2.0 * r - outer
        mass_outer = mass * beyond
        simple = inside & (r <= place + (0.5 + OVERHANG))
        row_cell = (row + RIM) * stride + RIM
        inner_fits = _cut_across(
            work, targets, i, 0, mass - mass_outer, inner, place - r + 0.5 * inner, 0.0, place, side, mean2,
            slope, rest, row_cell, last_column, heavy,
        )  # fmt: skip
        outer_fits = _cut_across(
            work, targets, i, 2, mass_outer, outer, 0.5 + 0.5 * outer, 1.0, place, side, mean2,
            slope, rest, row_cell + side * stride, last_column, heavy,
        )  # fmt: skip
        simple = simple & inner_fits & outer_fits
        work[WIDE, i] = 0.0 if simple else 1.0


@stage
def _cut_across(
    work: FloatArray,
    targets: Any,
    i: int,
    piece: int,
    part: float,
    width: float,
    centre: float,
    offset: float,
    place: float,
    side: float,
    mean2: float,
    slope: float,
    rest: float,
    row_cell: float,
    last_column: float,
    heavy: bool,
) -> Any:
    """Cut a piece between borders of axis 1 at the nearest border of axis 2, and say whether that is all it takes."""
    v11 = width * width * (1.0 / 12.0)
    v12 = slope * v11
    v22 = rest + slope * v12
    mean = mean2 + slope * side * (centre - place)
    x1 = (centre - offset) * side
    thick = v22 > THINNEST
    v12 = v12 if thick else 0.0
    per_r = root(3.0 * v22 if thick else 1.0)
    r = 3.0 * v22 * per_r if thick else 0.0
    column = nearest(mean)
    column = column if column >= -1.0 else -1.0
    column = column if column <= last_column else last_column
    place2 = mean - column
    side2 = 1.0 if place2 >= 0.0 else -1.0
    place2 = abs(place2)
    near = 0.5 - place2
    crosses = (r > near) & heavy
    beyond = (r - near) * (0.5 * per_r) if crosses else 0.0
    beyond = beyond if beyond < 1.0 else 1.0
    slope2 = v12 * (3.0 * per_r * per_r)
    rest1 = v11 - slope2 * v12
    rest1 = rest1 if rest1 > 0.0 else 0.0
    outer = place2 + r - 0.5 if crosses else 0.0
    inner = 2.0 * r - outer
    part_outer = part * beyond
    y = x1 - slope2 * side2 * place2
    cell = row_cell + column
    _put(
        work, targets, i, piece, part - part_outer, inner, place2 - r + 0.5 * inner, 0.0,
        y, slope2, slope2 * side2, rest1, side2, cell,
    )  # fmt: skip
    _put(
        work, targets, i, piece + 1, part_outer, outer, 0.5 + 0.5 * outer, 1.0,
        y, slope2, slope2 * side2, rest1, side2, cell,
    )  # fmt: skip
    return r <= place2 + (0.5 + OVERHANG)


@stage
def _put(
    work: FloatArray,
    targets: Any,
    i: int,
    piece: int,
    mass: float,
    width: float,
    centre: float,
    offset: float,
    y: float,
    slope: float,
    signed_slope: float,
    rest: float,
    side: float,
    cell: float,
) -> None:
    """The moments of a piece that lies in one cell."""
    y22 = width * width * (1.0 / 12.0)
    y12 = slope * y22
    y11 = rest + slope * y12
    y1 = y + signed_slope * centre
    y2 = (centre - offset) * side
    k = PIECES + piece * MOMENTS
    work[k, i] = mass
    work[k + 1, i] = mass * y1
    work[k + 2, i] = mass * y2
    work[k + 3, i] = mass * (y1 * y1 + y11)
    work[k + 4, i] = mass * (y1 * y2 + y12)
    work[k + 5, i] = mass * (y2 * y2 + y22)
    targets[piece, i] = np.uint64(np.int64(cell + side * offset))


@stage
def add_pieces(
    work: FloatArray,
    targets: Any,
    pieces: int,
    target: FloatArray,
    flags: FlagArray,
    rows: int,
    columns: int,
    stride: int,
) -> None:
    """Add the first pieces of all images to their cells, and flag the blocks these are in."""
    others = 0.0
    for i in range(LANES):
        others += work[WIDE, i]
    if others > 0.0:
        for i in range(LANES):
            if work[WIDE, i] != 0.0:
                if work[MASS, i] > 0.0:
                    work[GONE, i] += spread(
                        work[MASS, i], work[U1, i], work[U2, i], work[W11, i], work[W12, i], work[W22, i],
                        target, flags, rows, columns, stride,
                    )  # fmt: skip
                for k in range(PIECES, PIECES + pieces * MOMENTS):
                    work[k, i] = 0.0
    for piece in range(pieces):
        # Also where nothing is added: to look at an empty block takes less time than to ask here.
        for i in range(LANES):
            flags[targets[piece, i] >> BLOCK_BITS] = 1
        for lane in range(0, LANES, EIGHT):
            row = np.uint64(PIECES + piece * MOMENTS)
            add_lines(target, targets, np.uint64(piece), work, row, np.uint64(lane))


@stage
def add_whole(
    work: FloatArray,
    targets: Any,
    target: FloatArray,
    flags: FlagArray,
    rows: int,
    columns: int,
    stride: int,
) -> None:
    """Add images that are not cut."""
    last_row, last_column = float(rows), float(columns)
    for i in range(LANES):
        mass, mean1, mean2 = work[MASS, i], work[U1, i], work[U2, i]
        w11, w12, w22 = work[W11, i], work[W12, i], work[W22, i]
        inside = (mean1 >= -1.0) & (mean1 <= last_row) & (mean2 >= -1.0) & (mean2 <= last_column)
        mean1 = mean1 if inside else -1.0
        mean2 = mean2 if inside else -1.0
        row, column = nearest(mean1), nearest(mean2)
        y1, y2 = mean1 - row, mean2 - column
        most1, most2 = abs(y1) + (0.5 + OVERHANG), abs(y2) + (0.5 + OVERHANG)
        simple = inside & (3.0 * w11 <= most1 * most1) & (3.0 * w22 <= most2 * most2)
        work[PIECES, i] = mass
        work[PIECES + 1, i] = mass * y1
        work[PIECES + 2, i] = mass * y2
        work[PIECES + 3, i] = mass * (y1 * y1 + w11)
        work[PIECES + 4, i] = mass * (y1 * y2 + w12)
        work[PIECES + 5, i] = mass * (y2 * y2 + w22)
        targets[0, i] = np.uint64(np.int64((row + RIM) * stride + column + RIM))
        work[WIDE, i] = 0.0 if simple else 1.0
    add_pieces(work, targets, 1, target, flags, rows, columns, stride)
