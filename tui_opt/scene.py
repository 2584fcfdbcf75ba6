"""A figure with its numbers: layers checked, axes with their ranges, and what cannot be drawn in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tui_opt.figure import (
    Axis,
    Band,
    Data,
    Figure,
    Heatmap,
    Histogram,
    Layer,
    Line,
    Path,
    Rule,
    Scatter,
    resolve,
)
from tui_opt.scales import Scale, ValueRange, cell_edges, with_room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tui_opt.resolution import Floats

Kind = Literal["band", "histogram", "heatmap", "line", "path", "scatter"]
NO_SLOT = -1


@dataclass(frozen=True, eq=False)
class Drawn:
    """A layer's numbers.

    Args:
        kind: what to draw.
        x, y: the points; a histogram's edges and counts; the borders of a heatmap's cells.
        label: for the legend.
        slot: which colour and mark of the palette; layers of one label share them.
        upper: a band's upper curve (`y` is the lower one).
        error: standard errors of `y`.
        z: a heatmap's matrix, shape (len(y) - 1, len(x) - 1).
        layer: where the numbers come from.
    """

    kind: Kind
    x: Floats
    y: Floats
    label: str
    slot: int
    layer: Layer
    upper: Floats | None = None
    error: Floats | None = None
    z: Floats | None = None


@dataclass
class Scene:
    """A figure ready to draw.

    Args:
        figure: the figure.
        drawn: its layers that have numbers, in the figure's order.
        rules: its rules at finite values.
        x, y: the axes; `None` where there is nothing to draw.
        notes: sentences about what is not drawn and why.
    """

    figure: Figure
    drawn: list[Drawn] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    x: Scale | None = None
    y: Scale | None = None
    notes: list[str] = field(default_factory=list)


class _Tally:
    """Counts of the numbers that cannot be drawn."""

    def __init__(self) -> None:
        self.nan = self.infinite = self.nonpositive = self.total = 0

    def finite(self, values: Floats, axis: Axis) -> Floats:
        """The values with NaN in place of what cannot be drawn on the axis, counted."""
        bad = ~np.isfinite(values)
        self.total += values.size
        if bad.any():
            nan = int(np.isnan(values).sum())
            self.nan += nan
            self.infinite += int(bad.sum()) - nan
        if axis.scale == "log":
            with np.errstate(invalid="ignore"):
                nonpositive = ~bad & (values <= 0)
            self.nonpositive += int(nonpositive.sum())
            bad = bad | nonpositive
        return np.where(bad, np.nan, values) if bad.any() else values

    def sentence(self) -> str:
        parts = [
            f"{count} {name}"
            for count, name in (
                (self.nan, "NaN"),
                (self.infinite, "infinite"),
                (self.nonpositive, "zero or negative on a log axis"),
            )
            if count
        ]
        return f"Not drawn of {self.total} values: {', '.join(parts)}." if parts else ""


def prepare(figure: Figure, arrays: Mapping[str, NDArray[Any]]) -> Scene:
    """Resolve a figure's layers against the arrays of a result.

    Args:
        figure: the figure.
        arrays: numbers by name.

    Returns:
        The scene. Layers that cannot be drawn are left out and named in its notes; nothing is raised.
    """
    scene, tally = Scene(figure), _Tally()
    slots: dict[str, int] = {}
    for layer in figure.layers:
        if isinstance(layer, Rule):
            axis = figure.x if layer.axis == "x" else figure.y
            if math.isfinite(layer.value) and (axis.scale == "linear" or layer.value > 0):
                scene.rules.append(layer)
            else:
                scene.notes.append(f"The rule {_named(layer)} has no place on the {layer.axis} axis.")
            continue
        try:
            drawn = _resolve_layer(layer, figure, arrays, tally)
        except (KeyError, IndexError, ValueError) as error:
            scene.notes.append(f"The {layer.kind} {_named(layer)} is not drawn: {_reason(error)}")
            continue
        # A series without a label is its own; the number of slots so far tells such series apart.
        slot = (
            slots.setdefault(drawn.label or f"\0{len(slots)}", len(slots))
            if drawn.kind != "heatmap"
            else NO_SLOT
        )
        scene.drawn.append(_with_slot(drawn, slot))
    if sentence := tally.sentence():
        scene.notes.append(sentence)
    scene.drawn = [d for d in scene.drawn if _has_numbers(d)]
    if scene.drawn:
        scene.x = _scale(figure.x, [d.x for d in scene.drawn], "x", scene)
        scene.y = _scale(figure.y, [v for d in scene.drawn for v in _heights(d, figure.y)], "y", scene)
    return scene


def _named(layer: Layer) -> str:
    return f"“{layer.label}”" if layer.label else "without a label"


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    text = text if text.endswith(".") else f"{text}."
    return text[0].lower() + text[1:]


def _with_slot(drawn: Drawn, slot: int) -> Drawn:
    return Drawn(**{**drawn.__dict__, "slot": slot})


def _vector(data: Data, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    values = resolve(data, arrays)
    if values.ndim != 1:
        raise ValueError(f"a series has one dim, this array has the shape {values.shape}.")
    return values


def _same_length(**vectors: Floats) -> None:
    if len({len(v) for v in vectors.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(v)}" for name, v in vectors.items())
        raise ValueError(f"its arrays differ in length ({lengths}).")


def _resolve_layer(layer: Layer, figure: Figure, arrays: Mapping[str, NDArray[Any]], tally: _Tally) -> Drawn:
    x_axis, y_axis = figure.x, figure.y
    if isinstance(layer, Heatmap):
        x, y, z = _vector(layer.x, arrays), _vector(layer.y, arrays), resolve(layer.z, arrays)
        if z.shape != (len(y), len(x)):
            raise ValueError(f"its matrix has the shape {z.shape}, its axes want {(len(y), len(x))}.")
        x, y = tally.finite(x, x_axis), tally.finite(y, y_axis)
        z = tally.finite(z, Axis(scale=layer.scale))
        kept_x, kept_y = np.flatnonzero(np.isfinite(x)), np.flatnonzero(np.isfinite(y))
        rising_x, rising_y = kept_x[np.argsort(x[kept_x])], kept_y[np.argsort(y[kept_y])]
        if not (rising_x.size and rising_y.size):
            raise ValueError("none of its cells has a place on the axes.")
        x_borders = cell_edges(x[rising_x], log=x_axis.scale == "log")
        y_borders = cell_edges(y[rising_y], log=y_axis.scale == "log")
        z = z[np.ix_(rising_y, rising_x)]
        return Drawn("heatmap", x_borders, y_borders, layer.label, NO_SLOT, layer, z=z)
    if isinstance(layer, Histogram):
        edges, counts = _vector(layer.edges, arrays), _vector(layer.counts, arrays)
        if len(edges) != len(counts) + 1:
            raise ValueError(f"{len(counts)} counts need {len(counts) + 1} edges, there are {len(edges)}.")
        if not (edges[1:] >= edges[:-1]).all():
            raise ValueError("its edges do not rise.")
        edges, counts = tally.finite(edges, x_axis), tally.finite(counts, y_axis)
        return Drawn("histogram", edges, counts, layer.label, 0, layer)
    if isinstance(layer, Band):
        x, low, high = (_vector(d, arrays) for d in (layer.x, layer.low, layer.high))
        _same_length(x=x, low=low, high=high)
        low, high = tally.finite(low, y_axis), tally.finite(high, y_axis)
        return Drawn("band", tally.finite(x, x_axis), low, layer.label, 0, layer, upper=high)
    assert isinstance(layer, Line | Path | Scatter)
    x, y = _vector(layer.x, arrays), _vector(layer.y, arrays)
    _same_length(x=x, y=y)
    error = None
    if isinstance(layer, Scatter) and layer.error is not None:
        error = np.abs(_vector(layer.error, arrays))
        _same_length(y=y, error=error)
    x, y = tally.finite(x, x_axis), tally.finite(y, y_axis)
    kind = layer.kind
    if isinstance(layer, Line):
        known = np.isfinite(x)
        x, y = (x, y) if known.all() else (x[known], y[known])
        if not (x[1:] >= x[:-1]).all():
            if (x[1:] <= x[:-1]).all():
                x, y = x[::-1], y[::-1]
            else:
                kind = "path"
    return Drawn(kind, x, y, layer.label, 0, layer, error=error)


def _has_numbers(drawn: Drawn) -> bool:
    if drawn.kind == "histogram":
        return bool(np.isfinite(drawn.x).all() and np.isfinite(drawn.y).any())
    if drawn.kind == "heatmap":
        return drawn.z is not None and bool(np.isfinite(drawn.z).any())
    known = np.isfinite(drawn.x) & np.isfinite(drawn.y)
    if drawn.upper is not None:
        known &= np.isfinite(drawn.upper)
    return bool(known.any())


def _heights(drawn: Drawn, axis: Axis) -> list[Floats]:
    if drawn.kind == "histogram" and axis.scale == "linear":
        return [drawn.y, np.zeros(1)]
    if drawn.upper is not None:
        return [drawn.y, drawn.upper]
    if drawn.error is not None:
        reach = np.where(np.isfinite(drawn.error), drawn.error, 0.0)
        low = drawn.y - reach
        return [np.where(low > 0, low, np.nan) if axis.scale == "log" else low, drawn.y + reach]
    return [drawn.y]


def _scale(axis: Axis, values: list[Floats], side: Literal["x", "y"], scene: Scene) -> Scale:
    finite = [v[np.isfinite(v)] for v in values]
    rules = [rule.value for rule in scene.rules if rule.axis == side]
    low = min([float(v.min()) for v in finite if v.size] + rules)
    high = max([float(v.max()) for v in finite if v.size] + rules)
    low, high = _wanted(axis.low, low, axis), _wanted(axis.high, high, axis)
    if low > high:
        scene.notes.append(
            f"The {side} axis has no room between {low:g} and {high:g}; it shows the data instead."
        )
        return _scale(axis.model_copy(update={"low": None, "high": None}), values, side, scene)
    return Scale(axis, *with_room(low, high, log=axis.scale == "log"))


def _wanted(limit: float | None, own: float, axis: Axis) -> float:
    usable = limit is not None and math.isfinite(limit) and (axis.scale == "linear" or limit > 0)
    return limit if usable and limit is not None else own


def value_range(drawn: Drawn) -> ValueRange:
    """The range of a heatmap's values; symmetric about zero for a diverging one."""
    assert drawn.z is not None
    assert isinstance(drawn.layer, Heatmap)
    known = drawn.z[np.isfinite(drawn.z)]
    low, high = float(known.min()), float(known.max())
    if drawn.layer.diverging and drawn.layer.scale == "linear":
        high = max(abs(low), abs(high))
        low = -high
    return ValueRange(low, high, drawn.layer.scale == "log")
