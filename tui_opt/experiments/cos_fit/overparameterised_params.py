"""Parameters of overparameterised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.cos_fit.fit_params import batch, epochs, start_fits
from tui_opt.experiments.cos_fit.params import SampleParams, model_fits, start
from tui_opt.params import ManyWhole, Real, Whole, choice, real, whole
from tui_opt.problems import Problem


def _ordered(params: Any) -> Iterable[Problem]:
    if params.start_min >= params.start_max:
        yield Problem("start_min", f"must be below start_max = {params.start_max:g}.", params.start_min)
    twice = sorted({w for w in params.widths if params.widths.count(w) > 1})
    if twice:
        yield Problem("widths", f"has {twice[0]} more than once.", params.widths)


class OverparameterisedParams(SampleParams):
    """The same target fitted by networks of growing width."""

    widths: ManyWhole = whole(
        (1, 2, 4, 8, 16, 32, 64), low=1, high=100_000, log=True, group="networks", help="Units per hidden layer."
    )  # fmt: skip
    layers: Whole = whole(2, low=1, high=20, group="networks", help="Hidden layers.")
    activation: Literal["tanh", "relu", "sin"] = choice(
        "tanh", group="networks", help="Of the hidden units; the output is linear."
    )
    seeds: Whole = whole(
        10, low=1, high=10_000, log=True, group="networks",
        help="Networks of each width, each with weights and batches of its own, all on the same samples.",
    )  # fmt: skip
    learning_rate: Real = real(
        1e-2, above=0, high=10.0, symbol="η", log=True, group="fit",
        help="Step size of Adam; for networks it falls to 0 along a half cosine.",
    )  # fmt: skip
    batch: Whole = batch()
    epochs: Whole = epochs(30)
    threshold: Real = real(
        0.05, above=0, high=1.0, log=True, group="question",
        help="Success: so small a share of the variance of fresh values is left unexplained.",
    )  # fmt: skip
    test_samples: Whole = whole(
        2000, low=10, high=10_000_000, log=True, group="question", help="Fresh values the fits are tested on."
    )
    start: tuple[Real, ...] = start()
    starts: Whole = whole(
        100, low=1, high=100_000, log=True, group="two parameters",
        help="Fits of the model itself by the same Adam, beginning at as many values of its first parameter.",
    )  # fmt: skip
    start_min: Real = real(0.0, low=-1e9, high=1e9, group="two parameters", help="Left end of their range.")
    start_max: Real = real(2.0, low=-1e9, high=1e9, group="two parameters", help="Its right end.")

    rules: ClassVar = (model_fits, start_fits, _ordered)
