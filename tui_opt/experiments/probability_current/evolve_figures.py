"""The charts of evolve: density against W and t, mean and spread, slices, and paths without noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Ref, Scatter
from tui_opt.result import Result

MAP_CELLS, MAP_TIMES = 200, 200
BRIGHTEST = 0.99
"""Share of the densities that the colours tell apart; a density that ends in a point would use them all up."""
HELD = 1e-4
"""Cells that never hold this share of the mass are left out of the maps."""
MOST_SLICES = 6
CUT = 4.0
"""Height of the slices, in units of the lowest of their peaks: a law that ends in a point would flatten the rest."""
MOST_PATHS = 31
NAMES = {
    "operator": "exact chain",
    "ito": "Ito",
    "stratonovich": "Stratonovich",
    "fick": "Fick",
    "sme2": "second order",
}


def add_figures(result: Result, params: EvolveParams) -> None:
    """Add the charts that can be drawn so far, and the arrays only they need."""
    models = [m for m in params.models if f"density_{m}" in result.arrays]
    for model in models[:1]:
        _add_map(result, model)
    if models:
        result.add_figure(_curves(result, models, "mean", "Mean of W over time"))
        result.add_figure(_curves(result, models, "sd", "Standard deviation of W over time"))
    for model in models:
        result.add_figure(_slices(result, model))
    for model in models[1:]:
        _add_map(result, model)
    if "path" in result.arrays:
        result.add_figure(_paths(result))


def _time() -> Axis:
    return Axis(label="t", unit="steps")


def _add_map(result: Result, model: str) -> None:
    """Density with W upwards and t to the right, on as many cells as a screen shows."""
    density, w = result.arrays[f"density_{model}"].values, result.arrays["w"].values
    first, last = _held(density)
    group = max(1, -(-(last - first) // MAP_CELLS))
    last = first + max(1, (last - first) // group) * group
    rows = np.unique(np.linspace(0, len(density) - 1, min(len(density), MAP_TIMES)).astype(np.int64))
    drawn = density[rows, first:last].reshape(rows.size, -1, group).mean(axis=2).T
    places = w[first:last].reshape(-1, group).mean(axis=1)
    dims = (f"map_w_{model}", f"map_t_{model}")
    result.add_array(dims[0], places, dims[:1], unit="W", text="middles of the cells of the map")
    result.add_array(
        dims[1], result.arrays["t"].values[rows], dims[1:], unit="steps", text="times of the map"
    )
    result.add_array(f"map_{model}", np.ascontiguousarray(drawn), dims, unit="1/W", text="density as drawn")
    positive = drawn[drawn > 0]
    top = float(np.quantile(positive, BRIGHTEST)) if positive.size else 1.0
    heat = Heatmap(
        x=Ref(array=dims[1]), y=Ref(array=dims[0]), z=Ref(array=f"map_{model}"), label="P", unit="1/W",
        low=0.0, high=top,
    )  # fmt: skip
    name = NAMES[model]
    result.add_figure(
        Figure(
            name=f"density-{model}",
            title=f"Density of W over time, {name}",
            x=_time(),
            y=Axis(label="W"),
            layers=(heat,),
        )
    )


def _held(density: FloatArray) -> tuple[int, int]:
    """First and last (exclusive) cell that ever hold a noticeable share."""
    with np.errstate(invalid="ignore"):
        share = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)
    held = np.flatnonzero(share.max(axis=0) > HELD)
    return (int(held[0]), int(held[-1]) + 1) if held.size else (0, density.shape[1])


def _curves(result: Result, models: Sequence[str], quantity: str, title: str) -> Figure:
    t = Ref(array="t")
    layers: list[Layer] = [Line(x=t, y=Ref(array=f"{quantity}_{m}"), label=NAMES[m]) for m in models]
    if f"{quantity}_monte_carlo" in result.arrays:
        error = Ref(array=f"{quantity}_stderr")
        layers.append(Scatter(x=t, y=Ref(array=f"{quantity}_monte_carlo"), error=error, label="Monte Carlo"))
    words = "mean" if quantity == "mean" else "standard deviation"
    return Figure(name=quantity, title=title, x=_time(), y=Axis(label=words, unit="W"), layers=tuple(layers))


def _slices(result: Result, model: str) -> Figure:
    density, times = result.arrays[f"density_{model}"].values, result.arrays["t"].values
    rows = np.unique(np.linspace(0, len(density) - 1, min(len(density), MOST_SLICES)).astype(np.int64))
    layers: list[Layer] = [
        Line(
            x=Ref(array="w"),
            y=Ref(array=f"density_{model}", index=(int(r), None)),
            label=f"t = {times[r]:.0f}",
        )
        for r in rows
    ]
    caption = ""
    if "density_monte_carlo" in result.arrays:
        last = int(rows[-1])
        layers.append(
            Scatter(
                x=Ref(array="histogram_w"),
                y=Ref(array="density_monte_carlo", index=(last, None)),
                label=f"walkers, t = {times[last]:.0f}",
            )
        )
        caption = "lines: the model; points: histogram of the walkers at the last of the times"
    first, end = _held(density)
    w = result.arrays["w"].values
    values = density[rows][:, first:end]
    peaks = values.max(axis=1) if values.size else np.ones(1)
    top, highest = CUT * float(peaks[peaks > 0].min(initial=np.inf)), float(peaks.max())
    cut = 0 < top < highest
    if cut:
        caption = f"{caption}; higher peaks are cut" if caption else "higher peaks are cut"
    return Figure(
        name=f"slices-{model}",
        title=f"Density of W at {rows.size} times, {NAMES[model]}",
        x=Axis(label="W", low=float(w[first]), high=float(w[end - 1])),
        y=Axis(label="P", unit="1/W", low=0.0, high=top if cut else None),
        layers=tuple(layers),
        caption=caption,
    )


def _paths(result: Result) -> Figure:
    drawn = range(min(len(result.arrays["start"].values), MOST_PATHS))
    layers = tuple(Line(x=Ref(array="path_t"), y=Ref(array="path", index=(i, None))) for i in drawn)
    return Figure(
        name="paths",
        title="Descent of the mean gradient, without noise",
        x=_time(),
        y=Axis(label="W"),
        layers=layers,
    )
