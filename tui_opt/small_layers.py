"""Layers of a figure that draw the same from small arrays, one kind each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_opt.drawn import value_range
from tui_opt.figure import (
    Band,
    Data,
    Density,
    Heatmap,
    Histogram,
    Layer,
    Line,
    Path,
    Ref,
    Rule,
    Scatter,
    resolve,
)
from tui_opt.resolution import (
    column_envelope,
    column_extremes,
    path_counts,
    point_counts,
    resample_edges,
    rising_band,
)
from tui_opt.result import Array, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from tui_opt.drawn import Drawn
    from tui_opt.resolution import Floats
    from tui_opt.scales import Scale

_FEW_POINTS = 4_000  # of a scatter or path; more are dots in every drawing
_BLOCK = 1_000_000  # values of a matrix that are averaged at once
_LARGEST_COUNT = 2**32
_DENSE = "The points are too dense for their error bars, which are not drawn."


@dataclass
class SmallArrays:
    """Where the reduced arrays of one figure go.

    Args:
        result: the full result.
        large: names of its arrays that are not kept.
        columns: resolution of curves; densities and matrices have a quarter of it on a side.
        added: the reduced arrays of all figures.
    """

    result: Result
    large: set[str]
    columns: int
    added: dict[str, Array]
    notes: list[str] = field(default_factory=list)
    prefix: str = ""

    @property
    def side(self) -> int:
        """Cells on a side of a density or matrix."""
        return self.columns // 4

    def needs(self, layer: Layer) -> bool:
        """Whether a layer draws an array that is not kept, or many numbers of its own."""
        parts = vars(layer).values()
        return any(
            part.array in self.large
            if isinstance(part, Ref)
            else isinstance(part, tuple) and len(part) > _FEW_POINTS
            for part in parts
        )

    def vector(self, part: str, values: Floats, was: Data, dim: str = "") -> Ref:
        """Keep a vector; `dim` is the part it runs along, itself where that is left out."""
        return self.keep(part, values, (dim or part,), was)

    def keep(self, part: str, values: NDArray[Any], dims: tuple[str, ...], was: Data) -> Ref:
        """Keep an array in place of `was`, whose unit it has."""
        unit = self.result.arrays[was.array].unit if isinstance(was, Ref) else ""
        name = f"{self.prefix}/{part}"
        named = tuple(f"{self.prefix}/{dim}" for dim in dims)
        self.added[name] = Array(np.ascontiguousarray(values), named, unit, "reduced to what a figure shows")
        return Ref(array=name)


def without_numbers(layer: Layer) -> Layer:
    """The same layer without numbers, so that the others keep their colours."""
    nothing = (float("nan"),)
    if isinstance(layer, Histogram):
        return layer.model_copy(update={"edges": (1.0, 2.0), "counts": nothing})
    if isinstance(layer, Band):
        return layer.model_copy(update={"x": nothing, "low": nothing, "high": nothing})
    if isinstance(layer, Density):
        return Line(x=nothing, y=nothing, label=layer.label)
    assert not isinstance(layer, Rule | Heatmap)
    return layer.model_copy(
        update={"x": nothing, "y": nothing} | ({"error": None} if isinstance(layer, Scatter) else {})
    )


def reduced_layer(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    """The layer drawn from small arrays, a density in place of a path or of points that are many."""
    return _REDUCERS[drawn.kind](drawn, x, y, small)


def _line(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Line)
    xs, ys = column_extremes(drawn.x, drawn.y, x.edges(small.columns))
    refs = {"x": small.vector("x", xs, layer.x), "y": small.vector("y", ys, layer.y, "x")}
    return layer.model_copy(update=refs)


def _band(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Band)
    assert drawn.upper is not None
    xs, low, high = rising_band(drawn.x, drawn.y, drawn.upper)
    xs, low, high = column_envelope(xs, low, high, x.edges(small.columns))
    refs = {
        "x": small.vector("x", xs, layer.x),
        "low": small.vector("low", low, layer.low, "x"),
        "high": small.vector("high", high, layer.high, "x"),
    }
    return layer.model_copy(update=refs)


def _path(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Line | Path)
    if len(drawn.x) > _FEW_POINTS:
        return _density(drawn, path_counts, x, y, small)
    refs = {"x": small.vector("x", drawn.x, layer.x), "y": small.vector("y", drawn.y, layer.y, "x")}
    return layer.model_copy(update=refs)


def _scatter(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Scatter)
    if len(drawn.x) > _FEW_POINTS:
        if drawn.error is not None:
            small.notes.append(_DENSE)
        return _density(drawn, point_counts, x, y, small)
    refs = {"x": small.vector("x", drawn.x, layer.x), "y": small.vector("y", drawn.y, layer.y, "x")}
    if layer.error is not None and drawn.error is not None:
        refs["error"] = small.vector("error", drawn.error, layer.error, "x")
    return layer.model_copy(update=refs)


def _density(
    drawn: Drawn,
    count: Callable[[Floats, Floats, int, int], NDArray[np.int64]],
    x: Scale,
    y: Scale,
    small: SmallArrays,
) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Line | Path | Scatter)
    columns, rows = small.side, small.side // 2
    counts = count(x.unit(drawn.x), y.unit(drawn.y), columns, rows)
    return _kept_density(layer, _ends(x, columns), _ends(y, rows), counts, (layer.x, layer.y), small)


def _ends(scale: Scale, count: int) -> Floats:
    """Borders of equal pieces whose ends are the scale's, to the last bit."""
    edges = scale.edges(count)
    edges[0], edges[-1] = scale.low, scale.high
    return edges


def _kept_density(
    layer: Line | Path | Scatter | Density,
    x: Floats,
    y: Floats,
    counts: NDArray[Any],
    was: tuple[Data, Data],
    small: SmallArrays,
) -> Density:
    most = counts.max(initial=0)
    whole = most < _LARGEST_COUNT and bool((counts == np.floor(counts)).all())
    kept = counts.astype(np.min_scalar_type(int(most))) if whole else counts
    return Density(
        x=small.vector("x", x, was[0]),
        y=small.vector("y", y, was[1]),
        counts=small.keep("counts", kept, ("row", "column"), ()),
        label=layer.label,
    )


def _coarser_density(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Density)
    assert drawn.z is not None
    columns, rows = (
        range(0, n, -(-n // side))
        for n, side in zip(drawn.z.shape[::-1], (small.side, small.side // 2), strict=True)
    )
    counts = np.add.reduceat(np.add.reduceat(drawn.z, rows, axis=0), columns, axis=1)
    x_edges, y_edges = drawn.x[[*columns, -1]], drawn.y[[*rows, -1]]
    return _kept_density(layer, x_edges, y_edges, counts, (layer.x, layer.y), small)


def _histogram(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    """Neighbouring bins become one as high as the highest, which is what a drawing shows of them."""
    layer = drawn.layer
    assert isinstance(layer, Histogram)
    column = np.clip(np.floor(x.unit(drawn.x[:-1]) * small.columns), -1, small.columns)
    starts = np.flatnonzero(np.diff(column, prepend=-2.0))
    refs = {
        "edges": small.vector("edges", drawn.x[[*starts, -1]], layer.edges),
        "counts": small.vector("counts", np.fmax.reduceat(drawn.y, starts), layer.counts),
    }
    return layer.model_copy(update=refs)


def _heatmap(drawn: Drawn, x: Scale, y: Scale, small: SmallArrays) -> Layer:
    layer = drawn.layer
    assert isinstance(layer, Heatmap)
    assert drawn.z is not None
    values = value_range(drawn)
    arrays = small.result.values()
    x_edges, x_centres = _coarser(drawn.x, resolve(layer.x, arrays), x, small.side)
    y_edges, y_centres = _coarser(drawn.y, resolve(layer.y, arrays), y, small.side)
    z = _averaged(drawn.z, (x.unit(drawn.x), x.unit(x_edges)), (y.unit(drawn.y), y.unit(y_edges)), values.log)
    refs = {
        "x": small.vector("x", x_centres, layer.x),
        "y": small.vector("y", y_centres, layer.y),
        "z": small.keep("z", z, ("y", "x"), layer.z),
    }
    return layer.model_copy(update={**refs, "low": values.low, "high": values.high})


def _coarser(edges: Floats, centres: Floats, scale: Scale, most: int) -> tuple[Floats, Floats]:
    """Borders and centres of cells: as they are where they are few, else of equal ones between the same ends."""
    if len(edges) <= most + 1:
        return edges, np.sort(centres[np.isfinite(scale.unit(centres))])
    edges = _ends(replace(scale, low=float(edges[0]), high=float(edges[-1])), most)
    if scale.log:
        return edges, np.sqrt(edges[:-1]) * np.sqrt(edges[1:])
    return edges, edges[:-1] / 2 + edges[1:] / 2


def _averaged(z: Floats, x: tuple[Floats, Floats], y: tuple[Floats, Floats], log: bool) -> Floats:
    """Means over the wanted cells, geometric ones in a logarithmic map; some rows at a time, for memory's sake."""
    rows = max(1, _BLOCK // z.shape[1])
    blocks: Iterable[Floats] = (z[begin : begin + rows] for begin in range(0, len(z), rows))
    across = np.vstack([resample_edges(np.log10(block) if log else block, *x) for block in blocks])
    mean = resample_edges(across.T, *y).T
    averaged: Floats = 10.0**mean if log else mean
    return averaged


_REDUCERS: dict[str, Callable[[Drawn, Scale, Scale, SmallArrays], Layer]] = {
    "line": _line,
    "band": _band,
    "path": _path,
    "scatter": _scatter,
    "histogram": _histogram,
    "heatmap": _heatmap,
    "density": _coarser_density,
}
