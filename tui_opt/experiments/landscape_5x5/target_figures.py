"""The charts of target: its graph with the training points, and histograms of knots."""

from __future__ import annotations

from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.figure import Axis, Figure, Histogram, Layer, Line, Ref, Rule, Scatter
from tui_opt.result import Result

KINDS = ("random", "trained")


def add_figures(result: Result, task: Task) -> None:
    """Add the charts."""
    layers: tuple[Layer, ...] = (
        Line(x=Ref(array="x"), y=Ref(array="y"), label="target"),
        Line(x=Ref(array="x"), y=Ref(array="high_frequency"), label="its high frequencies"),
        Scatter(x=Ref(array="x"), y=Ref(array="y"), label="training points"),
    )
    if task.built is None:
        layers = (layers[0], layers[2])
    result.add_figure(
        Figure(name="target", title="The target", x=Axis(label="x"), y=Axis(label="y"), layers=layers)
    )
    counted: list[Layer] = [
        Histogram(edges=Ref(array="knots_edge"), counts=Ref(array=f"knots_{kind}_counts"), label=kind)
        for kind in KINDS
        if f"knots_{kind}_counts" in result.arrays
    ]
    if not counted:
        return
    if "knots_built_median" in result.findings:
        counted.append(Rule(axis="x", value=result.findings["knots_built_median"].value, label="built"))
    result.add_figure(
        Figure(
            name="knots",
            title="Interior knots of networks",
            x=Axis(label="interior knots"),
            y=Axis(label="networks"),
            layers=tuple(counted),
        )
    )
