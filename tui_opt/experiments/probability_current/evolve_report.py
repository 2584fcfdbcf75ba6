"""What evolve found, as arrays, findings and figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.evolve_figures import add_figures
from tui_opt.experiments.probability_current.evolve_motions import MASS_WORTH_A_WARNING, Motion
from tui_opt.experiments.probability_current.evolve_question import Asked
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.experiments.probability_current.setting import OPERATOR, add_validity
from tui_opt.kernels.ensembles import Statistics
from tui_opt.kernels.laws import cdf_on_cells, sampling_errors, wasserstein
from tui_opt.result import FindingKind, Result

UNVISITED = 1e-9
"""Mass, of a law at a time, that may lie in cells which are not looked at for steep gradients."""


@dataclass
class Answer:
    """What is known so far.

    Attributes:
        question: what was asked.
        motions: the law by each model.
        reasons: why a model has none.
        sample: what the walkers say.
        histogram, histogram_edges: of the walkers, [t, n] and [n + 1].
        path_times, paths: of descent without noise, [path_t] and [start, path_t].
    """

    question: Asked
    motions: dict[str, Motion] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    sample: Statistics | None = None
    histogram: FloatArray | None = None
    histogram_edges: FloatArray = field(default_factory=lambda: np.empty(0))
    path_times: FloatArray = field(default_factory=lambda: np.empty(0))
    paths: FloatArray | None = None

    @property
    def params(self) -> EvolveParams:
        return self.question.params

    @property
    def edges(self) -> FloatArray:
        return self.question.edges


def report(answer: Answer) -> Result:
    """Everything that is known so far, as a result."""
    result = Result()
    edges = answer.edges
    widths = np.diff(edges)
    result.add_array("t", answer.question.times, ("t",), unit="steps", text="steps taken")
    result.add_array("w", 0.5 * (edges[1:] + edges[:-1]), ("w",), unit="W", text="middles of the cells")
    for model, motion in answer.motions.items():
        dims = ("t", "w")
        result.add_array(f"density_{model}", motion.mass / widths, dims, unit="1/W", text=f"density, {model}")
        result.add_array(f"mean_{model}", motion.mean, ("t",), unit="W", text=f"mean, {model}")
        result.add_array(f"sd_{model}", motion.sd, ("t",), unit="W", text=f"standard deviation, {model}")
    if answer.sample is not None:
        _add_sample(result, answer, answer.sample)
    _add_paths(result, answer)
    for model, motion in answer.motions.items():
        _add_findings(result, answer, model, motion)
    _warn_of_walls(result, answer)
    _add_validity(result, answer)
    for model, reason in answer.reasons.items():
        result.add_missing(f"final_mean_{model}", reason, unit="W")
        result.add_missing(f"final_sd_{model}", reason, unit="W")
        result.warn(reason)
    if answer.question.held < 1.0 - MASS_WORTH_A_WARNING:
        result.warn(
            f"The cells hold {answer.question.held:.4g} of the initial law. The rest is left out by the models, not by "
            "the walkers. Widen w_min and w_max, or leave them on auto."
        )
    if answer.question.clipped:
        result.warn(
            f"Walkers diverge: the cells were cut at {edges[0]:.4g} and {edges[-1]:.4g}. Take a smaller "
            "temperature, or set w_min and w_max."
        )
    add_figures(result, answer.params)
    return result


def _add_validity(result: Result, answer: Answer) -> None:
    """T max|g'| in the cells that hold a law: gradients may be steep where nothing ever is."""
    cells = answer.edges.size - 1
    held = np.zeros(cells, bool)
    for motion in answer.motions.values():
        held |= (motion.mass > UNVISITED / cells).any(axis=0)
    at = np.flatnonzero(held)
    middles = result.arrays["w"].values
    places = np.unique(np.concatenate([answer.edges[at], middles[at], answer.edges[at + 1]]))
    where = f"over the cells that hold all but {UNVISITED:g} of every law shown"
    add_validity(result, answer.question.setting.validity(places), answer.params.models, where)


def _warn_of_walls(result: Result, answer: Answer) -> None:
    """Diffusions keep what the exact chain lets go."""
    exact = answer.motions.get(OPERATOR)
    names = ", ".join(model for model in answer.motions if model != OPERATOR)
    if exact is not None and names and exact.outside[-1] > MASS_WORTH_A_WARNING:
        result.warn(
            f"Walkers leave the cells, but the diffusion models ({names}) have walls at their ends, "
            f"{answer.edges[0]:.4g} and {answer.edges[-1]:.4g}, that throw everything back. Widen w_min and w_max to "
            "compare them."
        )


def _add_sample(result: Result, answer: Answer, sample: Statistics) -> None:
    count = answer.params.walkers
    for name, values, words in (
        ("mean_monte_carlo", sample.mean, f"mean of {count} walkers"),
        ("mean_stderr", sample.mean_error, "its standard error"),
        ("sd_monte_carlo", sample.sd, f"standard deviation of {count} walkers"),
        ("sd_stderr", sample.sd_error, "its standard error"),
    ):
        result.add_array(name, values, ("t",), unit="W", text=words)
    middles = 0.5 * (answer.histogram_edges[1:] + answer.histogram_edges[:-1])
    result.add_array(
        "histogram_w", middles, ("histogram_w",), unit="W", text="middles of the histogram's cells"
    )
    assert answer.histogram is not None
    dims = ("t", "histogram_w")
    result.add_array(
        "density_monte_carlo", answer.histogram, dims, unit="1/W", text=f"histogram of {count} walkers"
    )
    lost = float(sample.lost[-1])
    if lost > 0:
        text = "share of the walkers at no finite place at the end; mean and spread are those of the others"
        result.add_finding("lost_walkers", lost, text, kind="warning")


def _add_paths(result: Result, answer: Answer) -> None:
    """Descent of the mean gradient from the asked starts, thinned where there are many steps."""
    if answer.paths is None:
        return
    result.add_array("path_t", answer.path_times, ("path_t",), unit="steps", text="steps taken")
    starts = np.array(answer.params.starts)
    result.add_array("start", starts, ("start",), unit="W", text="starts of the paths")
    text = "descent of the mean gradient, without noise"
    result.add_array("path", answer.paths, ("start", "path_t"), unit="W", text=text)


def _add_findings(result: Result, answer: Answer, model: str, motion: Motion) -> None:
    """How far from the others it is, where it ends, and how accurate that is."""
    named = "the exact chain" if model == OPERATOR else model
    _add_errors(result, answer, model, motion)
    exact = answer.motions.get(OPERATOR)
    if model != OPERATOR and exact is not None:
        distances = [
            wasserstein(answer.edges, row, cdf_on_cells(answer.edges, other, answer.edges))
            for row, other in zip(motion.mass, exact.mass, strict=True)
        ]
        text = f"largest Wasserstein distance to the exact chain over time, {named}"
        result.add_finding(f"distance_{model}", _largest(np.array(distances)), text, unit="W")
    gone = "" if motion.mass[-1].any() else ": no mass is left in the cells"
    text = f"mean at the end, {named}{gone}"
    result.add_finding(f"final_mean_{model}", float(motion.mean[-1]), text, unit="W")
    text = f"standard deviation at the end, {named}{gone}"
    result.add_finding(f"final_sd_{model}", float(motion.sd[-1]), text, unit="W")
    text = f"largest deviation of the total mass from 1, {named}"
    result.add_finding(f"mass_error_{model}", motion.mass_error, text, kind="accuracy")
    text = f"least density anywhere at any time, {named}"
    result.add_finding(f"min_density_{model}", motion.least, text, unit="1/W", kind="accuracy")
    text = f"Wasserstein distance at the end to half as many cells, {named}"
    if motion.notes:
        text += f" ({'; '.join(motion.notes)})"
    result.add_finding(f"grid_error_{model}", motion.grid_error, text, unit="W", kind="accuracy")
    outside = float(motion.outside[-1])
    if model == OPERATOR:
        kind: FindingKind = "warning" if outside > MASS_WORTH_A_WARNING else "accuracy"
        text = f"mass that has left the cells by the end: {outside:.3g}; mean and spread are those of what is inside"
        result.add_finding(f"outside_{model}", outside, text, kind=kind)


def _add_errors(result: Result, answer: Answer, model: str, motion: Motion) -> None:
    """Worst deviations over time of mean and spread from the walkers', or from the exact chain's without them."""
    exact, sample = answer.motions.get(OPERATOR), answer.sample
    chance = _sampling_errors(answer)
    # Cells that mass has left and walkers, who may go anywhere, are no longer about the same.
    left = exact is not None and bool(exact.outside[-1] > MASS_WORTH_A_WARNING)
    whole = exact.outside <= MASS_WORTH_A_WARNING if exact is not None else np.ones(len(motion.mean), bool)
    for i, (name, quantity) in enumerate((("mean", "mean"), ("sd", "standard deviation"))):
        finding, ours = f"{name}_error_{model}", getattr(motion, name)
        if sample is not None:
            away = np.where(whole, np.abs(ours - getattr(sample, name)), np.nan)
            worst = int(np.nanargmax(away)) if np.isfinite(away).any() else 0
            text = f"largest deviation of the {quantity} from Monte Carlo's over time"
            if left and whole.any():
                last = answer.question.times[whole][-1]
                text += f", as long as the cells hold all, to t = {last:.0f}"
            if not np.isfinite(away[worst]):
                text += ": there are not walkers enough at any time"
            result.add_finding(finding, float(away[worst]), text, unit="W", stderr=float(chance[worst, i]))
            if model == OPERATOR and answer.question.held > 1.0 - MASS_WORTH_A_WARNING:
                _add_z(result, name, quantity, away, np.hypot(chance[:, i], motion.cell_errors[:, i]))
        elif exact is not None and model != OPERATOR:
            text = f"largest deviation of the {quantity} from the exact chain's over time"
            away = np.where(whole, np.abs(ours - getattr(exact, name)), np.nan)
            result.add_finding(finding, _largest(away), text, unit="W")


def _add_z(result: Result, name: str, quantity: str, away: FloatArray, errors: FloatArray) -> None:
    """The worst deviation from the walkers in units of what chance and cells explain."""
    known = (errors > 0) & np.isfinite(away)
    if known.any():
        text = (
            f"largest deviation of the {quantity} from Monte Carlo's, in standard errors, to which the change on half "
            "as many cells is added"
        )
        z = float(np.max(away[known] / errors[known]))
        result.add_finding(f"{name}_z_{OPERATOR}", z, text, kind="accuracy")


def _largest(values: FloatArray) -> float:
    """The largest of the numbers among them, NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else float("nan")


def _sampling_errors(answer: Answer) -> FloatArray:
    """Standard errors of the walkers' mean and spread, [t, 2].

    By the exact law where it is known: when the last of a few walkers has left a rare place, their own estimate says
    that nothing was ever there.
    """
    exact = answer.motions.get(OPERATOR)
    if exact is not None:
        rows = [sampling_errors(answer.edges, mass, answer.params.walkers or 1) for mass in exact.mass]
        return np.array(rows)
    if answer.sample is None:
        return np.zeros((answer.question.times.size, 2))
    return np.stack([answer.sample.mean_error, answer.sample.sd_error], axis=1)
