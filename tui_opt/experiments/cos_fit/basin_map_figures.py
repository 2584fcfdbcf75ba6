"""The charts of basin-map: end against start, which starts find the minimum, and success by optimizer."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.figure import Axis, Figure, Heatmap, Layer, Ref, Rule, Scatter
from tui_opt.result import Result

MOST_SERIES = 5
REACH = 1.0
"""Ends farther from the range of starts than so many of its widths are not shown."""


def add_figures(result: Result, methods: list[str], name: str, target: float) -> None:
    """Add the charts."""
    if not methods:
        return
    result.add_figure(_ends(result, methods, name, target))
    result.add_figure(_found(methods, name))
    result.add_figure(_success(result, methods))


def _ends(result: Result, methods: list[str], name: str, target: float) -> Figure:
    starts, ends = result.arrays["start"].values, result.arrays["final_a"].values
    shown = [k for k, m in enumerate(methods) if m not in ("annealing", "scan")] or list(range(len(methods)))
    x = Ref(array="start")
    layers: list[Layer] = [
        Scatter(x=x, y=Ref(array="final_a", index=(k, None)), label=methods[k]) for k in shown[:MOST_SERIES]
    ]
    if math.isfinite(target):
        layers.append(Rule(axis="y", value=target, label="minimum"))
    width = float(np.ptp(starts)) or 1.0
    low, high = float(starts.min()) - REACH * width, float(starts.max()) + REACH * width
    inside = ends[shown][(ends[shown] > low) & (ends[shown] < high)]
    least, most = (float(inside.min()), float(inside.max())) if inside.size else (low, high)
    room = 0.05 * (most - least) or 0.1
    left_out = int(np.isfinite(ends[shown]).sum() - inside.size)
    return Figure(
        name="ends",
        title=f"Where {name} ends against where it begins",
        x=Axis(label=f"start of {name}"),
        y=Axis(label=f"end of {name}", low=least - room, high=most + room),
        layers=tuple(layers),
        caption=f"{left_out} ends lie farther away" if left_out else "",
    )


def _found(methods: list[str], name: str) -> Figure:
    heat = Heatmap(
        x=Ref(array="start"), y=Ref(array="optimizer"), z=Ref(array="found"), label="found", low=0.0, high=1.0
    )
    listed = ", ".join(f"{k} {m}" for k, m in enumerate(methods))
    return Figure(
        name="found",
        title="Which starts find the minimum",
        x=Axis(label=f"start of {name}"),
        y=Axis(label="optimizer"),
        layers=(heat,),
        caption=f"From below: {listed}",
    )


def _success(result: Result, methods: list[str]) -> Figure:
    """Success against seconds per start."""
    table = result.tables["cost"].rows
    layers: list[Layer] = []
    for k, method in enumerate(methods):
        seconds, share, error = (float(str(table[k][c])) for c in (3, 1, 2))
        layers.append(Scatter(x=(seconds,), y=(share,), error=(error,), label=method))
    return Figure(
        name="success",
        title="Success against cost",
        x=Axis(label="time per start", unit="s", scale="log"),
        y=Axis(label="share of starts that find the minimum", low=-0.05, high=1.05),
        layers=tuple(layers),
    )
