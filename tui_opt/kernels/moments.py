"""Probability put on cells so that its mean, and where there is room for it its variance, stay what they were.

Mass on cells is read as spread evenly over each cell. Any positive way of putting a narrow image on fixed cells
widens it: a point between two centres can keep its mean, but then has at least the variance f (1 - f) h^2 + h^2 / 12.
A step that spreads anyway (two datapoints with different gradients) has variance to spare: what the cells added is
taken back by moving mass towards the mean of the row, from as far out as it lies. So rows are never negative, keep
the mean exactly, and keep the variance exactly wherever the step's own variance is not below what two neighbouring
cells can hold. What could not be taken back is reported.

Mean and variance of a chain of affine maps then follow their exact recursions on any cells.

Reference: Hockney & Eastwood (1988), Computer Simulation Using Particles, section 5.2, for weights that keep moments.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from tui_opt.kernels.callables import FloatArray
from tui_opt.kernels.cells import ABOVE, BELOW, NOWHERE, PIECES, Entries

SWEEPS = 12
"""Times mass is moved by one cell towards the mean of its row."""
_NO_OFFSET = 1e-13
"""Offsets from a centre, in cells, below which they are rounding."""


def spread_keeping_moments(images: FloatArray, edges: FloatArray) -> tuple[Entries, FloatArray]:
    """Entries from the images of the pieces' ends, and the variance that the cells add to each row.

    Args:
        images: [j, part * PIECES + 1] of consecutive cells, see `tui_opt.kernels.cells.images_by_rows`.
        edges: [cells + 1] of all cells.

    Returns: the entries of a sparse matrix, and added[part] >= 0, a variance per step.
    """
    row, column, weight, added = _deposit_rows(images, edges, PIECES)
    return (row, column, weight), added


def put_on_cells(
    edges: FloatArray, mass: FloatArray, offset: FloatArray, square: FloatArray
) -> tuple[FloatArray, float]:
    """One law put on cells, from its moments within each.

    Args:
        edges: [cells + 1].
        mass: [cells], >= 0.
        offset: [cells], sum of mass * (W - centre) within each cell.
        square: [cells], sum of mass * (W - centre)^2.

    Returns: the masses [cells] that have the same sum and mean, and the same variance if they can; and the
        variance that had to be added.
    """
    masses, added = _deposit_law(edges, mass, offset, square)
    return masses, float(added)


@nb.njit(nogil=True, cache=True)
def _share(k, mass, offset, square, edges, total):  # type: ignore[no-untyped-def]
    """Give one part of cell k to k and the neighbour on the side of its mean; returns the second moment added."""
    cells = total.size
    width = edges[k + 1] - edges[k]
    other = k
    f = 0.0
    if mass > 0.0 and abs(offset) > _NO_OFFSET * width * mass:
        other = k + 1 if offset > 0.0 else k - 1
        if 0 <= other < cells:
            f = offset / mass / (0.5 * (edges[other] + edges[other + 1] - edges[k] - edges[k + 1]))
    total[k] += mass * (1.0 - f)
    added = mass * (1.0 - f) * width * width / 12.0 - square
    if f > 0.0:
        distance = 0.5 * (edges[other] + edges[other + 1] - edges[k] - edges[k + 1])
        beside = edges[other + 1] - edges[other]
        total[other] += mass * f
        added += mass * f * (distance * distance + beside * beside / 12.0)
    return added


@nb.njit(nogil=True, cache=True)
def _draw_in(first, last, edges, total, moved, added, sweeps):  # type: ignore[no-untyped-def]
    """Move mass towards the mean until the second moment has lost `added`; returns what is left of it.

    All mass lies in the cells first to last. Fractions moved are proportional to the distance from the mean, as
    in a contraction. The first sweeps use occupied neighbours only, which keeps the rows short.
    """
    mass = 0.0
    mean = 0.0
    for k in range(first, last + 1):
        mass += total[k]
        mean += total[k] * 0.5 * (edges[k] + edges[k + 1])
    if mass <= 0.0:
        return 0.0
    mean /= mass
    span = edges[last + 1] - edges[first]
    rounding = 1e-16 * mass * span * span
    for sweep in range(sweeps):
        if added <= rounding:
            break
        # What one unit of mean, moved from either side to the other, takes from the second moment.
        up_shift = up_gain = down_shift = down_gain = 0.0
        for k in range(first, last + 1):
            moved[k] = 0.0
            if total[k] <= 0.0:
                continue
            x = 0.5 * (edges[k] + edges[k + 1]) - mean
            to = k - 1 if x > 0.0 else k + 1
            if x == 0.0 or to < first or to > last or (sweep < 2 and total[to] <= 0.0):
                continue
            there = 0.5 * (edges[to] + edges[to + 1]) - mean
            wide, thin = edges[k + 1] - edges[k], edges[to + 1] - edges[to]
            moved[k] = total[k] * (abs(x) / span)
            gain = moved[k] * (x * x - there * there + (wide * wide - thin * thin) / 12.0)
            if x > 0.0:
                up_shift += moved[k] * (x - there)
                up_gain += gain
            else:
                down_shift += moved[k] * (there - x)
                down_gain += gain
        if not (up_shift > 0.0 and down_shift > 0.0):
            continue
        per_shift = up_gain / up_shift + down_gain / down_shift
        if per_shift <= 0.0:
            continue
        # No cell gives more than it has: the farthest one of a side lies within the span.
        largest = min(
            up_shift * span / max(0.5 * (edges[last] + edges[last + 1]) - mean, 1e-300),
            down_shift * span / max(mean - 0.5 * (edges[first] + edges[first + 1]), 1e-300),
        )
        pull = min(added / per_shift, largest)
        up, down = pull / up_shift, pull / down_shift
        for k in range(first, last + 1):
            if moved[k] > 0.0:
                fraction = up if 0.5 * (edges[k] + edges[k + 1]) > mean else down
                moved[k] = min(moved[k] * fraction, total[k])
        for k in range(first, last + 1):
            if moved[k] > 0.0:
                total[k] -= moved[k]
                total[k - 1 if 0.5 * (edges[k] + edges[k + 1]) > mean else k + 1] += moved[k]
        added -= pull * per_shift
    return added if added > rounding else 0.0


@nb.njit(nogil=True, cache=True)
def _deposit_law(edges, mass, offset, square):  # type: ignore[no-untyped-def]
    cells = edges.size - 1
    total = np.zeros(cells)
    added = 0.0
    first, last = cells, -1
    for k in range(cells):
        if mass[k] > 0.0:
            added += _share(k, mass[k], offset[k], square[k], edges, total)
            first, last = min(first, max(k - 1, 0)), min(k + 1, cells - 1)
    if last >= 0:
        added = _draw_in(first, last, edges, total, np.zeros(cells), added, SWEEPS)
    return total, added


@nb.njit(nogil=True, cache=True)
def _last_edge_below(edges, x, strictly):  # type: ignore[no-untyped-def]
    """The largest k with edges[k] <= x, or edges[k] < x strictly; -1 where there is none."""
    a, b = -1, edges.size
    while b - a > 1:
        middle = (a + b) // 2
        if edges[middle] < x or (not strictly and edges[middle] == x):
            a = middle
        else:
            b = middle
    return a


@nb.njit(nogil=True, cache=True)
def _deposit_rows(images, edges, pieces):  # type: ignore[no-untyped-def]
    """Entries (row, column, weight) from images[j, cells * pieces + 1] of the pieces' ends, and added[cells]."""
    terms, nodes = images.shape
    cells = edges.size - 1
    rows = (nodes - 1) // pieces
    share = 1.0 / (terms * pieces)
    mass, offset, square = np.zeros(cells), np.zeros(cells), np.zeros(cells)
    total, moved = np.zeros(cells), np.zeros(cells)
    added = np.zeros(rows)
    room = 8 * terms * rows + 4 * cells
    row, column, weight = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    filled = 0
    for i in range(rows):
        outside = np.zeros(3)
        first_of_row, last_of_row = cells, -1
        for j in range(terms):
            lowest, highest = cells, -1
            for n in range(i * pieces, (i + 1) * pieces):
                a, b = images[j, n], images[j, n + 1]
                if not (np.isfinite(a) and np.isfinite(b)):
                    outside[NOWHERE] += share
                    continue
                low, high = min(a, b), max(a, b)
                first = _last_edge_below(edges, low, False)
                last = max(_last_edge_below(edges, high, True), first)
                # A place exactly on the last edge has not left.
                if low == high and high == edges[cells]:
                    first, last = cells - 1, cells - 1
                for k in range(first, last + 1):
                    left = low if k == first else edges[k]
                    right = high if k == last else edges[k + 1]
                    part = share * (right - left) / (high - low) if first != last else share
                    if k < 0:
                        outside[BELOW] += part
                    elif k >= cells:
                        outside[ABOVE] += part
                    else:
                        centre = 0.5 * (edges[k] + edges[k + 1])
                        u, v = left - centre, right - centre
                        mass[k] += part
                        offset[k] += part * 0.5 * (u + v)
                        square[k] += part * (u * u + u * v + v * v) / 3.0
                        lowest, highest = min(lowest, k), max(highest, k)
            # Each map by itself: parts of two maps in one cell may lie at its two ends.
            for k in range(lowest, highest + 1):
                if mass[k] > 0.0:
                    added[i] += _share(k, mass[k], offset[k], square[k], edges, total)
                    mass[k], offset[k], square[k] = 0.0, 0.0, 0.0
            if highest >= 0:
                first_of_row = min(first_of_row, max(lowest - 1, 0))
                last_of_row = max(last_of_row, min(highest + 1, cells - 1))
        if last_of_row >= 0:
            added[i] = _draw_in(first_of_row, last_of_row, edges, total, moved, added[i], SWEEPS)
        if filled + last_of_row - first_of_row + 4 > row.size:
            room = 2 * row.size + cells + 4
            row, column, weight = _longer(row, room), _longer(column, room), _longer(weight, room)
        for k in range(first_of_row, last_of_row + 1):
            if total[k] > 0.0:
                row[filled], column[filled], weight[filled] = i, k, total[k]
                filled += 1
            total[k] = 0.0
        for where in range(3):
            if outside[where] > 0.0:
                row[filled], column[filled], weight[filled] = i, cells + where, outside[where]
                filled += 1
    return row[:filled].copy(), column[:filled].copy(), weight[:filled].copy(), added


@nb.njit(nogil=True, cache=True)
def _longer(values, size):  # type: ignore[no-untyped-def]
    longer = np.empty(size, values.dtype)
    for k in range(values.size):  # a slice's check of shapes takes seconds to compile
        longer[k] = values[k]
    return longer
