"""escape: how likely a walker has left the pit after n steps, by the transfer operator and by Monte Carlo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.pits import Question, Way
from tui_opt.experiments.toy_sgd.escape_figures import add_figures
from tui_opt.experiments.toy_sgd.params import EscapeParams
from tui_opt.experiments.toy_sgd.sampling import Sample, passage_kernel, sample_escapes
from tui_opt.experiments.toy_sgd.system import (
    REFINEMENT,
    MeanSteps,
    mean_steps,
    warn_of_coarse_means,
)
from tui_opt.kernels.escape import EscapeCurve, escape_curve
from tui_opt.kernels.passage import PassageTime
from tui_opt.kernels.transfer import transfer_operator
from tui_opt.result import Result
from tui_opt.runner.context import Context

CURVE_POINTS = 60
LOST_SHARE_WORTH_A_WARNING = 1e-6
CHANCE_WORTH_A_WARNING = 6.3e-5
"""Of a deviation as large by chance alone, four standard errors of one comparison; shared among several."""


@dataclass
class Answer:
    """What is known of each temperature so far; NaN where nothing is."""

    temperature: FloatArray
    steps: tuple[int, ...]
    ways: list[Way | None] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    curves: dict[int, EscapeCurve] = field(default_factory=dict)
    halved: dict[int, FloatArray] = field(default_factory=dict)
    passages: dict[int, PassageTime] = field(default_factory=dict)
    mean_changes: dict[int, float] = field(default_factory=dict)
    samples: dict[int, Sample] = field(default_factory=dict)

    def table(self, values: dict[int, FloatArray]) -> FloatArray:
        """[temperature, steps] from rows by temperature."""
        out = np.full((self.temperature.size, len(self.steps)), np.nan)
        for i, row in values.items():
            out[i] = row[: len(self.steps)]
        return out


def compute(params: EscapeParams, ctx: Context) -> Result:
    """Both methods at every temperature, each the other's check."""
    system = System.from_texts(params.losses)
    question = Question(system, params.start, params.barrier, params.w_min, params.w_max)
    temperatures = _many(params.temperature)
    steps = tuple(int(n) for n in _many(params.steps))
    answer = Answer(np.array(temperatures), steps)
    _find_ways(answer, question)
    if params.method != "monte-carlo":
        _by_operator(answer, system, params, ctx)
    if params.method != "operator":
        _by_monte_carlo(answer, system, params, ctx)
    return _result(answer, system, params)


def _many(value: float | int | tuple[float, ...] | tuple[int, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _find_ways(answer: Answer, question: Question) -> None:
    """Start and barrier at each temperature; those without a barrier stay empty unless that is all of them."""
    for i, temperature in enumerate(answer.temperature):
        try:
            answer.ways.append(question.way(float(temperature)))
        except ExperimentError as error:
            answer.ways.append(None)
            answer.reasons[i] = str(error)
    if len(answer.reasons) == answer.temperature.size:
        raise ExperimentError(answer.reasons[0])


def _by_operator(answer: Answer, system: System, params: EscapeParams, ctx: Context) -> None:
    asked = _asked_steps(answer)
    todo = [(i, way) for i, way in enumerate(answer.ways) if way is not None]

    def solve(item: tuple[int, Way]) -> tuple[int, EscapeCurve, FloatArray, MeanSteps]:
        i, way = item
        temperature = float(answer.temperature[i])
        operator = transfer_operator(
            system.gradients, temperature, way.start, way.barrier, params.cells, ctx.check
        )
        ctx.check()
        curve = escape_curve(operator, way.start, asked, lambda done: ctx.check())
        coarse = transfer_operator(
            system.gradients, temperature, way.start, way.barrier, params.cells // 2, ctx.check
        )
        halved = escape_curve(coarse, way.start, answer.steps, lambda done: ctx.check())
        ctx.check()
        return i, curve, halved.probability, mean_steps(system, temperature, way, params.cells, ctx)

    for done, (i, curve, halved, mean) in enumerate(ctx.map(solve, todo)):
        answer.curves[i], answer.halved[i] = curve, halved
        answer.passages[i], answer.mean_changes[i] = mean.passage, mean.grid_change
        ctx.progress(done + 1, len(todo) * (1 if params.method == "operator" else 3), "transfer operator")
        ctx.partial(lambda: _result(answer, system, params))


def _asked_steps(answer: Answer) -> tuple[int, ...]:
    """The steps asked for, and for a single temperature enough others to draw the curve in time behind them."""
    if answer.temperature.size > 1:
        return answer.steps
    last = max(answer.steps)
    curve = np.unique(np.geomspace(1, last, CURVE_POINTS).astype(np.int64)) if last > 1 else np.array([1])
    return answer.steps + tuple(int(n) for n in curve)


def _by_monte_carlo(answer: Answer, system: System, params: EscapeParams, ctx: Context) -> None:
    todo = [(i, way) for i, way in enumerate(answer.ways) if way is not None]
    horizon = max(answer.steps)
    kernel = passage_kernel(system, ctx, float(len(todo)) * params.walkers * horizon)
    ahead = 0 if params.method == "monte-carlo" else len(todo) / 2
    for done, (i, way) in enumerate(todo):
        temperature = float(answer.temperature[i])

        def report(share: float, done: int = done, temperature: float = temperature) -> None:
            ctx.progress(ahead + done + share, ahead + len(todo), f"walkers at T = {temperature:g}")

        label = f"walkers T={temperature!r}"
        answer.samples[i] = sample_escapes(
            kernel, way, temperature, answer.steps, params.walkers, ctx, label, report
        )
        ctx.partial(lambda: _result(answer, system, params))


# --- the result -----------------------------------------------------------------------------------------------------


def _result(answer: Answer, system: System, params: EscapeParams) -> Result:
    result = Result()
    result.add_array("temperature", answer.temperature, ("temperature",), unit="W²/L", text="step size T")
    result.add_array("steps", np.array(answer.steps, dtype=np.float64), ("steps",), text="number of steps n")
    dims = ("temperature", "steps")
    if params.method != "monte-carlo":
        exact = answer.table({i: c.probability for i, c in answer.curves.items()})
        result.add_array(
            "escape_operator", exact, dims, text="probability of escape within n steps, exact chain"
        )
        means = np.full(answer.temperature.size, np.nan)
        for i, passage in answer.passages.items():
            means[i] = passage.mean
        result.add_array(
            "mean_escape_steps", means, ("temperature",), unit="steps", text="mean first-passage step"
        )
    if params.method != "operator":
        sampled, errors = _sampled(answer)
        result.add_array("escape_monte_carlo", sampled, dims, text=f"share of {params.walkers} walkers")
        result.add_array("escape_stderr", errors, dims, text="standard error of the share (binomial)")
    _add_curve(result, answer)
    _add_findings(result, answer)
    _add_accuracy(result, answer)
    for i, reason in answer.reasons.items():
        result.warn(f"T = {answer.temperature[i]:g} is left out. {reason}")
    add_figures(result, answer.ways, system)
    return result


def _sampled(answer: Answer) -> tuple[FloatArray, FloatArray]:
    """Shares and their standard errors.

    Where no walker, or every one, has escaped the share's own binomial error is zero and says nothing; the operator's
    probability gives it there, or without it Jeffreys' estimate (k + 1/2) / (n + 1).
    """
    shares = answer.table({i: s.escaped / s.walkers for i, s in answer.samples.items()})
    errors = np.full_like(shares, np.nan)
    for i, sample in answer.samples.items():
        n = sample.walkers
        p = shares[i].copy()
        flat = (p == 0) | (p == 1)
        curve = answer.curves.get(i)
        instead = curve.probability[: p.size] if curve is not None else (sample.escaped + 0.5) / (n + 1)
        p[flat] = np.clip(instead[flat], 0.0, 1.0)
        errors[i] = np.sqrt(p * (1 - p) / n)
    return shares, errors


def _add_curve(result: Result, answer: Answer) -> None:
    """For a single temperature the probability against the number of steps."""
    curve = answer.curves.get(0)
    if answer.temperature.size > 1 or curve is None:
        return
    drawn = curve.steps[len(answer.steps) :]
    result.add_array("curve_steps", drawn.astype(np.float64), ("curve_steps",))
    values = curve.probability[len(answer.steps) :]
    result.add_array(
        "curve_probability", values, ("curve_steps",), text="probability of escape within so many steps"
    )


def _add_findings(result: Result, answer: Answer) -> None:
    """Scalars where one temperature (and one number of steps) was asked for, and the largest deviation always."""
    single = answer.temperature.size == 1
    temperature = float(answer.temperature[0])
    if single and len(answer.steps) == 1:
        n = answer.steps[0]
        where = f"of leaving the pit within {n} steps at T = {temperature:g}"
        if 0 in answer.curves:
            result.add_finding(
                "escape_probability", float(answer.curves[0].probability[0]), f"{where}, exact chain"
            )
        if 0 in answer.samples:
            sample = answer.samples[0]
            name = "escape_probability_monte_carlo" if 0 in answer.curves else "escape_probability"
            share, error = (
                float(result.arrays["escape_monte_carlo"].values[0, 0]),
                float(result.arrays["escape_stderr"].values[0, 0]),
            )
            result.add_finding(name, share, f"{where}, {sample.walkers} walkers", stderr=error)
    if single and 0 in answer.passages:
        passage = answer.passages[0]
        text = "mean number of steps to leave the pit, exact chain"
        result.add_finding("mean_escape_steps", passage.mean, passage.reason or text, unit="steps")
    if single and 0 in answer.samples and answer.samples[0].mean_passage is not None:
        mean, error = answer.samples[0].mean_passage
        text = "mean number of steps to leave the pit, Monte Carlo"
        result.add_finding("mean_escape_steps_monte_carlo", mean, text, unit="steps", stderr=error)
        _compare_means(result, mean, error)
    if single and answer.ways[0] is not None:
        result.add_finding("start_w", answer.ways[0].start, "where the walkers start", unit="W")
        result.add_finding(
            "barrier_w",
            answer.ways[0].barrier,
            f"beyond it, to the {'right' if answer.ways[0].side > 0 else 'left'}, a walker has escaped",
            unit="W",
        )
    _add_deviation(result, answer)


def _compare_means(result: Result, sampled: float, stderr: float) -> None:
    exact = result.findings.get("mean_escape_steps")
    if exact is None or not math.isfinite(exact.value) or stderr == 0.0:
        return
    z = (sampled - exact.value) / stderr
    text = "mean number of steps, Monte Carlo minus operator, in standard errors"
    result.add_finding("mean_steps_z", z, text, kind="accuracy")
    if abs(z) > largest_expected_deviation(1):
        result.warn(
            f"The mean number of steps of the walkers differs from the operator's by {abs(z):.1f} standard errors. At "
            "large temperatures rare long excursions make up the mean, and the cells smear them: trust the walkers."
        )


def _add_deviation(result: Result, answer: Answer) -> None:
    both = [i for i in answer.samples if i in answer.curves]
    if not both:
        return
    deviations = []
    for i in both:
        sample = answer.samples[i]
        exact = np.clip(answer.curves[i].probability[: len(answer.steps)], 0.0, 1.0)
        expected = np.sqrt(exact * (1 - exact) / sample.walkers)
        difference = sample.escaped / sample.walkers - exact
        with np.errstate(divide="ignore", invalid="ignore"):
            deviations.append(np.where(difference == 0, 0.0, difference / expected))
    worst = float(max(np.ravel(deviations), key=abs))
    count = len(both) * len(answer.steps)
    text = "Monte Carlo minus operator, in the operator's binomial standard errors"
    result.add_finding(
        "monte_carlo_z", worst, text + (f"; the largest of {count}" if count > 1 else ""), kind="accuracy"
    )
    if abs(worst) > largest_expected_deviation(count):
        result.warn(
            f"Monte Carlo and operator differ by {abs(worst):.1f} standard errors, more than chance would give in "
            f"{count} comparison{'s' if count > 1 else ''}. Take more cells: walkers that gather in sharp places, or "
            "that make rare long excursions, are smeared by them."
        )


def largest_expected_deviation(comparisons: int) -> float:
    """Standard errors that the worst of several fair comparisons exceeds with a chance of `CHANCE_WORTH_A_WARNING`."""
    return float(ndtri(1.0 - CHANCE_WORTH_A_WARNING / (2 * comparisons)))


def _add_accuracy(result: Result, answer: Answer) -> None:
    if not answer.curves:
        return
    exact = answer.table({i: c.probability for i, c in answer.curves.items()})
    halved = answer.table(answer.halved)
    grid = float(np.nanmax(np.abs(exact - halved)))
    text = "largest change of a probability when the number of cells is halved"
    result.add_finding("grid_error", grid, text, kind="accuracy")
    changes = [change for change in answer.mean_changes.values() if math.isfinite(change)]
    if changes:
        text = f"largest relative change of the mean number of steps with {REFINEMENT} times the cells, which it uses"
        result.add_finding("mean_grid_error", max(changes), text, kind="accuracy")
        warn_of_coarse_means(result, changes)
    mass = max(c.mass_error for c in answer.curves.values())
    result.add_finding(
        "mass_error", mass, "largest deviation of the total probability from 1", kind="accuracy"
    )
    least = min(c.least_mass for c in answer.curves.values())
    result.add_finding("min_mass", least, "smallest probability of a cell; never below 0", kind="accuracy")
    lost = {i: p for i, p in answer.passages.items() if p.escape_probability < 1 - LOST_SHARE_WORTH_A_WARNING}
    if lost:
        i, passage = min(lost.items(), key=lambda item: item[1].escape_probability)
        share = 1 - passage.escape_probability
        text = (
            f"At T = {answer.temperature[i]:g} {passage.reason[0].lower()}{passage.reason[1:]}"
            if passage.reason
            else ""
        )
        result.add_finding("lost_probability", share, text or "walkers that never escape", kind="warning")
    elif answer.passages and not any(math.isnan(p.mean) for p in answer.passages.values()):
        result.add_finding("lost_probability", 0.0, "share of walkers that never escape", kind="accuracy")
