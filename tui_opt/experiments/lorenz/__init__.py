"""lorenz: what nodes of a chaotic system do to each other's perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.lorenz.params import OpLandscapeParams, OpParams, RatesParams, TrajectoryParams

_HERE = "tui_opt.experiments.lorenz"
_AXES = ("a", "b", "c")
# Costs on the reference machine, one core.
_SECONDS_PER_STEP = 3e-6
_SECONDS_PER_DIFFERENCE = 1e-6
_SECONDS_PER_LANE_STEP = 6e-9
_SECONDS_PER_RATE_STEP = 4e-8
_MOST_OUTPUTS = 200_000


def _each(*patterns: str) -> tuple[str, ...]:
    """The patterns with every axis in the place of `*`."""
    return tuple(pattern.replace("*", axis) for pattern in patterns for axis in _AXES)


def _trajectory(p: TrajectoryParams) -> Estimate:
    steps = p.duration / p.dt
    return Estimate(0.1 + 3 * steps * _SECONDS_PER_STEP, 50_000_000 + int(200 * min(steps, _MOST_OUTPUTS)))


def _op(p: OpParams) -> Estimate:
    steps = p.duration / p.dt
    cost = 3 * steps * _SECONDS_PER_STEP + steps * (1 + 2 * len(p.deltas)) * _SECONDS_PER_DIFFERENCE
    return Estimate(0.1 + cost, 50_000_000 + int((400 + 200 * len(p.deltas)) * min(steps, _MOST_OUTPUTS)))


def _op_landscape(p: OpLandscapeParams) -> Estimate:
    steps = (p.time if p.duration is None else p.duration) / p.dt
    return Estimate(
        0.1 + (p.points**2 + 12_288) * steps * _SECONDS_PER_LANE_STEP, 60_000_000 + 100 * p.points**2
    )


def _rates(p: RatesParams) -> Estimate:
    steps = (p.duration + p.transient) / p.dt
    lanes = -(-p.trajectories // 64) * 64
    return Estimate(0.1 + lanes * steps * _SECONDS_PER_RATE_STEP, 50_000_000 + 2000 * p.trajectories)


TRAJECTORY = Experiment(
    name="trajectory",
    title="A trajectory and its equilibria",
    summary="W by RK4 or Euler, how long its steps can be trusted, and where it could rest.",
    params=later(f"{_HERE}.params:TrajectoryParams"),
    compute=f"{_HERE}.trajectory:compute",
    estimate=_trajectory,
    findings=(
        *_each("final_*"),
        "equilibria",
        "stable_equilibria",
        "stable_in_steps",
        "stability_lost_at",
        "distance_to_equilibrium",
        "growth",
        "reliable_until",
        "diverged_at",
    ),
    arrays=("t", "state", "difference"),
    headline=("stable_equilibria", "distance_to_equilibrium", "growth", "reliable_until"),
    warm={"duration": 0.1},
)

OP = Experiment(
    name="op",
    title="Op along a trajectory",
    summary="Exact tangents with and without some axes held, in log space: Op, its sign, finite differences beside.",
    params=later(f"{_HERE}.params:OpParams"),
    compute=f"{_HERE}.op:compute",
    estimate=_op,
    findings=(
        *_each("op_final_*", "sign_final_*", "op_step_error_*", "sign_changes_*", "negative_sign_time_*"),
        *_each("op_negative_from_*"),
        "log_volume",
        "trace_error",
        "diverged_at",
    ),
    arrays=(
        "t",
        "state",
        "log_x",
        "log_y",
        "sign_x",
        "sign_y",
        "op",
        "sign",
        "delta",
        "op_finite_difference",
        "x_difference",
        "y_difference",
        *_each("op_positive_*", "op_negative_*"),
    ),
    headline=_each("op_final_*", "sign_final_*"),
    warm={"duration": 0.1},
)

OP_LANDSCAPE = Experiment(
    name="op-landscape",
    title="Op over two initial coordinates",
    summary="Trajectories with both tangents from every start of a grid: a map of Op and of its sign.",
    params=later(f"{_HERE}.params:OpLandscapeParams"),
    compute=f"{_HERE}.op_landscape:compute",
    estimate=_op_landscape,
    findings=(
        "op_mean",
        "op_median",
        "op_min",
        "op_max",
        "negative_sign_fraction",
        "positive_op_fraction",
        "undefined_fraction",
        "step_error",
        "symmetry_error",
    ),
    arrays=("x", "y", "op", "sign", "edge", "count"),
    headline=("op_mean", "op_median", "positive_op_fraction", "negative_sign_fraction"),
    devices=("cuda", "cpu"),
    warm={"points": 16, "time": 0.1},
)

RATES = Experiment(
    name="rates",
    title="Rates that predict Op / t",
    summary="Lyapunov exponents and conditional rates with standard errors, over many long trajectories.",
    params=later(f"{_HERE}.params:RatesParams"),
    compute=f"{_HERE}.rates:compute",
    estimate=_rates,
    findings=(
        "lyapunov_1",
        "lyapunov_2",
        "lyapunov_3",
        "free_rate",
        "held_rate",
        "held_rate_exact",
        "op_rate",
        "conditional_1",
        "conditional_2",
        "dimension",
        "trace_error",
        "held_trace_error",
    ),
    arrays=(
        "t",
        "free_rate_mean",
        "held_rate_mean",
        "op_rate_mean",
        "op_rate_low",
        "op_rate_high",
        "op_over_t",
    ),
    headline=("lyapunov_1", "held_rate", "op_rate", "held_rate_exact"),
    warm={"duration": 0.4, "transient": 0.1, "trajectories": 2},
)

SCENARIO = Scenario(
    name="lorenz",
    title="What nodes of the Lorenz system do to each other",
    experiments=(TRAJECTORY, OP, OP_LANDSCAPE, RATES),
)
