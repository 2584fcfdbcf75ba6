"""Data cut down to what a plot can show, so that a million points cost what a thousand do."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Segments = tuple[Floats, Floats, Floats, Floats]

_CHUNK_SAMPLES = 2_000_000
_FARTHEST = 1e9  # in units of the plot: beyond it only a direction is left, and differences stay finite


def column_extremes(x: Floats, y: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Keep the smallest and the largest y of each column of a curve, and its first and last points.

    A line through the kept points covers the pixels that a line through all of them covers.

    Args:
        x: shape (n,), rising.
        y: shape (n,); NaN is a gap, and a column without a number stays a gap.
        edges: shape (columns + 1,), rising: the borders of the columns in units of x. Points outside are dropped but
            for the nearest on either side, from which the curve enters the plot.

    Returns:
        x and y of at most `2 * columns + 4` points, still rising in x; the input itself where it is no longer.
    """
    columns = len(edges) - 1
    if len(x) <= 2 * columns + 4:
        return x, y
    filled, starts, stop, first, last = _columns(x, edges)
    if not filled.size:
        return x[[first, last]], y[[first, last]]
    low = np.fmin.reduceat(y[:stop], starts)
    high = np.fmax.reduceat(y[:stop], starts)
    ends = np.append(starts[1:], stop) - 1
    falling = y[starts] > y[ends]
    pairs = np.stack([np.where(falling, high, low), np.where(falling, low, high)], axis=1)
    # Well inside their column, or rounding could draw an extreme one pixel beside it.
    width = edges[filled + 1] - edges[filled]
    places = np.stack([edges[filled] + 0.25 * width, edges[filled] + 0.75 * width], axis=1)
    places = np.clip(places, x[first], x[last])
    return (
        np.concatenate([x[first : first + 1], places.ravel(), x[last : last + 1]]),
        np.concatenate([y[first : first + 1], pairs.ravel(), y[last : last + 1]]),
    )


def column_envelope(x: Floats, low: Floats, high: Floats, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """The smallest of `low` and the largest of `high` in each column of a band, and its first and last points.

    Args:
        x, low, high: shape (n,), x rising; a column without numbers stays a gap.
        edges: as for `column_extremes`.

    Returns:
        x, low and high of at most `2 * columns + 2` points, two in each column; the input where it is no longer.
    """
    if len(x) <= 2 * len(edges):
        return x, low, high
    filled, starts, stop, first, last = _columns(x, edges)
    if not filled.size:
        ends = [first, last]
        return x[ends], low[ends], high[ends]
    width = edges[filled + 1] - edges[filled]
    places = np.stack([edges[filled] + 0.001 * width, edges[filled + 1] - 0.001 * width], axis=1).ravel()
    lowest = np.repeat(np.fmin.reduceat(low[:stop], starts), 2)
    highest = np.repeat(np.fmax.reduceat(high[:stop], starts), 2)

    def ended(ends: Floats, middle: Floats) -> Floats:
        return np.concatenate([ends[first : first + 1], middle, ends[last : last + 1]])

    return ended(x, np.clip(places, x[first], x[last])), ended(low, lowest), ended(high, highest)


def rising_band(x: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """A band's points that have a place, in rising order."""
    if (x[1:] >= x[:-1]).all():
        return x, low, high
    known = np.flatnonzero(np.isfinite(x))
    order = known[np.argsort(x[known], kind="stable")]
    return x[order], low[order], high[order]


def _columns(x: Floats, edges: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int, int]:
    """Which columns have points, where each of them begins, where all end; the points next to them on either side."""
    cuts = np.searchsorted(x, edges)
    cuts[-1] = np.searchsorted(x, edges[-1], side="right")
    filled = np.flatnonzero(np.diff(cuts))
    first, last = max(int(cuts[0]) - 1, 0), min(int(cuts[-1]), len(x) - 1)
    return filled, cuts[filled], int(cuts[-1]), first, last


def clip_segments(u: Floats, v: Floats) -> Segments:
    """The parts of a polyline inside the unit square.

    Args:
        u, v: shape (n,), in units of the plot; NaN breaks the line.

    Returns:
        Starts and ends `u0, v0, u1, v1` of the segments that are left, in order.

    Reference: Liang and Barsky, "A new concept and method for line clipping" (1984).
    """
    # Most data lie inside, whose limits the plot takes. A NaN makes its extremes NaN and the comparison false.
    if _all_inside(u, v):
        return u[:-1], v[:-1], u[1:], v[1:]
    u, v = np.clip(u, -_FARTHEST, _FARTHEST), np.clip(v, -_FARTHEST, _FARTHEST)
    whole = np.isfinite(u[:-1]) & np.isfinite(v[:-1]) & np.isfinite(u[1:]) & np.isfinite(v[1:])
    u0, v0, u1, v1 = u[:-1][whole], v[:-1][whole], u[1:][whole], v[1:][whole]
    enter, leave = np.zeros_like(u0), np.ones_like(u0)
    for start, end in ((u0, u1), (v0, v1)):
        step = end - start
        moves = step != 0
        safe = np.where(moves, step, 1.0)
        with np.errstate(over="ignore"):  # infinity is far enough away
            at_low, at_high = -start / safe, (1 - start) / safe
        outside = (start < 0) | (start > 1)
        enter = np.where(moves, np.maximum(enter, np.minimum(at_low, at_high)), np.where(outside, 2.0, enter))
        leave = np.where(moves, np.minimum(leave, np.maximum(at_low, at_high)), leave)
    kept = enter <= leave
    u0, v0, u1, v1, enter, leave = (a[kept] for a in (u0, v0, u1, v1, enter, leave))
    du, dv = u1 - u0, v1 - v0
    # An end inside stays bit for bit as it is, which joins a segment to the next.
    ends = [
        np.where(t == whole_t, point, start + t * step)
        for t, whole_t, point, start, step in (
            (enter, 0.0, u0, u0, du),
            (enter, 0.0, v0, v0, dv),
            (leave, 1.0, u1, u0, du),
            (leave, 1.0, v1, v0, dv),
        )
    ]
    first_u, first_v, last_u, last_v = (np.clip(end, 0.0, 1.0) for end in ends)
    return first_u, first_v, last_u, last_v


def _all_inside(u: Floats, v: Floats) -> bool:
    """Whether there are points and all lie in the unit square."""
    return len(u) > 0 and all(bool(w.min() >= 0 and w.max() <= 1) for w in (u, v))


def bins(u: Floats, count: int) -> NDArray[np.int64]:
    """The bin of each number of the unit interval, of `count` equal ones; 1 belongs to the last."""
    picked: NDArray[np.int64] = np.clip(np.floor(u * count), 0, count - 1).astype(np.int64)
    return picked


def point_counts(u: Floats, v: Floats, columns: int, rows: int) -> NDArray[np.int64]:
    """How many points lie in each cell of a grid over the unit square, shape (rows, columns), row 0 at v = 0."""
    if not _all_inside(u, v):
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
        u, v = u[inside], v[inside]
    flat = bins(v, rows) * columns + bins(u, columns)
    counts: NDArray[np.int64] = np.bincount(flat, minlength=rows * columns).reshape(rows, columns)
    return counts


def path_counts(u: Floats, v: Floats, columns: int, rows: int) -> NDArray[np.int64]:
    """How often a polyline passes each cell of a grid over the unit square, shape (rows, columns), row 0 at v = 0.

    Each segment counts once in every cell it is sampled in, at least one sample per cell along its longer side.
    A path so wild that every cell is taken early is cut short: its picture is full already.
    """
    u0, v0, u1, v1 = clip_segments(u, v)
    counts = np.zeros(rows * columns, dtype=np.int64)
    if len(u0) == 0:
        return counts.reshape(rows, columns)
    column0, column1 = _end_bins(u0, u1, columns)
    row0, row1 = _end_bins(v0, v1, rows)
    first, last = row0 * columns + column0, row1 * columns + column1
    short = (np.abs(column1 - column0) <= 1) & (np.abs(row1 - row0) <= 1)
    # Neighbouring cells need no samples between, which is all there is to do for a finely stepped path.
    moved = first != last
    if short.all():
        counts += np.bincount(first, minlength=counts.size) + np.bincount(last[moved], minlength=counts.size)
        return counts.reshape(rows, columns)
    counts += np.bincount(first[short], minlength=counts.size)
    counts += np.bincount(last[short & moved], minlength=counts.size)
    u0, v0, u1, v1 = (a[~short] for a in (u0, v0, u1, v1))
    lengths = np.maximum(np.abs(u1 - u0) * columns, np.abs(v1 - v0) * rows)
    # One more than there are cells, or rounding could let two samples that are a cell apart miss the one between.
    samples = np.ceil(lengths).astype(np.int64) + 2
    chunk_of = np.cumsum(samples) // _CHUNK_SAMPLES
    for begin, end in _runs(chunk_of):
        piece = slice(begin, end)
        counts += _sampled((u0[piece], v0[piece], u1[piece], v1[piece]), samples[piece], columns, rows)
        if counts.all():
            break
    return counts.reshape(rows, columns)


def _end_bins(start: Floats, end: Floats, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The bins of the starts and ends of segments, found once where each ends at the start of the next."""
    if start.base is not None and start.base is end.base:
        all_bins = bins(np.append(start, end[-1:]), count)
        return all_bins[:-1], all_bins[1:]
    return bins(start, count), bins(end, count)


def _runs(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(pairwise(cuts))


def _sampled(segments: Segments, samples: NDArray[np.int64], columns: int, rows: int) -> NDArray[np.int64]:
    u0, v0, u1, v1 = segments
    segment = np.repeat(np.arange(len(samples)), samples)
    step = np.arange(len(segment)) - np.repeat(np.cumsum(samples) - samples, samples)
    t = step / np.maximum(samples - 1, 1)[segment]
    cell = bins(v0[segment] + t * (v1 - v0)[segment], rows) * columns
    cell += bins(u0[segment] + t * (u1 - u0)[segment], columns)
    new = np.ones(len(cell), dtype=bool)
    new[1:] = (cell[1:] != cell[:-1]) | (segment[1:] != segment[:-1])
    counts: NDArray[np.int64] = np.bincount(cell[new], minlength=rows * columns)
    return counts


def count_on_grid(counts: Floats, u: Floats, v: Floats, columns: int, rows: int) -> Floats:
    """Counts on one grid as counts on a regular grid over the unit square.

    Args:
        counts: shape (len(v) - 1, len(u) - 1).
        u, v: rising: the borders of the given cells, in units of the wanted grid's side.
        columns, rows: cells of the wanted grid.

    Returns:
        Shape (rows, columns): the sum over the given cells whose centre lies in a wanted one; where there is none, the
        count of the cell that holds it; 0 outside.
    """
    across = _summed(counts, u, columns)
    summed: Floats = _summed(across.T, v, rows).T
    return summed


def _summed(values: Floats, edges: Floats, count: int) -> Floats:
    targets = np.linspace(0, 1, count + 1)
    wanted = (targets[:-1] + targets[1:]) / 2
    cuts = np.searchsorted((edges[:-1] + edges[1:]) / 2, targets)
    holder = np.clip(np.searchsorted(edges, wanted, side="right") - 1, 0, values.shape[1] - 1)
    sums = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    inside = (wanted >= edges[0]) & (wanted <= edges[-1])
    total: Floats = np.where(
        np.diff(cuts) > 0, sums[:, cuts[1:]] - sums[:, cuts[:-1]], np.where(inside, values[:, holder], 0.0)
    )
    return total


def resample_edges(values: NDArray[Any], edges: Floats, targets: Floats) -> Floats:
    """Average a matrix's columns over other columns, ignoring NaN.

    Args:
        values: shape (rows, n).
        edges: shape (n + 1,), rising: the borders of the n columns.
        targets: shape (m + 1,), rising: the borders of the wanted columns.

    Returns:
        Shape (rows, m): the mean over the given columns whose centre lies in a wanted one; where there is none, the
        column that holds the wanted one's centre; NaN outside `edges` and where all are NaN.
    """
    centres, wanted = (edges[:-1] + edges[1:]) / 2, (targets[:-1] + targets[1:]) / 2
    cuts = np.searchsorted(centres, targets)
    many = np.diff(cuts) > 1
    holder = np.clip(np.searchsorted(edges, wanted, side="right") - 1, 0, len(centres) - 1)
    out = values[:, holder].astype(np.float64)
    if many.any():
        finite = np.isfinite(values)
        start = np.zeros((len(values), 1))
        sums = np.hstack([start, np.cumsum(np.where(finite, values, 0.0), axis=1)])
        numbers = np.hstack([start, np.cumsum(finite, axis=1)])
        total, number = (c[:, cuts[1:]] - c[:, cuts[:-1]] for c in (sums, numbers))
        mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        out[:, many] = mean[:, many]
    out[:, (wanted < edges[0]) | (wanted > edges[-1])] = np.nan
    return out
