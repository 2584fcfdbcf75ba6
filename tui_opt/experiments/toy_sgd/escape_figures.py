"""The charts of escape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_opt.experiments.datapoints import System
from tui_opt.experiments.pits import Way
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.result import Result

MOST_SERIES = 8
LANDSCAPE_POINTS = 801


def add_figures(result: Result, ways: Sequence[Way | None], system: System) -> None:
    """Probability against temperature (or steps), mean steps against temperature, and the way out on the landscape."""
    temperatures = result.arrays["temperature"].values
    steps = result.arrays["steps"].values
    if temperatures.size > 1:
        result.add_figure(_against_temperature(result, steps))
        if "mean_escape_steps" in result.arrays:
            result.add_figure(_mean_steps(temperatures))
    else:
        result.add_figure(_against_steps(result, float(temperatures[0])))
    way = next((w for w in ways if w is not None), None)
    if way is not None:
        _add_landscape(result, way, system)


def _against_temperature(result: Result, steps: np.ndarray) -> Figure:
    layers: list[Layer] = []
    x = Ref(array="temperature")
    exact = "escape_operator" in result.arrays
    sampled = "escape_monte_carlo" in result.arrays
    for k in range(min(steps.size, MOST_SERIES)):
        label = f"{steps[k]:.0f} steps"
        if exact:
            layers.append(Line(x=x, y=Ref(array="escape_operator", index=(None, k)), label=label))
        if sampled:
            place = Ref(array="escape_monte_carlo", index=(None, k))
            error = Ref(array="escape_stderr", index=(None, k))
            layers.append(Scatter(x=x, y=place, error=error, label=label))
    return Figure(
        name="probability",
        title="Probability of leaving the pit within n steps",
        x=_temperature_axis(),
        y=Axis(label="probability", low=0.0, high=1.0),
        layers=tuple(layers),
        caption="lines: transfer operator; points: Monte Carlo with one standard error"
        if exact and sampled
        else "",
    )


def _temperature_axis() -> Axis:
    return Axis(label="T (step size)", unit="W²/L")


def _mean_steps(temperatures: np.ndarray) -> Figure:
    return Figure(
        name="mean-steps",
        title="Mean number of steps to leave the pit",
        x=_temperature_axis(),
        y=Axis(label="mean steps", scale="log"),
        layers=(Line(x=Ref(array="temperature"), y=Ref(array="mean_escape_steps")),),
    )


def _against_steps(result: Result, temperature: float) -> Figure:
    layers: list[Layer] = []
    if "curve_probability" in result.arrays:
        layers.append(
            Line(x=Ref(array="curve_steps"), y=Ref(array="curve_probability"), label="transfer operator")
        )
    if "escape_monte_carlo" in result.arrays:
        layers.append(
            Scatter(
                x=Ref(array="steps"),
                y=Ref(array="escape_monte_carlo", index=(0, None)),
                error=Ref(array="escape_stderr", index=(0, None)),
                label="Monte Carlo ±1 se",
            )
        )
    return Figure(
        name="probability",
        title=f"Probability of leaving the pit at T = {temperature:g}",
        x=Axis(label="steps", scale="log"),
        y=Axis(label="probability", low=0.0, high=1.0),
        layers=tuple(layers),
    )


def _add_landscape(result: Result, way: Way, system: System) -> None:
    reach = 3 * abs(way.barrier - way.start)
    low, high = min(way.start, way.barrier) - reach, max(way.start, way.barrier) + reach
    w = np.linspace(low, high, LANDSCAPE_POINTS)
    result.add_array("w", w, ("w",), unit="W")
    result.add_array("loss", system.loss(w), ("w",), unit="L", text="mean loss")
    figure = Figure(
        name="landscape",
        title="The pit and the way out",
        x=Axis(label="W"),
        y=Axis(label="mean loss", unit="L"),
        layers=(
            Line(x=Ref(array="w"), y=Ref(array="loss"), label="L"),
            Rule(axis="x", value=way.start, label="start"),
            Rule(axis="x", value=way.barrier, label="barrier"),
        ),
    )
    result.add_figure(figure)
