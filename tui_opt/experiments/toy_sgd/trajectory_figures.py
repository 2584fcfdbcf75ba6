"""The charts of trajectory: iterates against step, on the landscape, and as a cobweb of the map."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.toy_sgd.params import TrajectoryParams
from tui_opt.figure import Axis, Band, Figure, Layer, Line, Path, Ref, Scatter
from tui_opt.kernels.descent import cobweb
from tui_opt.result import Result
from tui_opt.runner.context import Context

MOST_SERIES = 8
CURVE_POINTS = 801
MOST_DRAWN_STEPS = 2000
VALUES_IN_A_SLICE = 200_000


def add_figures(result: Result, system: System, params: TrajectoryParams, ctx: Context) -> None:
    """Add the three charts, and the arrays only they need."""
    w = result.arrays["w"].values
    low, high = _range(w)
    curve = np.linspace(low, high, CURVE_POINTS)
    result.add_array("curve_w", curve, ("curve_w",), unit="W")
    result.add_array("curve_loss", system.loss(curve), ("curve_w",), unit="L", text="mean loss")
    result.add_figure(_against_step(result, params, ctx))
    result.add_figure(_on_landscape(params))
    if params.method != "sgd":
        _add_cobweb(result, system, params, curve)


def _range(w: FloatArray) -> tuple[float, float]:
    finite = w[np.isfinite(w)]
    low, high = float(finite.min()), float(finite.max())
    room = 0.15 * (high - low) or 1.0
    return max(low - room, -1e6), min(high + room, 1e6)


def _pick(params: TrajectoryParams, start: int, replica: int | None = 0) -> Ref:
    stochastic = params.method == "sgd"
    return Ref(array="w", index=(start, None, replica) if stochastic else (start, None))


def _against_step(result: Result, params: TrajectoryParams, ctx: Context) -> Figure:
    step = Ref(array="step")
    layers: list[Layer] = []
    if params.method == "sgd" and len(params.start) == 1 and params.replicas > 1:
        _add_quantiles(result, ctx)
        layers.append(
            Band(
                x=step,
                low=Ref(array="w_quantiles", index=(0, 0, None)),
                high=Ref(array="w_quantiles", index=(0, 2, None)),
                label="10 to 90 % of replicas",
            )
        )
        layers.append(Line(x=step, y=Ref(array="w_quantiles", index=(0, 1, None)), label="median"))
        replicas = range(min(params.replicas, 3))
        layers += [Line(x=step, y=_pick(params, 0, r), label=f"replica {r}") for r in replicas]
    else:
        for s, start in enumerate(params.start[:MOST_SERIES]):
            layers.append(Line(x=step, y=_pick(params, s), label=f"from {start:g}"))
    return Figure(
        name="iterates",
        title=f"Iterates, {_method(params)}",
        x=Axis(label="step"),
        y=Axis(label="W"),
        layers=tuple(layers),
        caption=f"{MOST_SERIES} of {len(params.start)} starts drawn"
        if len(params.start) > MOST_SERIES
        else "",
    )


def _add_quantiles(result: Result, ctx: Context) -> None:
    w = result.arrays["w"].values
    starts, steps, replicas = w.shape
    quantiles = np.empty((starts, 3, steps))
    slice_steps = max(1, VALUES_IN_A_SLICE // (starts * replicas))
    for begin in range(0, steps, slice_steps):
        ctx.check()
        part = w[:, begin : begin + slice_steps]
        found = np.nanquantile(np.where(np.isfinite(part), part, np.nan), (0.1, 0.5, 0.9), axis=2)
        quantiles[:, :, begin : begin + slice_steps] = np.moveaxis(found, 0, 1)
    result.add_array(
        "w_quantiles", quantiles, ("start", "quantile", "step"), unit="W", text="10, 50, 90 % of replicas"
    )


def _method(params: TrajectoryParams) -> str:
    if params.method == "newton":
        return f"Newton's method, k = {params.temperature:g}"
    return f"{'SGD' if params.method == 'sgd' else 'gradient descent'}, T = {params.temperature:g}"


def _on_landscape(params: TrajectoryParams) -> Figure:
    layers: list[Layer] = [Line(x=Ref(array="curve_w"), y=Ref(array="curve_loss"), label="L")]
    for s, start in enumerate(params.start[: MOST_SERIES - 1]):
        index = (s, None, 0) if params.method == "sgd" else (s, None)
        place, height = Ref(array="w", index=index), Ref(array="loss", index=index)
        layers.append(Path(x=place, y=height))
        layers.append(Scatter(x=place, y=height, label=f"from {start:g}"))
    return Figure(
        name="landscape",
        title=f"Iterates on the mean loss, {_method(params)}",
        x=Axis(label="W"),
        y=Axis(label="mean loss", unit="L"),
        layers=tuple(layers),
    )


def _add_cobweb(result: Result, system: System, params: TrajectoryParams, curve: FloatArray) -> None:
    with np.errstate(all="ignore"):
        slope = system.gradient(curve)
        step = slope / system.curvature(curve) if params.method == "newton" else slope
        image = curve - params.temperature * step
    image = np.where((image > curve[0]) & (image < curve[-1]), image, np.nan)
    result.add_array("map", image, ("curve_w",), unit="W", text="W after one step")
    path = result.arrays["w"].values[0, : MOST_DRAWN_STEPS + 1]
    path = path[: int(np.argmin(np.isfinite(path)))] if not np.isfinite(path).all() else path
    if path.size < 2:
        return
    x, y = cobweb(path)
    result.add_array("cobweb_x", x, ("corner",), unit="W")
    result.add_array("cobweb_y", y, ("corner",), unit="W")
    here = Ref(array="curve_w")
    figure = Figure(
        name="cobweb",
        title=f"Cobweb of the map from W = {params.start[0]:g}, {_method(params)}",
        x=Axis(label="W before"),
        y=Axis(label="W after"),
        layers=(
            Line(x=here, y=Ref(array="map"), label="map"),
            Line(x=here, y=here, label="W after = W before"),
            Path(x=Ref(array="cobweb_x"), y=Ref(array="cobweb_y"), label="iterates"),
        ),
    )
    result.add_figure(figure)
