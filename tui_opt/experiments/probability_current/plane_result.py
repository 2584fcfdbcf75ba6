"""What plane answers: arrays and findings of the law, the walkers, and where the law settles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.params import PlaneParams
from tui_opt.experiments.probability_current.plane_figures import add_figures
from tui_opt.experiments.probability_current.plane_system import PlaneSystem
from tui_opt.experiments.probability_current.setting import DIFFUSION_LIMIT
from tui_opt.kernels.callables import Check
from tui_opt.kernels.ensembles import Statistics
from tui_opt.kernels.laws import sampling_errors
from tui_opt.kernels.plane import Box, PlaneField, PlaneOperator, PlaneState, density, mean_and_covariance
from tui_opt.kernels.plane_current import circulation, stream_function
from tui_opt.kernels.plane_energy import EnergyCondition, energy_condition
from tui_opt.kernels.plane_settling import Settled
from tui_opt.result import FindingKind, Result

MASS_WORTH_A_WARNING = 1e-6
NO_NOISE, ALONG_ONE_DIRECTION = 0, 1


@dataclass
class Motion:
    """A law on cells at the output times so far.

    Attributes:
        density: [t, w1, w2]; empty where it is not kept.
        mean, sd: [axis] for each time.
        outside: for each time, mass that has left the cells.
        mass_error: largest deviation of the total, what has left included, from 1.
        least: the least density of any cell at any time.
        operator: the step on these cells.
    """

    density: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)))
    mean: list[FloatArray] = field(default_factory=list)
    sd: list[FloatArray] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)
    mass_error: float = 0.0
    least: float = np.inf
    operator: PlaneOperator | None = None

    def begin(self, operator: PlaneOperator, times: int, keep: bool) -> None:
        """Make room for the densities at so many times, if they are to be kept."""
        self.operator = operator
        self.density = np.empty((times if keep else 0, *operator.cells))

    def record(self, operator: PlaneOperator, state: PlaneState, mean: FloatArray, sd: FloatArray) -> None:
        """Add the law at the next output time."""
        if len(self.density):
            self.density[len(self.mean)] = density(operator, state)
        self.mean.append(mean)
        self.sd.append(sd)
        self.outside.append(state.outside)
        self.mass_error = max(self.mass_error, abs(float(state.mass.sum()) + state.outside - 1.0))
        self.least = min(self.least, float(state.mass.min()) / float(operator.sides.prod()))


@dataclass(frozen=True)
class Walked:
    """The walkers along one axis: statistics [t], histogram edges [cells + 1] and density [t, cells]."""

    statistics: Statistics
    edges: FloatArray
    histogram: FloatArray


@dataclass
class Answer:
    """What is known so far."""

    params: PlaneParams
    system: PlaneSystem
    maps: PlaneField
    mean: tuple[float, float]
    sd: tuple[float, float]
    box: Box
    times: FloatArray
    stiffness: float = np.nan
    motion: Motion = field(default_factory=Motion)
    coarse: Motion = field(default_factory=Motion)
    walked: list[Walked] = field(default_factory=list)
    settled: Settled | None = None


def result_of(answer: Answer, check: Check) -> Result:
    """The result, or as much of it as there is."""
    result = Result()
    motion = answer.motion
    assert motion.operator is not None
    known = len(motion.mean)
    result.add_array("t", answer.times[:known], ("t",), unit="steps", text="steps taken")
    for axis in range(2):
        name = f"w{axis + 1}"
        result.add_array(name, motion.operator.centres(axis), (name,), unit="W", text="middles of the cells")
    result.add_array("axis", np.array([1.0, 2.0]), ("axis",), text="number of the parameter")
    dims = ("t", "w1", "w2")
    result.add_array("density", motion.density[:known], dims, unit="1/W²", text="density on the cells")
    result.add_array("mean", np.array(motion.mean), ("t", "axis"), unit="W", text="mean on the cells")
    result.add_array(
        "sd", np.array(motion.sd), ("t", "axis"), unit="W", text="standard deviation on the cells"
    )
    _add_marginals(result, motion, known)
    if answer.walked:
        _add_walkers(result, answer)
        _add_errors(result, answer)
    for axis in range(2):
        for name, words, values in (("mean", "mean", motion.mean), ("sd", "standard deviation", motion.sd)):
            text = f"{words} of W{axis + 1} at the end"
            result.add_finding(f"final_{name}_{axis + 1}", float(values[-1][axis]), text, unit="W")
    if answer.settled is not None:
        _add_end(result, answer, answer.settled, check)
    _add_accuracy(result, answer)
    add_figures(result)
    return result


def _add_marginals(result: Result, motion: Motion, known: int) -> None:
    assert motion.operator is not None
    sides = motion.operator.sides
    for axis in range(2):
        values = motion.density[:known].sum(axis=2 - axis) * sides[1 - axis]
        text = f"density of W{axis + 1} alone"
        result.add_array(f"density_w{axis + 1}", values, ("t", f"w{axis + 1}"), unit="1/W", text=text)


def _add_walkers(result: Result, answer: Answer) -> None:
    count = answer.params.walkers
    statistics = [walked.statistics for walked in answer.walked]
    for name, parts, words in (
        ("mean_monte_carlo", [s.mean for s in statistics], f"mean of {count} walkers"),
        ("mean_stderr", [s.mean_error for s in statistics], "its standard error"),
        ("sd_monte_carlo", [s.sd for s in statistics], f"standard deviation of {count} walkers"),
        ("sd_stderr", [s.sd_error for s in statistics], "its standard error"),
    ):
        result.add_array(name, np.stack(parts, axis=1), ("t", "axis"), unit="W", text=words)
    for axis, walked in enumerate(answer.walked):
        name = f"histogram_w{axis + 1}"
        middles = 0.5 * (walked.edges[1:] + walked.edges[:-1])
        result.add_array(name, middles, (name,), unit="W", text="middles of the histogram's cells")
        text = f"histogram of {count} walkers"
        result.add_array(
            f"density_monte_carlo_w{axis + 1}", walked.histogram, ("t", name), unit="1/W", text=text
        )
    lost = float(statistics[0].lost[-1])
    if lost > 0:
        text = "share of the walkers at no finite place at the end; mean and spread are those of the others"
        result.add_finding("lost_walkers", lost, text, kind="warning")


def _add_errors(result: Result, answer: Answer) -> None:
    """Worst deviations over time and axes of mean and spread from the walkers', by the law's own sampling errors."""
    motion = answer.motion
    assert motion.operator is not None
    edges = [np.linspace(answer.box.low[k], answer.box.high[k], answer.params.cells + 1) for k in range(2)]
    marginals = [result.arrays[f"density_w{k + 1}"].values for k in range(2)]
    errors = np.array(
        [
            [sampling_errors(edges[k], marginals[k][t], answer.params.walkers) for k in range(2)]
            for t in range(len(motion.mean))
        ]
    )
    for i, (name, ours) in enumerate((("mean", motion.mean), ("sd", motion.sd))):
        theirs = result.arrays[f"{name}_monte_carlo"].values
        words = "mean" if name == "mean" else "standard deviation"
        away = np.abs(np.array(ours) - theirs)
        if not np.isfinite(away).any():
            result.add_missing(f"{name}_error", f"no {words} is left to compare with Monte Carlo's", unit="W")
            continue
        worst = np.unravel_index(int(np.nanargmax(away)), away.shape)
        text = f"largest deviation of a {words} from Monte Carlo's over time (W{worst[1] + 1}, t = "
        text += f"{answer.times[worst[0]]:.0f})"
        result.add_finding(
            f"{name}_error", float(away[worst]), text, unit="W", stderr=float(errors[(*worst, i)])
        )
        known = errors[:, :, i] > 0
        if known.any():
            text = f"largest deviation of a {words} from Monte Carlo's, in standard errors"
            z = float(np.nanmax(away[known] / errors[:, :, i][known]))
            result.add_finding(f"{name}_z", z, text, kind="accuracy")
        if name == "sd":
            with np.errstate(all="ignore"):
                ratio = away / theirs
            if np.isfinite(ratio).any():
                text = "largest deviation of a standard deviation from Monte Carlo's, relative to it"
                result.add_finding("sd_relative_error", float(np.nanmax(ratio)), text, kind="accuracy")


def _add_accuracy(result: Result, answer: Answer) -> None:
    motion, coarse = answer.motion, answer.coarse
    text = "largest deviation of the total mass from 1, what has left included"
    result.add_finding("mass_error", motion.mass_error, text, kind="accuracy")
    text = "least density anywhere at any time"
    result.add_finding("min_density", motion.least, text, unit="1/W²", kind="accuracy")
    if coarse.mean:
        number = len(coarse.mean)
        changes = [
            np.array(a[:number]) - np.array(b)
            for a, b in ((motion.mean, coarse.mean), (motion.sd, coarse.sd))
        ]
        text = "largest change of a mean or standard deviation by cells of twice the size"
        worst = float(np.nanmax(np.abs(changes), initial=0.0))
        result.add_finding("grid_error", worst, text, unit="W", kind="accuracy")
    outside = motion.outside[-1]
    kind: FindingKind = "warning" if outside > MASS_WORTH_A_WARNING else "accuracy"
    text = (
        f"mass that has left the cells by the end: {outside:.3g}; mean and spread are those of what is inside"
    )
    result.add_finding("outside", outside, text, kind=kind)
    text = (
        "T max|H| over the cells, H the curvature of any datapoint's loss: a diffusion needs it well below 1"
    )
    result.add_finding("validity", answer.stiffness, text, kind="accuracy")


# --- where it ends --------------------------------------------------------------------------------------------------


def _add_end(result: Result, answer: Answer, settled: Settled, check: Check) -> None:
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
        why = f"the law ends in the point ({mean[0]:.4g}, {mean[1]:.4g}), where there is nothing that could circulate"
        for name in ("circulation", "circulation_share", "energy_defect"):
            result.add_missing(name, why)
        return
    where = "of the stationary law" if settled.settled else "of the law that it has come to"
    if ours.dimension == 1:
        where += ", which lies on a line, where nothing can circulate"
    text = f"mean angle by which W turns round its mean per step, from W1 to W2, {where}; 0 where there is an energy"
    result.add_finding("circulation", ours.turning, text, unit="rad")
    text = f"the current's share in the motion {where}; without circulation it is of the order of T max|H|"
    result.add_finding("circulation_share", ours.share, text)
    if np.isfinite(theirs.turning):
        text = "change of the circulation by cells of twice the size"
        error = abs(ours.turning - theirs.turning)
        result.add_finding("circulation_error", error, text, unit="rad", kind="accuracy")
    check()
    condition = energy_condition(
        answer.system.gradients, answer.params.temperature, settled.operator, settled.state, check
    )
    _add_condition(result, condition, answer.stiffness)


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
