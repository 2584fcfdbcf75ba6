"""Layers of a figure drawn on a canvas of terminal cells, and how they are told apart there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len

from tui_opt.render.canvas import BLANK, Canvas, Cells
from tui_opt.render.dither import dither
from tui_opt.render.palette import ASCII_MARKS, LINE_MARKS, POINT_MARKS
from tui_opt.resolution import (
    bins,
    column_envelope,
    column_extremes,
    count_on_grid,
    path_counts,
    point_counts,
    rising_band,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tui_opt.drawn import Drawn
    from tui_opt.resolution import Floats
    from tui_opt.scales import Scale
    from tui_opt.scene import Scene

SLOTS = 42  # the colours and marks have repeated by then
RULE_INK = 2 * SLOTS
LABEL_INK = RULE_INK + 1
_LONGEST_PATH = 4_000  # points; a longer one is rasterised before plotext sees it
_EIGHTHS = "▁▂▃▄▅▆▇█"
_MARKS_PER_CURVE = 5
_DOTS_PER_CELL = 8
_CROWDED = 0.6  # share of dots taken in the cells that have any
_CURVES = ("line", "path")
# What covers little goes over what covers much, or points would vanish under bars.
_ORDER = ("band", "histogram", "density", "path", "line", "scatter")


@dataclass(frozen=True)
class Look:
    """How a series looks.

    Args:
        ink: number of its ink: even for the full colour of a slot, odd for the dim one.
        mark: its own character.
        marked: whether the mark stands on its curve here and there.
        dots: whether its points are dots too many to be marks.
    """

    ink: int
    mark: str
    marked: bool = False
    dots: bool = False


def series_looks(scene: Scene, columns: int, *, unicode: bool) -> dict[int, Look]:
    """A look for each layer by its place in `scene.drawn`; curves get marks where there are several."""
    series = [i for i, d in enumerate(scene.drawn) if d.kind != "heatmap"]
    curves = [i for i in series if scene.drawn[i].kind in _CURVES]
    points = [i for i in series if scene.drawn[i].kind == "scatter"]
    looks = {}
    for order, i in enumerate(series):
        drawn = scene.drawn[i]
        ink = 2 * (drawn.slot % SLOTS)
        mark = ASCII_MARKS[order % len(ASCII_MARKS)]
        if drawn.kind == "band":
            looks[i] = Look(ink + 1, "░" if unicode else ":")
        elif drawn.kind == "scatter":
            mark = POINT_MARKS[points.index(i) % len(POINT_MARKS)] if unicode else mark
            looks[i] = Look(ink, mark, dots=len(drawn.x) > 2 * columns)
        elif drawn.kind == "histogram":
            looks[i] = Look(ink, "█" if unicode else mark)
        elif drawn.kind == "density":
            looks[i] = Look(ink, mark, dots=True)
        else:
            mark = LINE_MARKS[curves.index(i) % len(LINE_MARKS)] if unicode else mark
            looks[i] = Look(ink, mark, marked=unicode and len(curves) > 1)
    return looks


def draw_layers(scene: Scene, looks: dict[int, Look], columns: int, rows: int, *, unicode: bool) -> Cells:
    """Draw a scene's rules and all its layers but heatmaps on cells."""
    assert scene.x is not None
    assert scene.y is not None
    canvas = Canvas(columns, rows, unicode=unicode)
    order = sorted(looks, key=lambda i: _ORDER.index(scene.drawn[i].kind))
    filled = sum(d.kind == "histogram" for d in scene.drawn) == 1
    areas = [i for i in order if scene.drawn[i].kind in ("band", "histogram")]
    for i in areas:
        drawn = scene.drawn[i]
        if drawn.kind == "band":
            _band(canvas, drawn, looks[i], scene.x, scene.y)
        else:
            (_bars if filled else _steps)(canvas, drawn, looks[i], scene.x, scene.y)
    for rule in scene.rules:
        _rule(canvas, rule.axis, rule.value, scene.x if rule.axis == "x" else scene.y)
    for i in order:
        if scene.drawn[i].kind == "density":
            _density(canvas, scene.drawn[i], looks[i], scene.x, scene.y)
    curves = [i for i in order if scene.drawn[i].kind in _CURVES]
    joined = {i: _curve(canvas, scene.drawn[i], looks[i], scene.x, scene.y) for i in curves}
    for place, i in enumerate(curves):
        if looks[i].marked:
            _marks(
                canvas,
                *joined[i],
                looks[i],
                (place + 0.5) / len(curves),
                sorted_by_x=scene.drawn[i].kind == "line",
            )
    for i in order:
        if scene.drawn[i].kind == "scatter":
            _points(canvas, scene.drawn[i], looks[i], scene.x, scene.y)
    return canvas.draw()


def _curve(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> tuple[Floats, Floats]:
    across, up = canvas.dots
    points = (
        column_extremes(drawn.x, drawn.y, x.edges(across)) if drawn.kind == "line" else (drawn.x, drawn.y)
    )
    u, v = x.unit(points[0]), y.unit(points[1])
    if drawn.kind == "path" and len(u) > _LONGEST_PATH:
        canvas.raster(_dots(path_counts(u, v, across, up), canvas), look.ink, look.mark)
    else:
        canvas.curve(u, v, look.ink, look.mark)
    return u, v


def _density(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> None:
    assert drawn.z is not None
    counts = count_on_grid(drawn.z, x.unit(drawn.x), y.unit(drawn.y), *canvas.dots)
    canvas.raster(_dots(counts, canvas), look.ink, look.mark)


def _dots(counts: NDArray[Any], canvas: Canvas) -> NDArray[np.bool_]:
    """The dots to set: all that are taken, or fewer where little happens once most are taken."""
    taken = counts > 0
    cells = taken.reshape(canvas.rows, -1, canvas.columns, counts.shape[1] // canvas.columns).sum(axis=(1, 3))
    crowded = canvas.unicode and cells.sum() > _CROWDED * _DOTS_PER_CELL * np.count_nonzero(cells)
    return dither(counts, canvas.columns, canvas.rows) if crowded else taken


def _marks(canvas: Canvas, u: Floats, v: Floats, look: Look, shift: float, *, sorted_by_x: bool) -> None:
    """Put a curve's mark on it in a few places, shifted so that curves on top of each other show both."""
    count = max(2, min(_MARKS_PER_CURVE, canvas.columns // 12))
    at = (np.arange(count) + shift) / count
    if sorted_by_x:
        known = np.flatnonzero(np.isfinite(u) & np.isfinite(v))
        inside = known[(u[known] >= 0) & (u[known] <= 1)]
        if not inside.size:
            return
        first, last = u[inside[0]], u[inside[-1]]
        # In places of the plot, so that they stay while a curve grows; along it where it is short.
        at_u = at[(at >= first) & (at <= last)]
        if len(at_u) < 2:
            at_u = first + at * (last - first)
        at_v = np.interp(at_u, u, v)  # NaN within a gap, where no mark belongs
    else:
        picked = np.minimum((at * len(u)).astype(np.int64), len(u) - 1)
        at_u, at_v = u[picked], v[picked]
    shown = (at_u >= 0) & (at_u <= 1) & (at_v >= 0) & (at_v <= 1)
    columns, rows = bins(at_u[shown], canvas.columns), bins(at_v[shown], canvas.rows)
    canvas.stamp(columns, rows, [look.mark] * len(columns), look.ink)


def _points(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> None:
    u, v = x.unit(drawn.x), y.unit(drawn.y)
    if look.dots:
        across, up = canvas.dots
        canvas.raster(_dots(point_counts(u, v, across, up), canvas), look.ink, look.mark)
        return
    if drawn.error is not None:
        _error_bars(canvas, u, drawn.y, drawn.error, y, look)
    shown = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    columns, rows = bins(u[shown], canvas.columns), bins(v[shown], canvas.rows)
    canvas.stamp(columns, rows, [look.mark] * len(columns), look.ink)


def _error_bars(canvas: Canvas, u: Floats, centres: Floats, errors: Floats, y: Scale, look: Look) -> None:
    low, high = y.unit(centres - errors), y.unit(centres + errors)
    low = np.where(np.isnan(low) & ~np.isnan(high), 0.0, low)  # below every decade of a log axis
    shown = (u >= 0) & (u <= 1) & (high >= 0) & (low <= 1)
    bottom, top = (bins(np.clip(ends[shown], 0, 1), canvas.rows) for ends in (low, high))
    row = np.arange(canvas.rows)[:, None]
    rows, places = np.nonzero((bottom <= row) & (row <= top) & (bottom < top))
    columns = bins(u[shown], canvas.columns)[places]
    canvas.stamp(columns, rows, ["│" if canvas.unicode else "|"] * len(rows), look.ink)


def _band(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> None:
    assert drawn.upper is not None
    points = column_envelope(*rising_band(drawn.x, drawn.y, drawn.upper), x.edges(canvas.columns))
    u, low, high = x.unit(points[0]), y.unit(points[1]), y.unit(points[2])
    at = (np.arange(canvas.columns) + 0.5) / canvas.columns
    low, high = (np.interp(at, u, edge, left=np.nan, right=np.nan) for edge in (low, high))
    low, high = np.fmin(low, high), np.fmax(low, high)
    shown = np.flatnonzero(np.isfinite(low) & (high >= 0) & (low <= 1))
    bottom, top = (bins(np.clip(edge[shown], 0, 1), canvas.rows) for edge in (low, high))
    row = np.arange(canvas.rows)[:, None]
    rows, places = np.nonzero((bottom <= row) & (row <= top))
    canvas.stamp(shown[places], rows, [look.mark] * len(rows), look.ink)


def _bars(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> None:
    """Bars up from the bottom in eighths of a cell; a column over several bins shows the highest."""
    heights = np.nan_to_num(np.clip(y.unit(drawn.y), 0, 1), nan=0.0)
    edges = np.clip(x.unit(drawn.x), -1.0, 2.0)
    present = np.isfinite(drawn.y) & (drawn.y != 0)
    columns: list[int] = []
    rows: list[int] = []
    stamps: list[str] = []
    for column in range(canvas.columns):
        left, right = column / canvas.columns, (column + 1) / canvas.columns
        first = max(int(np.searchsorted(edges, left, side="right")) - 1, 0)
        last = int(np.searchsorted(edges, right, side="left"))
        if right - left < edges[min(first + 1, len(heights))] - edges[first]:
            first = max(int(np.searchsorted(edges, (left + right) / 2, side="right")) - 1, 0)
            last = first + 1  # bins wider than a column meet it at its middle
        inside = slice(first, min(last, len(heights)))
        if right <= edges[0] or left >= edges[-1] or not present[inside].any():
            continue
        eighths = max(1, round(float(heights[inside][present[inside]].max()) * canvas.rows * 8))
        whole, part = divmod(eighths, 8)
        chars = [_EIGHTHS[-1]] * whole + ([_EIGHTHS[part - 1]] if part else [])
        if not canvas.unicode:
            chars = [look.mark] * max(1, round(eighths / 8))
        columns += [column] * len(chars)
        rows += range(len(chars))
        stamps += chars
    canvas.stamp(np.array(columns), np.array(rows), stamps, look.ink)


def _steps(canvas: Canvas, drawn: Drawn, look: Look, x: Scale, y: Scale) -> None:
    """The outline of a histogram, so that several can share a plot."""
    heights = np.nan_to_num(np.clip(y.unit(drawn.y), 0, 1), nan=0.0)
    u = np.repeat(x.unit(drawn.x), 2)
    canvas.curve(u, np.concatenate([[0.0], np.repeat(heights, 2), [0.0]]), look.ink, look.mark)


def _rule(canvas: Canvas, side: str, value: float, scale: Scale) -> None:
    u = scale.unit(np.array([value]))
    if not 0 <= u[0] <= 1:
        return
    if side == "x":
        rows = np.arange(canvas.rows)
        columns = np.full(canvas.rows, bins(u, canvas.columns)[0])
        char = "┊" if canvas.unicode else "|"
    else:
        columns = np.arange(canvas.columns)
        rows = np.full(canvas.columns, bins(u, canvas.rows)[0])
        char = "╌" if canvas.unicode else "-"
    canvas.stamp(columns, rows, [char] * len(rows), RULE_INK)


def label_rules(scene: Scene, cells: Cells, labels: list[str]) -> list[int]:
    """Write the rules' labels beside them where nothing else is drawn.

    Args:
        scene: the scene.
        cells: the drawn cells; the labels are written into them.
        labels: one per rule, empty for none.

    Returns:
        The places in `labels` of those that found no room and belong into the legend.
    """
    homeless = []
    for i, (rule, label) in enumerate(zip(scene.rules, labels, strict=True)):
        scale = scene.x if rule.axis == "x" else scene.y
        assert scale is not None
        u = scale.unit(np.array([rule.value]))
        if not label:
            continue
        if cell_len(label) != len(label) or not 0 <= u[0] <= 1:
            homeless.append(i)
            continue
        spots = _beside_x(u, cells, len(label)) if rule.axis == "x" else _beside_y(u, cells, len(label))
        for row, column in spots:
            if _is_free(cells, row, column, len(label), rule.axis):
                for k, char in enumerate(label):
                    cells.chars[row][column + k] = char
                    cells.inks[row][column + k] = LABEL_INK
                break
        else:
            homeless.append(i)
    return homeless


def _beside_x(u: Floats, cells: Cells, length: int) -> list[tuple[int, int]]:
    column = int(bins(u, len(cells.chars[0]))[0])
    return [(row, start) for row in range(len(cells.chars)) for start in (column + 2, column - 1 - length)]


def _beside_y(u: Floats, cells: Cells, length: int) -> list[tuple[int, int]]:
    rows, columns = len(cells.chars), len(cells.chars[0])
    row = rows - 1 - int(bins(u, rows)[0])
    starts = range(columns - length - 1, 0, -max(1, columns // 20))
    return [(r, start) for r in (row - 1, row + 1) for start in starts]


def _is_free(cells: Cells, row: int, column: int, length: int, axis: str) -> bool:
    if not (0 <= row < len(cells.chars) and column >= 0 and column + length <= len(cells.chars[0])):
        return False
    chars, inks = cells.chars[row], cells.inks[row]
    margin = range(max(column - 1, 0), min(column + length + 1, len(chars)))
    inside = range(column, column + length)
    return all(chars[k] == BLANK or (k not in inside and inks[k] == RULE_INK and axis == "x") for k in margin)
