"""toy-sgd: stochastic gradient descent with one parameter and a handful of datapoints."""

from __future__ import annotations

from tui_opt.experiments.toy_sgd.params import (
    EscapeLawParams,
    EscapeParams,
    LandscapeParams,
    RunLengthParams,
    TrajectoryParams,
)
from tui_opt.params import Params
from tui_opt.scenario import Estimate, Experiment, Scenario

_HERE = "tui_opt.experiments.toy_sgd"
# Costs on the reference machine, one core: a walker's step, and a cell of the operator advanced by one step.
_SECONDS_PER_WALKER_STEP = 4e-9
_SECONDS_PER_CELL_STEP = 4e-9
_SECONDS_PER_FACTORED_CELL = 5e-5
_MOST_ATOMS_BYTES = 50_000_000


def _many(value: float | int | tuple[float, ...] | tuple[int, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _landscape(p: LandscapeParams) -> Estimate:
    return Estimate(0.05, 64 * p.points * (len(p.losses) + 4))


def _trajectory(p: TrajectoryParams) -> Estimate:
    replicas = p.replicas if p.method == "sgd" else 1
    iterates = len(p.start) * replicas * (p.steps + 1)
    return Estimate(0.02 + 2e-8 * iterates, 48 * iterates)


def _run_length(p: RunLengthParams) -> Estimate:
    return Estimate(0.1, 50_000_000)


def _escape(p: EscapeParams) -> Estimate:
    temperatures = len(_many(p.temperature))
    steps = max(_many(p.steps))
    seconds = 0.0
    if p.method != "monte-carlo":
        seconds += temperatures * p.cells * (_SECONDS_PER_CELL_STEP * steps + _SECONDS_PER_FACTORED_CELL)
    if p.method != "operator":
        seconds += temperatures * p.walkers * steps * _SECONDS_PER_WALKER_STEP
    return Estimate(seconds, _MOST_ATOMS_BYTES + 3_000 * p.cells + 32 * p.walkers)


def _escape_law(p: EscapeLawParams) -> Estimate:
    seconds = len(p.temperature) * p.cells * 4 * _SECONDS_PER_FACTORED_CELL
    return Estimate(seconds, _MOST_ATOMS_BYTES + 3_000 * p.cells)


def _experiment(
    name: str, title: str, summary: str, params: type[Params], estimate: object, **names: tuple[str, ...]
) -> Experiment:
    module = name.replace("-", "_")
    return Experiment(name, title, summary, params, f"{_HERE}.{module}:compute", estimate, **names)  # type: ignore[arg-type]


SCENARIO = Scenario(
    name="toy-sgd",
    title="SGD with one parameter and two datapoints",
    experiments=(
        _experiment(
            "landscape",
            "Losses, gradients and stationary points",
            "Curves of every loss, of their mean, its gradient and the gradient's variance, and every stationary point.",
            LandscapeParams,
            _landscape,
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
        ),
        _experiment(
            "trajectory",
            "Iterates of gradient descent, SGD and Newton's method",
            "Iterates from each start against step and on the landscape, the map's cobweb, and how it ends.",
            TrajectoryParams,
            _trajectory,
            findings=(
                "final_w",
                "final_w_mean",
                "multiplier",
                "optimal_temperature",
                "steps_to_tolerance",
                "period",
            ),  # fmt: skip
            arrays=("step", "w", "loss", "start"),
            headline=("final_w", "multiplier", "optimal_temperature", "steps_to_tolerance"),
        ),
        _experiment(
            "run-length",
            "How many equal draws in a row leave the pit",
            "Consecutive descents of one datapoint until no update returns, and the exact probability of such a run.",
            RunLengthParams,
            _run_length,
            findings=("run_length", "run_end_w", "run_probability", "mean_wait", "start_w", "barrier_w"),
            arrays=("step", "w", "draws", "probability"),
            headline=("run_length", "run_end_w", "run_probability", "mean_wait"),
        ),
        _experiment(
            "escape",
            "Probability of leaving the pit, against temperature",
            "The exact chain by its transfer operator, absorbing beyond the barrier, and by Monte Carlo beside it.",
            EscapeParams,
            _escape,
            findings=(
                "escape_probability",
                "escape_probability_monte_carlo",
                "mean_escape_steps",
                "monte_carlo_z",
                "grid_error",
                "mass_error",
                "min_mass",
                "barrier_w",
                "start_w",
                "lost_probability",
            ),  # fmt: skip
            arrays=(
                "temperature",
                "steps",
                "escape_operator",
                "escape_monte_carlo",
                "escape_stderr",
                "mean_escape_steps",
            ),  # fmt: skip
            headline=(
                "escape_probability",
                "escape_probability_monte_carlo",
                "mean_escape_steps",
                "monte_carlo_z",
            ),
        ),
        _experiment(
            "escape-law",
            "The law of the mean number of steps to escape",
            "ln(mean steps) against 1/T, with the exponent of large deviations and that of the diffusion limit.",
            EscapeLawParams,
            _escape_law,
            findings=(
                "barrier_exponent",
                "kramers_exponent",
                "slope_inverse_temperature",
                "r2_linear",
                "r2_inverse",
                "stability_temperature",
                "stability_temperature_single",
                "stability_temperature_mean",
            ),  # fmt: skip
            arrays=("temperature", "log_mean_escape_steps", "inverse_temperature", "local_slope"),
            headline=(
                "barrier_exponent",
                "kramers_exponent",
                "slope_inverse_temperature",
                "stability_temperature",
            ),
        ),
    ),
)
