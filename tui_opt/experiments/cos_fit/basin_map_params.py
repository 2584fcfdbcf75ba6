"""Parameters of basin-map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.cos_fit.fit_params import batch, epochs, start_fits, tolerance
from tui_opt.experiments.cos_fit.loss_curve_params import known_parameter
from tui_opt.experiments.cos_fit.params import SampleParams, model_fits, start, text
from tui_opt.params import Real, Whole, choice, real, whole
from tui_opt.problems import Problem

Method = Literal["gd", "sgd", "momentum", "adam", "lbfgs", "least-squares", "annealing", "scan"]


def _rate(default: float | str, what: str) -> Any:
    return real(default, above=0, high=1e6, log=True, group="fit", help=f"Step size of {what}.")


def _ordered(params: Any) -> Iterable[Problem]:
    if params.start_min >= params.start_max:
        yield Problem("start_min", f"must be below start_max = {params.start_max:g}.", params.start_min)
    twice = sorted({m for m in params.optimizers if params.optimizers.count(m) > 1})
    if twice:
        yield Problem("optimizers", f"has {twice[0]!r} more than once.", params.optimizers)


class BasinMapParams(SampleParams):
    """Where each start ends, by each optimizer."""

    optimizers: tuple[Method, ...] = choice(
        ("sgd", "momentum", "adam", "lbfgs", "least-squares", "annealing", "scan"), least=1, group="fit",
        help="gd takes all samples at every step; annealing and scan are those of solve and need no start.",
    )  # fmt: skip
    starts: Whole = whole(
        50,
        low=1,
        high=100_000,
        log=True,
        group="map",
        help="Starts, in the middles of equal parts of the range.",
    )
    start_min: Real = real(0.0, low=-1e9, high=1e9, group="map", help="Left end of the range of starts.")
    start_max: Real = real(2.0, low=-1e9, high=1e9, group="map", help="Its right end.")
    parameter: str = text(
        "", group="map", help="Name of the parameter whose start varies; if empty, the model's first."
    )
    start: tuple[Real, ...] = start()
    tolerance: Real = tolerance()
    seeds: Whole = whole(
        4, low=1, high=10_000, log=True, group="map",
        help="Samples that are drawn anew; success rates are means over them, the map is of the first.",
    )  # fmt: skip
    batch: Whole = batch()
    epochs: Whole = epochs(30)
    gd_steps: Whole = whole(3000, low=1, high=10_000_000, log=True, group="fit", help="Steps of gd.")
    gd_learning_rate: Real | Literal["auto"] = _rate(
        "auto", "gd; `auto` is 0.2 over the mean of x², a tenth of the largest that settles"
    )
    sgd_learning_rate: Real = _rate(1e-4, "sgd")
    momentum_learning_rate: Real = _rate(1e-3, "momentum")
    momentum: Real = real(0.9, low=0, below=1, group="fit", help="Factor on the last step of momentum.")
    adam_learning_rate: Real = _rate(1e-2, "adam")
    iterations: Whole = whole(
        1000, low=1, high=1_000_000, log=True, group="fit", help="Most iterations of lbfgs and least-squares."
    )

    rules: ClassVar = (model_fits, start_fits, known_parameter, _ordered)
