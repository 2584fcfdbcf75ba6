"""Which frequencies the data can tell apart, and how finely they have to be looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.fitting.exponential_sums import Grid

FloatArray = NDArray[np.float64]

MOST_CELLS = 1 << 20
"""Frequencies that are scanned at most where the range is chosen from the data."""
MOST_CELLS_ASKED = 1 << 23
"""Frequencies that are scanned at most where the range is asked for."""
NYQUIST_FACTOR = 3.0
"""Times the mean Nyquist frequency that unevenly spaced data are searched; they tell higher frequencies apart too."""
LEAST_TURNS = 100.0
"""Phase across the middle half of the data that a range must allow, to count as known from the data."""
_MOST_SITES = 1 << 24
_MOST_COMPARED = 1_000_000


@dataclass(frozen=True)
class Range:
    """Frequencies along one column.

    Attributes:
        width: rms of the column, around 0 where the phase is known and around its mean where it is not.
        step: spacing of the grid, 1/(2 width).
        highest: the largest frequency.
        spacing: where all values are multiples of it apart, and 0 otherwise.
        folded: whether `highest` is the frequency at which that spacing folds the others back.
        wide: whether the range allows many turns across the bulk of the data.
        asked: whether the range was asked for.
    """

    width: float
    step: float
    highest: float
    spacing: float
    folded: bool
    wide: bool
    asked: bool

    @property
    def cells(self) -> int:
        """Grid frequencies from 0 to the highest."""
        return math.ceil(self.highest / self.step) + 1


def range_of(u: FloatArray, phase_known: bool, asked: float | None, most_cells: int = MOST_CELLS) -> Range:
    """The frequencies to search along u[n].

    Args:
        u: what the frequency multiplies; it must not be constant.
        phase_known: whether the phase at u = 0 is known.
        asked: the highest frequency, where the user gives it.
        most_cells: the largest grid where it is not asked for.
    """
    width = float(np.sqrt(np.mean(u * u))) if phase_known else float(np.std(u))
    step = 0.5 / width
    distinct = np.unique(u)
    extent = float(distinct[-1] - distinct[0])
    spacing = lattice_spacing(distinct)
    if asked is not None:
        return Range(width, step, asked, spacing, False, True, True)
    low, high = np.quantile(u if u.size <= _MOST_COMPARED else u[::7], (0.25, 0.75))
    bulk = float(high - low)
    # By the middle half, so that a few far-out values do not count; where half of them are one value, by all.
    mean_gap = bulk / (0.5 * u.size) if bulk > 0 else max(extent, width) / max(1, distinct.size - 1)
    highest = NYQUIST_FACTOR * math.pi / mean_gap
    folded = spacing > 0 and math.pi / spacing <= highest
    if folded:
        highest = math.pi / spacing
    largest = step * (most_cells - 1)
    if highest <= largest:
        return Range(width, step, max(highest, step), spacing, folded, True, False)
    # A few far-out values make the grid so fine that it no longer reaches what the bulk of the data shows.
    return Range(width, step, largest, spacing, False, largest * bulk >= LEAST_TURNS, False)


def lattice_spacing(distinct: FloatArray) -> float:
    """The spacing that all differences are multiples of, or 0 where there is none.

    Args:
        distinct: [n], sorted, no two equal.
    """
    if distinct.size < 3:
        return 0.0
    gaps = np.diff(distinct)
    extent = float(distinct[-1] - distinct[0])
    rounding = 1e-9 * max(extent, float(np.abs(distinct).max()))
    spacing = float(gaps.min())
    if spacing <= 10 * rounding:
        return 0.0
    for _ in range(20):  # Euclid's algorithm on the gaps
        left = gaps - spacing * np.rint(gaps / spacing)
        worst = float(np.abs(left).max())
        if worst <= 1e-6 * spacing + rounding:
            sites = round(extent / spacing)
            return extent / sites if sites <= _MOST_SITES else 0.0
        smaller = np.abs(left[np.abs(left) > 1e-6 * spacing + rounding])
        spacing = float(smaller.min())
        if extent / spacing > 64 * distinct.size:
            return 0.0
    return 0.0


def grid_of(ranges: list[Range], one_sided: bool) -> Grid:
    """The grid over one or more frequencies; the first one from 0 where the sign of all does not matter."""
    low, step, counts = [], [], []
    for k, r in enumerate(ranges):
        n = r.cells
        two_sided = k > 0 or not one_sided
        low.append(-r.step * (n - 1) if two_sided else 0.0)
        step.append(r.step)
        counts.append(2 * n - 1 if two_sided else n)
    return Grid(tuple(low), tuple(step), tuple(counts))
