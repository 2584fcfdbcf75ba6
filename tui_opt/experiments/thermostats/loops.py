"""Experiments on thermostats whose room and machine are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, later

if TYPE_CHECKING:
    from tui_opt.experiments.thermostats.controller_params import ControllerParams
    from tui_opt.experiments.thermostats.loop_params import (
        NetworkParams,
        SaturatingLandscapeParams,
        SaturatingParams,
    )

_HERE = "tui_opt.experiments.thermostats"
# Costs on the reference machine, one core: a step in many digits, of one course, and of one among many.
_SECONDS_PER_PRECISE_STEP = 4e-5
_SECONDS_PER_STEP = 2e-7
_SECONDS_PER_LANE_STEP = 2e-9
# And of an update of controllers: a step of all loops, and a neuron's step of one loop.
_SECONDS_PER_UPDATE_STEP = 1e-4
_SECONDS_PER_ACTIVATION = 3e-8


def _network(p: NetworkParams) -> Estimate:
    return Estimate(0.05 + p.steps * _SECONDS_PER_PRECISE_STEP, 20_000_000 + 1500 * p.steps)


def _saturating(p: SaturatingParams) -> Estimate:
    steps = p.duration / p.dt
    return Estimate(0.05 + steps * _SECONDS_PER_STEP, int(20_000_000 + 300 * steps))


def _saturating_landscape(p: SaturatingLandscapeParams) -> Estimate:
    seconds = 0.05 + 2 * p.points * p.time / p.dt * _SECONDS_PER_LANE_STEP
    return Estimate(seconds, 20_000_000 + 300 * p.points)


def _controller(p: ControllerParams) -> Estimate:
    activations = p.seeds * (p.states + p.test_states) * p.hidden * p.horizon
    per_update = p.horizon * _SECONDS_PER_UPDATE_STEP + activations * _SECONDS_PER_ACTIVATION
    neurons = 2 * p.hidden * p.horizon * 1e-4 + 4 * p.hidden * activations * _SECONDS_PER_ACTIVATION
    return Estimate(0.5 + p.iterations * per_update + neurons, 100_000_000 + 60 * activations)


NETWORK = Experiment(
    name="network",
    title="A linear thermostat: W, X, Y and Comp",
    summary="The room and a linear thermostat, the room changed (X), the thermostat held besides (Y), and ln|Comp|.",
    params=later(f"{_HERE}.loop_params:NetworkParams"),
    compute=f"{_HERE}.network:compute",
    estimate=_network,
    findings=(
        "log_comp_final",
        "op_final",
        "sign_final",
        "sign_changes",
        "rate",
        "spectral_radius",
        "doubling_ratio",
        "doubling_ratio_limit",
        "log_comp_same_step",
        "log_comp_error",
        "difference_error",
        "difference_error_final",
        "difference_breakdown",
        "difference_error_precise",
        "final_room",
        "final_machine",
    ),
    arrays=(
        "t",
        *(f"{world}_{node}" for world in "wxy" for node in ("room", "machine")),
        "x_difference",
        "y_difference",
        "log_comp",
        "log_comp_exact",
        "log_comp_difference",
        "sign",
        "rounding_error",
    ),
    headline=("log_comp_final", "rate", "doubling_ratio", "difference_error"),
    warm={"steps": 10},
)

SATURATING = Experiment(
    name="saturating",
    title="A thermostat of limited power: Op over time",
    summary="The room's course from one start, Op of the thermostat by exact tangents, and the limit of small steps.",
    params=later(f"{_HERE}.loop_params:SaturatingParams"),
    compute=f"{_HERE}.saturating:compute",
    estimate=_saturating,
    findings=(
        "op_final",
        "sign_final",
        "op_limit_final",
        "sign_changes",
        "entry_time",
        "tail_rate",
        "tail_rate_limit",
        "room_final",
        "room_limit_final",
        "difference_breakdown",
        "difference_error",
    ),
    arrays=(
        "t",
        "room",
        "machine",
        "x_room",
        "y_room",
        "x_difference",
        "y_difference",
        "room_limit",
        "op",
        "op_negative",
        "t_negative",
        "sign",
        "op_limit",
        "op_finite_difference",
    ),
    headline=("op_final", "op_limit_final", "tail_rate", "entry_time"),
    warm={"duration": 1.0},
)

SATURATING_LANDSCAPE = Experiment(
    name="saturating-landscape",
    title="A thermostat of limited power: Op over initial temperatures",
    summary="Op and 1 - Comp from many starts, and the integral of 1 - Comp, sampled and exact.",
    params=later(f"{_HERE}.loop_params:SaturatingLandscapeParams"),
    compute=f"{_HERE}.saturating_landscape:compute",
    estimate=_saturating_landscape,
    findings=(
        "compression_integral",
        "compression_exact",
        "compression_telescoped",
        "compression_limit",
        "compression_integral_tangent",
        "grid_error",
        "op_max",
        "optimized_fraction",
        "negative_sign_fraction",
    ),
    arrays=(
        "room",
        "room_final",
        "op",
        "op_negative",
        "room_negative",
        "sign",
        "op_limit",
        "one_minus_comp",
        "one_minus_comp_limit",
    ),
    headline=("compression_integral", "compression_exact", "compression_limit", "op_max"),
    warm={"points": 5, "time": 1.0},
)

CONTROLLER = Experiment(
    name="controller",
    title="A network learns to regulate: Op through training",
    summary="Back-propagation through time; Op of the output and of each neuron, against what ablating it costs.",
    params=later(f"{_HERE}.controller_params:ControllerParams"),
    compute=f"{_HERE}.controller:compute",
    estimate=_controller,
    findings=(
        "op_before",
        "op_after",
        "loss_before",
        "loss_after",
        "crossing_iteration",
        "op_loss_rank_correlation",
        "op_given_up",
        "positive_op_fraction",
        "negative_sign_fraction",
        "untrained_positive_fraction",
        "neuron_rank_correlation",
        "neuron_rank_correlation_before",
        "weight_rank_correlation",
        "negative_neuron_fraction",
        "difference_error",
    ),
    arrays=(
        "iteration",
        "op_median",
        "loss",
        "start",
        "op",
        "sign",
        "neuron_op",
        "ablation_loss",
        "policy_state",
        "policy_before",
        "policy",
        "t",
        "course",
        "course_alone",
    ),
    headline=("op_before", "op_after", "neuron_rank_correlation", "loss_after"),
    warm={"iterations": 2, "horizon": 5, "seeds": 1},
)

LOOPS = (NETWORK, SATURATING, SATURATING_LANDSCAPE, CONTROLLER)
