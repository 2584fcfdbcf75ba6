"""Figures as terminal text: a title, a plot with axes, a legend below it, and in words what is not in the plot."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui_opt.render.canvas import Cells
from tui_opt.render.frame import axis_title, plan_frame
from tui_opt.render.heatmap import color_bar, heatmap_lines, value_range
from tui_opt.render.layers import LABEL_INK, RULE_INK, Look, draw_layers, label_rules, series_looks
from tui_opt.render.palette import Colors, series_color
from tui_opt.render.scene import Scene, prepare
from tui_opt.render.wrap import clean, first_lines, shorten, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tui_opt.figure import Figure

MIN_WIDTH, MIN_HEIGHT = 24, 8
_TOO_SMALL = f"A chart needs {MIN_WIDTH}x{MIN_HEIGHT} cells."
_NOTHING = "There are no numbers to draw yet."
_AXIS_LINES = 2
_LEAST_PLOT = 4
_PLOT_SHARE = 0.55
_LEGEND_GAP = "   "
_TITLE_STYLE, _NOTE_STYLE, _QUIET_STYLE = "bold", "italic", "dim"


def figure_text(
    figure: Figure,
    arrays: Mapping[str, NDArray[Any]],
    *,
    width: int,
    height: int,
    colors: Colors = "256",
    unicode: bool = True,
) -> Text:
    """Draw a figure for a terminal.

    Args:
        figure: the figure.
        arrays: the result's arrays by name.
        width: cells across, at least 1; no line is longer.
        height: lines, at least 1; there are no more.
        colors: colour depth; series differ by their marks in all of them.
        unicode: draw with braille, blocks and box characters; in ASCII only otherwise.

    Returns:
        At most `height` lines. What cannot be drawn (missing arrays, no finite number, too little room) is said in a
        sentence instead.
    """
    scene = prepare(figure, arrays)
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _sentences([_TOO_SMALL], width, height, unicode=unicode)
    if scene.x is None or scene.y is None:
        return _empty(scene, width, height, unicode=unicode)
    looks = series_looks(scene, width, unicode=unicode)
    _note_hidden_errors(scene, looks)
    lines = _Layout(scene, looks, width, height, colors, unicode).lines()
    return Text("\n").join(lines)


def _sentences(sentences: Sequence[str], width: int, height: int, *, unicode: bool) -> Text:
    lines = [line for s in sentences for line in wrap(clean(s, unicode=unicode), max(width, 1))]
    return Text("\n".join(lines[: max(height, 1)]))


def _empty(scene: Scene, width: int, height: int, *, unicode: bool) -> Text:
    title = clean(scene.figure.title, unicode=unicode)
    lines = [Text(line, _TITLE_STYLE) for line in first_lines(title, width, 1, unicode=unicode)]
    body = [line for s in (_NOTHING, *scene.notes) for line in wrap(clean(s, unicode=unicode), width - 4)]
    body = body[: height - len(lines)]
    above = max((height - len(lines) - len(body)) // 3, 0)
    lines += [Text("")] * above + [Text(f"  {line}") for line in body]
    return Text("\n").join(lines)


def _note_hidden_errors(scene: Scene, looks: dict[int, Look]) -> None:
    if any(looks[i].dots and scene.drawn[i].error is not None for i in looks):
        scene.notes.append("The points are too dense for their error bars, which are not drawn.")


class _Layout:
    """Shares a figure's lines out among its parts and draws them."""

    def __init__(
        self, scene: Scene, looks: dict[int, Look], width: int, height: int, colors: Colors, unicode: bool
    ) -> None:
        self.scene, self.looks = scene, looks
        self.width, self.height, self.colors, self.unicode = width, height, colors, unicode
        self.heat = next((d for d in scene.drawn if d.kind == "heatmap"), None)

    def clean(self, text: str) -> str:
        """A label as it can be shown here."""
        return clean(text, unicode=self.unicode)

    def style(self, ink: int) -> Style | str:
        """What an ink looks like."""
        if ink == RULE_INK:
            return "dim"
        if ink == LABEL_INK or ink < 0:
            return ""
        color = series_color(ink // 2, self.colors)
        return Style(color=color or None, dim=True if ink % 2 else None)

    def lines(self) -> list[Text]:
        """All lines of the figure."""
        assert self.scene.x is not None
        assert self.scene.y is not None
        legend = self.legend(self.swatches())
        spare = self.height - _AXIS_LINES - max(_LEAST_PLOT, round(_PLOT_SHARE * self.height))

        def share(wanted: Sequence[str] | Sequence[Text]) -> int:
            nonlocal spare
            granted = max(min(len(wanted), spare), 0)
            spare -= granted
            return granted

        title = first_lines(self.clean(self.scene.figure.title), self.width, 1, unicode=self.unicode)
        notes = " ".join(self.clean(n) for n in self.scene.notes)
        note_lines = wrap(notes, self.width) if notes else []
        caption = wrap(self.clean(self.scene.figure.caption), self.width)
        y_title = [t for t in [axis_title(self.scene.y, self.width, unicode=self.unicode)] if t]
        shown_title = share(title)
        shown_legend, shown_notes, shown_y = share(legend[:1]), share(note_lines[:1]), share(y_title)
        shown_legend += share(legend[1:])
        shown_notes += share(note_lines[1:])
        x_title = axis_title(self.scene.x, self.width, unicode=self.unicode)
        shown_caption = min(len(caption), max(spare - 1, 0))

        rows = self.height - _AXIS_LINES - shown_title - shown_legend - shown_notes - shown_y - shown_caption
        plot, homeless = self.plot(rows, x_title, own_line=False)
        if plot is None:
            plot, homeless = self.plot(rows - 1, x_title, own_line=True)
        assert plot is not None
        if homeless:
            # A label that found no room beside its rule joins the legend, whose lines were counted without it.
            legend = self.legend(self.swatches() + homeless)
        head = [Text(t, _TITLE_STYLE) for t in title[:shown_title]] + [
            Text(t, _QUIET_STYLE) for t in y_title[:shown_y]
        ]
        feet = self.fit_legend(legend, max(shown_legend, 1 if homeless else 0))
        if len(feet) > shown_legend:
            plot, _ = self.plot(rows - 1, x_title, own_line=False)
            plot = plot or self.plot(rows - 2, x_title, own_line=True)[0] or []
        feet += [Text(t, _NOTE_STYLE) for t in first_lines(notes, self.width, shown_notes, unicode=self.unicode)]
        text = self.clean(self.scene.figure.caption)
        feet += [Text(t, _QUIET_STYLE) for t in first_lines(text, self.width, shown_caption, unicode=self.unicode)]
        return head + plot + feet
