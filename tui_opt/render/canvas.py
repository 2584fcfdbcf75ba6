"""A canvas of terminal cells on which plotext draws curves and marks; axes and legends are not its business."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_opt.resolution import bins, clip_segments, path_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tui_opt.resolution import Floats

BLANK = " "
NO_INK = -1
_LONE_POINT = "•"
_FIRST_COLOR = 16  # below it plotext writes other escape codes
_LONGEST_JOINED = 2  # in widths of the canvas
_INKS = 256 - _FIRST_COLOR
_PLOTEXT = threading.Lock()  # plotext keeps one figure per process
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # rows from the top


@dataclass
class Cells:
    """What stands in each cell: a character and the number of its ink, rows from the top."""

    chars: list[list[str]]
    inks: list[list[int]]

    @classmethod
    def blank(cls, columns: int, rows: int) -> Cells:
        """Empty cells."""
        return cls([[BLANK] * columns for _ in range(rows)], [[NO_INK] * columns for _ in range(rows)])

    def cover(self, upper: Cells) -> None:
        """Put what stands in other cells over these."""
        for row, chars in enumerate(upper.chars):
            for column, char in enumerate(chars):
                if char != BLANK:
                    self.chars[row][column] = char
                    self.inks[row][column] = upper.inks[row][column]


@dataclass(frozen=True)
class _Signal:
    x: list[float]
    y: list[float]
    marker: str | list[str]
    ink: int
    joined: bool


@dataclass(frozen=True)
class _Stamps:
    rows: list[int]  # from the top
    columns: list[int]
    chars: list[str]
    ink: int

    def put(self, cells: Cells) -> None:
        for row, column, char in zip(self.rows, self.columns, self.chars, strict=True):
            cells.chars[row][column] = char
            cells.inks[row][column] = self.ink


class Canvas:
    """Collects curves, marks and dots over the unit square; plotext draws the curves and marks.

    Args:
        columns, rows: size in cells.
        unicode: draw curves with braille dots, two by four in a cell; with one character a cell otherwise.
    """

    def __init__(self, columns: int, rows: int, *, unicode: bool) -> None:
        self.columns, self.rows, self.unicode = columns, rows, unicode
        self._drawn: list[_Signal | _Stamps] = []

    @property
    def dots(self) -> tuple[int, int]:
        """Columns and rows of the smallest dots a curve is made of."""
        return (2 * self.columns, 4 * self.rows) if self.unicode else (self.columns, self.rows)

    def curve(self, u: Floats, v: Floats, ink: int, mark: str) -> None:
        """Join points; NaN breaks the curve, and what lies outside the unit square is cut off.

        Args:
            u, v: places of the points, 0 at the left and the bottom, 1 at the right and the top.
            ink: number of the ink, from 0.
            mark: the character to draw with where there is no braille.
        """
        marker = "braille" if self.unicode else mark
        across, up = self.dots
        u0, v0, u1, v1 = clip_segments(u, v)
        length = np.maximum(np.abs(u1 - u0) * across, np.abs(v1 - v0) * up).sum()
        if length > _LONGEST_JOINED * across:
            # plotext walks along a curve dot by dot, so that one that goes up and down a lot takes long.
            # Under the curves before it, or these would vanish in it.
            self._drawn.insert(self._first_curve(), self._dots(path_counts(u, v, across, up) > 0, ink, mark))
            u0, v0, u1, v1 = (ends[:0] for ends in (u0, v0, u1, v1))
        breaks = np.flatnonzero((u0[1:] != u1[:-1]) | (v0[1:] != v1[:-1])) + 1
        for begin, end in zip([0, *breaks], [*breaks, len(u0)], strict=True):
            if end > begin:
                x = bins(np.append(u0[begin:end], u1[end - 1]), across)
                y = bins(np.append(v0[begin:end], v1[end - 1]), up)
                self._add(x, y, across, up, marker, ink, joined=True)
        # A point between two gaps, or the only one, joins nothing and is still a point.
        known = np.isfinite(u) & np.isfinite(v)
        alone = known & ~np.append(False, known[:-1]) & ~np.append(known[1:], False)
        alone &= (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
        columns, rows = bins(u[alone], self.columns), bins(v[alone], self.rows)
        self.stamp(columns, rows, [_LONE_POINT if self.unicode else mark] * len(columns), ink)

    def raster(self, taken: NDArray[np.bool_], ink: int, mark: str) -> None:
        """Set dots.

        Args:
            taken: shape of `dots` turned round (rows, columns), row 0 at the bottom.
            ink: number of the ink.
            mark: the character to draw with where there is no braille.
        """
        self._drawn.append(self._dots(taken, ink, mark))

    def _dots(self, taken: NDArray[np.bool_], ink: int, mark: str) -> _Stamps:
        # Not by plotext, which takes longer for a cell than NumPy for a plot.
        top_first = taken[::-1]
        if not self.unicode:
            rows, columns = np.nonzero(top_first)
            return _Stamps(rows.tolist(), columns.tolist(), [mark] * len(rows), ink)
        blocks = top_first.reshape(self.rows, 4, self.columns, 2)
        codes = (blocks * _BRAILLE_BITS[None, :, None, :]).sum(axis=(1, 3))
        rows, columns = np.nonzero(codes)
        chars = [chr(0x2800 + code) for code in codes[rows, columns].tolist()]
        return _Stamps(rows.tolist(), columns.tolist(), chars, ink)

    def _first_curve(self) -> int:
        """The place of the first of the curves that were added last."""
        place = len(self._drawn)
        while place and isinstance(last := self._drawn[place - 1], _Signal) and last.joined:
            place -= 1
        return place

    def stamp(self, columns: NDArray[Any], rows: NDArray[Any], chars: Sequence[str], ink: int) -> None:
        """Put characters into cells, row 0 at the bottom."""
        self._add(columns, rows, self.columns, self.rows, list(chars), ink)

    def _add(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        across: int,
        up: int,
        marker: str | list[str],
        ink: int,
        *,
        joined: bool = False,
    ) -> None:
        if len(x):
            # plotext's axes run from 0 at the middle of the first bin to 1 at the middle of the last.
            xs, ys = x / max(across - 1, 1), y / max(up - 1, 1)
            self._drawn.append(_Signal(xs.tolist(), ys.tolist(), marker, ink, joined))

    def draw(self) -> Cells:
        """Draw everything, later over earlier."""
        cells = Cells.blank(self.columns, self.rows)
        for _, group in groupby(self._drawn, key=type):
            pieces = list(group)
            for piece in pieces:
                if isinstance(piece, _Stamps):
                    piece.put(cells)
            if signals := [piece for piece in pieces if isinstance(piece, _Signal)]:
                cells.cover(self._by_plotext(signals))
        return cells

    def _by_plotext(self, signals: Sequence[_Signal]) -> Cells:
        import plotext

        with _PLOTEXT:
            try:
                plotext.clear_figure()
                plotext.limit_size(False, False)
                plotext.plotsize(self.columns, self.rows)
                plotext.theme("clear")
                plotext.frame(False)
                plotext.xticks([], [])
                plotext.yticks([], [])
                plotext.xlim(0, 1)
                plotext.ylim(0, 1)
                for signal in signals:
                    draw = plotext.plot if signal.joined else plotext.scatter
                    color = _FIRST_COLOR + signal.ink % _INKS
                    draw(signal.x, signal.y, marker=signal.marker, color=color)
                drawing = plotext.build()
            finally:
                plotext.clear_figure()
        return _read(drawing, self.columns, self.rows)


def _read(drawing: str, columns: int, rows: int) -> Cells:
    cells = Cells.blank(columns, rows)
    for row, line in enumerate(drawing.split("\n")[:rows]):
        column, ink = 0, NO_INK
        for i, part in enumerate(_ESCAPE.split(line)):
            if i % 2:
                ink = int(part.rpartition(";")[2]) - _FIRST_COLOR if part.startswith("38;5;") else NO_INK
                continue
            for char in part:
                if char != BLANK and column < columns:
                    cells.chars[row][column] = char
                    cells.inks[row][column] = ink
                column += 1
    return cells
