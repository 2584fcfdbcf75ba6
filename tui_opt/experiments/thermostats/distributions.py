"""The experiments on laws of machine and room, and their entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, later

if TYPE_CHECKING:
    from tui_opt.experiments.thermostats.discrete_params import AdjustedParams, DiscreteParams

_HERE = "tui_opt.experiments.thermostats"
# Cost on the reference machine, one core: a state of one law, its exact entropy and its place in tables.
_SECONDS_PER_STATE = 4e-4
_CYCLES = ("cycles", "fixed_points", "longest_cycle", "recurrent_states", "longest_transient")
_GRAPH = ("graph_x", "graph_y", "cycle_x", "cycle_y", "transient_x", "transient_y")
_LAWS = ("before", "now", "next", "now_decorrelated", "next_decorrelated")


def _states(p: DiscreteParams | AdjustedParams) -> int:
    return len(p.transitions) if p.thermostat == "custom" else 9


def _laws(p: DiscreteParams | AdjustedParams) -> Estimate:
    states = _states(p)
    return Estimate(0.02 + _SECONDS_PER_STATE * states, 20_000_000 + 10_000 * states)


DISCRETE = Experiment(
    name="discrete",
    title="A joint law of machine and room, one step on",
    summary="Exact laws one step later, with machine and room as they are and decorrelated; cycles and transients.",
    params=later(f"{_HERE}.discrete_params:DiscreteParams"),
    compute=f"{_HERE}.discrete:compute",
    estimate=_laws,
    findings=(
        "entropy_next",
        "entropy_next_decorrelated",
        "optimizing_strength",
        "mutual_information",
        "entropy_now",
        "entropy_now_decorrelated",
        "adjusted_strength",
        "double_error",
        *_CYCLES,
    ),
    arrays=("machine", "room", "joint", "decorrelated", "next", "next_decorrelated", *_GRAPH),
    headline=("entropy_next", "entropy_next_decorrelated", "optimizing_strength", "mutual_information"),
)

ADJUSTED = Experiment(
    name="adjusted",
    title="Independent machine and room, two steps on",
    summary="Exact laws and entropies at t-1, t and t+1, with and without decorrelating at t; cycles and transients.",
    params=later(f"{_HERE}.discrete_params:AdjustedParams"),
    compute=f"{_HERE}.adjusted:compute",
    estimate=_laws,
    findings=(
        *(f"entropy_{law}" for law in _LAWS),
        "optimizing",
        "mutual_information",
        "adjusted_optimizing",
        "double_error",
        *_CYCLES,
    ),
    arrays=("machine", "room", "t", "entropy", "entropy_decorrelated", *_LAWS, *_GRAPH),
    headline=("optimizing", "mutual_information", "adjusted_optimizing", "longest_cycle"),
)

DISTRIBUTIONS = (DISCRETE, ADJUSTED)
