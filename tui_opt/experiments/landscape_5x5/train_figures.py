"""The charts of train: mean output and its tube, the best fits, losses, shares of the sawtooth, distances."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.examined import Trained
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.figure import Axis, Band, Figure, Histogram, Layer, Line, Ref, Rule
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

CELLS = 60
X = Ref(array="x")
SHOWN = ((0, "least"), (2, "10 %"), (4, "median"), (6, "90 %"))


def add_figures(result: Result, task: Task, found: Trained) -> None:
    """Add the charts."""
    target = Line(x=X, y=Ref(array="y"), label="target")
    x, y = Axis(label="x"), Axis(label="y")
    tube = Band(
        x=X, low=Ref(array="output_low"), high=Ref(array="output_high"), label="± one standard deviation"
    )
    mean = Line(x=X, y=Ref(array="output_mean"), label="mean output")
    result.add_figure(
        Figure(
            name="mean", title="Mean output of the trained networks", x=x, y=y, layers=(tube, target, mean)
        )
    )
    best = tuple(
        Line(
            x=X,
            y=Ref(array="outputs_best", index=(rank,)),
            label="best fit" if rank == 0 else f"rank {rank + 1}",
        )
        for rank in range(min(2, max(1, len(found.best))))
    )
    result.add_figure(Figure(name="best", title="The best fits", x=x, y=y, layers=(target, *best)))
    lines: list[Layer] = [
        Line(x=Ref(array="t"), y=Ref(array="loss_quantiles", index=(None, q)), label=label)
        for q, label in SHOWN
    ]
    lines.append(Rule(axis="y", value=float(task.y.var()), label="constant"))
    lines.append(Rule(axis="y", value=task.spline_error, label="spline"))
    result.add_figure(
        Figure(
            name="losses", title="Quantiles of the loss", x=Axis(label="steps", scale="log"),
            y=Axis(label="loss", scale="log"), layers=tuple(lines),
        )
    )  # fmt: skip
    top = float(task.y.var()) * 1.2
    _histogram(
        result,
        "loss",
        found.loss,
        (0.0, top),
        "Loss of the networks",
        "loss",
        float(task.y.var()),
        "constant",
    )
    shares = found.high_frequency[~found.dead] if found.dead.size else found.high_frequency
    _histogram(
        result,
        "sawtooth",
        shares,
        (-0.25, 1.05),
        "Share of the high frequencies that live networks found",
        "share",
        1.0,
        "all",
    )
    if np.isfinite(found.distance_matched).any():
        known = np.concatenate([found.distance_sorted, found.distance_matched])
        known = known[np.isfinite(known)]
        ends = (0.0, float(np.ceil(known.max())))
        _histograms(
            result, "distance", {"sorted": found.distance_sorted, "matched": found.distance_matched}, ends,
            "Distance to the built network", "distance",
        )  # fmt: skip


def _histogram(
    result: Result,
    name: str,
    values: FloatArray,
    ends: tuple[float, float],
    title: str,
    label: str,
    mark: float,
    mark_label: str,
) -> None:
    _histograms(
        result, name, {"networks": values}, ends, title, label, Rule(axis="x", value=mark, label=mark_label)
    )


def _histograms(
    result: Result,
    name: str,
    values: dict[str, FloatArray],
    ends: tuple[float, float],
    title: str,
    label: str,
    *more: Layer,
) -> None:
    low, high = ends
    edges = np.linspace(low, high if high > low else low + 1.0, CELLS + 1)
    result.add_array(f"{name}_edge", edges, (f"{name}_edge",), text="edges of the histogram")
    layers: list[Layer] = []
    for key, numbers in values.items():
        inside = np.clip(numbers[np.isfinite(numbers)], edges[0], edges[-1])
        counts, _ = np.histogram(inside, bins=edges)
        array = f"{name}_counts" if key == "networks" else f"{name}_{key}_counts"
        result.add_array(
            array,
            counts.astype(float),
            (f"{name}_cell",),
            text="networks in each cell; those beyond are in the last",
        )
        layers.append(Histogram(edges=Ref(array=f"{name}_edge"), counts=Ref(array=array), label=key))
    result.add_figure(
        Figure(name=name, title=title, x=Axis(label=label), y=Axis(label="networks"), layers=(*layers, *more))
    )
