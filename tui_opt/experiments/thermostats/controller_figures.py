"""The charts of controller: Op and loss through training, neurons, what the network does, and courses."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.thermostats.controller_params import ControllerParams
from tui_opt.figure import Axis, Figure, Line, Ref, Rule, Scatter
from tui_opt.kernels.controllers import Controllers, FloatArray, Loops, follow_loops
from tui_opt.kernels.plants import Plant
from tui_opt.result import Result

MOST_SEEDS = 8
MOST_COURSES = 4
POLICY_POINTS = 201
UPDATES = Axis(label="updates")


def _named(params: ControllerParams) -> str:
    return f"{params.plant}, {params.hidden} neurons"


def training_figures(params: ControllerParams) -> tuple[Figure, ...]:
    """Op and loss, also while the training goes on."""
    seeds = range(min(params.seeds, MOST_SEEDS))
    caption = f"{len(seeds)} of {params.seeds} seeds drawn" if len(seeds) < params.seeds else ""
    lines = {
        name: tuple(
            Line(x=Ref(array="iteration"), y=Ref(array=name, index=(s, None)), label=f"seed {s}")
            for s in seeds
        )
        for name in ("op_median", "loss")
    }
    return (
        Figure(
            name="op",
            title=f"Op of the controller's output through training: {_named(params)}",
            x=UPDATES,
            y=Axis(label="Op, median over states", unit="nats"),
            layers=(*lines["op_median"], Rule(axis="y", value=0.0)),
            caption=caption,
        ),
        Figure(
            name="loss",
            title=f"Loss through training: {_named(params)}",
            x=UPDATES,
            y=Axis(label="loss", scale="log"),
            layers=lines["loss"],
            caption=caption,
        ),
    )


def add_figures(
    result: Result,
    plant: Plant,
    params: ControllerParams,
    first: Controllers,
    last: Controllers,
    loops: Loops,
) -> None:
    """All charts."""
    for figure in training_figures(params):
        result.add_figure(figure)
    result.add_figure(_neurons(params))
    _add_policy(result, plant, params, first, last)
    _add_courses(result, plant, params, last, loops)


def _neurons(params: ControllerParams) -> Figure:
    return Figure(
        name="neurons",
        title=f"Neurons: Op against what ablation costs; {_named(params)}",
        x=Axis(label="Op of the neuron, median over states", unit="nats"),
        y=Axis(label="growth of the loss without it"),
        layers=tuple(
            Scatter(
                x=Ref(array="neuron_op", index=(s, None)),
                y=Ref(array="ablation_loss", index=(s, None)),
                label=f"seed {s}",
            )
            for s in range(min(params.seeds, MOST_SEEDS))
        ),
    )


def _policy(plant: Plant, networks: Controllers, along: FloatArray) -> FloatArray:
    s = np.zeros((len(plant.axes), len(networks.b2), along.size))
    s[0] = along
    return networks.output(networks.hidden(s))


def _add_policy(
    result: Result, plant: Plant, params: ControllerParams, first: Controllers, last: Controllers
) -> None:
    along = np.linspace(-plant.spread[0], plant.spread[0], POLICY_POINTS)
    axis = plant.axes[0]
    rest = ", at rest" if len(plant.axes) > 1 else ""
    result.add_array("policy_state", along, ("policy_state",), text=axis)
    for name, networks in (("policy_before", first), ("policy", last)):
        result.add_array(
            name, _policy(plant, networks, along), ("seed", "policy_state"), text=f"u against {axis}{rest}"
        )
    x = Ref(array="policy_state")
    result.add_figure(
        Figure(
            name="policy",
            title=f"What the controller of seed 0 does{rest}: {_named(params)}",
            x=Axis(label=axis),
            y=Axis(label="u"),
            layers=(
                Line(x=x, y=Ref(array="policy_before", index=(0, None)), label="before training"),
                Line(x=x, y=Ref(array="policy", index=(0, None)), label="after"),
            ),
        )
    )


def _add_courses(
    result: Result, plant: Plant, params: ControllerParams, last: Controllers, loops: Loops
) -> None:
    """The first component from some test states with the controller, and without."""
    few = min(params.test_states, MOST_COURSES)
    start = loops.states[0, :, :1, :few]
    nothing = Controllers(*(np.zeros_like(part[:1]) for part in (last.w1, last.b1, last.w2, last.b2)))
    alone = follow_loops(plant, nothing, start, params.horizon)
    t = plant.dt * np.arange(params.horizon + 1.0)
    result.add_array("t", t, ("t",))
    dims = ("seed", "state", "t")
    courses = np.ascontiguousarray(np.moveaxis(loops.states[:, 0, :, :few], 0, -1))
    without = np.ascontiguousarray(np.moveaxis(alone.states[:, 0, :, :few], 0, -1))[0]
    axis = plant.axes[0]
    result.add_array("course", courses, dims, text=f"{axis} with the controller, first test states")
    result.add_array("course_alone", without, dims[1:], text=f"{axis} without control")
    x = Ref(array="t")
    result.add_figure(
        Figure(
            name="course",
            title=f"Courses with the controller of seed 0, and without: {_named(params)}",
            x=Axis(label="t"),
            y=Axis(label=axis),
            layers=(
                *(
                    Line(x=x, y=Ref(array="course", index=(0, k, None)), label=f"controlled {k}")
                    for k in range(few)
                ),
                *(
                    Line(x=x, y=Ref(array="course_alone", index=(k, None)), label=f"alone {k}")
                    for k in range(few)
                ),
            ),
        )
    )
