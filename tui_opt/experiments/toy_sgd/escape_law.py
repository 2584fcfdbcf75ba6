"""escape-law: how the mean number of steps to leave the pit depends on temperature, and which theory is right where."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.pits import Question, Way
from tui_opt.experiments.toy_sgd.params import EscapeLawParams
from tui_opt.experiments.toy_sgd.system import (
    REFINEMENT,
    MeanSteps,
    mean_steps,
    warn_of_coarse_means,
)
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.kernels.large_deviations import (
    Exponent,
    barrier_exponent,
    fit_line,
    kramers_exponent,
    noise_free_place,
    stability_temperature,
)
from tui_opt.result import Result
from tui_opt.runner.context import Context

LEAST_FITTED = 3


def compute(params: EscapeLawParams, ctx: Context) -> Result:
    """Mean first-passage steps at every temperature, fits, and the exponents of two theories."""
    system = System.from_texts(params.losses)
    question = Question(system, params.start, params.barrier, params.w_min, params.w_max)
    temperature = np.unique(params.temperature)
    log_mean = np.full(temperature.size, np.nan)
    result = Result()
    ways: dict[int, Way] = {}
    for i, t in enumerate(temperature):
        try:
            ways[i] = question.way(float(t))
        except ExperimentError as error:
            result.warn(f"T = {t:g} is left out. {error}")
    if not ways:
        raise ExperimentError(result.warnings[0].partition(". ")[2])

    def solve(item: tuple[int, Way]) -> tuple[int, MeanSteps]:
        i, way = item
        return i, mean_steps(system, float(temperature[i]), way, params.cells, ctx)

    changes = [0.0]
    for done, (i, mean) in enumerate(ctx.map(solve, ways.items())):
        ctx.progress(done + 1, len(ways), "mean first-passage steps")
        log_mean[i] = mean.passage.log_mean if math.isfinite(mean.passage.log_mean) else math.nan
        if math.isfinite(mean.grid_change):
            changes.append(mean.grid_change)
        if mean.passage.reason:
            result.warn(f"T = {temperature[i]:g}: {mean.passage.reason}")
    _add_arrays(result, temperature, log_mean)
    _add_fits(result, temperature, log_mean)
    exponents = _add_exponents(result, system, question)
    _add_stability(result, system, question)
    text = f"largest relative change of the mean number of steps with {REFINEMENT} times the cells, which it uses"
    result.add_finding("mean_grid_error", max(changes), text, kind="accuracy")
    warn_of_coarse_means(result, changes)
    _add_figures(result, temperature, log_mean, exponents)
    return result


def _add_arrays(result: Result, temperature: FloatArray, log_mean: FloatArray) -> None:
    dims = ("temperature",)
    result.add_array("temperature", temperature, dims, unit="W²/L", text="step size T")
    result.add_array("inverse_temperature", 1 / temperature, dims, unit="L/W²", text="1/T")
    result.add_array(
        "log_mean_escape_steps", log_mean, dims, text="natural logarithm of the mean first-passage step"
    )
    if temperature.size > 1:
        slope = np.gradient(log_mean, 1 / temperature)
        result.add_array("local_slope", slope, dims, unit="W²/L", text="d ln(mean steps) / d(1/T)")


def _add_fits(result: Result, temperature: FloatArray, log_mean: FloatArray) -> None:
    fits = {
        "T": fit_line(temperature, log_mean),
        "ln T": fit_line(np.log(temperature), log_mean),
        "1/T": fit_line(1 / temperature, log_mean),
        "1/T²": fit_line(temperature**-2.0, log_mean),
    }
    rows = [(name, f.intercept, f.slope, f.r2, f.rms) for name, f in fits.items()]
    result.add_table("fits", ("ln(mean steps) against", "intercept", "slope", "r2", "rms"), rows)
    spread = f"over T = {temperature[0]:g} to {temperature[-1]:g}"
    if np.count_nonzero(np.isfinite(log_mean)) < LEAST_FITTED:
        why = f"A line through fewer than {LEAST_FITTED} temperatures with a finite mean says nothing; give more."
        for name in ("slope_inverse_temperature", "r2_linear", "r2_inverse"):
            result.add_missing(name, why)
        return
    text = f"slope of ln(mean steps) against 1/T, {spread}"
    result.add_finding("slope_inverse_temperature", fits["1/T"].slope, text, unit="W²/L")
    result.add_finding("r2_linear", fits["T"].r2, f"R² of ln(mean steps) linear in T, {spread}")
    result.add_finding("r2_inverse", fits["1/T"].r2, f"R² of ln(mean steps) linear in 1/T, {spread}")


def _add_exponents(result: Result, system: System, question: Question) -> dict[str, Exponent]:
    names = {
        "barrier_exponent": ("large deviations: ln(mean steps) tends to this over T", barrier_exponent),
        "kramers_exponent": (
            "the diffusion limit's value for the same, which is not the chain's",
            kramers_exponent,
        ),
    }
    found: dict[str, Exponent] = {}
    for name, (text, kernel) in names.items():
        try:
            pit = question.pit
        except ExperimentError as error:
            result.add_missing(name, str(error), unit="W²/L")
            continue
        exponent = kernel(system.gradients, pit.w, pit.maximum)
        found[name] = exponent
        result.add_finding(name, exponent.value, exponent.reason or text, unit="W²/L")
    if "barrier_exponent" in found and math.isfinite(found["barrier_exponent"].value):
        change = found["barrier_exponent"].error
        result.add_finding(
            "exponent_error", change, "change on doubling the quadrature", unit="W²/L", kind="accuracy"
        )
    return found


def _add_stability(result: Result, system: System, question: Question) -> None:
    """Where the pit stops holding walkers by itself: linear stability of the random maps and of their mean."""
    names = ("stability_temperature", "stability_temperature_single", "stability_temperature_mean")
    try:
        pit = question.pit
    except ExperimentError as error:
        for name in names:
            result.add_missing(name, str(error), unit="W²/L")
        return
    reach = abs(pit.maximum - pit.w)
    place = noise_free_place(system.gradients, pit.w - reach, pit.w + reach, near=pit.w)
    where = pit.w if place is None else place
    curvatures = system.curvatures(np.array([where]))[:, 0]
    lyapunov = stability_temperature(curvatures)
    if math.isfinite(lyapunov):
        text = f"random maps lose stability at W = {where:.6g}: the Lyapunov exponent is 0"
        result.add_finding("stability_temperature", lyapunov, text, unit="W²/L")
    else:
        why = f"The losses have no finite mean curvature above 0 at W = {where:.6g}, so no step size is stable there."
        result.add_missing("stability_temperature", why, unit="W²/L")
    sharpest = _sharpest_datapoint(system, question, reach)
    text = "2/l'' of the sharpest single datapoint at its own minimum"
    _add_two_over(result, "stability_temperature_single", sharpest, text)
    mean = float(system.curvature(np.array([pit.w]))[0])
    text = "2/L'' at the pit: above it gradient descent on the mean loss does not settle there"
    _add_two_over(result, "stability_temperature_mean", mean, text)


def _sharpest_datapoint(system: System, question: Question, reach: float) -> float:
    """Largest curvature of a single datapoint at its own minimum near the pit, or at the pit where it has none."""
    pit = question.pit
    found = [float(np.max(system.curvatures(np.array([pit.w]))))]
    for term in range(system.terms):
        points = system.stationary_of(term, question.w_min, question.w_max)
        found += [p.curvature for p in points if p.kind == "minimum" and abs(p.w - pit.w) < reach]
    return max((c for c in found if math.isfinite(c)), default=math.nan)


def _add_two_over(result: Result, name: str, curvature: float, text: str) -> None:
    if math.isfinite(curvature) and curvature > 0.0:
        result.add_finding(name, 2 / curvature, text, unit="W²/L")
    else:
        result.add_missing(
            name, "The curvature there is not a number above 0: a kink or a flat place.", unit="W²/L"
        )


def _add_figures(
    result: Result, temperature: FloatArray, log_mean: FloatArray, exponents: dict[str, Exponent]
) -> None:
    inverse = 1 / temperature
    layers: list[Layer] = [
        Scatter(x=Ref(array="inverse_temperature"), y=Ref(array="log_mean_escape_steps"), label="exact chain")
    ]
    known = np.flatnonzero(np.isfinite(log_mean))
    if known.size:
        coldest = known[0]
        labels = {"barrier_exponent": "large deviations", "kramers_exponent": "diffusion limit"}
        for name, exponent in exponents.items():
            if not math.isfinite(exponent.value):
                continue
            line = log_mean[coldest] + exponent.value * (inverse - inverse[coldest])
            array = f"law_{name}"
            text = f"line of slope {name} through the coldest point"
            result.add_array(array, line, ("temperature",), text=text)
            layers.append(Line(x=Ref(array="inverse_temperature"), y=Ref(array=array), label=labels[name]))
    stability = result.findings["stability_temperature"].value
    if math.isfinite(stability) and stability > 0:
        layers.append(Rule(axis="x", value=1 / stability, label="pit loses stability"))
    axis = Axis(label="1/T", unit="L/W²")
    result.add_figure(
        Figure(
            name="law",
            title="Mean steps to leave the pit against 1/T",
            x=axis,
            y=Axis(label="ln(mean steps)"),
            layers=tuple(layers),
        )
    )
    if "local_slope" in result.arrays:
        slopes: list[Layer] = [
            Line(x=Ref(array="inverse_temperature"), y=Ref(array="local_slope"), label="local slope")
        ]
        exact = exponents.get("barrier_exponent")
        if exact is not None and math.isfinite(exact.value):
            slopes.append(Rule(axis="y", value=exact.value, label="large deviations"))
        result.add_figure(
            Figure(
                name="slope",
                title="Local slope of the law",
                x=axis,
                y=Axis(label="d ln(mean steps) / d(1/T)", unit="W²/L"),
                layers=tuple(slopes),
            )
        )
