"""An experiment with a parameter of every kind, for the form and its draft."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tui_opt.params import (
    Matrix,
    Numbers,
    OneOrMany,
    Params,
    Real,
    Texts,
    Whole,
    choice,
    expressions,
    matrix,
    real,
    table,
    whole,
)
from tui_opt.problems import Problem
from tui_opt.scenario import Estimate, Experiment, Registry, Scenario


class EveryKind(Params):
    """One of every kind."""

    losses: tuple[str, ...] = expressions(
        ("W^2", "(W-1)^2"), variables=("W",), group="system", help="Losses."
    )
    temperature: OneOrMany = real(
        0.02, above=0, high=10, unit="K", symbol="T", log=True, group="system", help="Step size."
    )
    start: Real | Literal["minimum"] = real("minimum", low=-5, high=5, group="question", help="Start.")
    steps: Whole = whole(100, low=1, high=1_000_000, log=True, group="system", help="Steps.")
    left: Real = real(-1, unit="W", group="range", help="Left end.")
    right: Real = real(1, unit="W", group="range", help="Right end.")
    method: Literal["exact", "sampled", "both"] = choice("exact", group="question", help="Method.")
    verbose: bool = choice(False, help="Say more.")
    models: tuple[Literal["coarse", "fine"], ...] = choice(
        ("coarse", "fine"), least=1, group="question", help="Models."
    )
    held_until: Real | None = real(None, low=0, help="May be left out.")
    nodes: Texts = table(
        {"room": "room - heat", "heat": "room - t"}, variables=("t",), group="tables", help="Nodes."
    )
    moves: Texts = table({"high, hot": "off, hot"}, least=0, group="tables", help="Moves.")
    weights: Numbers = table({"a": 1}, low=0, group="tables", help="Weights.")
    joint: Matrix = matrix(((0.5, 0), (0, 0.5)), low=0, high=1, group="tables", help="Joint law.")


def left_of(params: EveryKind) -> Iterable[Problem]:
    if params.left >= params.right:
        yield Problem("left", f"must be below right = {params.right:g}.", params.left)


EveryKind.rules = (left_of,)

EXPERIMENT = Experiment(
    name="every-kind",
    title="One of every kind",
    summary="Nothing is computed.",
    params=EveryKind,
    compute="nowhere:compute",
    estimate=lambda p: Estimate(0.0, 0),
)
SCENARIO = Scenario("sample", "A sample", (EXPERIMENT,))
REGISTRY = Registry({"sample": SCENARIO}, ())

TEXT = """
scenario = "sample"
experiment = "every-kind"
title = "Cold"
seed = 7

[params]
temperature = [0.01, 0.011, 0.012, 0.013]
steps = 300

[[expect]]
finding = "share"
value = 0.5
"""
SWEPT = """
scenario = "sample"
experiment = "every-kind"
[sweep]
temperature = {from = 0.01, to = 0.03, num = 21}
seed = [0, 1]
"""
