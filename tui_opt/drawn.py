"""Layers of a figure with their numbers: checked, and what cannot be drawn taken out and counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tui_opt.figure import (
    Axis,
    Band,
    Data,
    Density,
    Figure,
    Heatmap,
    Histogram,
    Layer,
    Line,
    Path,
    Scatter,
    resolve,
)
from tui_opt.scales import ValueRange, cell_edges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tui_opt.resolution import Floats

Kind = Literal["band", "density", "histogram", "heatmap", "line", "path", "scatter"]
NO_SLOT = -1
_PIECE = 65_536


@dataclass(frozen=True, eq=False)
class Drawn:
    """A layer's numbers.

    Args:
        kind: what to draw.
        x, y: the points; a histogram's edges and counts; the borders of a heatmap's or density's cells.
        label: for the legend.
        slot: which colour and mark of the palette; layers of one label share them.
        upper: a band's upper curve (`y` is the lower one).
        error: standard errors of `y`.
        z: a heatmap's matrix or a density's counts, shape (len(y) - 1, len(x) - 1).
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


class Tally:
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


def _vector(data: Data, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    values = resolve(data, arrays)
    if values.ndim != 1:
        raise ValueError(f"a series has one dim, this array has the shape {values.shape}.")
    return values


def _same_length(**vectors: Floats) -> None:
    if len({len(v) for v in vectors.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(v)}" for name, v in vectors.items())
        raise ValueError(f"its arrays differ in length ({lengths}).")


def resolve_layer(layer: Layer, figure: Figure, arrays: Mapping[str, NDArray[Any]], tally: Tally) -> Drawn:
    """A layer's numbers against the arrays of a result.

    Raises:
        KeyError, IndexError, ValueError: it does not fit them; the message says why.
    """
    if isinstance(layer, Heatmap):
        return _resolve_heatmap(layer, figure, arrays, tally)
    if isinstance(layer, Density):
        return _resolve_density(layer, figure, arrays, tally)
    if isinstance(layer, Histogram):
        edges, counts = _vector(layer.edges, arrays), _vector(layer.counts, arrays)
        _check_edges(edges, len(counts))
        edges, counts = tally.finite(edges, figure.x), tally.finite(counts, figure.y)
        return Drawn("histogram", edges, counts, layer.label, 0, layer)
    if isinstance(layer, Band):
        x, low, high = (_vector(d, arrays) for d in (layer.x, layer.low, layer.high))
        _same_length(x=x, low=low, high=high)
        low, high = tally.finite(low, figure.y), tally.finite(high, figure.y)
        return Drawn("band", tally.finite(x, figure.x), low, layer.label, 0, layer, upper=high)
    assert isinstance(layer, Line | Path | Scatter)
    return _resolve_points(layer, figure, arrays, tally)


def _resolve_heatmap(
    layer: Heatmap, figure: Figure, arrays: Mapping[str, NDArray[Any]], tally: Tally
) -> Drawn:
    x, y, z = _vector(layer.x, arrays), _vector(layer.y, arrays), resolve(layer.z, arrays)
    if z.shape != (len(y), len(x)):
        raise ValueError(f"its matrix has the shape {z.shape}, its axes want {(len(y), len(x))}.")
    x, y = tally.finite(x, figure.x), tally.finite(y, figure.y)
    z = tally.finite(z, Axis(scale=layer.scale))
    rising_x, rising_y = _rising(x), _rising(y)
    if not (rising_x.size and rising_y.size):
        raise ValueError("none of its cells has a place on the axes.")
    x_borders = cell_edges(x[rising_x], log=figure.x.scale == "log")
    y_borders = cell_edges(y[rising_y], log=figure.y.scale == "log")
    if not (_is_whole(rising_x, len(x)) and _is_whole(rising_y, len(y))):
        z = z[np.ix_(rising_y, rising_x)]
    return Drawn("heatmap", x_borders, y_borders, layer.label, NO_SLOT, layer, z=z)


def _rising(centres: Floats) -> NDArray[np.int64]:
    """Places of the finite ones, in rising order."""
    kept = np.flatnonzero(np.isfinite(centres))
    order: NDArray[np.int64] = kept[np.argsort(centres[kept])]
    return order


def _is_whole(places: NDArray[np.int64], count: int) -> bool:
    return len(places) == count and bool((np.diff(places) == 1).all())


def _resolve_density(
    layer: Density, figure: Figure, arrays: Mapping[str, NDArray[Any]], tally: Tally
) -> Drawn:
    x, y, counts = _vector(layer.x, arrays), _vector(layer.y, arrays), resolve(layer.counts, arrays)
    if counts.ndim != 2:
        raise ValueError(f"counts have two dims, this array has the shape {counts.shape}.")
    _check_edges(x, counts.shape[1])
    _check_edges(y, counts.shape[0])
    counts = np.maximum(np.nan_to_num(tally.finite(counts, Axis()), copy=False), 0)
    x, y = tally.finite(x, figure.x), tally.finite(y, figure.y)
    # Cells that reach out of a logarithmic axis have no place on it.
    column, row = (int(np.count_nonzero(~np.isfinite(edges))) for edges in (x, y))
    return Drawn("density", x[column:], y[row:], layer.label, 0, layer, z=counts[row:, column:])


def _check_edges(edges: Floats, counts: int) -> None:
    if len(edges) != counts + 1:
        raise ValueError(f"{counts} counts need {counts + 1} edges, there are {len(edges)}.")
    if not (edges[1:] >= edges[:-1]).all():
        raise ValueError("its edges do not rise.")


def _resolve_points(
    layer: Line | Path | Scatter, figure: Figure, arrays: Mapping[str, NDArray[Any]], tally: Tally
) -> Drawn:
    x, y = _vector(layer.x, arrays), _vector(layer.y, arrays)
    _same_length(x=x, y=y)
    error = None
    if isinstance(layer, Scatter) and layer.error is not None:
        error = np.abs(_vector(layer.error, arrays))
        _same_length(y=y, error=error)
    x, y = tally.finite(x, figure.x), tally.finite(y, figure.y)
    kind = layer.kind
    if isinstance(layer, Line) and not (x[1:] >= x[:-1]).all():  # a NaN compares as false
        known = np.isfinite(x)
        x, y = (x, y) if known.all() else (x[known], y[known])
        if (x[1:] <= x[:-1]).all() and len(x) > 1:
            x, y = x[::-1], y[::-1]
        elif not (x[1:] >= x[:-1]).all():
            kind = "path"
    return Drawn(kind, x, y, layer.label, 0, layer, error=error)


def has_numbers(drawn: Drawn) -> bool:
    """Whether there is anything of it to draw."""
    if drawn.kind == "histogram":
        return bool(np.isfinite(drawn.x).all() and np.isfinite(drawn.y).any())
    if drawn.kind == "heatmap":
        return drawn.z is not None and _any_finite(*drawn.z)
    if drawn.kind == "density":
        return drawn.z is not None and bool(
            np.isfinite(drawn.x).all() and np.isfinite(drawn.y).all() and drawn.z.any()
        )
    return _any_finite_together(drawn.x, drawn.y, *([] if drawn.upper is None else [drawn.upper]))


def _any_finite(*vectors: Floats) -> bool:
    return any(_any_finite_together(v) for v in vectors)


def _any_finite_together(*vectors: Floats) -> bool:
    """Whether some place is finite in all vectors; it looks no further than it must."""
    pieces = range(0, len(vectors[0]), _PIECE)
    return any(np.logical_and.reduce([np.isfinite(v[i : i + _PIECE]) for v in vectors]).any() for i in pieces)


def extremes(values: Floats) -> tuple[float, ...]:
    """The smallest and the largest finite number, none where there is none."""
    if values.size:
        low, high = float(values.min()), float(values.max())
        if math.isfinite(low) and math.isfinite(high):
            return low, high
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else ()


def value_range(drawn: Drawn) -> ValueRange:
    """The range of a heatmap's colours: its own where it names one, else that of its values.

    It is symmetric about zero for a diverging one.
    """
    assert drawn.z is not None
    layer = drawn.layer
    assert isinstance(layer, Heatmap)
    low, high = extremes(drawn.z)
    log = layer.scale == "log"
    low = low if layer.low is None or (log and layer.low <= 0) else layer.low
    high = high if layer.high is None or (log and layer.high <= 0) else layer.high
    low, high = min(low, high), max(low, high)
    if layer.diverging and not log:
        high = max(abs(low), abs(high))
        low = -high
    return ValueRange(low, high, log)
