"""The charts of lorenz: time series, phase portraits, Op with its sign, maps and running averages."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.lorenz.params import AXES
from tui_opt.figure import Axis, Band, Figure, Heatmap, Histogram, Layer, Line, Path, Ref, Rule
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result

BRIGHTEST = 0.98
"""Share of |Op| that the colours of a map tell apart; single starts have an Op without bound."""


def _time() -> Axis:
    return Axis(label="t")


def time_series(state: FloatArray) -> Figure:
    """a, b and c over time."""
    layers = tuple(
        Line(x=Ref(array="t"), y=Ref(array="state", index=(None, k)), label=axis)
        for k, axis in enumerate(AXES)
    )
    return Figure(
        name="series", title="a, b and c over time", x=_time(), y=Axis(label="a, b, c"), layers=layers
    )


def portraits() -> list[Figure]:
    """The orbit in the three planes of two axes; drawn as a density where it is long."""
    figures = []
    for i, j in ((0, 2), (0, 1), (1, 2)):
        path = Path(x=Ref(array="state", index=(None, i)), y=Ref(array="state", index=(None, j)))
        figures.append(
            Figure(
                name=f"portrait-{AXES[i]}{AXES[j]}",
                title=f"Phase portrait, {AXES[j]} against {AXES[i]}",
                x=Axis(label=AXES[i]),
                y=Axis(label=AXES[j]),
                layers=(path,),
            )
        )
    return figures


def op_over_time(
    result: Result, measured: tuple[str, ...], until: float | None, deltas: tuple[float, ...]
) -> None:
    """Op of each axis, in one colour where Comp is positive and another where it is negative."""
    t = Ref(array="t")
    for k, axis in enumerate(measured):
        op, sign = result.arrays["op"].values[k], result.arrays["sign"].values[k]
        for name, side in (("positive", sign >= 0), ("negative", sign < 0)):
            text = f"Op of {axis} where Comp is {name}"
            result.add_array(f"op_{name}_{axis}", np.where(side, op, np.nan), ("t",), unit="nats", text=text)
        layers: list[Layer] = [
            Line(x=t, y=Ref(array="op_finite_difference", index=(d, k, None)), label=f"δ = {delta:g}")
            for d, delta in enumerate(deltas)
            if "op_finite_difference" in result.arrays
        ]
        layers += [
            Line(x=t, y=Ref(array=f"op_positive_{axis}"), label="Comp > 0"),
            Line(x=t, y=Ref(array=f"op_negative_{axis}"), label="Comp < 0"),
        ]
        layers += _window(until)
        result.add_figure(
            Figure(
                name=f"op-{axis}",
                title=f"Op of {axis} over time",
                x=_time(),
                y=Axis(label="Op", unit="nats"),
                layers=(*layers, Rule(axis="y", value=0.0)),
                caption="positive where A, free to react, makes a change of the start smaller",
            )
        )


def growth_over_time(measured: tuple[str, ...], until: float | None) -> list[Figure]:
    """ln|X-W| and ln|Y-W| of each axis."""
    figures = []
    for k, axis in enumerate(measured):
        layers: list[Layer] = [
            Line(x=Ref(array="t"), y=Ref(array="log_x", index=(k, None)), label="ln|X-W|, A free"),
            Line(x=Ref(array="t"), y=Ref(array="log_y", index=(k, None)), label="ln|Y-W|, A held"),
            *_window(until),
        ]
        figures.append(
            Figure(
                name=f"growth-{axis}",
                title=f"How a small change grows in {axis}",
                x=_time(),
                y=Axis(label="ln of the change of each unit", unit="nats"),
                layers=tuple(layers),
            )
        )
    return figures


def difference_figures(measured: tuple[str, ...], deltas: tuple[float, ...]) -> list[Figure]:
    """X-W and Y-W as they are, for the first perturbation."""
    figures = []
    for k, axis in enumerate(measured if deltas else ()):
        layers = tuple(
            Line(x=Ref(array="t"), y=Ref(array=f"{name}_difference", index=(0, k, None)), label=f"{name}-w")
            for name in "xy"
        )
        figures.append(
            Figure(
                name=f"differences-{axis}",
                title=f"Differences to W in {axis}, δ = {deltas[0]:g}",
                x=_time(),
                y=Axis(label=f"{axis}, differences"),
                layers=layers,
            )
        )
    return figures


def _window(until: float | None) -> list[Layer]:
    return [] if until is None else [Rule(axis="x", value=until, label="A is freed")]


def map_figures(result: Result, axis_x: str, axis_y: str, measured: str, time: float) -> None:
    """Op and its sign over the starts, and how often each value of Op occurs."""
    op = result.arrays["op"].values
    finite = np.abs(op[np.isfinite(op)])
    top = float(np.quantile(finite, BRIGHTEST)) if finite.size else 1.0
    top = top if top > 0 else 1.0
    x, y = Axis(label=f"{axis_x} at t = 0"), Axis(label=f"{axis_y} at t = 0")
    heat = Heatmap(
        x=Ref(array="x"), y=Ref(array="y"), z=Ref(array="op"), label="Op", unit="nats", diverging=True, low=-top,
        high=top,
    )  # fmt: skip
    result.add_figure(
        Figure(name="op", title=f"Op of {measured} at t = {time:g} over the starts", x=x, y=y, layers=(heat,))
    )
    signs = Heatmap(
        x=Ref(array="x"), y=Ref(array="y"), z=Ref(array="sign"), label="sign of Comp", diverging=True, low=-1.0,
        high=1.0,
    )  # fmt: skip
    result.add_figure(
        Figure(name="sign", title=f"Sign of Comp of {measured} at t = {time:g}", x=x, y=y, layers=(signs,))
    )


def rate_figures(exact: float | None, has_course: bool) -> list[Figure]:
    """Running averages of the rates, and Op / t of one trajectory beside what they predict."""
    t = Ref(array="t")
    layers: list[Layer] = [
        Line(x=t, y=Ref(array="free_rate_mean"), label="X-W, A free"),
        Line(x=t, y=Ref(array="held_rate_mean"), label="Y-W, A held"),
    ]
    if exact is not None:
        layers.append(Rule(axis="y", value=exact, label="exact, A held"))
    first = Figure(
        name="rates",
        title="Rates of growth, averaged so far",
        x=_time(),
        y=Axis(label="rate", unit="1/t"),
        layers=tuple(layers),
    )
    band: list[Layer] = [
        Band(x=t, low=Ref(array="op_rate_low"), high=Ref(array="op_rate_high"), label="± standard error"),
        Line(x=t, y=Ref(array="op_rate_mean"), label="predicted Op / t"),
    ]
    if has_course:
        band.append(Line(x=t, y=Ref(array="op_over_t"), label="Op / t of one trajectory"))
    second = Figure(
        name="op-rate", title="Op / t and its prediction", x=_time(), y=Axis(label="Op / t", unit="1/t"),
        layers=tuple(band),
    )  # fmt: skip
    return [first, second]


def add_histogram(result: Result, measured: str) -> None:
    """How often each value of Op occurs on the map."""
    op = result.arrays["op"].values
    finite = op[np.isfinite(op)]
    if finite.size == 0 or not float(np.ptp(finite)) > 0.0:
        return
    counts, edges = np.histogram(finite, bins=min(100, max(10, round(finite.size**0.4))))
    result.add_array("edge", edges, ("edge",), unit="nats", text="edges of the histogram")
    result.add_array("count", counts.astype(np.float64), ("bin",), text="starts with an Op between the edges")
    layer = Histogram(edges=Ref(array="edge"), counts=Ref(array="count"))
    result.add_figure(
        Figure(
            name="histogram",
            title=f"How often Op of {measured} has a value",
            x=Axis(label="Op", unit="nats"),
            y=Axis(label="starts"),
            layers=(layer, Rule(axis="x", value=0.0)),
        )
    )
