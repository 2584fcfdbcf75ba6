"""One step of the chain on cells that carry their moments: the compiled part of `tui_opt.kernels.plane`.

Every cell's rectangle is imaged by every datapoint's map (`plane_images`), and the image is cut and added to the cells
it falls on (`plane_cuts`). So mass, mean and covariance are those of the image, and no variance is added however
coarse the cells are: for affine maps the moments of the whole law are exact.

What makes it fast, beside the vectors of its parts: blocks of cells that hold nothing are flagged and not looked at,
and what has been read is cleared at once. The first rows of a state, about half of the work, write to one accumulator
of the next state and the others to a second one: two threads never wait for each other, results do not depend on the
number of threads, and as images lie near their cells, hardly any memory passes from one processor to the other.

Reference: B. A. Egan and J. R. Mahoney, "Numerical modeling of advection and diffusion of urban area source
pollutants", J. Appl. Meteorology 11, 1972, section 3 (moments of rectangles in cells); M. J. Prather,
"Numerical advection by conservation of second-order moments", J. Geophys. Res. 91, 1986.
"""

from __future__ import annotations

import numba
import numpy as np

from tui_opt.kernels.plane_cells import (
    CUT_EFFORT,
    GONE,
    LANES,
    LIGHT,
    MASS,
    MOMENTS,
    RAW,
    RIM,
    ROW_EFFORT,
    WORK_ROWS,
    FlagArray,
    FloatArray,
)
from tui_opt.kernels.plane_cuts import add_pieces, add_whole, cut_images
from tui_opt.kernels.plane_images import image, read, rectangles, rest_of_mass, take_out
from tui_opt.kernels.vector_width import widest_vectors


@numba.njit(
    "float64(float64[:, :, :, ::1], int64, int64, float64[:, ::1], uint8[:, ::1], float64[::1], uint8[::1],"
    "float64[::1], int64, int64)",
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def step_rows(
    images: FloatArray,
    rows: int,
    columns: int,
    halves: FloatArray,
    flags: FlagArray,
    target: FloatArray,
    target_flags: FlagArray,
    effort: FloatArray,
    first_row: int,
    last_row: int,
) -> float:
    """Move the mass of some rows one step on, from `first_row` to before `last_row`.

    Args:
        images: [j, axis, rows + 2 RIM + 2, stride + 2], images of the centres of the cells of box, rim and one
            more, in units of cells: k is the centre of cell k.
        rows, columns: of the box.
        halves: [2, size], the state, as the sum of two accumulators; these rows are read and cleared.
        flags: [2, (rows + 2 RIM) blocks], the blocks of cells where each half may hold something; likewise.
        target: [size], the half of the next state that is added to.
        target_flags: [(rows + 2 RIM) blocks].
        effort: [rows + 2 RIM], set to how much work each row was.
        first_row, last_row: counted with the rim.

    Returns: mass that has left the box, or is forgotten.
    """
    widest_vectors()
    datapoints = images.shape[0]
    blocks = (images.shape[3] - 2) // LANES
    stride = blocks * LANES
    share = 1.0 / datapoints
    light = LIGHT / (rows * columns) * share
    work = np.zeros((WORK_ROWS, LANES))
    targets = np.zeros((4, LANES), np.uint64)
    lost = 0.0
    for row in range(first_row, min(last_row, rows + 2 * RIM)):
        cost = ROW_EFFORT
        for number in range(blocks):
            block = row * blocks + number
            if flags[0, block] + flags[1, block] == 0:
                continue
            for k in range(MOMENTS):
                for i in range(LANES):
                    work[RAW + k, i] = 0.0
            for half in range(2):
                if flags[half, block] != 0:
                    read(work, halves[half], np.uint64(block * LANES))
                    flags[half, block] = 0
            column = number * LANES
            if row < RIM or row >= rows + RIM:
                lost += take_out(work, 0, LANES)
                continue
            lost += take_out(work, 0, RIM - column)
            lost += take_out(work, columns + RIM - column, LANES)
            rectangles(work, share)
            present, heavy = 0, 0
            for i in range(LANES):
                present += 1 if work[MASS, i] > 0.0 else 0
                heavy += 1 if work[MASS, i] >= light else 0
            if present == 0:
                continue
            cost += datapoints * (CUT_EFFORT if heavy > 0 else 1.0)
            for j in range(datapoints):
                if j == datapoints - 1:
                    rest_of_mass(work, float(j))
                image(work, images[j], row, column)
                if heavy == 0:
                    add_whole(work, targets, target, target_flags, rows, columns, stride)
                else:
                    cut_images(work, targets, rows, columns, light, stride)
                    add_pieces(work, targets, 4, target, target_flags, rows, columns, stride)
        effort[row] = cost
    for i in range(LANES):
        lost += work[GONE, i]
    return lost
