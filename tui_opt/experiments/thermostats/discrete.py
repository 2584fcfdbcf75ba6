"""discrete: what decorrelating machine and room does to the entropy of the next step."""

from __future__ import annotations

from tui_opt.experiments.thermostats.discrete_params import DiscreteParams
from tui_opt.experiments.thermostats.laws import (
    add_bits,
    add_double_error,
    add_laws,
    add_maps,
    add_transitions,
    law_of,
)
from tui_opt.experiments.thermostats.state_graph import add_cycles
from tui_opt.kernels.finite_maps import decorrelated, pushed
from tui_opt.result import Result
from tui_opt.runner.context import Context


def compute(params: DiscreteParams, ctx: Context) -> Result:
    """Push the joint law, and the one with the same marginals and independent parts, through one step."""
    system = params.system()
    assert system is not None
    result = Result()
    if unused := params.unused():
        result.warn(unused)
    joint = law_of((p for row in params.joint for p in row), "joint", result)
    apart = decorrelated(joint, len(system.rooms))
    ctx.check()
    laws = {
        "joint": ("the law now", joint),
        "decorrelated": ("the law now, decorrelated", apart),
        "next": ("the law one step later", pushed(joint, system.target)),
        "next_decorrelated": ("the law one step after decorrelating", pushed(apart, system.target)),
    }
    add_transitions(result, system)
    entropies = add_laws(result, system, laws)
    information = entropies["decorrelated"] - entropies["joint"]
    strength = entropies["next_decorrelated"] - entropies["next"]
    add_bits(result, "entropy_next", entropies["next"], "entropy one step later")
    add_bits(
        result,
        "entropy_next_decorrelated",
        entropies["next_decorrelated"],
        "entropy one step after decorrelating",
    )
    add_bits(result, "optimizing_strength", strength, "entropy that the correlation takes from the next step")
    add_bits(result, "mutual_information", information, "mutual information of machine and room now")
    add_bits(result, "entropy_now", entropies["joint"], "entropy now")
    add_bits(result, "entropy_now_decorrelated", entropies["decorrelated"], "entropy now, decorrelated")
    add_bits(result, "adjusted_strength", strength - information, "strength minus mutual information")
    ctx.check()
    add_maps(result, system, {name: laws[name] for name in ("next", "next_decorrelated")}, laws)
    add_cycles(result, system)
    add_maps(result, system, {name: laws[name] for name in ("joint", "decorrelated")}, laws)
    add_double_error(result, entropies)
    return result
