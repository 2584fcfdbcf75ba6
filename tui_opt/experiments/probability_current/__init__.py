"""probability-current: how a distribution of weights moves under SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.probability_current.params import (
        EndStateParams,
        EvolveParams,
        FieldsParams,
        MetricParams,
        PlaneParams,
    )

_HERE = "tui_opt.experiments.probability_current"
MODELS = ("operator", "ito", "stratonovich", "fick", "sme2")
# Costs on the reference machine, one core.
_SECONDS_PER_WALKER_STEP = 4e-9
_SECONDS_PER_CELL_STEP = 1e-8
_IMPLICIT_STEPS_PER_STEP = 20
_SECONDS_PER_STEP_BY_STEP = 4e-8
_SECONDS_PER_PLANE_CELL_STEP = 3e-8
_SECONDS_PER_PLANE_WALKER_STEP = 1e-8
_MOST_FINER_CELLS = 1024
_MOST_FINER_WORK = 5e8
_SETTLING_SECONDS = 1.5
_TRIAL_CELLS = 100


def _each(*patterns: str) -> tuple[str, ...]:
    """The patterns with every model in the place of `*`."""
    return tuple(pattern.replace("*", model) for pattern in patterns for model in MODELS)


def _fields(p: FieldsParams) -> Estimate:
    return Estimate(0.05 + 1e-7 * p.cells, 200 * p.cells)


def _terms(p: EvolveParams | EndStateParams) -> int:
    return len(p.gradients) or len(p.losses)


def _evolve(p: EvolveParams) -> Estimate:
    cost = 0.1 + p.walkers * p.steps * 0.5 * (_terms(p) + 1) * max(1, p.substeps) * _SECONDS_PER_WALKER_STEP
    per_step = sum(1 if m == "operator" else _IMPLICIT_STEPS_PER_STEP for m in p.models)
    cost += p.cells * p.steps * per_step * _SECONDS_PER_CELL_STEP
    outputs = p.steps // p.output_every + 2
    return Estimate(cost, 50_000_000 + 8 * p.cells * outputs * (len(p.models) + 2) + 100 * p.walkers)


def _end_state(p: EndStateParams) -> Estimate:
    plain = p.substeps == 1 and p.walls == "open"
    per_step = 0.5 * (_terms(p) + 1) * _SECONDS_PER_WALKER_STEP if plain else _SECONDS_PER_STEP_BY_STEP
    seconds = 0.3 + 8e-5 * p.cells + p.walkers * p.steps * per_step * max(1, p.substeps / 10)
    seconds += 1e-3 * p.cells if p.substeps == 0 else 0.0
    return Estimate(seconds, 50_000_000 + 5000 * p.cells + 100 * p.walkers)


def _metric(p: MetricParams) -> Estimate:
    return Estimate(0.3 + 7e-6 * p.cells, 20_000_000 + 5000 * p.cells)


def _plane(p: PlaneParams) -> Estimate:
    outputs = p.steps // p.output_every + 2
    moves = float(p.steps) * len(p.losses)
    followed = [p.cells / 2, p.cells]
    while 2 * followed[-1] <= _MOST_FINER_CELLS and (2 * followed[-1]) ** 2 * moves <= _MOST_FINER_WORK:
        followed.append(2 * followed[-1])
    followed = followed[:4]
    cells = sum(n**2 for n in followed) + 4 * _TRIAL_CELLS**2
    seconds = _SETTLING_SECONDS + 0.5 * moves * (
        cells * _SECONDS_PER_PLANE_CELL_STEP + p.walkers * _SECONDS_PER_PLANE_WALKER_STEP
    )
    images = 16 * len(p.losses)
    memory = 8 * p.cells**2 * outputs + (400 + images) * followed[-1] ** 2 + 100 * p.walkers
    return Estimate(seconds, 100_000_000 + int(memory))


FIELDS = Experiment(
    name="fields",
    title="Mean gradient G and gradient variance S²",
    summary="G, S² and S of the losses or gradients, their zeros, and where gradient descent and SGD are at rest.",
    params=later(f"{_HERE}.params:FieldsParams"),
    compute=f"{_HERE}.fields:compute",
    estimate=_fields,
    findings=(
        "stable_zeros",
        "unstable_zeros",
        "variance_zeros",
        "rest_points",
        "rest_w",
        "S2_max",
        "S2_max_w",
        "S2_at_restless",
        "S2_growth",
        "validity",
    ),
    arrays=(
        "w",
        "G",
        "S2",
        "S",
        "zero_gradient_w",
        "zero_variance_w",
        "datapoints",
        "S2_of_first",
        "S2_of_subsets",
    ),
    headline=("stable_zeros", "rest_points", "S2_max", "validity"),
)

EVOLVE = Experiment(
    name="evolve",
    title="The density of W over time",
    summary="The exact chain, its diffusion models and Monte Carlo from the same initial law: density, mean, spread.",
    params=later(f"{_HERE}.params:EvolveParams"),
    compute=f"{_HERE}.evolve:compute",
    estimate=_evolve,
    findings=(
        *_each(
            "mean_error_*",
            "sd_error_*",
            "final_mean_*",
            "final_sd_*",
            "distance_*",
            "mass_error_*",
            "min_density_*",
            "grid_error_*",
        ),
        "mean_z_operator",
        "sd_z_operator",
        "outside_operator",
        "lost_walkers",
        "validity",
    ),
    arrays=(
        "t",
        "w",
        *_each("density_*", "mean_*", "sd_*"),
        "mean_monte_carlo",
        "mean_stderr",
        "sd_monte_carlo",
        "sd_stderr",
        "histogram_w",
        "density_monte_carlo",
        "start",
        "path_t",
        "path",
    ),
    headline=("mean_error_operator", "sd_error_operator", "mean_error_ito", "validity"),
    warm={"steps": 4, "output_every": 2, "cells": 64, "walkers": 1100},
)

END_STATE = Experiment(
    name="end-state",
    title="Where the density ends",
    summary="Stationary laws, or quasi-stationary ones before an exit, of every model against the exact chain.",
    params=later(f"{_HERE}.params:EndStateParams"),
    compute=f"{_HERE}.end_state:compute",
    estimate=_end_state,
    findings=(
        *_each(
            "escape_rate_*",
            "log_escape_rate_*",
            "log_rate_ratio_*",
            "stationary_mean_*",
            "stationary_sd_*",
            "ks_*",
            "distance_*",
            "mean_gradient_*",
            "variance_ratio_*",
            "log_density_ratio_*",
            "mass_error_*",
            "grid_error_*",
            "rate_error_*",
        ),
        "closest_ks",
        "closest_rate",
        "exact_mean",
        "exact_sd",
        "dimension",
        "support_min",
        "support_max",
        "mean_monte_carlo",
        "sd_monte_carlo",
        "escape_rate_monte_carlo",
        "mean_z_operator",
        "sd_z_operator",
        "rate_z_operator",
        "ks_monte_carlo",
        "unsettled",
        "lost_walkers",
        "validity",
    ),
    arrays=(
        "w",
        "w_edge",
        *_each("density_*", "cdf_*", "compare_cdf_*"),
        "cdf_exact",
        "cdf_monte_carlo",
        "compare",
        "compare_cdf_exact",
        *(f"{name}{level}" for level in (1, 2, 4, 8) for name in ("cascade_w_", "cascade_")),
    ),
    headline=("ks_ito", "ks_stratonovich", "log_rate_ratio_ito", "closest_ks"),
    warm={"cells": 200, "walkers": 1100, "steps": 10},
)

METRIC = Experiment(
    name="metric",
    title="The coordinate in which S² is 1",
    summary="Lamperti's coordinate, the effective potential in it, and where it ceases to exist.",
    params=later(f"{_HERE}.params:MetricParams"),
    compute=f"{_HERE}.metric:compute",
    estimate=_metric,
    findings=(
        "valid_from",
        "valid_to",
        "origin_w",
        "length",
        "length_below",
        "length_above",
        "basin_from",
        "basin_to",
        "mean",
        "sd",
        "law_error",
        "wall_density",
        "unit_variance_error",
        "y_error",
        "potential_error",
        "validity",
    ),
    arrays=(
        "w",
        "y",
        "potential",
        "S",
        "basin_w",
        "basin_y",
        "density_w",
        "density_y",
        "density_ito",
        "place",
        "place_y",
        "place_S",
    ),
    headline=("valid_from", "valid_to", "mean", "sd"),
    warm={"cells": 64},
)

PLANE = Experiment(
    name="plane",
    title="Two parameters: density over the plane",
    summary="The transfer operator on a grid against Monte Carlo, and the circulation of the stationary current.",
    params=later(f"{_HERE}.params:PlaneParams"),
    compute=f"{_HERE}.plane:compute",
    estimate=_plane,
    findings=(
        *(f"final_{name}_{axis}" for name in ("mean", "sd") for axis in (1, 2)),
        "mean_error_operator",
        "mean_z_operator",
        "sd_error_operator",
        "sd_z_operator",
        "sd_relative_error_operator",
        "lost_walkers",
        "circulation",
        "circulation_share",
        "circulation_error",
        "settling_steps",
        "noise_rank",
        "energy_defect",
        "mass_error_operator",
        "min_density_operator",
        "grid_error_operator",
        "mean_grid_error_operator",
        "sd_grid_error_operator",
        "cells_followed",
        "outside_operator",
        "validity",
    ),
    arrays=(
        "t",
        "axis",
        "w1",
        "w2",
        "density",
        "density_w1",
        "density_w2",
        "mean",
        "sd",
        "mean_monte_carlo",
        "mean_stderr",
        "sd_monte_carlo",
        "sd_stderr",
        *(f"{name}_w{axis}" for name in ("histogram", "density_monte_carlo") for axis in (1, 2)),
        "map",
        "map_t",
        "map_w1",
        "map_w2",
        "end_w1",
        "end_w2",
        "end_density",
        "end_stream",
        "end_density_map",
        "end_stream_map",
    ),
    headline=("mean_error_operator", "sd_error_operator", "circulation", "mass_error_operator"),
    devices=("cuda", "cpu"),
    warm={
        "losses": ["W1^2+W2^2", "W1^2+W2^2-W1"],
        "steps": 4,
        "output_every": 2,
        "cells": 32,
        "walkers": 1100,
    },
)

SCENARIO = Scenario(
    name="probability-current",
    title="How a distribution of weights moves under SGD",
    experiments=(FIELDS, EVOLVE, END_STATE, METRIC, PLANE),
)
