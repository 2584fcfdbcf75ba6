"""The charts of plane: densities over the plane, mean and spread over time, marginals, and the current at the end."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Ref, Scatter
from tui_opt.result import Result

MAP_CELLS = 160
"""Most cells per axis that are drawn."""
MOST_MAPS = 8
"""Most densities that are drawn."""
BRIGHTEST = 0.995
"""Share of the densities that the colours tell apart."""
HELD = 1e-4
"""Cells that never hold this share of the mass are left out of the maps."""
MOST_SLICES = 4


def add_figures(result: Result) -> None:
    """Add the charts that can be drawn so far, and the arrays only they need."""
    rows = _add_maps(result)
    times = result.arrays["map_t"].values
    result.add_figure(_map("density", f"Density of W1 and W2 at t = {times[-1]:.0f}", len(rows) - 1, result))
    # One after the other, so that going through the charts shows the law move, as playing them does.
    for number in range(len(rows) - 1):
        name = f"density-t{times[number]:.0f}"
        result.add_figure(_map(name, f"Density of W1 and W2 at t = {times[number]:.0f}", number, result))
    result.add_figure(_curves(result, "mean", "Mean over time"))
    result.add_figure(_curves(result, "sd", "Standard deviation over time"))
    for axis in (1, 2):
        result.add_figure(_marginal(result, axis, rows))
    if "end_density" in result.arrays:
        _add_end(result)


def _add_maps(result: Result) -> list[int]:
    """Add the densities as drawn, on as many cells as a screen shows, W2 upwards; and say which times they are of."""
    density = result.arrays["density"].values
    rows = [
        int(r) for r in np.unique(np.linspace(0, len(density) - 1, min(len(density), MOST_MAPS)).astype(int))
    ]
    slices, groups = [], []
    for axis in (1, 2):
        first, last = _held(result.arrays[f"density_w{axis}"].values)
        group = max(1, -(-(last - first) // MAP_CELLS))
        last = first + max(1, (last - first) // group) * group
        slices.append(slice(first, last))
        groups.append(group)
        places = result.arrays[f"w{axis}"].values[first:last].reshape(-1, group).mean(axis=1)
        result.add_array(
            f"map_w{axis}", places, (f"map_w{axis}",), unit="W", text="middles of the cells of the maps"
        )
    drawn = [_grouped(density[row][slices[0], slices[1]], groups).T for row in rows]
    result.add_array(
        "map_t", result.arrays["t"].values[rows], ("map_t",), unit="steps", text="times of the maps"
    )
    dims = ("map_t", "map_w2", "map_w1")
    result.add_array("map", np.array(drawn), dims, unit="1/W²", text="densities as drawn")
    return rows


def _grouped(values: FloatArray, groups: list[int]) -> FloatArray:
    rows, columns = values.shape[0] // groups[0], values.shape[1] // groups[1]
    return np.asarray(values.reshape(rows, groups[0], columns, groups[1]).mean(axis=(1, 3)))


def _held(marginal: FloatArray) -> tuple[int, int]:
    """First and last (exclusive) cell along an axis that ever hold a noticeable share."""
    with np.errstate(invalid="ignore"):
        share = marginal / np.maximum(marginal.sum(axis=1, keepdims=True), 1e-300)
    held = np.flatnonzero(share.max(axis=0) > HELD)
    return (int(held[0]), int(held[-1]) + 1) if held.size else (0, marginal.shape[1])


def _map(name: str, title: str, number: int, result: Result) -> Figure:
    values = result.arrays["map"].values[number]
    positive = values[values > 0]
    top = float(np.quantile(positive, BRIGHTEST)) if positive.size else 1.0
    heat = Heatmap(
        x=Ref(array="map_w1"), y=Ref(array="map_w2"), z=Ref(array="map", index=(number, None, None)), label="P",
        unit="1/W²", low=0.0, high=top,
    )  # fmt: skip
    moment = float(result.arrays["map_t"].values[number])
    return Figure(
        name=name, title=title, x=Axis(label="W1"), y=Axis(label="W2"), layers=(heat,), moment=moment
    )


def _curves(result: Result, quantity: str, title: str) -> Figure:
    t = Ref(array="t")
    layers: list[Layer] = []
    for axis in range(2):
        part = (None, axis)
        layers.append(Line(x=t, y=Ref(array=quantity, index=part), label=f"W{axis + 1}, cells"))
        if f"{quantity}_monte_carlo" in result.arrays:
            error = Ref(array=f"{quantity}_stderr", index=part)
            points = Ref(array=f"{quantity}_monte_carlo", index=part)
            layers.append(Scatter(x=t, y=points, error=error, label=f"W{axis + 1}, Monte Carlo"))
    words = "mean" if quantity == "mean" else "standard deviation"
    x = Axis(label="t", unit="steps")
    return Figure(name=quantity, title=title, x=x, y=Axis(label=words, unit="W"), layers=tuple(layers))


def _marginal(result: Result, axis: int, rows: list[int]) -> Figure:
    """The density of one parameter at some times, and the walkers at the last of them."""
    times, density = result.arrays["t"].values, result.arrays[f"density_w{axis}"].values
    kept = [
        rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_SLICES)).astype(int))
    ]
    layers: list[Layer] = [
        Line(
            x=Ref(array=f"w{axis}"),
            y=Ref(array=f"density_w{axis}", index=(row, None)),
            label=f"t = {times[row]:.0f}",
        )
        for row in kept
    ]
    caption = ""
    if f"density_monte_carlo_w{axis}" in result.arrays:
        walkers = Ref(array=f"density_monte_carlo_w{axis}", index=(kept[-1], None))
        layers.append(
            Scatter(x=Ref(array=f"histogram_w{axis}"), y=walkers, label=f"walkers, t = {times[kept[-1]]:.0f}")
        )
        caption = "lines: cells; points: histogram of the walkers at the last of the times"
    first, last = _held(density)
    w = result.arrays[f"w{axis}"].values
    highest = density[kept].max(axis=1)
    top = 2.0 * float(np.median(highest))
    return Figure(
        name=f"marginal-w{axis}",
        title=f"Density of W{axis} alone",
        x=Axis(label=f"W{axis}", low=float(w[first]), high=float(w[last - 1])),
        y=Axis(label="P", unit="1/W", low=0.0, high=top if 0 < top < float(highest.max()) else None),
        layers=tuple(layers),
        caption=caption,
    )


def _add_end(result: Result) -> None:
    """The law that is settled to and the stream function of its current, W2 upwards."""
    for name in ("end_density", "end_stream"):
        array = result.arrays[name]
        result.add_array(
            f"{name}_map", array.values.T.copy(), ("end_w2", "end_w1"), unit=array.unit, text=array.text
        )
    axes = Axis(label="W1"), Axis(label="W2")
    x, y = Ref(array="end_w1"), Ref(array="end_w2")
    heat = Heatmap(x=x, y=y, z=Ref(array="end_density_map"), label="P", unit="1/W²", low=0.0)
    result.add_figure(
        Figure(
            name="end-density", title="Density that the law settles to", x=axes[0], y=axes[1], layers=(heat,)
        )
    )
    if "circulation" in result.findings and np.isfinite(result.findings["circulation"].value):
        stream = Heatmap(
            x=x, y=y, z=Ref(array="end_stream_map"), label="stream", unit="1/step", diverging=True
        )
        result.add_figure(
            Figure(
                name="end-current",
                title="Stream function of the current of that law",
                x=axes[0],
                y=axes[1],
                layers=(stream,),
                caption="the current flows along the contours, with higher values to its left",
            )
        )
