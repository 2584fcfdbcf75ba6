"""fields: the mean gradient G, the gradient variance S², their zeros, and where SGD is at rest."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.probability_current.params import FieldsParams
from tui_opt.experiments.probability_current.setting import Setting, add_validity, system_of
from tui_opt.figure import Axis, Figure, Line, Ref, Rule
from tui_opt.kernels.agreement import agreements, variance_peak
from tui_opt.kernels.stationary import StationaryPoint, stationary_points
from tui_opt.kernels.subset_variance import average_over_subsets, variance_of_first
from tui_opt.result import Cell, Result
from tui_opt.runner.context import Context

NO_NOISE = 1e-24
"""S² below this fraction of its largest value is no noise that any run could show."""
MOST_RULES = 8
LEAST_DATAPOINTS = 4
"""Datapoints from which on half of them have a variance to compare with."""
GROWTH_POINTS = 2000
"""Places over which the growth with the number of datapoints is averaged."""


def compute(params: FieldsParams, ctx: Context) -> Result:
    """Curves on a grid; the zeros of G with their stability, and of S²; the places where both vanish."""
    system = system_of(params.losses, params.gradients)
    w = np.linspace(params.w_min, params.w_max, params.cells)
    variance = system.gradient_variance(w)
    ctx.check()
    result = Result()
    result.add_array("w", w, ("w",), unit="W")
    result.add_array("G", system.gradient(w), ("w",), unit="L/W", text="mean gradient")
    result.add_array(
        "S2", variance, ("w",), unit="(L/W)²", text="gradient variance, divided by the number of datapoints"
    )
    result.add_array("S", np.sqrt(variance), ("w",), unit="L/W", text="its square root")
    missing = int(np.count_nonzero(~np.isfinite(variance)))
    if missing:
        result.warn(f"S² is not finite at {missing} of {w.size} points; the curves have gaps there.")
    zeros = stationary_points(system.gradient, system.curvature, params.w_min, params.w_max, check=ctx.check)
    silent = agreements(system.gradients, system.curvatures, params.w_min, params.w_max, ctx.check)
    _add_zeros(result, system, zeros, silent)
    _add_peak(result, system, zeros)
    add_validity(result, Setting(system, params.temperature).validity(w), ())
    _add_figures(result, zeros, silent)
    _add_growth(result, system, w)
    return result


def _add_zeros(result: Result, system: System, zeros: list[StationaryPoint], silent: list[float]) -> None:
    """A table of the zeros with both fields there, and the same as arrays for expectations."""
    rows: list[tuple[Cell, ...]] = []
    places = [(("G", z.w), z.kind == "minimum") for z in zeros] + [(("S2", w), None) for w in silent]
    for (field, w), stable in places:
        at = np.array([w])
        rows.append((field, w, stable, float(system.gradient(at)[0]), float(system.gradient_variance(at)[0])))
    title = "Zeros of the fields; stable: descent of the mean loss returns there"
    result.add_table("zeros", ("field", "w", "stable", "G", "S2"), rows, title=title)
    for name, field in (("zero_gradient_w", "G"), ("zero_variance_w", "S2")):
        values = np.array([row[1] for row in rows if row[0] == field], dtype=np.float64)
        result.add_array(name, values, (name,), unit="W", text=f"zeros of {field}")
    returning = sum(z.kind == "minimum" for z in zeros)
    result.add_finding("stable_zeros", returning, "zeros of G that descent of the mean loss returns to")
    result.add_finding("unstable_zeros", len(zeros) - returning, "the other zeros of G")
    result.add_finding("variance_zeros", len(silent), "places where all datapoints have the same gradient")


def _add_peak(result: Result, system: System, zeros: list[StationaryPoint]) -> None:
    """The largest variance, and the stable zeros of G where there is none to speak of: there SGD is at rest."""
    peak = variance_peak(system.gradients, result.arrays["w"].values)
    result.add_finding("S2_max", peak.variance, "largest S² on the interval", unit="(L/W)²")
    result.add_finding("S2_max_w", peak.w, "where S² is largest", unit="W")
    wells = np.array([z.w for z in zeros if z.kind == "minimum"])
    noise = system.gradient_variance(wells) if wells.size else np.empty(0)
    resting = wells[noise <= NO_NOISE * peak.variance] if peak.variance > 0 else wells
    result.add_finding(
        "rest_points",
        resting.size,
        "stable zeros of G where S² vanishes to rounding, so that SGD stays there",
    )
    if resting.size:
        text = "such a place" + (f"; the leftmost of {resting.size}" if resting.size > 1 else "")
        result.add_finding("rest_w", float(resting[0]), text, unit="W")
    restless = noise[noise > NO_NOISE * peak.variance] if peak.variance > 0 else np.empty(0)
    if restless.size:
        text = "largest S² at a stable zero of G: descent rests there, SGD does not"
        result.add_finding("S2_at_restless", float(restless.max()), text, unit="(L/W)²")


def _add_growth(result: Result, system: System, w: FloatArray) -> None:
    """Whether S² grows with the number of datapoints: mean over the interval for the first n of them.

    Subsets of n of the N datapoints drawn at random have S² (1 - 1/n) / (1 - 1/N) on average, whatever the
    datapoints are: half of it for two of many, and then hardly any growth.
    """
    count = system.terms
    if count < LEAST_DATAPOINTS:
        return
    variance = variance_of_first(system.gradients, w[:: -(-w.size // GROWTH_POINTS)])
    finite = np.isfinite(variance).all(axis=0)
    if not finite.any() or not variance[-1, finite].any():
        return
    means = variance[:, finite].mean(axis=1)
    n = np.arange(1.0, count + 1)
    expected = average_over_subsets(float(means[-1]), count)
    result.add_array("datapoints", n, ("datapoints",), text="number of datapoints")
    text = "mean of S² over the interval, of the first so many datapoints"
    result.add_array("S2_of_first", means, ("datapoints",), unit="(L/W)²", text=text)
    text = "the same on average over subsets of so many datapoints"
    result.add_array("S2_of_subsets", expected, ("datapoints",), unit="(L/W)²", text=text)
    half = (count + 1) // 2
    with np.errstate(divide="ignore"):
        growth = float(means[-1] / means[half - 1])
    text = (
        f"S² of all {count} datapoints over S² of the first {half}, means over the interval; {half} at random would "
        f"give {expected[-1] / expected[half - 1]:.4g}, and 1 in the limit of many: S does not grow with their number"
    )
    result.add_finding("S2_growth", growth, text)
    n_ref = Ref(array="datapoints")
    layers = (
        Line(x=n_ref, y=Ref(array="S2_of_first"), label="the first n"),
        Line(x=n_ref, y=Ref(array="S2_of_subsets"), label="n of them, on average"),
    )
    result.add_figure(
        Figure(
            name="growth",
            title="Mean gradient variance of n datapoints",
            x=Axis(label="n"),
            y=Axis(label="S²", unit="(L/W)²", low=0.0),
            layers=layers,
        )
    )


def _add_figures(result: Result, zeros: list[StationaryPoint], silent: list[float]) -> None:
    w, axis = Ref(array="w"), Axis(label="W")
    rules = tuple(
        Rule(axis="x", value=z.w, label="stable" if z.kind == "minimum" else "unstable")
        for z in zeros[:MOST_RULES]
    )
    result.add_figure(
        Figure(
            name="fields",
            title="Mean gradient G and gradient deviation S",
            x=axis,
            y=Axis(label="G, S", unit="L/W"),
            layers=(
                Line(x=w, y=Ref(array="G"), label="G"),
                Line(x=w, y=Ref(array="S"), label="S"),
                Rule(axis="y", value=0.0),
                *rules,
            ),
        )
    )
    agreeing = tuple(Rule(axis="x", value=place, label="S² = 0") for place in silent[:MOST_RULES])
    result.add_figure(
        Figure(
            name="variance",
            title="Gradient variance S²",
            x=axis,
            y=Axis(label="S²", unit="(L/W)²"),
            layers=(Line(x=w, y=Ref(array="S2"), label="S²"), *agreeing),
        )
    )
