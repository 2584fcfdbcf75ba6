"""Figures as terminal text: a title, a plot with axes, a legend below it, and in words what is not in the plot."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui_opt.drawn import Drawn, value_range
from tui_opt.render.canvas import NO_INK
from tui_opt.render.frame import axis_title, plan_frame
from tui_opt.render.heatmap import color_bar, heatmap_lines
from tui_opt.render.layers import LABEL_INK, RULE_INK, Look, draw_layers, label_rules, series_looks
from tui_opt.render.legend import fitted, flow, rule_items, series_items
from tui_opt.render.palette import Colors, series_color
from tui_opt.render.wrap import clean, first_lines, wrap
from tui_opt.scene import Scene, prepare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tui_opt.figure import Figure
    from tui_opt.render.canvas import Cells

MIN_WIDTH, MIN_HEIGHT = 24, 8
_TOO_SMALL = f"A chart needs {MIN_WIDTH}x{MIN_HEIGHT} cells."
_NOTHING = "There are no numbers to draw yet."
_AXIS_LINES = 2
#: lines of a plot from which the x axis's title gets one of its own rather than hide more than one label of a tick.
_ROOMY = 14
_LEAST_ROWS = 4
_LEAST_SHARE = 0.4  # of the lines, for the plot
_PART_SHARE = 5  # a legend, notes or a caption take at most one line in so many
_TITLE, _NOTE, _QUIET = "bold", "italic", "dim"


def figure_text(
    figure: Figure,
    arrays: Mapping[str, NDArray[Any]],
    *,
    width: int,
    height: int,
    colors: Colors = "256",
    unicode: bool = True,
    partial: bool = False,
) -> Text:
    """Draw a figure for a terminal.

    Args:
        figure: the figure.
        arrays: the result's arrays by name.
        width: cells across, at least 1; no line is longer.
        height: lines, at least 1; there are no more.
        colors: colour depth; series differ by their marks in all of them.
        unicode: draw with braille, blocks and box characters; in ASCII only otherwise.
        partial: NaN stands for what is not computed yet, and is not complained of.

    Returns:
        At most `height` lines. What cannot be drawn (missing arrays, no finite number, too little room) is said
        in a sentence instead.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Text("\n".join(wrap(_TOO_SMALL, max(width, 1))[: max(height, 1)]))
    # Numbers near the end of the doubles overflow to infinity, which lies outside every plot.
    with np.errstate(over="ignore", invalid="ignore"):
        return Text("\n").join(
            _lines(prepare(figure, arrays, partial=partial), width, height, colors, unicode)
        )


def _lines(scene: Scene, width: int, height: int, colors: Colors, unicode: bool) -> list[Text]:
    if scene.x is None or scene.y is None:
        return _without_plot(scene, width, height, unicode=unicode)
    looks = series_looks(scene, width, unicode=unicode)
    if any(look.dots and scene.drawn[i].error is not None for i, look in looks.items()):
        scene.notes.append("The points are too dense for their error bars, which are not drawn.")
    heat = next((d for d in scene.drawn if d.kind == "heatmap"), None)
    if sum(d.kind == "heatmap" for d in scene.drawn) > 1:
        scene.notes.append("Only the first heatmap is drawn; it would hide under the others.")
    return _Page(scene, looks, heat, width, height, colors, unicode).lines()


def _without_plot(scene: Scene, width: int, height: int, *, unicode: bool) -> list[Text]:
    title = first_lines(clean(scene.figure.title, unicode=unicode), width, 1, unicode=unicode)
    sentences = [clean(s, unicode=unicode) for s in (_NOTHING, *scene.notes)]
    body = [line for s in sentences for line in wrap(s, width - 4)][: height - len(title)]
    above = (height - len(title) - len(body)) // 3
    return [Text(t, _TITLE) for t in title] + [Text("")] * above + [Text(f"  {line}") for line in body]


@dataclass(frozen=True)
class _Shares:
    """How many lines each part gets."""

    title: int
    y_title: int
    plot: int
    legend: int
    notes: int
    caption: int


@dataclass(frozen=True)
class _Page:
    """A scene on a page of lines."""

    scene: Scene
    looks: dict[int, Look]
    heat: Drawn | None
    width: int
    height: int
    colors: Colors
    unicode: bool

    def lines(self, in_legend: frozenset[int] = frozenset()) -> list[Text]:
        """All lines; the rules of these places have their labels in the legend, the others in the plot."""
        assert self.scene.y is not None
        figure = self.scene.figure
        title = first_lines(self._clean(figure.title), self.width, 1, unicode=self.unicode)
        y_title = [t for t in [axis_title(self.scene.y, self.width, unicode=self.unicode)] if t]
        notes, caption = " ".join(self._clean(n) for n in self.scene.notes), self._clean(figure.caption)
        bar, items = self._color_bar(), self._items(in_legend)
        legend = flow(items, self.width, unicode=self.unicode)
        shares = self._share(
            len(title),
            len(y_title),
            len(bar) + len(legend),
            len(wrap(notes, self.width)),
            len(wrap(caption, self.width)),
        )
        plot, homeless = self._plot(shares.plot, in_legend)
        if homeless:
            return self.lines(in_legend | homeless)
        legend = fitted(items, self.width, shares.legend - len(bar), unicode=self.unicode)
        parts: list[tuple[Sequence[str], str]] = [
            (first_lines(notes, self.width, shares.notes, unicode=self.unicode), _NOTE),
            (first_lines(caption, self.width, shares.caption, unicode=self.unicode), _QUIET),
        ]
        return [
            *(Text(t, _TITLE) for t in title[: shares.title]),
            *(Text(t, _QUIET) for t in y_title[: shares.y_title]),
            *plot,
            *bar[: shares.legend],
            *legend,
            *(Text(line, style) for lines, style in parts for line in lines),
        ]

    def _share(self, title: int, y_title: int, legend: int, notes: int, caption: int) -> _Shares:
        spare = self.height - _AXIS_LINES - max(_LEAST_ROWS, round(_LEAST_SHARE * self.height))
        most = max(1, self.height // _PART_SHARE)
        wanted = {
            "legend": min(legend, 1 if self.heat is None else 2),
            "notes": min(notes, 1),
            "title": title,
            "y_title": y_title,
            "more_legend": min(legend, most) - min(legend, 1 if self.heat is None else 2),
            "more_notes": min(notes, most) - min(notes, 1),
            "caption": min(caption, most),
        }
        given = {}
        for part, lines in wanted.items():
            given[part] = max(min(lines, spare), 0)
            spare -= given[part]
        plot = self.height - sum(given.values())
        return _Shares(
            given["title"],
            given["y_title"],
            plot,
            given["legend"] + given["more_legend"],
            given["notes"] + given["more_notes"],
            given["caption"],
        )

    def _clean(self, text: str) -> str:
        return clean(text, unicode=self.unicode)

    def _style(self, ink: int) -> Style | str:
        if ink == RULE_INK:
            return "dim"
        if ink == LABEL_INK or ink < 0:
            return ""
        return Style(color=series_color(ink // 2, self.colors) or None, dim=True if ink % 2 else None)

    def _color_bar(self) -> list[Text]:
        if self.heat is None:
            return []
        return [
            color_bar(self.heat, value_range(self.heat), self.width, colors=self.colors, unicode=self.unicode)
        ]

    def _items(self, in_legend: frozenset[int]) -> list[Text]:
        # Over a heatmap the ink is what shows best on each cell, so colour would not tell series apart.
        style = self._style if self.heat is None else (lambda _: "")
        items = series_items(self.scene, self.looks, style, unicode=self.unicode)
        return items + rule_items(self.scene, sorted(in_legend), self._style(RULE_INK), unicode=self.unicode)

    def _plot(self, lines: int, in_legend: frozenset[int]) -> tuple[list[Text], frozenset[int]]:
        """The plot on so many lines, and the rules whose labels found no room in it."""
        assert self.scene.x is not None
        assert self.scene.y is not None
        title = axis_title(self.scene.x, self.width, unicode=self.unicode)
        frame = plan_frame(self.scene.x, self.scene.y, self.width, lines - _AXIS_LINES, unicode=self.unicode)
        labels = frame.x_labels(title, hidden=1 if lines >= _ROOMY else None)
        below = [] if labels is None else [labels]
        if labels is None:
            rows = lines - _AXIS_LINES - 1
            frame = plan_frame(self.scene.x, self.scene.y, self.width, rows, unicode=self.unicode)
            below = [frame.x_labels("") or Text(), Text(" " * (self.width - cell_len(title)) + title)]
        cells = draw_layers(self.scene, self.looks, frame.columns, frame.rows, unicode=self.unicode)
        wanted = ["" if i in in_legend else self._clean(r.label) for i, r in enumerate(self.scene.rules)]
        homeless = frozenset(label_rules(self.scene, cells, wanted))
        if self.heat is None:
            rows_text = [self._row(cells, row) for row in range(frame.rows)]
        else:
            rows_text = heatmap_lines(
                self.heat,
                value_range(self.heat),
                self.scene.x,
                self.scene.y,
                cells,
                colors=self.colors,
                unicode=self.unicode,
            )
        return [*frame.canvas_lines(rows_text), frame.x_axis(), *below], homeless

    def _row(self, cells: Cells, row: int) -> Text:
        inks, chars = cells.inks[row], cells.chars[row]
        # A blank has no colour, so it goes on with the last one: the bytes of a frame are its changes of style.
        seen = accumulate(inks, _ink_after)
        text = Text()
        for ink, run in groupby(zip(seen, chars, strict=True), key=lambda cell: cell[0]):
            text.append("".join(char for _, char in run), self._style(ink))
        return text


def _ink_after(last: int, ink: int) -> int:
    return last if ink == NO_INK else ink
