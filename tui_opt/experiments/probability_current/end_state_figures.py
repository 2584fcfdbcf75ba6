"""The charts of end-state: densities, distribution functions, the tail on the way out, and the cascade."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_opt.experiments.probability_current.end_state_question import Asked
from tui_opt.experiments.probability_current.evolve_figures import NAMES
from tui_opt.figure import Axis, Figure, Histogram, Layer, Line, Ref, Rule
from tui_opt.result import Result

TAIL = 1e-4
"""Probability beyond the shown range of W on either side, of every law."""
LEAST_SHOWN = 1e-20
"""Smallest density that is drawn, in units of the largest."""
HEAD_ROOM = 1.3
LEVELS = (1, 2, 4, 8)


def add_figures(result: Result, question: Asked, singular: bool) -> None:
    """Add the charts that can be drawn so far."""
    models = [m for m in question.params.models if f"density_{m}" in result.arrays]
    if not models:
        return
    low, high = _shown(result, models)
    axis = Axis(label="W", low=low, high=high)
    title = "Quasi-stationary laws" if question.side else "Stationary laws"
    caption = "the exact law has no density: its mass over the width of the cells" if singular else ""
    layers: list[Layer] = [_line(m, "density") for m in models]
    places = [Rule(axis="x", value=w, label="compared") for w in question.params.compare]
    result.add_figure(
        Figure(
            name="densities", title=title, x=axis, y=Axis(label="P", unit="1/W", low=0.0, high=_top(result, models)),
            layers=(*layers, *places), caption=caption,
        )
    )  # fmt: skip
    result.add_figure(_distribution(result, models, axis, title))
    if question.side or question.params.compare:
        result.add_figure(_tail(result, models, question))
    for_cascade = [k for k in LEVELS if f"cascade_{k}" in result.arrays]
    if for_cascade:
        result.add_figure(_cascade(for_cascade))


def _line(model: str, quantity: str) -> Line:
    x = "w_edge" if quantity == "cdf" else "w"
    return Line(x=Ref(array=x), y=Ref(array=f"{quantity}_{model}"), label=NAMES[model])


def _shown(result: Result, models: Sequence[str]) -> tuple[float, float]:
    """The range that holds all laws but their tails."""
    edges = result.arrays["w_edge"].values
    lows, highs = [], []
    for model in models:
        cdf = result.arrays[f"cdf_{model}"].values
        lows.append(edges[max(int(np.searchsorted(cdf, TAIL)) - 1, 0)])
        highs.append(edges[min(int(np.searchsorted(cdf, 1 - TAIL)) + 1, edges.size - 1)])
    low, high = float(min(lows)), float(max(highs))
    room = 0.05 * (high - low)
    return max(low - room, float(edges[0])), min(high + room, float(edges[-1]))


def _top(result: Result, models: Sequence[str]) -> float | None:
    """Highest density shown: one law that ends in a point would leave nothing of the others."""
    peaks = sorted(float(np.nanmax(result.arrays[f"density_{m}"].values)) for m in models)
    top = HEAD_ROOM * peaks[len(peaks) // 2]
    return top if 0 < top < peaks[-1] else None


def _distribution(result: Result, models: Sequence[str], axis: Axis, title: str) -> Figure:
    layers: list[Layer] = [_line(m, "cdf") for m in models]
    for array, label in (("cdf_exact", "exact law"), ("cdf_monte_carlo", "walkers")):
        if array in result.arrays:
            layers.append(Line(x=Ref(array="w_edge"), y=Ref(array=array), label=label))
    return Figure(
        name="distribution",
        title=f"{title}: distribution functions",
        x=axis,
        y=Axis(label="probability below W", low=0.0, high=1.0),
        layers=tuple(layers),
    )


def _tail(result: Result, models: Sequence[str], question: Asked) -> Figure:
    """Densities on a logarithmic axis, over all cells: how much there is on the way out."""
    top = max(float(np.nanmax(result.arrays[f"density_{m}"].values)) for m in models)
    layers: list[Layer] = [_line(m, "density") for m in models]
    if question.side:
        layers.append(Rule(axis="x", value=question.barrier, label="exit"))
    layers += [Rule(axis="x", value=w, label="compared") for w in question.params.compare]
    y = Axis(label="P", unit="1/W", scale="log", low=LEAST_SHOWN * top, high=HEAD_ROOM * top)
    title = "Densities on the way out" if question.side else "Densities, logarithmic"
    return Figure(name="tail", title=title, x=Axis(label="W"), y=y, layers=tuple(layers))


def _cascade(levels: list[int]) -> Figure:
    layers = tuple(
        Histogram(edges=Ref(array=f"cascade_w_{k}"), counts=Ref(array=f"cascade_{k}"), label=f"{k} divisions")
        for k in reversed(levels)
    )
    return Figure(
        name="cascade",
        title="The cascade that makes the exact law",
        x=Axis(label="W"),
        y=Axis(label="mass over width", unit="1/W", low=0.0),
        layers=layers,
        caption="every interval gives its halves unequal room and equal mass; the heights never settle to a density",
    )
