"""The pairing of rows with columns whose sum is largest, row by row, so that it can be stopped on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

VISITS: Final = 20_000_000
"""Entries looked at between two looks at whether to stop, and those of the last row."""


def assigned(
    gain: FloatArray, look: Callable[[float], None] = lambda part: None
) -> tuple[IntArray, IntArray]:
    """The pairing of rows with columns whose sum is largest (Kuhn 1955); of unequal numbers some stay alone.

    By shortest augmenting paths, one row after the other (Crouse 2016, On implementing 2D rectangular assignment
    algorithms, which is SciPy's; that one cannot be stopped). A row takes at most as long as looking at every entry.

    Args:
        gain: [row, column], numbers.
        look: called after every few rows with how much more is done; parts of 1.

    Returns: rows in order, and the column of each.
    """
    turned = gain.shape[0] > gain.shape[1]
    cost = np.ascontiguousarray(-(gain.T if turned else gain))
    rows, columns = cost.shape
    of_rows, of_columns = np.zeros(rows), np.zeros(columns)
    column_of, row_of = np.full(rows, -1, dtype=np.int64), np.full(columns, -1, dtype=np.int64)
    row = 0
    while row < rows:
        last = int(_augment(cost, row, VISITS, of_rows, of_columns, column_of, row_of))
        look((last - row) / rows)
        row = last
    if not turned:
        return np.arange(rows), column_of
    order = np.argsort(column_of)
    return column_of[order], order


@nb.njit(nogil=True, cache=True)
def _augment(
    cost: FloatArray,
    first: int,
    visits: int,
    of_rows: FloatArray,
    of_columns: FloatArray,
    column_of: IntArray,
    row_of: IntArray,
) -> int:
    """Give rows a column each, until so many entries were visited; those before keep theirs or take others.

    Returns: the first row that has none yet.
    """
    rows, columns = cost.shape
    shortest, path = np.empty(columns), np.empty(columns, dtype=np.int64)
    remaining = np.empty(columns, dtype=np.int64)
    seen_rows, seen_columns = np.empty(rows, dtype=np.bool_), np.empty(columns, dtype=np.bool_)
    visited, new = 0, first
    while new < rows and visited < visits:
        for j in range(columns):
            remaining[j] = columns - j - 1
        shortest[:] = np.inf
        seen_rows[:] = False
        seen_columns[:] = False
        left, distance, row, sink = columns, 0.0, new, -1
        while sink < 0:
            seen_rows[row] = True
            visited += left
            lowest, place = np.inf, -1
            for k in range(left):
                j = remaining[k]
                length = distance + cost[row, j] - of_rows[row] - of_columns[j]
                if length < shortest[j]:
                    path[j] = row
                    shortest[j] = length
                if shortest[j] < lowest or (shortest[j] == lowest and row_of[j] < 0):
                    lowest, place = shortest[j], k
            distance = lowest
            j = remaining[place]
            if row_of[j] < 0:
                sink = j
            else:
                row = row_of[j]
            seen_columns[j] = True
            left -= 1
            remaining[place] = remaining[left]
        of_rows[new] += distance
        for i in range(rows):
            if seen_rows[i] and i != new:
                of_rows[i] += distance - shortest[column_of[i]]
        for j in range(columns):
            if seen_columns[j]:
                of_columns[j] -= distance - shortest[j]
        j = sink
        while True:
            i = path[j]
            row_of[j] = i
            column_of[i], j = j, column_of[i]
            if i == new:
                break
        new += 1
    return new
