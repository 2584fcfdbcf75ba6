"""Parameters of loss-curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tui_opt.experiments.cos_fit.model_text import DRAWN, read_model, roles
from tui_opt.experiments.cos_fit.params import SampleParams, model_fits, text
from tui_opt.expressions import ExpressionError
from tui_opt.params import Numbers, Real, Whole, real, table, whole
from tui_opt.problems import Problem, near_match


def _ordered(params: Any) -> Iterable[Problem]:
    if params.alpha_min >= params.alpha_max:
        yield Problem("alpha_min", f"must be below alpha_max = {params.alpha_max:g}.", params.alpha_min)


def parameter_names(params: Any) -> tuple[str, ...]:
    """The model's parameters, all its names for data from a file, none where the model cannot be read."""
    try:
        model = read_model(params.model)
    except ExpressionError:
        return ()  # said by another rule
    # What is a column of a file is known when it is read.
    return model.names if params.data else roles(model, DRAWN, params.parameters).parameters


def known_parameter(params: Any) -> Iterable[Problem]:
    """The parameter that is varied is one of the model's."""
    names = parameter_names(params)
    if params.parameter and names and params.parameter not in names:
        said = f"{params.parameter!r} is no parameter of the model {params.model}; it has {', '.join(names)}."
        yield Problem("parameter", said, params.parameter, near_match(params.parameter, names))


def _held_are_known(params: Any) -> Iterable[Problem]:
    names = parameter_names(params)
    for name, value in params.held:
        if names and name not in names:
            said = f"is no parameter of the model {params.model}; it has {', '.join(names)}."
            yield Problem(f"held.{name}", said, value, near_match(name, names))


class LossCurveParams(SampleParams):
    """Mean squared error against one parameter."""

    alpha_min: Real = real(
        0.0, low=-1e9, high=1e9, symbol="α", group="curve", help="Least trial value of the parameter."
    )
    alpha_max: Real = real(
        2.0, low=-1e9, high=1e9, group="curve", help="Largest trial value of the parameter."
    )
    points: Whole = whole(
        2001, low=2, high=1_000_000, log=True, group="curve", help="Trial values, evenly spaced."
    )
    parameter: str = text(
        "", group="curve", help="Name of the parameter that is varied; if empty, the model's first."
    )
    held: Numbers = table(
        {}, low=-1e12, high=1e12, least=0, group="curve",
        help="Values of the other parameters; what is left out is as the samples were made.",
    )  # fmt: skip
    start: Real = real(
        0.7, low=-1e9, high=1e9, group="curve", help="Where a descent would begin: is it in the basin?"
    )
    draws: Whole = whole(
        20, low=1, high=100_000, log=True, group="curve",
        help="Samples that are drawn anew, each with a basin of its own; the first is the one whose curve is shown.",
    )  # fmt: skip

    rules: ClassVar = (model_fits, _ordered, known_parameter, _held_are_known)
