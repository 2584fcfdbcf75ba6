"""Axes around a canvas of cells: ticks, their labels, and the axes' titles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from tui_opt.render.ticks import tick_labels, ticks_between
from tui_opt.render.wrap import clean, shorten
from tui_opt.resolution import bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui_opt.scales import Scale

AXIS_STYLE = "dim"
_GAP = 2
_ROWS_PER_TICK = 3
_COLUMNS_PER_TICK = 9
_TITLE_GAP = 3


@dataclass(frozen=True)
class AxisTicks:
    """Ticks of one axis: the cell of each, counted from the low end, and its label."""

    cells: tuple[int, ...]
    labels: tuple[str, ...]


def place_ticks(scale: Scale, cells: int, count: int, *, unicode: bool) -> AxisTicks:
    """About `count` intervals of ticks over an axis of so many cells, at most one tick in a cell."""
    values = ticks_between(scale.low, scale.high, count, log=scale.log)
    places = scale.unit(np.array(values))
    labels = [clean(label, unicode=unicode) for label in tick_labels(values, log=scale.log)]
    kept: dict[int, str] = {}
    for u, label in zip(places, labels, strict=True):
        if -1e-9 <= u <= 1 + 1e-9:
            kept.setdefault(int(bins(u, cells)), label)
    return AxisTicks(tuple(kept), tuple(kept.values()))


@dataclass(frozen=True)
class Frame:
    """Where the canvas lies in a line: `gutter` cells of labels, the axis, then `columns` cells.

    Args:
        x, y: the axes' ticks.
        x_starts: the cell at which each label of the x axis begins, counted from the line's begin.
        gutter, columns, rows: sizes in cells.
        unicode: draw the axes with box characters.
    """

    x: AxisTicks
    y: AxisTicks
    x_starts: tuple[int, ...]
    gutter: int
    columns: int
    rows: int
    unicode: bool

    def canvas_lines(self, canvas: Sequence[Text]) -> list[Text]:
        """The canvas's rows with the y axis before them."""
        labels = {
            self.rows - 1 - cell: label for cell, label in zip(self.y.cells, self.y.labels, strict=True)
        }
        plain, tick = ("│", "┤") if self.unicode else ("|", "+")
        lines = []
        for row, cells in enumerate(canvas):
            label = labels.get(row)
            margin = (label or "").rjust(self.gutter) + (plain if label is None else tick)
            lines.append(Text.assemble((margin, AXIS_STYLE), cells))
        return lines

    def x_axis(self) -> Text:
        """The line of the x axis."""
        corner, plain, tick = ("└", "─", "┬") if self.unicode else ("+", "-", "+")
        ticks = set(self.x.cells)
        line = "".join(tick if column in ticks else plain for column in range(self.columns))
        return Text(" " * self.gutter + corner + line, AXIS_STYLE)

    def x_labels(self, title: str, hidden: int | None = None) -> Text | None:
        """The labels under the x axis with its title at the right end.

        Args:
            title: empty where it has a line of its own.
            hidden: how many labels the title may take the place of; any number, if left out.

        Returns: `None` where the title would hide more, or leave fewer than two.
        """
        width = self.gutter + 1 + self.columns
        limit = width - cell_len(title) - _TITLE_GAP if title else width
        kept = [
            (start, label)
            for start, label in zip(self.x_starts, self.x.labels, strict=True)
            if start + len(label) <= limit
        ]
        lost = len(self.x.labels) - len(kept)
        if title and (len(kept) < min(2, len(self.x.labels)) or (hidden is not None and lost > hidden)):
            return None
        line = ""
        for start, label in kept:
            line += " " * (start - len(line)) + label
        text = Text(line, AXIS_STYLE)
        if title:
            text.append(" " * (width - len(line) - cell_len(title)) + title)
        return text


def plan_frame(x: Scale, y: Scale, width: int, rows: int, *, unicode: bool) -> Frame:
    """Choose ticks that fit a plot of `width` cells with a canvas of `rows` rows."""
    y_ticks = place_ticks(y, rows, max(1, rows // _ROWS_PER_TICK), unicode=unicode)
    gutter = max((len(label) for label in y_ticks.labels), default=0)
    columns = max(width - gutter - 1, 1)
    for count in range(max(1, columns // _COLUMNS_PER_TICK), 0, -1):
        x_ticks = place_ticks(x, columns, count, unicode=unicode)
        starts = _label_starts(x_ticks, gutter, width)
        if _apart(starts, x_ticks.labels):
            break
    else:
        x_ticks, starts = AxisTicks((), ()), []
    return Frame(x_ticks, y_ticks, tuple(starts), gutter, columns, rows, unicode)


def _label_starts(ticks: AxisTicks, gutter: int, width: int) -> list[int]:
    centred = (gutter + 1 + c - len(label) // 2 for c, label in zip(ticks.cells, ticks.labels, strict=True))
    return [max(0, min(s, width - len(label))) for s, label in zip(centred, ticks.labels, strict=True)]


def _apart(starts: Sequence[int], labels: Sequence[str]) -> bool:
    ends = [start + len(label) for start, label in zip(starts, labels, strict=True)]
    return all(end + _GAP <= start for end, start in zip(ends, starts[1:], strict=False))


def axis_title(scale: Scale, width: int, *, unicode: bool) -> str:
    """An axis's title with its unit, shortened to `width` cells."""
    return shorten(clean(scale.axis.title, unicode=unicode), width, unicode=unicode)
