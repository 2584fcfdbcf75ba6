"""Images cut at the nearest border of cells on either axis: four pieces each, which is all that most images need.

An image is cut where borders of cells run, across axis 1 and then across axis 2, and every piece adds its mass, first
and second moments to the cell it lies in. LANES images are cut side by side in vector registers, without branches;
those that cross more borders are marked, and cut one by one by `plane_spread`. The last stage goes cell by cell, and
adds a cell's six numbers as vectors.
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
    ROUND,
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
from tui_opt.kernels.plane_spread import add_moments, spread


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
        w11 = w11 if thick else 0.0
        w12 = work[W12, i] if thick else 0.0
        w22 = work[W22, i] if inside else 0.0
        per_w11 = 1.0 / (w11 if thick else 1.0)
        heavy = mass >= light

        r = math.sqrt(3.0 * w11)
        row = nearest(mean1)
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
            column = nearest(mean)
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
                k = PIECES + (2 * piece + half) * MOMENTS
                work[k, i] = m
                work[k + 1, i] = m * y1
                work[k + 2, i] = m * y2
                work[k + 3, i] = m * (y1 * y1 + y11)
                work[k + 4, i] = m * (y1 * y2 + y12)
                work[k + 5, i] = m * (y2 * y2 + y22)
                targets[2 * piece + half, i] = np.uint64(np.int64(cell + side2 * o))
        work[WIDE, i] = 1.0 if wide else 0.0


@stage
def add_pieces(
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
        if work[MASS, i] > 0.0:
            if work[WIDE, i] != 0.0:
                work[GONE, i] += spread(
                    work[MASS, i], work[U1, i], work[U2, i], work[W11, i], work[W12, i], work[W22, i],
                    target, flags, rows, columns, stride,
                )  # fmt: skip
                continue
            for piece in range(4):
                k = PIECES + piece * MOMENTS
                values = (
                    work[k, i], work[k + 1, i], work[k + 2, i], work[k + 3, i], work[k + 4, i], work[k + 5, i]
                )  # fmt: skip
                cell = targets[piece, i]
                add_moments(target, cell * ROUND, values)
                flags[cell >> BLOCK_BITS] = 1


@stage
def add_whole(
    work: FloatArray, target: FloatArray, flags: FlagArray, rows: int, columns: int, stride: int
) -> None:
    """Add images that are not cut."""
    for i in range(LANES):
        mass, mean1, mean2 = work[MASS, i], work[U1, i], work[U2, i]
        if mass > 0.0:
            w11, w12, w22 = work[W11, i], work[W12, i], work[W22, i]
            inside = (mean1 >= -1.0) & (mean1 <= rows) & (mean2 >= -1.0) & (mean2 <= columns)
            row, column = nearest(mean1), nearest(mean2)
            y1, y2 = mean1 - row, mean2 - column
            short = math.sqrt(3.0 * w11) <= abs(y1) + (0.5 + OVERHANG)
            low = math.sqrt(3.0 * w22) <= abs(y2) + (0.5 + OVERHANG)
            if inside & short & low:
                values = (
                    mass, mass * y1, mass * y2,
                    mass * (y1 * y1 + w11), mass * (y1 * y2 + w12), mass * (y2 * y2 + w22),
                )  # fmt: skip
                cell = np.uint64(np.int64((row + RIM) * stride + column + RIM))
                add_moments(target, cell * ROUND, values)
                flags[cell >> BLOCK_BITS] = 1
            else:
                work[GONE, i] += spread(
                    mass, mean1, mean2, w11, w12, w22, target, flags, rows, columns, stride
                )
