"""The charts of network: the course of W, the differences of X and Y to it, and Comp."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.thermostats.loop_params import NetworkParams
from tui_opt.figure import Axis, Figure, Line, Ref, Rule
from tui_opt.result import Result

TIME = Axis(label="step")


def add_figures(result: Result, params: NetworkParams) -> None:
    """Comp first, as what is asked."""
    t = Ref(array="t")
    title = f"k = {params.gain:g}"
    if params.noise_amplitude:
        title += f", sinusoid of amplitude {params.noise_amplitude:g} and period {params.noise_period:g}"
    result.add_figure(
        Figure(
            name="log_comp",
            title=f"ln|(X-W)/(Y-W)| of the room, {title}",
            x=TIME,
            y=Axis(label="ln|Comp|", unit="nats"),
            layers=(
                Line(x=t, y=Ref(array="log_comp_difference"), label=f"differences, δ = {params.delta:g}"),
                Line(x=t, y=Ref(array="log_comp"), label="tangents"),
                Line(x=t, y=Ref(array="log_comp_exact"), label="closed form"),
            ),
        )
    )
    result.add_figure(
        Figure(
            name="course",
            title=f"The course of W, {title}",
            x=TIME,
            y=Axis(label="temperature", unit="K"),
            layers=(
                Line(x=t, y=Ref(array="w_room"), label="room"),
                Line(x=t, y=Ref(array="w_machine"), label="machine"),
                Rule(axis="y", value=params.setpoint, label="setpoint"),
            ),
        )
    )
    result.add_figure(
        Figure(
            name="differences",
            title=f"Differences of the room to W, {title}",
            x=TIME,
            y=Axis(label="difference", unit="K"),
            layers=(
                Line(x=t, y=Ref(array="x_difference"), label="X - W"),
                Line(x=t, y=Ref(array="y_difference"), label="Y - W"),
            ),
        )
    )
    beside, exact = (result.arrays[name].values for name in ("log_comp_difference", "log_comp_exact"))
    with np.errstate(invalid="ignore"):
        off = np.abs(beside - exact)
    off = np.where(np.isfinite(off) & (off > 0.0), off, np.nan)
    if np.all(np.isnan(off)):
        return
    result.add_array("rounding_error", off, ("t",), unit="nats", text="error of ln|(X-W)/(Y-W)| with doubles")
    result.add_figure(
        Figure(
            name="rounding",
            title=f"Error of the finite differences, {title}",
            x=TIME,
            y=Axis(label="error of ln|Comp|", unit="nats", scale="log"),
            layers=(Line(x=t, y=Ref(array="rounding_error"), label=f"δ = {params.delta:g}"),),
            caption="Rounding alone; with enough digits the differences give the closed form.",
        )
    )
