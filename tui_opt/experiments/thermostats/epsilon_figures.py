"""The charts of epsilon-family: the source's log-log plot, the ratio, and how it nears its limit."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.thermostats.epsilon_limit import Limit
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.result import Result


def add_figures(result: Result, limit: Limit) -> None:
    """Add the charts; the arrays need not be in order of ε."""
    before, adjusted = result.arrays["entropy_before"].values, result.arrays["adjusted"].values
    layers: list[Layer] = []
    for name, chosen in (("positive", adjusted > 0), ("negative", adjusted < 0)):
        if chosen.any():
            size = np.where(chosen, np.abs(adjusted), np.nan)
            text = f"|adjusted| where it is {name}"
            result.add_array(f"adjusted_{name}", size, ("epsilon",), unit="bits", text=text)
            layers.append(Scatter(x=Ref(array="entropy_before"), y=Ref(array=f"adjusted_{name}"), label=name))
    positive = before[before > 0]
    if limit.ratio and positive.size:
        ends = np.array([positive.min(), positive.max()])
        line = tuple((abs(float(limit.ratio)) * ends).tolist())
        layers.append(Line(x=tuple(ends.tolist()), y=line, label=f"{limit.ratio} of the entropy"))
    result.add_figure(
        Figure(
            name="log-log",
            title="Adjusted optimizing-ness against the entropy at t-1",
            x=Axis(label="entropy at t-1", unit="bits", scale="log"),
            y=Axis(label="|adjusted|", unit="bits", scale="log"),
            layers=tuple(layers),
            notes=() if positive.size else None,
        )
    )
    epsilon = Axis(label="ε", scale="log")
    ratio: list[Layer] = [Scatter(x=Ref(array="epsilon"), y=Ref(array="ratio"), label="ratio")]
    if limit.ratio is not None:
        ratio.append(Rule(axis="y", value=float(limit.ratio), label=f"limit {limit.ratio}"))
    result.add_figure(
        Figure(
            name="ratio",
            title="Adjusted optimizing-ness over the entropy at t-1",
            x=epsilon,
            y=Axis(label="ratio"),
            layers=tuple(ratio),
        )
    )
    if limit.last_correction is None:
        return
    layers = [
        Scatter(x=Ref(array="epsilon"), y=Ref(array="correction"), label="exact"),
        Scatter(x=Ref(array="epsilon"), y=Ref(array="correction_series"), label="series for small ε"),
        Rule(axis="y", value=float(limit.last_correction), label=f"limit {limit.last_correction}"),
    ]
    result.add_figure(
        Figure(
            name="correction",
            title="How the ratio nears its limit: (limit - ratio)/ε",
            x=epsilon,
            y=Axis(label="(limit - ratio)/ε"),
            layers=tuple(layers),
        )
    )
