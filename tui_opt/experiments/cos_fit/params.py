"""Parameters that the cos-fit experiments share: the samples, the model, and data of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from tui_opt.experiments.cos_fit.model_text import DRAWN, NAMED, TARGET, read_model, role_problems, roles
from tui_opt.expressions import ExpressionError
from tui_opt.param_values import Table
from tui_opt.params import Numbers, Params, Real, Whole, choice, real, table, whole
from tui_opt.problems import Problem

START = (0.7, 0.02)
DRAWN_SAMPLES = "the samples that are drawn"


def text(default: str, *, group: str, is_path: bool = False, help: str) -> Any:
    """A parameter that is a text, or the place of a file."""
    extra: dict[str, Any] = {"group": group} | ({"is_path": True} if is_path else {})
    return Field(default, description=help, json_schema_extra=extra)


def start(default: tuple[float, ...] = START) -> Any:
    """Where a fit begins."""
    words = "Where the fit begins: a and b, or the parameters of the model in the order they appear in it."
    return real(default, low=-1e12, high=1e12, group="fit", help=words)


class SampleParams(Params):
    """The samples and the model. Experiments derive from it and add what they ask."""

    x_distribution: Literal["normal", "uniform"] = choice(
        "normal", group="samples", help="Law of x1: normal around 0, or uniform from 0 up."
    )
    x_scale: Real = real(
        5.0, above=0, high=1e9, symbol="s", log=True, group="samples",
        help="Standard deviation of x1 if normal; the upper end of [0, s) if uniform.",
    )  # fmt: skip
    x2_distribution: Literal["symmetric", "uniform"] = choice(
        "symmetric", group="samples", help="Law of x2: uniform on [-scale, scale), or on [0, scale)."
    )
    x2_scale: Real = real(1.0, above=0, high=1e9, log=True, group="samples", help="Upper end of x2.")
    samples: Whole = whole(
        10_000, low=1, high=100_000_000, symbol="N", log=True, group="samples", help="Number of samples."
    )
    noise: Real = real(
        0.0, low=0, high=1e9, symbol="σ", group="samples", help="Standard deviation of normal noise added to y."
    )  # fmt: skip
    generator: Literal["streams", "default_rng"] = choice(
        "streams", group="samples",
        help="The seed's own streams, or as a script draws them: x1, x2 and noise from default_rng(seed).",
    )  # fmt: skip
    frequency: Real = real(
        0.583, low=-1e9, high=1e9, symbol="a", group="model", help="The parameter a the samples are made with."
    )  # fmt: skip
    growth: Real = real(
        0.112, low=-1e9, high=1e9, symbol="b", group="model", help="The parameter b the samples are made with."
    )  # fmt: skip
    model: str = text(
        "cos+exp", group="model",
        help=f"One of {', '.join(NAMED)}, or an equation such as y = A*cos(a*x1+p)+exp(b*x2).",
    )  # fmt: skip
    parameters: tuple[str, ...] = Field(
        (), description="Names of the model's parameters; if empty, every name that is no column.",
        json_schema_extra={"group": "model"},
    )  # fmt: skip
    true_values: Numbers = table(
        {}, low=-1e12, high=1e12, least=0, group="model",
        help="Values of an equation's parameters the samples are made with; a and b are frequency and growth.",
    )  # fmt: skip
    data: str = text(
        "", group="data", is_path=True,
        help="CSV file with named columns, relative to the scenario file; if empty, samples are drawn.",
    )  # fmt: skip

    def truth(self) -> dict[str, float]:
        """The values the samples are made with, by name of the parameter; empty for data from a file."""
        if self.data:
            return {}
        given = {"a": self.frequency, "b": self.growth, **dict(self.true_values)}
        model = read_model(self.model)
        return {name: given[name] for name in roles(model, DRAWN, self.parameters).parameters}


def model_fits(params: Any) -> Iterable[Problem]:
    """The model can be read and, where samples are drawn, has a value for each of its parameters."""
    try:
        model = read_model(params.model)
    except ExpressionError as error:
        yield Problem("model", error.explain(), params.model)
        return
    twice = sorted({n for n in params.parameters if params.parameters.count(n) > 1})
    if twice:
        yield Problem("parameters", f"has {twice[0]!r} more than once.", params.parameters)
    if params.data:
        return  # the file's columns are known when it is read
    if model.target != TARGET:
        message = f"the column that is drawn is called {TARGET}, not {model.target}."
        yield Problem("model", message, params.model, "For data of your own give `data`.")
    problems = list(role_problems(model, DRAWN, params.parameters, DRAWN_SAMPLES))
    yield from problems
    if problems:
        return
    fitted = roles(model, DRAWN, params.parameters).parameters
    given = dict(Table(params.true_values))
    for name in given:
        if name not in fitted:
            yield Problem(f"true_values.{name}", f"is no parameter of the model {model.right}.", given[name])
    missing = [name for name in fitted if name not in given and name not in ("a", "b")]
    if missing:
        wanted = ", ".join(f"{name} = …" for name in missing)
        yield Problem("true_values", f"samples cannot be drawn without values: give {wanted}.", tuple(given))


SampleParams.rules = (model_fits,)
