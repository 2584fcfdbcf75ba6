"""The charts of metric: the coordinate, the potential in it, and the density in it."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule
from tui_opt.kernels.stationary import StationaryPoint
from tui_opt.result import Result

MOST_RULES = 8
SHOWN = 1e-6
"""Density, in units of its largest value, down to which the basin is shown."""
ROOM = 0.5
"""Part of the width of what is shown that is left on either side of it."""
MIDDLE = (5.0, 95.0)
"""Percentiles of y that are shown where there is neither a law nor a zero of G."""


def add_figures(result: Result, points: list[StationaryPoint], where: FloatArray) -> None:
    """Add the charts.

    Args:
        result: with the arrays w, y, potential, and basin_w, basin_y, density_w, density_y where there is a law.
        points: zeros of G on the valid interval.
        where: their coordinates y, [points].
    """
    low, high = _shown(result, where)
    w, y = result.arrays["w"].values, result.arrays["y"].values
    seen = np.flatnonzero((y >= low) & (y <= high))
    seen = seen if seen.size else np.arange(y.size)
    names = ["stable" if p.kind == "minimum" else "unstable" for p in points[:MOST_RULES]]
    w_rules = tuple(
        Rule(axis="x", value=p.w, label=name) for p, name in zip(points[:MOST_RULES], names, strict=True)
    )
    y_rules = tuple(
        Rule(axis="x", value=float(at), label=name)
        for at, name in zip(where[:MOST_RULES], names, strict=True)
    )
    along = Axis(label="y", unit="W²/L", low=low, high=high)
    result.add_figure(
        Figure(
            name="coordinate",
            title="The coordinate in which the gradient variance is 1",
            x=Axis(label="W", low=float(w[seen[0]]), high=float(w[seen[-1]])),
            y=along,
            layers=(Line(x=Ref(array="w"), y=Ref(array="y"), label="y"), *w_rules),
        )
    )
    potential = result.arrays["potential"].values[seen]
    potential = potential[np.isfinite(potential)]
    layers: tuple[Layer, ...] = (
        Line(x=Ref(array="y"), y=Ref(array="potential"), label="potential"),
        *y_rules,
    )
    result.add_figure(
        Figure(
            name="potential",
            title="Effective potential in the coordinate",
            x=along,
            y=Axis(
                label="potential",
                unit="W²/L",
                low=float(potential.min()) if np.ptp(potential) > 0 else None,
                high=float(potential.max()) if np.ptp(potential) > 0 else None,
            ),
            layers=layers,
            caption="rules: zeros of the mean gradient",
        )
    )
    if "density_y" in result.arrays:
        _add_densities(result, along, y_rules)


def _add_densities(result: Result, along: Axis, rules: tuple[Rule, ...]) -> None:
    result.add_figure(
        Figure(
            name="density",
            title="Density in the coordinate",
            x=along,
            y=Axis(label="P", unit="L/W²", low=0.0),
            layers=(Line(x=Ref(array="basin_y"), y=Ref(array="density_y"), label="P in y"), *rules),
        )
    )
    layers = [Line(x=Ref(array="basin_w"), y=Ref(array="density_w"), label="potential")]
    if "density_ito" in result.arrays:
        layers.append(Line(x=Ref(array="basin_w"), y=Ref(array="density_ito"), label="Ito's equation"))
    w, density = result.arrays["basin_w"].values, result.arrays["density_w"].values
    held = np.flatnonzero(density > SHOWN * density.max())
    held = held if held.size > 1 else np.array([0, w.size - 1])
    result.add_figure(
        Figure(
            name="density-w",
            title="Density in W, by the potential and by Ito's equation",
            x=Axis(label="W", low=float(w[held[0]]), high=float(w[held[-1]])),
            y=Axis(label="P", unit="1/W", low=0.0),
            layers=tuple(layers),
        )
    )


def _shown(result: Result, where: FloatArray) -> tuple[float, float]:
    """The part of the coordinate that holds the law and the zeros of G, with room beside it."""
    y = result.arrays["y"].values
    ends = where[:MOST_RULES]
    if "density_y" in result.arrays:
        density = result.arrays["density_y"].values
        ends = np.concatenate([result.arrays["basin_y"].values[density > SHOWN * density.max()], ends])
    if ends.size < 2:
        ends = np.percentile(y, MIDDLE)
    low, high = float(ends.min()), float(ends.max())
    room = ROOM * (high - low)
    return max(low - room, float(y[0])), min(high + room, float(y[-1]))
