"""Parameters of the toy-sgd experiments. Defaults reproduce the source text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.params import (
    Many,
    OneOrMany,
    OneOrManyWhole,
    Params,
    Real,
    Whole,
    choice,
    expressions,
    real,
    whole,
)
from tui_opt.problems import Problem

WELL = "-exp(-(W-2)^2)"
WELL_AND_PIT = "-exp(-(W-2)^2)-exp(-100*(W-1)^2)"
PAIR = (WELL, WELL_AND_PIT)

_LOSSES_HELP = (
    "Loss of each datapoint as an expression in W; every step descends one of them, drawn uniformly."
)
_TEMPERATURE_HELP = "Step size of one update, W <- W - T g(W)."


def losses(default: tuple[str, ...] = PAIR) -> Any:
    """The losses of the datapoints."""
    return expressions(default, variables=("W",), group="system", help=_LOSSES_HELP)


def temperature(default: float | tuple[float, ...]) -> Any:
    """The SGD step size, called temperature as in the source text."""
    return real(
        default, above=0, high=1e6, unit="W²/L", symbol="T", log=True, group="system", help=_TEMPERATURE_HELP
    )


def _start_or_minimum(default: float | str) -> Any:
    text = "Where the walkers start; `minimum` is the minimum of the mean loss at the bottom of the pit."
    return real(default, low=-1e6, high=1e6, unit="W", symbol="W₀", group="question", help=text)


def _barrier() -> Any:
    text = (
        "Where a walker counts as escaped; `auto` is the place beyond which no sequence of updates returns."
    )
    return real("auto", low=-1e6, high=1e6, unit="W", symbol="b", group="question", help=text)


def _search(end: str, default: float) -> Any:
    text = f"{end} end of the interval in which minima are looked for."
    return real(default, low=-1e6, high=1e6, unit="W", group="range", help=text)


def _ordered_interval(params: Any) -> Iterable[Problem]:
    if params.w_min >= params.w_max:
        yield Problem("w_min", f"must be below w_max = {params.w_max:g}.", params.w_min)


class LandscapeParams(Params):
    """The losses and their stationary points on an interval."""

    losses: tuple[str, ...] = losses()
    w_min: Real = real(-1.0, low=-1e6, high=1e6, unit="W", group="range", help="Left end of the interval.")
    w_max: Real = real(5.0, low=-1e6, high=1e6, unit="W", group="range", help="Right end of the interval.")
    points: Whole = whole(2001, low=2, high=1_000_000, log=True, group="range", help="Points of the curves.")

    rules: ClassVar = (_ordered_interval,)


class TrajectoryParams(Params):
    """Iterates of gradient descent, SGD or Newton's method."""

    losses: tuple[str, ...] = losses((WELL,))
    start: Many = real(
        (0.0,),
        low=-1e6,
        high=1e6,
        unit="W",
        symbol="W₀",
        group="question",
        help="Starting values, one curve each.",
    )
    method: Literal["gd", "sgd", "newton"] = choice(
        "gd",
        group="question",
        help="Descend the mean loss, a datapoint drawn at each step, or take Newton steps.",
    )
    temperature: Real = real(
        0.5, above=0, high=1e6, unit="W²/L", symbol="T", log=True, group="system",
        help="Step size; for Newton's method its dimensionless factor k.",
    )  # fmt: skip
    steps: Whole = whole(
        20, low=1, high=1_000_000, symbol="n", log=True, group="question", help="Number of steps."
    )
    replicas: Whole = whole(
        20,
        low=1,
        high=100_000,
        log=True,
        group="sampling",
        help="Independent repetitions of each start (sgd only).",
    )
    tolerance: Real = real(
        1e-6, above=0, high=1.0, unit="W", log=True, group="question",
        help="Distance from the minimum at which the steps taken are counted.",
    )  # fmt: skip


class RunLengthParams(Params):
    """Consecutive draws of one datapoint that leave the pit."""

    losses: tuple[str, ...] = losses()
    temperature: Real = temperature(0.05)
    steps: Whole = whole(
        100,
        low=1,
        high=10_000_000,
        symbol="n",
        log=True,
        group="question",
        help="Draws in which the run must occur.",
    )
    term: Whole = whole(
        0, low=0, high=10_000, group="question", help="Index of the datapoint descended repeatedly."
    )
    start: Real | Literal["minimum", "datapoint-minimum"] = real(
        "datapoint-minimum", low=-1e6, high=1e6, unit="W", symbol="W₀", group="question",
        help="Where the run begins; `minimum` is the bottom of the mean loss's pit, `datapoint-minimum` that of the "
        "one datapoint which makes the pit, as in the source.",
    )  # fmt: skip
    barrier: Real | Literal["auto"] = _barrier()
    w_min: Real = _search("Left", -10.0)
    w_max: Real = _search("Right", 10.0)


def _term_exists(params: RunLengthParams) -> Iterable[Problem]:
    if params.term >= len(params.losses):
        most = len(params.losses) - 1
        yield Problem("term", f"must be from 0 to {most}, the index of one of the losses.", params.term)


RunLengthParams.rules = (_term_exists, _ordered_interval)


class EscapeParams(Params):
    """Probability and mean number of steps of escape from the pit."""

    losses: tuple[str, ...] = losses()
    temperature: OneOrMany = temperature(tuple(round(0.01 + 0.001 * i, 3) for i in range(16)))
    steps: OneOrManyWhole = whole(
        (100, 1000, 10_000), low=1, high=10_000_000, symbol="n", log=True, group="question",
        help="Numbers of steps after which the escaped share is asked for.",
    )  # fmt: skip
    start: Real | Literal["minimum"] = _start_or_minimum("minimum")
    barrier: Real | Literal["auto"] = _barrier()
    method: Literal["operator", "monte-carlo", "both"] = choice(
        "both", group="method", help="Transfer operator (no sampling error), walkers, or both on one chart."
    )
    walkers: Whole = whole(
        20_000, low=1, high=100_000_000, log=True, group="method", help="Walkers per temperature."
    )
    cells: Whole = whole(
        4000, low=16, high=1_000_000, log=True, group="method", help="Cells of the transfer operator."
    )
    w_min: Real = _search("Left", -10.0)
    w_max: Real = _search("Right", 10.0)

    rules: ClassVar = (_ordered_interval,)


class EscapeLawParams(Params):
    """How the mean number of steps to escape depends on temperature."""

    losses: tuple[str, ...] = losses()
    temperature: Many = temperature(
        (
            0.004,
            0.005,
            0.006,
            0.007,
            0.008,
            0.009,
            0.01,
            0.011,
            0.012,
            0.013,
            0.014,
            0.015,
            0.017,
            0.02,
            0.025,
            0.03,
            0.04,
            0.05,
        )
    )
    cells: Whole = whole(
        4000, low=16, high=1_000_000, log=True, group="method", help="Cells of the transfer operator."
    )
    start: Real | Literal["minimum"] = _start_or_minimum("minimum")
    barrier: Real | Literal["auto"] = _barrier()
    w_min: Real = _search("Left", -10.0)
    w_max: Real = _search("Right", 10.0)

    rules: ClassVar = (_ordered_interval,)
