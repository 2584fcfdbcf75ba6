"""landscape: the losses, their gradients, and every stationary point."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.toy_sgd.params import LandscapeParams
from tui_opt.figure import Axis, Figure, Line, Ref, Rule
from tui_opt.kernels.callables import Field, TermField
from tui_opt.kernels.poles import poles
from tui_opt.kernels.stationary import StationaryPoint, stationary_points
from tui_opt.result import Result
from tui_opt.runner.context import Context

MOST_TERMS_DRAWN = 6
MOST_POLES_NAMED = 5


def compute(params: LandscapeParams, ctx: Context) -> Result:
    """Curves on a grid, and the stationary points of L and of each l_j with their kinds."""
    system = System.from_texts(params.losses)
    w = np.linspace(params.w_min, params.w_max, params.points)
    terms = system.loss_terms(w)
    ctx.check()
    result = Result()
    result.add_array("w", w, ("w",), unit="W")
    result.add_array("loss", system.loss(w), ("w",), unit="L", text="mean loss L")
    result.add_array("loss_terms", terms, ("term", "w"), unit="L", text="loss of each datapoint")
    result.add_array("gradient", system.gradient(w), ("w",), unit="L/W", text="G = L'")
    result.add_array(
        "gradient_variance",
        system.gradient_variance(w),
        ("w",),
        unit="(L/W)²",
        text="S², population variance of g_j",
    )
    not_finite = int(np.count_nonzero(~np.isfinite(terms)))
    if not_finite:
        result.warn(f"{not_finite} of {terms.size} loss values are not finite; the curves have gaps there.")
    _add_stationary_points(result, system, params, ctx)
    _add_figures(result, system.terms)
    return result


def _row(function: TermField, term: int, w: FloatArray) -> FloatArray:
    return np.asarray(function(w)[term])


def _add_stationary_points(result: Result, system: System, params: LandscapeParams, ctx: Context) -> None:
    functions: list[tuple[str, Field, Field, Field]] = [("L", system.loss, system.gradient, system.curvature)]
    for term in range(system.terms):
        loss_term = partial(_row, system.loss_terms, term)
        gradient_term = partial(_row, system.gradients, term)
        functions.append((f"l{term}", loss_term, gradient_term, partial(_row, system.curvatures, term)))
    rows: list[tuple[str, float, str, float, float | None]] = []
    mean: list[StationaryPoint] = []
    for name, loss, gradient, curvature in functions:
        ctx.check()
        points = stationary_points(gradient, curvature, params.w_min, params.w_max, check=ctx.check)
        heights = loss(np.array([point.w for point in points]))
        rows += [
            (
                name,
                point.w,
                point.kind,
                float(height),
                None if math.isnan(point.curvature) else point.curvature,
            )
            for point, height in zip(points, heights, strict=True)
        ]
        _warn_of_poles(result, name, poles(gradient, params.w_min, params.w_max))
        mean = points if name == "L" else mean
    kinks = sum(curvature is None for *_, curvature in rows)
    title = "Stationary points"
    if kinks:
        title += "; where the curvature is missing, the loss has a kink: its derivative jumps through zero"
    result.add_table("stationary_points", ("function", "w", "kind", "loss", "curvature"), rows, title=title)
    if mean:
        places = np.array([point.w for point in mean])
        dims = ("stationary",)
        result.add_array("stationary_w", places, dims, unit="W", text="stationary points of the mean loss")
        result.add_array("stationary_loss", system.loss(places), dims, unit="L", text="mean loss there")
    for kind in ("minimum", "maximum", "inflection"):
        plural = {"minimum": "minima", "maximum": "maxima", "inflection": "inflections"}[kind]
        count = sum(point.kind == kind for point in mean)
        result.add_finding(plural, count, f"{plural} of the mean loss on the interval")
    wells = [(loss, w) for name, w, kind, loss, _ in rows if name == "L" and kind == "minimum"]
    if wells:
        lowest = min(wells)
        text = f"where the mean loss has its lowest minimum on the interval, L = {lowest[0]:.6g}"
        result.add_finding("global_minimum", lowest[1], text, unit="W")
    else:
        result.add_missing("global_minimum", "The mean loss has no minimum on the interval.", unit="W")
    places = np.array([point.w for point in mean if not math.isnan(point.curvature)])
    worst = float(np.max(np.abs(system.gradient(places)))) if places.size else math.nan
    text = "largest |L'| at a stationary point found, kinks aside"
    result.add_finding("worst_gradient", worst, text, unit="L/W", kind="accuracy")


def _warn_of_poles(result: Result, function: str, places: list[float]) -> None:
    if not places:
        return
    shown = ", ".join(f"{place:.6g}" for place in places[:MOST_POLES_NAMED])
    more = f" and {len(places) - MOST_POLES_NAMED} more places" if len(places) > MOST_POLES_NAMED else ""
    result.warn(
        f"The gradient of {function} grows without bound at W = {shown}{more} (a pole or a cusp); "
        "no stationary point is reported there."
    )


def _add_figures(result: Result, terms: int) -> None:
    w = Ref(array="w")
    drawn = range(min(terms, MOST_TERMS_DRAWN))
    lines = [Line(x=w, y=Ref(array="loss"), label="L")]
    lines += [Line(x=w, y=Ref(array="loss_terms", index=(j, None)), label=f"l{j}") for j in drawn]
    rules = tuple(
        Rule(axis="x", value=float(place), label=str(kind))
        for function, place, kind, *_ in result.tables["stationary_points"].rows
        if function == "L" and isinstance(place, float)
    )
    caption = f"{MOST_TERMS_DRAWN} of {terms} datapoints drawn" if terms > MOST_TERMS_DRAWN else ""
    axis = Axis(label="W")
    result.add_figure(
        Figure(
            name="landscape",
            title="Losses and the stationary points of their mean",
            x=axis,
            y=Axis(label="loss", unit="L"),
            layers=(*lines, *rules),
            caption=caption,
        )
    )
    fields = (
        Line(x=w, y=Ref(array="gradient"), label="G"),
        Line(x=w, y=Ref(array="gradient_variance"), label="S²"),
        Rule(axis="y", value=0.0),
    )
    title = "Mean gradient G and gradient variance S²"
    result.add_figure(Figure(name="fields", title=title, x=axis, layers=fields))
