"""Heatmaps in half-blocks: two values in a cell, a perceptual map of at most 32 levels, a colour bar."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui_opt.figure import Heatmap
from tui_opt.render.canvas import BLANK, Cells
from tui_opt.render.numbers import format_number
from tui_opt.render.palette import DENSITY_RAMP, Colors, color_map, is_light, map_colors
from tui_opt.render.wrap import clean, shorten
from tui_opt.resolution import resample_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tui_opt.drawn import Drawn
    from tui_opt.scales import Scale, ValueRange

UNKNOWN = -1
_UPPER, _LOWER = "▀", "▄"
_LONGEST_BAR = 48
_SHORTEST_BAR = 6
_LIGHT_STANDARD = frozenset({"cyan", "bright_cyan", "bright_green", "bright_yellow", "bright_white"})


def levels(
    drawn: Drawn, values: ValueRange, x: Scale, y: Scale, columns: int, rows: int, count: int
) -> NDArray[np.int64]:
    """A heatmap's level in each pixel, shape (rows, columns), rows from the top; `UNKNOWN` where there is no value.

    A pixel over several cells shows their mean, taken in the map's scale; a pixel inside a cell shows the cell.
    """
    assert drawn.z is not None
    places = values.unit(drawn.z)
    across = resample_edges(places, x.unit(drawn.x), np.linspace(0, 1, columns + 1))
    placed = resample_edges(across.T, y.unit(drawn.y), np.linspace(0, 1, rows + 1)).T[::-1]
    known = np.isfinite(placed)
    level: NDArray[np.int64] = np.clip(np.where(known, placed, 0.0) * count, 0, count - 1).astype(np.int64)
    level[~known] = UNKNOWN
    return level


def heatmap_lines(
    drawn: Drawn, values: ValueRange, x: Scale, y: Scale, over: Cells, *, colors: Colors, unicode: bool
) -> list[Text]:
    """The rows of a heatmap with what is drawn over it.

    Args:
        drawn: the heatmap.
        values: the range of its map.
        x, y: the axes.
        over: cells of the layers above; the size of the plot.
        colors: colour depth; a ramp of ASCII characters stands for the values without colour.
        unicode: use half-blocks; the ramp otherwise.

    Returns:
        One text per row, from the top.
    """
    rows, columns = len(over.chars), len(over.chars[0])
    diverging = isinstance(drawn.layer, Heatmap) and drawn.layer.diverging
    if colors == "none" or not unicode:
        level = levels(drawn, values, x, y, columns, rows, len(DENSITY_RAMP))
        return [_ramp_row(level[row], over.chars[row]) for row in range(rows)]
    names = map_colors(diverging, colors)
    level = levels(drawn, values, x, y, columns, 2 * rows, len(names))
    light = _light_levels(diverging, names)
    return [_block_row(level[2 * r], level[2 * r + 1], over.chars[r], names, light) for r in range(rows)]


def _light_levels(diverging: bool, names: tuple[str, ...]) -> list[bool]:
    if any(name in _LIGHT_STANDARD for name in names):
        return [name in _LIGHT_STANDARD for name in names]
    return [is_light(rgb) for rgb in color_map(diverging, len(names))]


def _ramp_row(level: NDArray[np.int64], over: list[str]) -> Text:
    ramp = DENSITY_RAMP + BLANK  # UNKNOWN picks the last
    return Text("".join(o if o != BLANK else ramp[k] for o, k in zip(over, level.tolist(), strict=True)))


def _block_row(
    upper: NDArray[np.int64],
    lower: NDArray[np.int64],
    over: list[str],
    names: tuple[str, ...],
    light: list[bool],
) -> Text:
    text = Text()
    cells = zip(upper.tolist(), lower.tolist(), over, strict=True)
    # Neighbours of one look become one run: the bytes of a frame are its runs.
    for (top, bottom, mark), run in groupby(cells):
        count = sum(1 for _ in run)
        text.append(*_block(top, bottom, mark, count, names, light))
    return text


def _block(
    top: int, bottom: int, mark: str, count: int, names: tuple[str, ...], light: list[bool]
) -> tuple[str, Style | str]:
    if mark != BLANK:
        ground = max(top, bottom)
        if ground == UNKNOWN:
            return mark * count, ""
        ink = "black" if light[ground] else "bright_white"
        return mark * count, Style(color=ink, bgcolor=names[ground], bold=not light[ground])
    if top == bottom == UNKNOWN:
        return BLANK * count, ""
    if top == UNKNOWN:
        return _LOWER * count, Style(color=names[bottom])
    if bottom == UNKNOWN:
        return _UPPER * count, Style(color=names[top])
    if top == bottom:
        return BLANK * count, Style(bgcolor=names[top])
    return _UPPER * count, Style(color=names[top], bgcolor=names[bottom])


def color_bar(drawn: Drawn, values: ValueRange, width: int, *, colors: Colors, unicode: bool) -> Text:
    """The map with the values at its ends and middle, after what they are, in one line of at most `width` cells."""
    assert isinstance(drawn.layer, Heatmap)
    low, middle, high = (
        clean(format_number(v, 3), unicode=unicode) for v in (values.low, values.middle(), values.high)
    )
    if values.low == values.high:
        middle = high = ""
    name = f"{drawn.label} [{drawn.layer.unit}]" if drawn.layer.unit else drawn.label
    name = clean(name, unicode=unicode) + (" (log)" if values.log else "")
    numbers = len(low) + len(middle) + len(high) + 4
    name = shorten(name, max(width - numbers - 2 * _SHORTEST_BAR - 2, 0), unicode=unicode)
    room = width - numbers - (cell_len(name) + 2 if name else 0)
    if room < _SHORTEST_BAR:
        middle, room = "", room + len(middle) + 1
    half = max(min(room, _LONGEST_BAR) // 2, 0)
    bar = _bar(2 * half, drawn.layer.diverging, colors=colors, unicode=unicode)
    text = Text(f"{name}  " if name else "")
    text.append(f"{low} ")
    text.append_text(bar[:half] if middle else bar)
    if middle:
        text.append(f" {middle} ").append_text(bar[half:])
    text.append(f" {high}")
    text.truncate(width)
    return text


def _bar(cells: int, diverging: bool, *, colors: Colors, unicode: bool) -> Text:
    if colors == "none" or not unicode:
        return Text("".join(DENSITY_RAMP[i * len(DENSITY_RAMP) // cells] for i in range(cells)))
    names = map_colors(diverging, colors)
    bar = Text()
    for i in range(cells):
        bar.append("█", Style(color=names[i * len(names) // cells]))
    return bar
