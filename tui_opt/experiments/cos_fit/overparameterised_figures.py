"""The charts of overparameterised: success and loss against parameters, what the networks learnt, and how fast."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.cos_fit.overparameterised_params import OverparameterisedParams
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.result import Result

MOST_CURVES = 4


def add_figures(result: Result, widths: list[int], params: OverparameterisedParams, column: str) -> None:
    """Add the charts."""
    if not widths:
        return
    result.add_figure(_success(result))
    result.add_figure(_losses(result, params))
    result.add_figure(_curves(result, widths, column))
    result.add_figure(_history(widths))


def _success(result: Result) -> Figure:
    x = Ref(array="parameters")
    share = result.findings["success_model"].value
    return Figure(
        name="success",
        title="Share of fits that succeed against the number of parameters",
        x=Axis(label="parameters", scale="log"),
        y=Axis(label="share that succeeds", low=-0.05, high=1.05),
        layers=(
            Line(x=x, y=Ref(array="success"), label="networks"),
            Scatter(x=x, y=Ref(array="success"), error=Ref(array="success_stderr"), label="networks"),
            Rule(axis="y", value=share, label="the model itself"),
        ),
    )


def _losses(result: Result, params: OverparameterisedParams) -> Figure:
    x = Ref(array="parameters")
    layers: list[Layer] = []
    for name, label in (
        ("test_loss", "fresh values"),
        ("train_loss", "batches"),
        ("outside_loss", "out of range"),
    ):
        values = result.arrays[name].values
        finite = np.isfinite(values).any(axis=1)
        if not finite.any():
            continue
        medians = tuple(
            float(np.nanmedian(row)) if ok else np.nan for row, ok in zip(values, finite, strict=True)
        )
        layers.append(Line(x=x, y=medians, label=label))
    variance = result.findings["variance"].value
    layers.append(Rule(axis="y", value=variance, label="variance"))
    layers.append(Rule(axis="y", value=params.threshold * variance, label="success below"))
    return Figure(
        name="loss",
        title="Median mean squared error against the number of parameters",
        x=Axis(label="parameters", scale="log"),
        y=Axis(label="mean squared error", scale="log"),
        layers=tuple(layers),
    )


def _shown(count: int) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, MOST_CURVES)).round()})


def _curves(result: Result, widths: list[int], column: str) -> Figure:
    x = Ref(array="x")
    layers: list[Layer] = []
    if "target" in result.arrays:
        layers.append(Line(x=x, y=Ref(array="target"), label="target"))
    layers += [
        Line(x=x, y=Ref(array="output", index=(k, None)), label=f"width {widths[k]}")
        for k in _shown(len(widths))
    ]
    places = result.arrays["x"].values
    low, high = float(places[0]), float(places[-1])
    edges = (low + 0.25 * (high - low), high - 0.25 * (high - low))
    layers += [Rule(axis="x", value=edge, label="end of the samples") for edge in edges]
    bounds = (
        [result.arrays["target"].values] if "target" in result.arrays else [result.arrays["output"].values]
    )
    inside = np.concatenate([b.ravel() for b in bounds])
    inside = inside[np.isfinite(inside)]
    axis = Axis(label="y")
    if inside.size and np.ptp(inside) > 0:
        room = 0.75 * float(np.ptp(inside))
        axis = Axis(label="y", low=float(inside.min()) - room, high=float(inside.max()) + room)
    return Figure(
        name="curves",
        title=f"The best network of each width along {column}",
        x=Axis(label=column),
        y=axis,
        layers=tuple(layers),
        caption="Between the rules there are samples; outside them nothing was learnt.",
    )


def _history(widths: list[int]) -> Figure:
    epoch = Ref(array="epoch")
    return Figure(
        name="history",
        title="Loss against epoch, medians over seeds",
        x=Axis(label="epoch"),
        y=Axis(label="loss over the variance of y", scale="log"),
        layers=tuple(
            Line(x=epoch, y=Ref(array="history", index=(k, None)), label=f"width {widths[k]}")
            for k in _shown(len(widths))
        ),
    )
