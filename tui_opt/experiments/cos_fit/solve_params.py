"""Parameters of solve: the samples, how frequencies are found, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.cos_fit.model_text import read_model
from tui_opt.experiments.cos_fit.params import SampleParams, model_fits
from tui_opt.expressions import ExpressionError
from tui_opt.params import Real, Whole, choice, real, whole
from tui_opt.problems import Problem

#: findings that a parameter of a model cannot share its name with.
FINDINGS = (
    "cramer_rao_ratio",
    "variance_ratio",
    "seconds",
    "success_rate",
    "residual_sd",
    "runner_up_gap",
    "oscillation_gain",
    "grid_points",
    "grid_step",
    "frequency_max",
    "bound_over_grid",
    "alias_frequency",
    "samples_used",
    "samples_dropped",
    "starts_tried",
    "worst_z",
)


class SolveParams(SampleParams):
    """The parameters of a model from samples, without a starting value."""

    method: Literal["auto", "scan", "annealing"] = choice(
        "auto", group="method",
        help="A frequency scan and Gauss-Newton, range annealing, or what the data's spacing and extent suggest.",
    )  # fmt: skip
    frequency_max: Real | Literal["auto"] = real(
        "auto", above=0, high=1e12, log=True, group="method",
        help="Largest frequency that is scanned; `auto` takes it from the data's spacing and extent.",
    )  # fmt: skip
    seeds: Whole = whole(
        1, low=1, high=1_000_000, log=True, group="method",
        help="Independent repetitions with samples of their own; their spread is then the error.",
    )  # fmt: skip

    rules: ClassVar[tuple[Any, ...]] = ()


def _repeatable(params: Any) -> Iterable[Problem]:
    if params.data and params.seeds > 1:
        text = "must be 1 for data from a file: they are the same in every repetition."
        yield Problem("seeds", text, params.seeds)


def _names_free(params: Any) -> Iterable[Problem]:
    try:
        names = read_model(params.model).names
    except ExpressionError:
        return  # said elsewhere
    taken = [name for name in names if name in FINDINGS or name.endswith("_stderr")]
    if taken:
        yield Problem(
            "model", f"{taken[0]!r} is the name of a finding; call the parameter something else.", taken[0]
        )


SolveParams.rules = (model_fits, _repeatable, _names_free)
