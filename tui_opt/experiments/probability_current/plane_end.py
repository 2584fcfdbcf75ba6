"""Where the law of plane settles: its density and current, how much it circulates, and whether there is an energy."""

from __future__ import annotations

from typing import Final

import numpy as np

from tui_opt.experiments.probability_current.plane_system import PlaneSystem
from tui_opt.experiments.probability_current.setting import DIFFUSION_LIMIT
from tui_opt.kernels.callables import Check
from tui_opt.kernels.plane import density, mean_and_covariance
from tui_opt.kernels.plane_current import circulation, stream_function
from tui_opt.kernels.plane_energy import EnergyCondition, energy_condition
from tui_opt.kernels.plane_settling import Settled
from tui_opt.result import Result

MASS_WORTH_A_WARNING: Final = 1e-6
"""Mass outside the cells that is worth a warning."""
NO_NOISE, ALONG_ONE_DIRECTION = 0, 1


def add_end(
    result: Result, system: PlaneSystem, temperature: float, stiffness: float, settled: Settled, check: Check
) -> None:
    """The circulation of the law that is settled to, and whether there is an energy."""
    if settled.gone:
        why = f"after {settled.steps} steps nothing is left inside the cells, so there is no stationary law"
        for name in ("circulation", "circulation_share", "energy_defect"):
            result.add_missing(name, why)
        result.warn(f"No stationary law: {why}.")
        return
    ours = circulation(settled.operator, settled.state)
    theirs = circulation(settled.coarse_operator, settled.coarse_state)
    mean = mean_and_covariance(settled.operator, settled.state)[0]
    _add_settled_law(result, settled)
    _warn_of_the_end(result, settled)
    if ours.dimension == 0:
        where = f"the law ends in the point ({mean[0]:.4g}, {mean[1]:.4g})"
        text = f"mean angle by which W turns round its mean per step: none, for {where}, where nothing can circulate"
        result.add_finding("circulation", 0.0, text, unit="rad")
        result.add_missing("energy_defect", f"{where}: it has no density whose logarithm could be an energy")
        return
    where = "of the law that it settles to" if settled.settled else "of the law that it has come to"
    if ours.dimension == 1:
        where += ", which lies on a line, where nothing can circulate"
    text = f"mean angle by which W turns round its mean per step, from W1 to W2, {where}; 0 where there is an energy"
    result.add_finding("circulation", ours.turning, text, unit="rad")
    if np.isfinite(ours.share):
        text = (
            f"the current's share in the motion {where}; without circulation it is of the order of T max|H|"
        )
        result.add_finding("circulation_share", ours.share, text)
    else:
        result.add_missing(
            "circulation_share", "the mean step is 0 everywhere: there is no motion to compare with"
        )
    if np.isfinite(theirs.turning):
        text = "change of the circulation by cells of twice the size"
        error = abs(ours.turning - theirs.turning)
        result.add_finding("circulation_error", error, text, unit="rad", kind="accuracy")
    check()
    condition = energy_condition(system.gradients, temperature, settled.operator, settled.state, check)
    _add_condition(result, condition, stiffness)


def _add_settled_law(result: Result, settled: Settled) -> None:
    operator, state = settled.operator, settled.state
    for axis in range(2):
        name = f"end_w{axis + 1}"
        result.add_array(
            name, operator.centres(axis), (name,), unit="W", text="cells of the law that is settled to"
        )
    dims = ("end_w1", "end_w2")
    result.add_array(
        "end_density", density(operator, state), dims, unit="1/W²", text="density that the law settles to"
    )
    text = "stream function of its current, which flows along the contours with higher values to its left"
    result.add_array("end_stream", stream_function(operator, state), dims, unit="1/step", text=text)
    text = "steps after which mean and spread have settled"
    result.add_finding("settling_steps", settled.steps, text, unit="steps", kind="accuracy")


def _warn_of_the_end(result: Result, settled: Settled) -> None:
    if not settled.settled:
        result.warn(
            f"The law has not settled after {settled.steps} steps: its mean and spread still move by "
            f"{settled.change:.2g} of the spread per step. The circulation is that of the law then."
        )
    if settled.left > MASS_WORTH_A_WARNING:
        result.warn(
            f"By the time the law settles, {settled.left:.3g} of it has left the cells: the circulation is that of "
            "what stays inside."
        )


def _add_condition(result: Result, condition: EnergyCondition, stiffness: float) -> None:
    text = "rank of the noise S² where the stationary law has most of its mass"
    result.add_finding("noise_rank", condition.rank, text)
    if condition.rank == NO_NOISE:
        result.add_missing("energy_defect", "there is no noise where the law has most of its mass")
        return
    text = "mean of |curl S⁻²(2G/T + div S²)| times √det of the law's covariance; 0 where there is an energy"
    if condition.rank == ALONG_ONE_DIRECTION:
        text = "share of 2G/T + div S² across the noise, which has one direction only; 0 where there is an energy"
    if stiffness > DIFFUSION_LIMIT:
        text += f" (T max|H| is {stiffness:.3g}, beyond the diffusion limit in which this holds)"
    result.add_finding("energy_defect", condition.defect, text)
