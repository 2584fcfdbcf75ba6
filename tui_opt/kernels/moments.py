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
def _draw_in(first, last, occupied, count, edges, total, moved, added, sweeps):  # type: ignore[no-untyped-def]
    """Move mass towards the mean until the second moment has lost `added`; returns what is left of it.

    occupied[:count] lists the cells with mass, in order, all within [first, last]. Fractions moved are
    proportional to the distance from the mean, as in a contraction. The first sweeps use occupied neighbours
    only, which keeps the rows short.
    """
    mass = 0.0
    mean = 0.0
    for o in range(count):
        k = occupied[o]
        mass += total[k]
        mean += total[k] * 0.5 * (edges[k] + edges[k + 1])
    if mass <= 0.0:
        return 0.0
    mean /= mass
    span = edges[last + 1] - edges[first]
    for sweep in range(sweeps):
        if added <= 1e-16 * mass * span * span:
            break
        farthest = np.zeros(2)
        for o in range(count):
            k = occupied[o]
            x = 0.5 * (edges[k] + edges[k + 1]) - mean
            side = 1 if x > 0.0 else 0
            farthest[side] = max(farthest[side], abs(x))
        shift = np.zeros(2)
        gain = np.zeros(2)
        for o in range(count):
            k = occupied[o]
            x = 0.5 * (edges[k] + edges[k + 1]) - mean
            side = 1 if x > 0.0 else 0
            to = k - 1 if side == 1 else k + 1
            moved[k] = 0.0
            if x == 0.0 or total[k] <= 0.0 or to < 0 or to >= total.size or (sweep < 2 and total[to] <= 0.0):
                continue
            there = 0.5 * (edges[to] + edges[to + 1]) - mean
            wide, thin = edges[k + 1] - edges[k], edges[to + 1] - edges[to]
            amount = total[k] * (abs(x) / farthest[side])
            moved[k] = amount
            shift[side] += amount * abs(x - there)
            gain[side] += amount * (x * x - there * there + (wide * wide - thin * thin) / 12.0)
        if not (shift[0] > 0.0 and shift[1] > 0.0):
            continue
        per_shift = gain[0] / shift[0] + gain[1] / shift[1]
        if per_shift <= 0.0:
            continue
        pull = min(added / per_shift, min(shift[0], shift[1]))
        before = count
        for o in range(before):
            k = occupied[o]
            if moved[k] <= 0.0:
                continue
            side = 1 if 0.5 * (edges[k] + edges[k + 1]) > mean else 0
            amount = min(moved[k] * min(1.0, pull / shift[side]), total[k])
            to = k - 1 if side == 1 else k + 1
            if total[to] <= 0.0 and amount > 0.0:
                known = False
                for p in range(count):
                    known = known or occupied[p] == to
                if not known:
                    occupied[count] = to
                    count += 1
            moved[k] = amount
        for o in range(before):
            k = occupied[o]
            if moved[k] > 0.0:
                to = k - 1 if 0.5 * (edges[k] + edges[k + 1]) > mean else k + 1
                total[k] -= moved[k]
                total[to] += moved[k]
                moved[k] = 0.0
        if count > before:
            occupied[:count].sort()
        added -= pull * per_shift
    return max(added, 0.0)


@nb.njit(nogil=True, cache=True)
def _deposit_law(edges, mass, offset, square):  # type: ignore[no-untyped-def]
    cells = edges.size - 1
    total = np.zeros(cells)
    added = 0.0
    for k in range(cells):
        if mass[k] > 0.0:
            added += _share(k, mass[k], offset[k], square[k], edges, total)
    occupied = np.empty(cells, np.int64)
    count = 0
    for k in range(cells):
        if total[k] > 0.0:
            occupied[count] = k
            count += 1
    if count > 0:
        first, last = occupied[0], occupied[count - 1]
        added = _draw_in(first, last, occupied, count, edges, total, np.zeros(cells), added, SWEEPS)
    return total, added


@nb.njit(nogil=True, cache=True)
def _deposit_rows(images, edges, pieces):  # type: ignore[no-untyped-def]
    """Entries (row, column, weight) from images[j, cells * pieces + 1] of the pieces' ends, and added[cells]."""
    terms, nodes = images.shape
    cells = edges.size - 1
    rows = (nodes - 1) // pieces
    share = 1.0 / (terms * pieces)
    mass, offset, square = np.zeros(cells), np.zeros(cells), np.zeros(cells)
    total, moved = np.zeros(cells), np.zeros(cells)
    seen = np.zeros(cells, np.bool_)
    occupied = np.empty(cells, np.int64)
    added = np.zeros(rows)
    room = 8 * terms * rows + 4 * cells
    row, column, weight = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    filled = 0
    for i in range(rows):
        outside = np.zeros(3)
        count = 0
        for j in range(terms):
            lowest, highest = cells, -1
            for n in range(i * pieces, (i + 1) * pieces):
                a, b = images[j, n], images[j, n + 1]
                if not (np.isfinite(a) and np.isfinite(b)):
                    outside[NOWHERE] += share
                    continue
                low, high = min(a, b), max(a, b)
                first = np.searchsorted(edges, low, side="right") - 1
                last = max(np.searchsorted(edges, high, side="left") - 1, first)
                # A place exactly on the last edge has not left.
                if low == high and first == cells and high == edges[cells]:
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
            for k in range(max(lowest - 1, 0), min(highest + 2, cells)):
                if total[k] > 0.0 and not seen[k]:
                    seen[k] = True
                    occupied[count] = k
                    count += 1
        if count > 0:
            occupied[:count].sort()
            first, last = occupied[0], occupied[count - 1]
            added[i] = _draw_in(first, last, occupied, count, edges, total, moved, added[i], SWEEPS)
        # Drawing in fills gaps between occupied cells only, which lie within [first, last].
        if filled + (last - first + 1 if count > 0 else 0) + 3 > row.size:
            room = 2 * row.size + cells + 3
            row, column, weight = _longer(row, room), _longer(column, room), _longer(weight, room)
        for k in range(first, last + 1) if count > 0 else range(0):
            if total[k] > 0.0:
                row[filled], column[filled], weight[filled] = i, k, total[k]
                filled += 1
            total[k] = 0.0
            seen[k] = False
        for where in range(3):
            if outside[where] > 0.0:
                row[filled], column[filled], weight[filled] = i, cells + where, outside[where]
                filled += 1
    return row[:filled].copy(), column[:filled].copy(), weight[:filled].copy(), added


@nb.njit(nogil=True, cache=True)
def _longer(values, size):  # type: ignore[no-untyped-def]
    longer = np.empty(size, values.dtype)
    longer[: values.size] = values
    return longer
