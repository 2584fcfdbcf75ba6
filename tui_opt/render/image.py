"""Figures as PNG, SVG and PDF by matplotlib, without pyplot and its global figures."""

from __future__ import annotations

import math
import os
import textwrap
import threading
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_opt.drawn import Drawn, value_range
from tui_opt.figure import Figure, Heatmap
from tui_opt.render.errors import RenderError
from tui_opt.render.palette import IMAGE_RGB, color_map
from tui_opt.render.ticks import tick_labels, ticks_between
from tui_opt.render.wrap import clean
from tui_opt.resolution import column_extremes, path_counts, point_counts
from tui_opt.scales import Scale
from tui_opt.scene import Scene, prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tui_opt.resolution import Floats

_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_SETTINGS = {
    "svg.hashsalt": "optexplore",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_SETTINGS_LOCK = threading.Lock()  # matplotlib's settings are one dict per process
_LINE_STYLES = ("-", "--", "-.", ":")
_POINT_MARKERS = "osD^vx"
_MARGIN = 0.02
_FARTHEST = 1e100  # its square is still a double
_TICKS = 9
_MOST_DECADES_WITH_DIGITS = 10
_MAP_LEVELS = 256
_FEW_POINTS = 1_000
_MOST_POINTS = 50_000  # beyond it points become a picture of their density
_CAPTION_CHARS_PER_INCH = 15
_LEGEND_COLUMNS = 4


def save_figure(
    figure: Figure,
    arrays: Mapping[str, NDArray[Any]],
    path: str | os.PathLike[str],
    *,
    dpi: int = 150,
    size: tuple[float, float] = (7.0, 4.5),
) -> Path:
    """Write a figure to a file; the same figure gives the same bytes.

    Args:
        figure: the figure.
        arrays: the result's arrays by name.
        path: where to; the suffix `.png`, `.svg` or `.pdf` picks the format. A file that is there is replaced at once.
        dpi: dots per inch of a PNG, and of what is a picture inside an SVG or PDF.
        size: width and height in inches.

    Returns:
        The path.

    Raises:
        RenderError: matplotlib is not installed, or the suffix is none of the three.
        OSError: the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in _METADATA:
        raise RenderError(
            f"A figure is written as .png, .svg or .pdf, and {target.name!r} ends in none of them."
        )
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Page
    except ImportError as error:
        raise RenderError(
            "Writing figures needs matplotlib, which is not installed: pip install 'optexplore[image]'."
        ) from error

    with np.errstate(over="ignore", invalid="ignore"):
        scene = prepare(figure, arrays)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    with _SETTINGS_LOCK, matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a box in the picture says it too
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        page = Page(figsize=size, dpi=dpi, layout="constrained")
        FigureCanvasAgg(page)
        _draw(page, scene, columns=round(size[0] * dpi), rows=round(size[1] * dpi))
        try:
            with temporary.open("wb") as file:
                page.savefig(file, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    return target


def _plain(text: Any, label: str) -> None:
    """Set a text's words; a `$` in them is a dollar and no formula."""
    text.set_parse_math(False)
    text.set_text(clean(label, unicode=True))


def _draw(page: Any, scene: Scene, columns: int, rows: int) -> None:
    axes = page.subplots()
    _plain(page.suptitle("", x=0.01, ha="left", weight="bold"), scene.figure.title)
    foot = _caption(page, " ".join(s for s in (*scene.notes, scene.figure.caption) if s))
    if scene.x is None or scene.y is None or _is_too_far(scene.x) or _is_too_far(scene.y):
        axes.set_axis_off()
        why = (
            "There are no numbers to draw."
            if scene.x is None
            else "The numbers lie too far apart to be drawn."
        )
        _plain(axes.text(0.5, 0.5, "", ha="center", va="center"), why)
        return
    _axes(axes, scene, scene.x, scene.y)
    kinds = [d.kind for d in scene.drawn]
    for i, drawn in enumerate(scene.drawn):
        place = kinds[:i].count(drawn.kind)  # among the layers of its kind
        if drawn.kind == "heatmap":
            _heatmap(page, axes, drawn)
        elif drawn.kind in ("line", "path"):
            style = _LINE_STYLES[place % len(_LINE_STYLES)]
            _curve(axes, drawn, scene.x, scene.y, (columns, rows), style, over_map="heatmap" in kinds)
        elif drawn.kind == "scatter":
            marker = _POINT_MARKERS[place % len(_POINT_MARKERS)]
            _scatter(axes, drawn, scene.x, scene.y, (columns, rows), marker)
        elif drawn.kind == "density":
            assert drawn.z is not None
            _density(axes, drawn, drawn.z, drawn.x, drawn.y)
        else:
            _area(axes, drawn, alone=kinds.count("histogram") == 1)
    _rules(axes, scene)
    _legend(page, axes, foot)


def _caption(page: Any, caption: str) -> float:
    """Write the caption at the foot of the page; returns the share of its height that is taken."""
    if not caption:
        return 0.0
    wide = max(20, int(page.get_figwidth() * _CAPTION_CHARS_PER_INCH))
    below = page.text(0.01, 0.01, "", size="small", color="0.35", va="bottom", linespacing=1.2)
    below.set_parse_math(False)
    below.set_text("\n".join(textwrap.wrap(clean(caption, unicode=True), wide)))
    return _reserve(page, below, 0.02)


def _legend(page: Any, axes: Any, foot: float) -> None:
    """Put the legend under the axes and above the caption, in as many columns as fit the page."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    for columns in range(min(_LEGEND_COLUMNS, len(handles)), 0, -1):
        legend = page.legend(
            handles, labels, ncols=columns, frameon=False, loc="lower left", bbox_to_anchor=(0, foot)
        )
        for text, label in zip(legend.get_texts(), labels, strict=True):
            _plain(text, label)
        if columns == 1 or legend.get_window_extent(page.canvas.get_renderer()).x1 <= page.bbox.x1:
            break
        legend.remove()
    _reserve(page, legend, foot)


def _reserve(page: Any, artist: Any, below: float) -> float:
    """Keep the axes above an artist at the foot of the page; returns the share of the height that is taken."""
    height = artist.get_window_extent(page.canvas.get_renderer()).height / page.bbox.height
    taken = float(below + height)
    page.get_layout_engine().set(rect=(0, taken, 1, 1 - taken))
    return taken


def _is_too_far(scale: Scale) -> bool:
    """Whether an axis is beyond matplotlib's arithmetic, which overflows near the end of the doubles."""
    if scale.log:
        return not 1 / _FARTHEST < scale.low < scale.high < _FARTHEST
    return max(abs(scale.low), abs(scale.high)) > _FARTHEST


def _axes(axes: Any, scene: Scene, x: Scale, y: Scale) -> None:
    tight = any(d.kind == "heatmap" for d in scene.drawn)
    for scale, axis, set_scale, set_limits in (
        (x, axes.xaxis, axes.set_xscale, axes.set_xlim),
        (y, axes.yaxis, axes.set_yscale, axes.set_ylim),
    ):
        set_scale(scale.axis.scale)
        below = 0.0 if tight or scale.axis.low is not None or scale.low == 0 else _MARGIN
        above = 0.0 if tight or scale.axis.high is not None else _MARGIN
        if scale.log:
            ratio = scale.high / scale.low
            set_limits(scale.low * ratio**-below, scale.high * ratio**above)
        else:
            room = scale.high - scale.low
            set_limits(scale.low - below * room, scale.high + above * room)
        _ticks(axis, scale)
        _plain(axis.label, scale.axis.title)


def _ticks(axis: Any, scale: Scale) -> None:
    """The ticks and labels of the terminal, with the digits of each decade between them on a logarithmic axis."""
    values = ticks_between(scale.low, scale.high, _TICKS, log=scale.log)
    places = scale.unit(np.array(values))
    labels = tick_labels(values, log=scale.log)
    shown = [(v, t) for v, t, u in zip(values, labels, places, strict=True) if -1e-9 <= u <= 1 + 1e-9]
    axis.set_ticks([v for v, _ in shown], [t for _, t in shown])
    if scale.log:
        first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
        dense = last - first <= _MOST_DECADES_WITH_DIGITS
        digits = [m * 10.0**k for k in range(first, last) for m in range(2, 10)] if dense else []
        axis.set_ticks([v for v in digits if scale.low <= v <= scale.high], minor=True)
        axis.set_tick_params(which="minor", labelbottom=False, labelleft=False)


def _color(drawn: Drawn) -> tuple[float, ...]:
    return tuple(c / 255 for c in IMAGE_RGB[drawn.slot % len(IMAGE_RGB)])


def _label(drawn: Drawn) -> str | None:
    if drawn.error is not None and drawn.label and "±" not in drawn.label:
        return f"{drawn.label} ±1 se"
    return drawn.label or None


def _curve(
    axes: Any, drawn: Drawn, x: Scale, y: Scale, pixels: tuple[int, int], style: str, *, over_map: bool
) -> None:
    from matplotlib.patheffects import withStroke

    columns, rows = pixels
    if drawn.kind == "path" and len(drawn.x) > _MOST_POINTS:
        counts = path_counts(x.unit(drawn.x), y.unit(drawn.y), columns // 2, rows // 2)
        _density(axes, drawn, counts, x.edges(columns // 2), y.edges(rows // 2))
        return
    points = (drawn.x, drawn.y)
    if drawn.kind == "line":
        points = column_extremes(drawn.x, drawn.y, x.edges(columns))
    look: dict[str, Any] = {"color": _color(drawn)}
    if over_map:
        look = {"color": "white", "path_effects": [withStroke(linewidth=3, foreground="black")]}
    width = 1.4 if drawn.kind == "line" or over_map else 0.9
    axes.plot(*points, linestyle=style, linewidth=width, label=_label(drawn), **look)


def _scatter(axes: Any, drawn: Drawn, x: Scale, y: Scale, pixels: tuple[int, int], marker: str) -> None:
    if len(drawn.x) > _MOST_POINTS:
        counts = point_counts(x.unit(drawn.x), y.unit(drawn.y), pixels[0] // 3, pixels[1] // 3)
        _density(axes, drawn, counts, x.edges(pixels[0] // 3), y.edges(pixels[1] // 3))
        return
    few = len(drawn.x) <= _FEW_POINTS
    size = 4 if few else 1.5
    look = {"markersize": size, "capsize": 2, "elinewidth": 1, "color": _color(drawn), "rasterized": not few}
    axes.errorbar(drawn.x, drawn.y, yerr=drawn.error, fmt=marker, label=_label(drawn), **look)


def _density(axes: Any, drawn: Drawn, counts: NDArray[Any], x_edges: Floats, y_edges: Floats) -> None:
    """A picture of counts on a grid, opaque where they are high."""
    shown = np.zeros((*counts.shape, 4))
    shown[..., :3] = _color(drawn)
    logs = np.log1p(counts)
    shown[..., 3] = np.where(counts > 0, 0.25 + 0.75 * logs / max(float(logs.max()), 1.0), 0.0)
    axes.pcolormesh(x_edges, y_edges, shown, rasterized=True)
    axes.plot([], [], color=_color(drawn), label=_label(drawn))


def _area(axes: Any, drawn: Drawn, *, alone: bool) -> None:
    color = _color(drawn)
    if drawn.kind == "band":
        assert drawn.upper is not None
        axes.fill_between(
            drawn.x, drawn.y, drawn.upper, color=color, alpha=0.2, linewidth=0, label=_label(drawn)
        )
    else:
        axes.stairs(np.nan_to_num(drawn.y), drawn.x, fill=alone, color=color, label=_label(drawn))


def _heatmap(page: Any, axes: Any, drawn: Drawn) -> None:
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    assert drawn.z is not None
    assert isinstance(drawn.layer, Heatmap)
    values = value_range(drawn)
    colors = [[c / 255 for c in rgb] for rgb in color_map(drawn.layer.diverging, _MAP_LEVELS)]
    norm = (LogNorm if values.log else Normalize)(values.low, values.high)
    shown = np.ma.masked_invalid(drawn.z)
    mesh = axes.pcolormesh(drawn.x, drawn.y, shown, cmap=ListedColormap(colors), norm=norm, rasterized=True)
    bar = page.colorbar(mesh, ax=axes)
    unit = f" [{drawn.layer.unit}]" if drawn.layer.unit else ""
    bar.set_label("")
    _plain(bar.ax.yaxis.label, drawn.label + unit)


def _rules(axes: Any, scene: Scene) -> None:
    """Dashed lines with their labels outside the axes, where they hide nothing."""
    for rule in scene.rules:
        if rule.axis == "x":
            axes.axvline(rule.value, color="0.45", linewidth=0.9, linestyle=(0, (4, 3)))
            text = axes.text(
                rule.value, 1.01, "", transform=axes.get_xaxis_transform(), rotation=30, size="small"
            )
        else:
            axes.axhline(rule.value, color="0.45", linewidth=0.9, linestyle=(0, (4, 3)))
            text = axes.text(
                1.01, rule.value, "", transform=axes.get_yaxis_transform(), va="center", size="small"
            )
        _plain(text, rule.label)
