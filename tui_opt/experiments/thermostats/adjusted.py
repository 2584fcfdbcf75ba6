"""adjusted: from independent machine and room, two steps on, with and without decorrelating in between."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.thermostats.discrete_params import AdjustedParams, many
from tui_opt.experiments.thermostats.laws import (
    add_bits,
    add_double_error,
    add_laws,
    add_maps,
    add_transitions,
    law_of,
    uniform,
)
from tui_opt.experiments.thermostats.state_graph import add_cycles
from tui_opt.figure import Axis, Figure, Line, Ref, Scatter
from tui_opt.kernels.finite_maps import Law, decorrelated, product, pushed
from tui_opt.result import Result
from tui_opt.runner.context import Context


def compute(params: AdjustedParams, ctx: Context) -> Result:
    """The five laws and their entropies, the optimizing-ness, and what is left of it beyond the correlation itself."""
    system = params.system()
    assert system is not None
    result = Result()
    if unused := params.unused():
        result.warn(unused)
    machine = _marginal(params.machine, len(system.machines), "machine", result)
    room = _marginal(params.room, len(system.rooms), "room", result)
    before = product(machine, room)
    now = pushed(before, system.target)
    apart = decorrelated(now, len(system.rooms))
    ctx.check()
    laws = {
        "before": ("the law at t-1", before),
        "now": ("the law at t", now),
        "next": ("the law at t+1", pushed(now, system.target)),
        "now_decorrelated": ("the law at t, decorrelated", apart),
        "next_decorrelated": ("the law at t+1 after decorrelating at t", pushed(apart, system.target)),
    }
    add_transitions(result, system)
    entropies = add_laws(result, system, laws)
    for name, (words, _) in laws.items():
        add_bits(result, f"entropy_{name}", entropies[name], f"entropy of {words}")
    optimizing = entropies["next_decorrelated"] - entropies["next"]
    information = entropies["now_decorrelated"] - entropies["now"]
    add_bits(result, "optimizing", optimizing, "entropy that the correlation at t takes from t+1")
    add_bits(result, "mutual_information", information, "mutual information of machine and room at t")
    add_bits(result, "adjusted_optimizing", optimizing - information, "optimizing minus mutual information")
    ctx.check()
    _add_entropy_figure(result)
    add_cycles(result, system)
    add_maps(result, system, laws, laws)
    add_double_error(result, entropies)
    return result


def _marginal(given: str | float | tuple[float, ...], states: int, name: str, result: Result) -> Law:
    return uniform(states) if isinstance(given, str) else law_of(many(given), name, result)


def _add_entropy_figure(result: Result) -> None:
    found = {name: finding.value for name, finding in result.findings.items()}
    result.add_array("t", np.array([-1.0, 0.0, 1.0]), ("t",), unit="steps", text="time, 0 when decorrelated")
    together = [found[f"entropy_{name}"] for name in ("before", "now", "next")]
    apart = [np.nan, found["entropy_now_decorrelated"], found["entropy_next_decorrelated"]]
    text = "entropy of the law as it goes on"
    result.add_array("entropy", np.array(together), ("t",), unit="bits", text=text)
    text = "entropy from the decorrelated law on"
    result.add_array("entropy_decorrelated", np.array(apart), ("t",), unit="bits", text=text)
    t = Ref(array="t")
    layers = []
    for name, label in (("entropy", "as it goes on"), ("entropy_decorrelated", "decorrelated at t")):
        layers += [Line(x=t, y=Ref(array=name), label=label), Scatter(x=t, y=Ref(array=name), label=label)]
    figure = Figure(
        name="entropies",
        title="Entropy before, now and next",
        x=Axis(label="time", unit="steps"),
        y=Axis(label="entropy", unit="bits"),
        layers=tuple(layers),
        caption="adjusted optimizing-ness: how much further apart the curves are at 1 than at 0",
    )
    result.add_figure(figure)
