"""The experiments on laws of machine and room, and their entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, later

if TYPE_CHECKING:
    from tui_opt.experiments.thermostats.discrete_params import (
        AdjustedParams,
        DiscreteParams,
        EpsilonFamilyParams,
    )
    from tui_opt.experiments.thermostats.square_params import ContinuousSquareParams

_HERE = "tui_opt.experiments.thermostats"
# Cost on the reference machine, one core: a state of one law, its exact entropy and its place in tables.
_SECONDS_PER_STATE = 2e-4
_CYCLES = ("cycles", "fixed_points", "longest_cycle", "recurrent_states", "longest_transient")
_GRAPH = ("graph_x", "graph_y", "cycle_x", "cycle_y", "transient_x", "transient_y")
_SIZES = ("generalised_variance", "trace", "variance_room", "variance_machine")
_LAWS = ("before", "now", "next", "now_decorrelated", "next_decorrelated")


def _states(p: DiscreteParams | AdjustedParams | EpsilonFamilyParams) -> int:
    return len(p.transitions) if p.thermostat == "custom" else 9


def _family(p: EpsilonFamilyParams) -> Estimate:
    members, states = len(p.epsilon) if isinstance(p.epsilon, tuple) else 1, _states(p)
    return Estimate(0.02 + 5 * _SECONDS_PER_STATE * states * members, 20_000_000 + 20_000 * states * members)


def _square(p: ContinuousSquareParams) -> Estimate:
    return Estimate(0.05, 20_000_000)


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

EPSILON_FAMILY = Experiment(
    name="epsilon-family",
    title="Starts that are more and more certain",
    summary="Exact entropies for any ε, the ratio of adjusted optimizing-ness to entropy, its limit and correction.",
    params=later(f"{_HERE}.discrete_params:EpsilonFamilyParams"),
    compute=f"{_HERE}.epsilon_family:compute",
    estimate=_family,
    findings=(
        "limit_ratio",
        "limit_correction",
        "fitted_correction",
        "ratio_smallest",
        "log_slope",
        "linear_slope",
        "series_error",
    ),
    arrays=(
        "epsilon",
        *(f"entropy_{law}" for law in _LAWS),
        "optimizing",
        "adjusted",
        "ratio",
        "adjusted_series",
        "entropy_before_series",
        "correction",
        "correction_series",
        "adjusted_positive",
        "adjusted_negative",
    ),
    headline=("limit_ratio", "limit_correction", "log_slope", "linear_slope"),
)

CONTINUOUS_SQUARE = Experiment(
    name="continuous-square",
    title="A thermostat of real numbers, two steps on",
    summary="A square of starts under R <- R - kT, T <- R: bodies, exact entropies and variances of every stage.",
    params=later(f"{_HERE}.square_params:ContinuousSquareParams"),
    compute=f"{_HERE}.continuous_square:compute",
    estimate=_square,
    findings=(
        *(f"entropy_{law}" for law in _LAWS),
        "entropy_room_now",
        "mutual_information",
        "optimizing",
        "adjusted_optimizing",
        *(f"{name}_{size}" for size in _SIZES for name in ("optimizing", "adjusted")),
        "spectral_radius",
        "side_ratio_now",
    ),
    arrays=(
        *(
            f"{name}_{law}"
            for name in ("corners", "shape", "centre", "outline", "shape_outline")
            for law in _LAWS
        ),
        *(f"{law}_{part}" for law in _LAWS[3:] for part in ("room", "machine")),
        *(f"density_{law}" for law in _LAWS[3:]),
        "room_now",
        "density_room_now",
        "covariance",
    ),
    headline=("optimizing", "mutual_information", "adjusted_optimizing", "adjusted_generalised_variance"),
)

DISTRIBUTIONS = (DISCRETE, ADJUSTED, EPSILON_FAMILY, CONTINUOUS_SQUARE)
