"""The charts of thermostats of limited power: their course, Op over time, and Op over initial temperatures."""

from __future__ import annotations

from tui_opt.experiments.signed_op import op_layers
from tui_opt.experiments.thermostats.loop_params import SaturatingLandscapeParams, SaturatingParams
from tui_opt.figure import Axis, Figure, Line, Ref, Rule
from tui_opt.result import Result

TIME = Axis(label="t", unit="s")
START = Axis(label="initial temperature R₀", unit="K")
OP = Axis(label="Op", unit="nats")


def _named(params: SaturatingParams | SaturatingLandscapeParams) -> str:
    return f"p = {params.power:g}, θ = {params.width:g}, dt = {params.dt:g}"


def add_course_figures(result: Result, params: SaturatingParams) -> None:
    """Op, the course of W, and the differences of X and Y to it."""
    t, title = Ref(array="t"), f"from R₀ = {params.room:g}; {_named(params)}"
    layers = op_layers(result, Ref(array="t"), "op", "sign", "tangents")
    result.add_figure(
        Figure(
            name="op",
            title=f"Op of the thermostat for R₀ over time, {title}",
            x=TIME,
            y=OP,
            layers=(
                Line(x=t, y=Ref(array="op_finite_difference"), label=f"differences, δ = {params.delta:g}"),
                *layers,
                Line(x=t, y=Ref(array="op_limit"), label="small steps"),
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
                Line(x=t, y=Ref(array="room"), label="room"),
                Line(x=t, y=Ref(array="machine"), label="machine"),
                Line(x=t, y=Ref(array="room_limit"), label="room, small steps"),
                Rule(axis="y", value=params.setpoint + params.width),
                Rule(axis="y", value=params.setpoint - params.width, label="width"),
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


def add_landscape_figures(result: Result, params: SaturatingLandscapeParams, t: float) -> None:
    """1 - Comp, Op, and the map from initial to final temperatures whose slope Comp is."""
    room, title = Ref(array="room"), f"t = {t:g}; {_named(params)}"
    edges = (
        Rule(axis="x", value=params.setpoint - params.width),
        Rule(axis="x", value=params.setpoint + params.width, label="width"),
    )
    result.add_figure(
        Figure(
            name="one_minus_comp",
            title=f"1 - Comp of the thermostat, {title}",
            x=START,
            y=Axis(label="1 - Comp"),
            layers=(
                Line(x=room, y=Ref(array="one_minus_comp"), label=f"differences, δ = {params.delta:g}"),
                Line(x=room, y=Ref(array="one_minus_comp_limit"), label="small steps"),
                *edges,
            ),
        )
    )
    result.add_figure(
        Figure(
            name="op",
            title=f"Op of the thermostat, {title}",
            x=START,
            y=OP,
            layers=(
                *op_layers(result, room, "op", "sign", "tangents"),
                Line(x=room, y=Ref(array="op_limit"), label="small steps"),
                *edges,
            ),
        )
    )
    result.add_figure(
        Figure(
            name="compression",
            title=f"How the thermostat brings temperatures together, {title}",
            x=START,
            y=Axis(label=f"temperature at t = {t:g}", unit="K"),
            layers=(
                Line(x=room, y=Ref(array="room_final"), label="with the thermostat"),
                Line(x=room, y=room, label="without"),
            ),
            caption="Comp is the slope; what the range loses in length is the integral of 1 - Comp.",
        )
    )
