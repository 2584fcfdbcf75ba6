"""The charts of fit: the path on the surface of the loss, the loss against epoch, the parameters against update."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tui_opt.experiments.cos_fit.fit_params import FitParams
from tui_opt.experiments.cos_fit.samples import FloatArray, Samples
from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Path, Ref, Rule, Scatter
from tui_opt.kernels.fitting.minibatch import Fit, NamedFit, TapeFit, losses_and_gradients
from tui_opt.result import Result
from tui_opt.runner.context import Context

MOST_ROWS = 1500
"""Samples the map of the loss is computed on."""
MOST_DRAWN = 2000
MARGIN = 0.25
FARTHEST = 4.0
"""A path is shown up to so many distances from start to minimum beyond them."""
MOST_SERIES = 6
CURVE_POINTS = 801


def add_figures(
    result: Result, samples: Samples, fit: Fit, target: FloatArray, params: FitParams, ctx: Context
) -> None:
    """Add the charts that can be drawn so far, and the arrays only they need."""
    names = samples.model.parameters
    if len(names) > 1:
        result.add_figure(_surface(result, names, fit, target, params, ctx))
    else:
        result.add_figure(_curve(result, names[0], fit, target))
    result.add_figure(_losses(result, params))
    result.add_figure(_parameters(result, names, target))


def _window(path: FloatArray, target: FloatArray) -> tuple[float, float]:
    """The range of one parameter that is shown: start, minimum, and the path as far as it stays near them."""
    start = float(path[0])
    anchors = [start, float(target)] if np.isfinite(target) else [start]
    size = max(anchors) - min(anchors) or max(0.1, 0.5 * abs(start))
    inside = path[
        np.isfinite(path) & (path > min(anchors) - FARTHEST * size) & (path < max(anchors) + FARTHEST * size)
    ]
    low, high = (
        min(*anchors, float(inside.min(initial=start))),
        max(*anchors, float(inside.max(initial=start))),
    )
    room = MARGIN * (high - low) or 0.1
    return low - room, high + room


def _thinned(fit: Fit) -> Fit:
    """The fit to some of the samples, evenly picked."""
    if fit.y.size <= MOST_ROWS:
        return fit
    rows = np.linspace(0, fit.y.size - 1, MOST_ROWS).astype(np.int64)
    if isinstance(fit, NamedFit):
        return NamedFit(fit.parts, tuple(fit.inputs[k, rows] for k in range(fit.parameters)), fit.y[rows])
    return TapeFit(fit.loaded, fit.inputs[:, rows], fit.y[rows])


def _surface(
    result: Result, names: tuple[str, ...], fit: Fit, target: FloatArray, params: FitParams, ctx: Context
) -> Figure:
    """The loss over the first two parameters, the others as the path ends."""
    path = result.arrays["parameters"].values
    first = np.linspace(*_window(path[:, 0], target[0]), params.surface)
    second = np.linspace(*_window(path[:, 1], target[1]), params.surface)
    finite = path[np.isfinite(path).all(axis=1)]
    rest = finite[-1] if finite.size else np.nan_to_num(target)
    few = _thinned(fit)
    loss = np.empty((second.size, first.size))
    places = np.tile(rest, (first.size, 1))
    places[:, 0] = first
    for row, value in enumerate(second):
        ctx.check()
        places[:, 1] = value
        loss[row] = losses_and_gradients(few, places)[0]
    loss = np.where(np.isfinite(loss), loss, np.nan)
    x, y = f"surface_{names[0]}", f"surface_{names[1]}"
    result.add_array(x, first, (x,), text=f"{names[0]} of the map")
    result.add_array(y, second, (y,), text=f"{names[1]} of the map")
    held = "" if len(names) == 2 else "; the other parameters as the path ends"
    text = f"mean squared error of {few.y.size} samples{held}"
    result.add_array("surface_loss", loss, (y, x), text=text)
    drawn = _drawn(path[:, :2], first, second)
    result.add_array("surface_path", drawn, ("drawn", "name"), text="the path as drawn on the map")
    low, high, scale = _colours(loss)
    layers: list[Layer] = [
        Heatmap(
            x=Ref(array=x), y=Ref(array=y), z=Ref(array="surface_loss"), label="loss",
            scale=scale, low=low, high=high,
        ),
        Path(x=Ref(array="surface_path", index=(None, 0)), y=Ref(array="surface_path", index=(None, 1)), label="path"),
        Scatter(x=(float(path[0, 0]),), y=(float(path[0, 1]),), label="start"),
    ]  # fmt: skip
    if np.isfinite(target[:2]).all():
        layers.append(Scatter(x=(float(target[0]),), y=(float(target[1]),), label="minimum"))
    return Figure(
        name="surface",
        title=f"{_method(params)} on the loss of {names[0]} and {names[1]}",
        x=Axis(label=names[0]),
        y=Axis(label=names[1]),
        layers=tuple(layers),
    )


def _colours(loss: FloatArray) -> tuple[float | None, float | None, Literal["linear", "log"]]:
    """The ends of the colours and their scale: a grid point that happens to hit the minimum must not take them all."""
    positive = loss[np.isfinite(loss) & (loss > 0)]
    if positive.size < 2 or positive.size < np.isfinite(loss).sum() - 1:
        return None, None, "linear"
    low, high = (float(v) for v in np.quantile(positive, (0.01, 0.99)))
    return (low, high, "log") if low < high else (None, None, "log")


def _drawn(path: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """The path, thinned, up to where it leaves the map."""
    inside = (
        (path[:, 0] >= first[0])
        & (path[:, 0] <= first[-1])
        & (path[:, 1] >= second[0])
        & (path[:, 1] <= second[-1])
    )
    kept = path[: int(np.argmin(inside))] if not inside.all() else path
    if len(kept) > MOST_DRAWN:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, MOST_DRAWN).astype(np.int64))]
    return np.ascontiguousarray(kept)


def _curve(result: Result, name: str, fit: Fit, target: FloatArray) -> Figure:
    """The loss against the only parameter, with the path on it."""
    path = result.arrays["parameters"].values[:, 0]
    places = np.linspace(*_window(path, target[0]), CURVE_POINTS)
    few = _thinned(fit)
    loss = losses_and_gradients(few, places[:, None])[0]
    result.add_array(f"surface_{name}", places, (f"surface_{name}",), text=f"{name} of the curve")
    text = f"mean squared error of {few.y.size} samples"
    result.add_array(
        "surface_loss", np.where(np.isfinite(loss), loss, np.nan), (f"surface_{name}",), text=text
    )
    kept = path[(path >= places[0]) & (path <= places[-1])]
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_DRAWN)).astype(np.int64))]
    heights = losses_and_gradients(few, kept[:, None])[0]
    result.add_array(
        "surface_path", np.column_stack([kept, heights]), ("drawn", "name"), text="the path as drawn"
    )
    x, y = Ref(array="surface_path", index=(None, 0)), Ref(array="surface_path", index=(None, 1))
    layers: list[Layer] = [
        Line(x=Ref(array=f"surface_{name}"), y=Ref(array="surface_loss"), label="loss"),
        Path(x=x, y=y, label="path"),
        Scatter(x=(float(kept[0]),), y=(float(heights[0]),), label="start"),
    ]
    if np.isfinite(target[0]):
        layers.append(Rule(axis="x", value=float(target[0]), label="minimum"))
    return Figure(
        name="surface",
        title=f"The path on the loss of {name}",
        x=Axis(label=name),
        y=Axis(label="mean squared error"),
        layers=tuple(layers),
    )


def _losses(result: Result, params: FitParams) -> Figure:
    stochastic = params.optimizer not in ("lbfgs", "least-squares")
    positive = bool(np.nanmax(result.arrays["epoch_loss"].values, initial=0.0) > 0)
    return Figure(
        name="loss",
        title=f"Loss against {'epoch' if stochastic else 'iteration'}, {_method(params)}",
        x=Axis(label="epoch" if stochastic else "iteration"),
        y=Axis(label="mean squared error", scale="log" if positive else "linear"),
        layers=(
            Line(
                x=Ref(array="epoch"),
                y=Ref(array="epoch_loss"),
                label="last batch" if stochastic else "all samples",
            ),
        ),
    )


def _parameters(result: Result, names: tuple[str, ...], target: FloatArray) -> Figure:
    layers: list[Layer] = []
    for k, name in enumerate(names[:MOST_SERIES]):
        layers.append(Line(x=Ref(array="step"), y=Ref(array="parameters", index=(None, k)), label=name))
        if np.isfinite(target[k]):
            layers.append(Rule(axis="y", value=float(target[k]), label=f"{name} at the minimum"))
    return Figure(
        name="parameters",
        title="Parameters against update",
        x=Axis(label="update"),
        y=Axis(label="parameters"),
        layers=tuple(layers),
        caption=f"{MOST_SERIES} of {len(names)} parameters drawn" if len(names) > MOST_SERIES else "",
    )


def _method(params: FitParams) -> str:
    names = {"lbfgs": "L-BFGS-B", "least-squares": "Levenberg-Marquardt"}
    if params.optimizer in names:
        return names[params.optimizer]
    words = {"sgd": "SGD", "momentum": "momentum", "adam": "Adam"}[params.optimizer]
    return f"{words} {params.learning_rate:g}"
