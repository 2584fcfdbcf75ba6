"""What plane answers: arrays and findings of the law, the walkers, and where the law settles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.params import PlaneParams
from tui_opt.experiments.probability_current.plane_end import MASS_WORTH_A_WARNING, add_end
from tui_opt.experiments.probability_current.plane_figures import add_figures
from tui_opt.experiments.probability_current.plane_motion import (
    NARROW,
    Motion,
    changes,
    relative_changes,
    spreads,
)
from tui_opt.experiments.probability_current.plane_system import PlaneSystem
from tui_opt.kernels.callables import Check
from tui_opt.kernels.ensembles import Statistics
from tui_opt.kernels.laws import sampling_errors
from tui_opt.kernels.plane import Box, PlaneField
from tui_opt.kernels.plane_settling import Settled
from tui_opt.result import FindingKind, Result

COARSE: Final = 0.05
"""Change of a mean or standard deviation by the cells, in standard deviations, that is worth a warning."""


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
    motion: Motion = field(init=False)
    coarse: list[Motion] = field(default_factory=list)
    walked: list[Walked] = field(default_factory=list)
    settled: Settled | None = None

    def __post_init__(self) -> None:
        self.motion = Motion(self.box, self.params.cells)


def result_of(answer: Answer, check: Check) -> Result:
    """The result, or as much of it as there is."""
    result = Result()
    motion = answer.motion
    known = len(motion.mean)
    result.add_array("t", answer.times[:known], ("t",), unit="steps", text="steps taken")
    for axis in range(2):
        name = f"w{axis + 1}"
        edges = motion.edges(axis)
        middles = 0.5 * (edges[1:] + edges[:-1])
        result.add_array(name, middles, (name,), unit="W", text="middles of the cells")
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
    _add_final(result, motion)
    if answer.settled is not None:
        add_end(result, answer.system, answer.params.temperature, answer.stiffness, answer.settled, check)
    _add_accuracy(result, answer)
    add_figures(result)
    return result


def _add_marginals(result: Result, motion: Motion, known: int) -> None:
    sides = motion.sides
    for axis in range(2):
        values = motion.density[:known].sum(axis=2 - axis) * sides[1 - axis]
        text = f"density of W{axis + 1} alone"
        result.add_array(f"density_w{axis + 1}", values, ("t", f"w{axis + 1}"), unit="1/W", text=text)


def _add_final(result: Result, motion: Motion) -> None:
    for axis in range(2):
        for name, words, values in (("mean", "mean", motion.mean), ("sd", "standard deviation", motion.sd)):
            value, text = float(values[-1][axis]), f"{words} of W{axis + 1} at the end"
            if np.isfinite(value):
                result.add_finding(f"final_{name}_{axis + 1}", value, text, unit="W")
            else:
                result.add_missing(
                    f"final_{name}_{axis + 1}", f"{text}: nothing is left in the cells", unit="W"
                )


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
        text = f"{lost:.3g} of the walkers are at no finite place at the end; mean and spread are those of the others"
        result.add_finding("lost_walkers", lost, text, kind="warning")


def _add_errors(result: Result, answer: Answer) -> None:
    """Worst deviations over time and axes of mean and spread from the walkers', by the law's own sampling errors."""
    motion = answer.motion
    edges = [motion.edges(k) for k in range(2)]
    marginals = [result.arrays[f"density_w{k + 1}"].values for k in range(2)]
    errors = np.array(
        [
            [sampling_errors(edges[k], marginals[k][t], answer.params.walkers) for k in range(2)]
            for t in range(len(motion.mean))
        ]
    )
    of_cells = changes(motion, answer.coarse) if answer.coarse else np.zeros_like(errors)
    # What has left the cells is no part of their mean, and of the walkers' until it is at no finite place.
    whole = np.array(motion.outside) <= MASS_WORTH_A_WARNING
    for i, (name, ours) in enumerate((("mean", motion.mean), ("sd", motion.sd))):
        theirs = result.arrays[f"{name}_monte_carlo"].values
        words = "mean" if name == "mean" else "standard deviation"
        away = np.where(whole[:, None], np.abs(np.array(ours) - theirs), np.nan)
        if not np.isfinite(away).any():
            why = f"at no time both the cells and the walkers have a {words} of the whole law"
            result.add_missing(f"{name}_error_operator", why, unit="W")
            continue
        worst = np.unravel_index(int(np.nanargmax(away)), away.shape)
        text = f"largest deviation of a {words} from Monte Carlo's over time (W{worst[1] + 1}, t = "
        text += f"{answer.times[worst[0]]:.0f})"
        if not whole.all():
            text += f", as long as the cells hold all, to t = {answer.times[whole][-1]:.0f}"
        result.add_finding(
            f"{name}_error_operator", float(away[worst]), text, unit="W", stderr=float(errors[(*worst, i)])
        )
        _add_z(result, answer, name, away, errors[:, :, i], of_cells[:, :, i])
        if name == "sd":
            with np.errstate(all="ignore"):
                ratio = away / spreads(theirs)
            if np.isfinite(ratio).any():
                text = "largest deviation of a standard deviation from Monte Carlo's, relative to it, or to "
                text += f"{NARROW:g} of the widest until then where it is narrower"
                most = np.unravel_index(int(np.nanargmax(ratio)), ratio.shape)
                error = float(errors[(*most, i)] / spreads(theirs)[most])
                result.add_finding(
                    "sd_relative_error_operator", float(ratio[most]), text, stderr=error, kind="accuracy"
                )


def _add_z(
    result: Result, answer: Answer, name: str, away: FloatArray, chance: FloatArray, of_cells: FloatArray
) -> None:
    """The worst deviation [t, axis] from the walkers in units of what chance and cells explain."""
    errors = np.hypot(chance, of_cells)
    known = (chance > 0) & np.isfinite(away)
    if not known.any():
        return
    ratio = np.where(known, away / np.where(known, errors, 1.0), 0.0)
    most = np.unravel_index(int(ratio.argmax()), ratio.shape)
    words = "mean" if name == "mean" else "standard deviation"
    text = f"largest deviation of a {words} from Monte Carlo's, in standard errors, to which the change by cells of "
    text += "twice the size is added"
    excess = np.where(known, of_cells / np.where(known, chance, 1.0), 0.0)
    if excess.max() > 1:
        at = np.unravel_index(int(excess.argmax()), excess.shape)
        text += f". The cells' own error dominates: it is up to {excess[at]:.2g} times the walkers' (W{at[1] + 1}, "
        text += f"t = {answer.times[at[0]]:.0f})"
    result.add_finding(f"{name}_z_operator", float(ratio[most]), text, kind="accuracy")


def _add_accuracy(result: Result, answer: Answer) -> None:
    motion, coarse = answer.motion, answer.coarse
    text = "largest deviation of the total mass from 1, what has left included"
    result.add_finding("mass_error_operator", motion.mass_error, text, kind="accuracy")
    text = "least density anywhere at any time"
    result.add_finding("min_density_operator", motion.least, text, unit="1/W²", kind="accuracy")
    if coarse:
        text = "largest change of a mean or standard deviation by cells of twice the size"
        worst = float(np.nanmax(changes(motion, coarse), initial=0.0))
        result.add_finding("grid_error_operator", worst, text, unit="W", kind="accuracy")
        measure = f", or {NARROW:g} of the widest until then where it is narrower"
        change = relative_changes(motion, coarse)
        text = "largest change of a mean by cells of twice the size, in standard deviations" + measure
        result.add_finding("mean_grid_error_operator", change[0], text, kind="accuracy")
        text = "largest change of a standard deviation by cells of twice the size, relative to it" + measure
        result.add_finding("sd_grid_error_operator", change[1], text, kind="accuracy")
        if max(change) > COARSE:
            what = (
                "mean by {:.2g} standard deviations"
                if change[0] > change[1]
                else "standard deviation by {:.2g} of it"
            )
            result.warn(
                f"The cells do not resolve the maps: cells of twice the size change a {what.format(max(change))}. "
                "Take more cells, fewer steps or a smaller temperature, or trust the walkers."
            )
    text = "cells per axis on which the law was followed; `cells` of them are shown"
    result.add_finding("cells_followed", motion.cells * motion.parts, text, kind="accuracy")
    outside = motion.outside[-1]
    kind: FindingKind = "warning" if outside > MASS_WORTH_A_WARNING else "accuracy"
    text = (
        f"mass that has left the cells by the end: {outside:.3g}; mean and spread are those of what is inside"
    )
    if kind == "warning":
        text += ". Widen w1_min, w1_max, w2_min and w2_max, or take a smaller temperature if walkers diverge"
    result.add_finding("outside_operator", outside, text, kind=kind)
    text = (
        "T max|H| over the cells, H the curvature of any datapoint's loss: a diffusion needs it well below 1"
    )
    result.add_finding("validity", answer.stiffness, text, kind="accuracy")
