"""The charts of loss-curve: the whole range, the basin from nearby, and the ripple of several draws."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
from tui_opt.figure import Axis, Band, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.result import Result

BANDS = 4.0
RIPPLE = 8.0
"""Standard deviations of the plateau that the picture of the ripple reaches up and down."""


def add_figures(result: Result, name: str, truth: float, params: LossCurveParams) -> None:
    """Add the charts that can be drawn so far."""
    _add_band(result)
    result.add_figure(_whole(result, name, truth))
    if "near_mse" in result.arrays:
        result.add_figure(_near(result, name, truth))
        ripple = _ripple(result, name, params)
        if ripple is not None:
            result.add_figure(ripple)


def _add_band(result: Result) -> None:
    if "mse_sd" not in result.arrays:
        return
    exact, sd = result.arrays["mse_exact"].values, result.arrays["mse_sd"].values
    for which, sign in (("mse_low", -BANDS), ("mse_high", BANDS)):
        text = f"the closed form {'less' if sign < 0 else 'and'} {BANDS:g} sampling standard deviations"
        result.add_array(which, exact + sign * sd, ("alpha",), text=text)


def _rules(result: Result, truth: float) -> list[Layer]:
    rules: list[Layer] = []
    for finding, label in (("basin_low", "ridge"), ("basin_high", "ridge")):
        if finding in result.findings and math.isfinite(result.findings[finding].value):
            rules.append(Rule(axis="x", value=result.findings[finding].value, label=label))
    if math.isfinite(truth):
        rules.append(Rule(axis="x", value=truth, label="true"))
    return rules


def _whole(result: Result, name: str, truth: float) -> Figure:
    alpha = Ref(array="alpha")
    layers: list[Layer] = []
    if "mse_low" in result.arrays:
        layers.append(Band(x=alpha, low=Ref(array="mse_low"), high=Ref(array="mse_high"), label="4 sd"))
    layers.append(Line(x=alpha, y=Ref(array="mse"), label="sample"))
    if "mse_exact" in result.arrays:
        layers.append(Line(x=alpha, y=Ref(array="mse_exact"), label="closed form"))
    low, high = (float(result.arrays["alpha"].values[k]) for k in (0, -1))
    layers += [r for r in _rules(result, truth) if isinstance(r, Rule) and low <= r.value <= high]
    return Figure(
        name="loss",
        title=f"Mean squared error against {name}",
        x=Axis(label=f"trial value of {name}"),
        y=Axis(label="mean squared error"),
        layers=tuple(layers),
    )


def _near(result: Result, name: str, truth: float) -> Figure:
    near = Ref(array="near_alpha")
    layers: list[Layer] = []
    if "near_low" in result.arrays:
        layers.append(Band(x=near, low=Ref(array="near_low"), high=Ref(array="near_high"), label="4 sd"))
    layers.append(Line(x=near, y=Ref(array="near_mse", index=(0, None)), label="sample"))
    if "near_exact" in result.arrays:
        layers.append(Line(x=near, y=Ref(array="near_exact"), label="closed form"))
    return Figure(
        name="basin",
        title=f"The basin of {name} from nearby",
        x=Axis(label=f"trial value of {name}"),
        y=Axis(label="mean squared error"),
        layers=(*layers, *_rules(result, truth)),
    )


def _ripple(result: Result, name: str, params: LossCurveParams) -> Figure | None:
    """Several draws where the closed form is flat, with their ridges and next minima."""
    if "plateau_sd" not in result.findings or "ridge" not in result.arrays:
        return None
    sd, level = result.findings["plateau_sd"].value, result.findings["plateau"].value
    near = Ref(array="near_alpha")
    drawn = result.arrays["near_mse"].values.shape[0]
    layers: list[Layer] = [
        Line(x=near, y=Ref(array="near_mse", index=(k, None)), label=f"draw {k + 1}") for k in range(drawn)
    ]
    layers.append(Line(x=near, y=Ref(array="near_exact"), label="closed form"))
    ridges = result.arrays["ridge"].values
    if np.isfinite(ridges).any():
        layers.append(Scatter(x=Ref(array="ridge"), y=Ref(array="ridge_loss"), label="ridges"))
        layers.append(Scatter(x=Ref(array="next_minimum"), y=Ref(array="next_loss"), label="next minima"))
    return Figure(
        name="ripple",
        title=f"Ridges and minima of {len(ridges)} draws of {params.samples} samples",
        x=Axis(label=f"trial value of {name}"),
        y=Axis(label="mean squared error", low=level - RIPPLE * sd, high=level + RIPPLE * sd),
        layers=tuple(layers),
        caption="What is common to all draws is the closed form; the rest is ripple.",
    )
