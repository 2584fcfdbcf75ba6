"""Experiments on thermostats whose room and machine are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, later

if TYPE_CHECKING:
    from tui_opt.experiments.thermostats.loop_params import NetworkParams

_HERE = "tui_opt.experiments.thermostats"
# Cost on the reference machine, one core: a step in many digits.
_SECONDS_PER_PRECISE_STEP = 4e-5


def _network(p: NetworkParams) -> Estimate:
    return Estimate(0.05 + p.steps * _SECONDS_PER_PRECISE_STEP, 20_000_000 + 1500 * p.steps)


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

LOOPS = (NETWORK,)
