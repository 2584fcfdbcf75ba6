"""toy-sgd: stochastic gradient descent with one parameter and a handful of datapoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.toy_sgd.params import (
        EscapeLawParams,
        EscapeParams,
        LandscapeParams,
        RunLengthParams,
        TrajectoryParams,
    )

_HERE = "tui_opt.experiments.toy_sgd"
# Costs on the reference machine, one core: a walker's step; and a cell built and stepped until its law is still.
_SECONDS_PER_WALKER_STEP = 4e-9
_SECONDS_PER_CELL = 8e-5
_MOST_ATOMS_BYTES = 50_000_000


def _many(value: float | int | tuple[float, ...] | tuple[int, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _landscape(p: LandscapeParams) -> Estimate:
    return Estimate(0.05 + 1e-7 * p.points * len(p.losses), 64 * p.points * (len(p.losses) + 4))


def _trajectory(p: TrajectoryParams) -> Estimate:
    replicas = p.replicas if p.method == "sgd" else 1
    iterates = len(p.start) * replicas * (p.steps + 1)
    return Estimate(0.02 + 2e-8 * iterates, 48 * iterates)


def _run_length(p: RunLengthParams) -> Estimate:
    return Estimate(0.1, 50_000_000)


def _escape(p: EscapeParams) -> Estimate:
    temperatures, questions = len(_many(p.temperature)), len(_many(p.steps))
    steps = max(_many(p.steps))
    seconds = 0.0
    if p.method != "monte-carlo":
        seconds += temperatures * p.cells * _SECONDS_PER_CELL
    if p.method != "operator":
        # Half the price for each further datapoint: all gradients are computed at every step.
        terms = 0.5 * (len(p.losses) + 1)
        seconds += temperatures * p.walkers * steps * terms * _SECONDS_PER_WALKER_STEP
    answers = 80 * temperatures * questions
    return Estimate(seconds, _MOST_ATOMS_BYTES + 12_000 * p.cells + 64 * p.walkers + answers)


def _escape_law(p: EscapeLawParams) -> Estimate:
    seconds = len(p.temperature) * p.cells * _SECONDS_PER_CELL
    return Estimate(seconds, _MOST_ATOMS_BYTES + 12_000 * p.cells)


_WARM = {"temperature": 0.02, "steps": [30], "walkers": 1100, "cells": 200}

LANDSCAPE = Experiment(
    name="landscape",
    title="Losses, gradients and stationary points",
    summary="Curves of every loss, their mean, its gradient and the gradient's variance, and every stationary point.",
    params=later(f"{_HERE}.params:LandscapeParams"),
    compute=f"{_HERE}.landscape:compute",
    estimate=_landscape,
    findings=("minima", "maxima", "inflections", "global_minimum", "worst_gradient"),
    arrays=(
        "w",
        "loss",
        "loss_terms",
        "gradient",
        "gradient_variance",
        "stationary_w",
        "stationary_loss",
    ),
    headline=("minima", "maxima", "global_minimum", "worst_gradient"),
)

TRAJECTORY = Experiment(
    name="trajectory",
    title="Iterates of gradient descent, SGD and Newton's method",
    summary="Iterates from each start against step and on the landscape, the map's cobweb, and how it ends.",
    params=later(f"{_HERE}.params:TrajectoryParams"),
    compute=f"{_HERE}.trajectory:compute",
    estimate=_trajectory,
    findings=("final_w", "period", "multiplier", "optimal_temperature", "steps_to_tolerance"),
    arrays=(
        "start",
        "step",
        "w",
        "loss",
        "w_quantiles",
        "curve_w",
        "curve_loss",
        "map",
        "cobweb_x",
        "cobweb_y",
    ),
    headline=("final_w", "multiplier", "optimal_temperature", "steps_to_tolerance"),
    warm={"method": "sgd", "steps": 10},
)

RUN_LENGTH = Experiment(
    name="run-length",
    title="How many equal draws in a row leave the pit",
    summary="Consecutive descents of one datapoint until no update returns, and the exact probability of such a run.",
    params=later(f"{_HERE}.params:RunLengthParams"),
    compute=f"{_HERE}.run_length:compute",
    estimate=_run_length,
    findings=("run_length", "run_end_w", "run_probability", "mean_wait", "start_w", "barrier_w"),
    arrays=("step", "w", "draws", "probability"),
    headline=("run_length", "run_end_w", "run_probability", "mean_wait"),
)

ESCAPE = Experiment(
    name="escape",
    title="Probability of leaving the pit, against temperature",
    summary="The exact chain by its transfer operator, absorbing beyond the barrier, and by Monte Carlo beside it.",
    params=later(f"{_HERE}.params:EscapeParams"),
    compute=f"{_HERE}.escape:compute",
    estimate=_escape,
    findings=(
        "escape_probability",
        "escape_probability_monte_carlo",
        "mean_escape_steps",
        "mean_escape_steps_monte_carlo",
        "mean_steps_z",
        "start_w",
        "barrier_w",
        "monte_carlo_z",
        "grid_error",
        "mass_error",
        "min_mass",
        "lost_probability",
    ),
    arrays=(
        "temperature",
        "steps",
        "escape_operator",
        "escape_monte_carlo",
        "escape_stderr",
        "mean_escape_steps",
        "curve_steps",
        "curve_probability",
        "w",
        "loss",
    ),
    headline=("escape_probability", "escape_probability_monte_carlo", "mean_escape_steps", "monte_carlo_z"),
    warm=_WARM,
)

ESCAPE_LAW = Experiment(
    name="escape-law",
    title="The law of the mean number of steps to escape",
    summary="ln(mean steps) against 1/T, with the exponent of large deviations and that of the diffusion limit.",
    params=later(f"{_HERE}.params:EscapeLawParams"),
    compute=f"{_HERE}.escape_law:compute",
    estimate=_escape_law,
    findings=(
        "slope_inverse_temperature",
        "r2_linear",
        "r2_inverse",
        "barrier_exponent",
        "kramers_exponent",
        "exponent_error",
        "stability_temperature",
        "stability_temperature_single",
        "stability_temperature_mean",
    ),
    arrays=(
        "temperature",
        "inverse_temperature",
        "log_mean_escape_steps",
        "local_slope",
        "law_barrier_exponent",
        "law_kramers_exponent",
    ),
    headline=("barrier_exponent", "kramers_exponent", "slope_inverse_temperature", "stability_temperature"),
    warm={"temperature": [0.01, 0.02], "cells": 200},
)

SCENARIO = Scenario(
    name="toy-sgd",
    title="SGD with one parameter and two datapoints",
    experiments=(LANDSCAPE, TRAJECTORY, RUN_LENGTH, ESCAPE, ESCAPE_LAW),
)
