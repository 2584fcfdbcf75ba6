"""landscape: the losses, their gradients, and every stationary point."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from tui_opt.experiments.toy_sgd.params import LandscapeParams
from tui_opt.experiments.toy_sgd.system import FloatArray, System
from tui_opt.figure import Axis, Figure, Line, Ref, Rule
from tui_opt.kernels.stationary import StationaryPoint
from tui_opt.result import Result
from tui_opt.runner.context import Context

MOST_TERMS_DRAWN = 6


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


def _loss_of(system: System, term: int, w: FloatArray) -> FloatArray:
    return np.asarray(system.loss_terms(w)[term])


def _add_stationary_points(result: Result, system: System, params: LandscapeParams, ctx: Context) -> None:
    mean = system.stationary(params.w_min, params.w_max)
    functions: list[tuple[str, list[StationaryPoint], Callable[[FloatArray], FloatArray]]] = [
        ("L", mean, system.loss)
    ]
    for term in range(system.terms):
        ctx.check()
        points = system.stationary_of(term, params.w_min, params.w_max)
        functions.append((f"l{term}", points, partial(_loss_of, system, term)))
    rows = [
        (name, point.w, point.kind, float(loss(np.array([point.w]))[0]), point.curvature)
        for name, points, loss in functions
        for point in points
    ]
    result.add_table("stationary_points", ("function", "w", "kind", "loss", "curvature"), rows)
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
    places = np.array([point.w for point in mean])
    worst = float(np.max(np.abs(system.gradient(places)))) if places.size else math.nan
    result.add_finding(
        "worst_gradient", worst, "largest |L'| at a stationary point found", unit="L/W", kind="accuracy"
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
