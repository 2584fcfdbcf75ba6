"""landscape-5x5: the energy landscape of a simple neural network, and what training finds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.experiments.landscape_5x5.costs import seconds_at_target, seconds_of_curvature
from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.landscape_5x5.minima_params import HessianParams, PathsParams
    from tui_opt.experiments.landscape_5x5.network_params import NetworkParams
    from tui_opt.experiments.landscape_5x5.params import BasinParams, TargetParams, TrainParams, WidthsParams

_HERE = "tui_opt.experiments.landscape_5x5"
# Costs on the reference machine, one core: an operation of training in lanes, and the same by matrix products.
_SECONDS_PER_OPERATION = 1.3e-11
_SECONDS_PER_BATCHED_OPERATION = 3e-10
# What the built network takes for each node and training point.
_SECONDS_OF_BUILDING = 1.3e-7
WIDEST_IN_LANES = 16
# Wider networks are trained by matrix products, in pieces that take about so many bytes if one of them does.
_ROOM = 300_000_000


def _room_of_products(samples: int, layers: int, width: int) -> int:
    return 0 if width <= WIDEST_IN_LANES else max(_ROOM, 4 * samples * width * (layers + 4))


def samples(p: NetworkParams) -> int:
    """Training points, about."""
    if not p.is_built:
        return p.points
    teeth = 2 ** (p.layers - 1) if p.teeth == "auto" else p.teeth
    return (2 * teeth + len(p.heights)) * (p.points_between + 1)


def seconds_of_training(p: NetworkParams, model_steps: float) -> float:
    """So many steps of one network on one core."""
    per_operation = _SECONDS_PER_OPERATION if p.width <= WIDEST_IN_LANES else _SECONDS_PER_BATCHED_OPERATION
    return model_steps * samples(p) * 6 * p.parameters * per_operation


def bytes_of_training(p: NetworkParams, models: int, chunk: int) -> int:
    """What is kept of each network, and what a chunk needs while it is trained."""
    room = _room_of_products(samples(p), p.layers, p.width)
    return 50_000_000 + room + models * 16 * p.parameters + min(models, chunk) * 24 * p.parameters


def _target(p: TargetParams) -> Estimate:
    seconds = 0.3 + p.compared * 4e-3 + seconds_of_training(p, p.compared * p.steps)
    # The built network answers its training set several times over, to find its knots and to be looked at.
    seconds += _SECONDS_OF_BUILDING * samples(p) * p.layers * p.width if p.is_built else 0.0
    return Estimate(seconds, bytes_of_training(p, p.compared, p.compared) + 200 * samples(p))


_KINDS = ("built", "random", "trained")

TARGET = Experiment(
    name="target",
    title="What the networks are to learn",
    summary="A network built by hand, its exact knots and training set, and how many knots others have.",
    params=later(f"{_HERE}.params:TargetParams"),
    compute=f"{_HERE}.target:compute",
    estimate=_target,
    findings=(
        "parameters",
        "knots",
        "samples",
        "y_min",
        "y_max",
        "y_mean",
        "y_variance",
        "high_variance",
        "spline_mse",
        "loss_built",
        "norm_built",
        "norm_smallest",
        "scaling_error",
        *(f"knots_{kind}_median" for kind in _KINDS),
    ),
    arrays=(
        "x",
        "y",
        "knots",
        "weights",
        "weights_smallest",
        "high_frequency",
        "knots_edge",
        *(f"knots_{kind}" for kind in _KINDS),
        *(f"knots_{kind}_counts" for kind in _KINDS),
    ),
    headline=("parameters", "knots", "samples", "spline_mse"),
    warm={"compared": 16, "steps": 10},
)


def seconds_of_examining(p: TrainParams) -> float:
    """A trained network on one core."""
    return 2e-3 + (2e-4 * p.restarts if p.is_built else 0.0)


def _train(p: TrainParams) -> Estimate:
    seconds = 0.3 + seconds_of_training(p, p.models * p.steps) + p.models * seconds_of_examining(p)
    return Estimate(seconds, bytes_of_training(p, p.models, p.chunk) + 4 * p.models * p.outputs)


TRAIN = Experiment(
    name="train",
    title="What thousands of trained networks find",
    summary="Full-batch training from random weights: losses, mean output, dead networks, how much of the sawtooth.",
    params=later(f"{_HERE}.params:TrainParams"),
    compute=f"{_HERE}.train:compute",
    estimate=_train,
    findings=(
        "loss_best",
        "loss_low",
        "loss_median",
        "loss_high",
        "loss_median_alive",
        "dead_fraction",
        "diverged_fraction",
        "spline_mse",
        "below_spline_fraction",
        "knots_median",
        "sawtooth_low",
        "sawtooth_median",
        "sawtooth_high",
        "sawtooth_largest",
        "sawtooth_above_half",
        "distance_sorted_median",
        "distance_matched_median",
        "model_steps_per_second",
    ),
    arrays=(
        "x",
        "y",
        "t",
        "quantile",
        "loss_quantiles",
        "loss",
        "dead",
        "distance_sorted",
        "distance_matched",
        "sawtooth_coefficient",
        "knots",
        "networks",
        "output_mean",
        "output_sd",
        "output_low",
        "output_high",
        "output_best",
        "outputs_best",
        "loss_edge",
        "loss_counts",
        "sawtooth_edge",
        "sawtooth_counts",
        "distance_edge",
        "distance_sorted_counts",
        "distance_matched_counts",
    ),
    headline=("loss_median", "loss_best", "dead_fraction", "sawtooth_median"),
    devices=("cuda", "cpu"),
    dtype="float32",
    warm={"models": 16, "steps": 10, "outputs": 2},
)


def _basin(p: BasinParams) -> Estimate:
    steps = p.trials * (p.steps + p.polish) + 32 * len(p.factors) * p.nearby_steps
    return Estimate(1.0 + seconds_of_training(p, steps), bytes_of_training(p, p.trials, 1024))


BASIN = Experiment(
    name="basin",
    title="From how far training returns to the built network",
    summary="Noise on the built network, training, probability to return; the limit of stability, predicted and tried.",
    params=later(f"{_HERE}.params:BasinParams"),
    compute=f"{_HERE}.basin:compute",
    estimate=_basin,
    findings=(
        "half_distance",
        "return_slope",
        "return_fraction",
        "loss_best",
        "loss_median",
        "return_fraction_polished",
        "half_distance_polished",
        "lambda_max",
        "lambda_max_off",
        "stability_limit",
        "loss_below_limit",
        "loss_above_limit",
        "volume_log10",
        "diverged",
        "diverged_polished",
    ),
    arrays=(
        "noise",
        "loss",
        "moved",
        "loss_polished",
        "distance",
        "lowess",
        "loss_lowess",
        "return_probability",
        "return_low",
        "return_high",
        "bin",
        "return_share",
        "return_share_error",
    ),
    headline=("half_distance", "return_fraction", "stability_limit", "lambda_max"),
    devices=("cuda", "cpu"),
    dtype="float32",
    warm={"trials": 16, "steps": 10, "factors": []},
)


def _size(layers: int, width: int) -> int:
    return 2 * width + (layers - 1) * width * (width + 1) + width + 1


def seconds_of_kind(p: WidthsParams, layers: int, width: int) -> float:
    """Training all networks of one size on one core."""
    per_operation = _SECONDS_PER_OPERATION if width <= WIDEST_IN_LANES else _SECONDS_PER_BATCHED_OPERATION
    models = p.models if width > WIDEST_IN_LANES else -(-p.models // 16) * 16
    return models * p.steps * samples(p) * 6 * _size(layers, width) * per_operation


def _widths(p: WidthsParams) -> Estimate:
    seconds, most = 0.5, 0
    for layers, width in p.kinds:
        size = _size(layers, width)
        seconds += seconds_of_kind(p, layers, width)
        most = max(most, p.models * 32 * size + _room_of_products(samples(p), layers, width))
    return Estimate(seconds, 50_000_000 + most + 8 * p.models * p.outputs * len(p.kinds))


WIDTHS = Experiment(
    name="widths",
    title="Do larger networks find it?",
    summary="Networks of several sizes trained on the same target: losses and time, 10 × 10 beside 5 × 5.",
    params=later(f"{_HERE}.params:WidthsParams"),
    compute=f"{_HERE}.widths:compute",
    estimate=_widths,
    arrays=("x", "y", "t", "width", "loss", "least", "least_median", "least_best", "output_best"),
    dtype="float32",
    warm={"models": 1, "steps": 2, "outputs": 2},
)


def _hessian(p: HessianParams) -> Estimate:
    seconds = 1.0 + seconds_of_training(p, p.number * ((0 if p.run else p.steps) + p.polish))
    seconds += p.number * seconds_of_curvature(samples(p), p.parameters)
    seconds += seconds_at_target(samples(p), p.parameters) if p.is_built else 0.0
    return Estimate(
        seconds,
        bytes_of_training(p, p.number, p.number) + 40 * p.parameters**2 + 16 * samples(p) * p.parameters,
    )


HESSIAN = Experiment(
    name="hessian",
    title="How steep minima are, and the built network",
    summary="Exact spectra of trained networks and of the built one, and how near training comes to its limit.",
    params=later(f"{_HERE}.minima_params:HessianParams"),
    compute=f"{_HERE}.hessian:compute",
    estimate=_hessian,
    findings=(
        "lambda_max_target",
        "lambda_target_other_side",
        "lambda_target_off",
        "lambda_target_on",
        "lambda_max_target_raw",
        "lambda_max_low",
        "lambda_max_median",
        "lambda_max_high",
        "lambda_min_median",
        "flat_directions_median",
        "gradient_norm_median",
        "kink_margin_median",
        "stability_curvature",
        "edge_share",
        "diverged",
    ),
    arrays=(
        "eigenvalues",
        "loss",
        "gradient_norm",
        "minimum",
        "spectrum_low",
        "spectrum_median",
        "spectrum_high",
    ),
    headline=("lambda_max_target", "lambda_max_median", "gradient_norm_median", "edge_share"),
    warm={"minima": 2, "steps": 10},
)


def _paths(p: PathsParams) -> Estimate:
    images = p.images * p.iterations
    gradients = p.starts * (3 * images + 20_000) if p.method == "minimax" else images
    steps = p.number * ((0 if p.run else p.steps) + p.polish + gradients)
    images_kept = 2 * p.images * (p.fine + 1)
    memory = (
        bytes_of_training(p, p.number, p.number)
        + p.number * images_kept * 24
        + 4 * p.images * p.number * p.parameters * 16
        + 400_000_000
    )
    return Estimate(2.0 + 1.5 * seconds_of_training(p, steps), memory)


PATHS = Experiment(
    name="paths",
    title="The loss between the built network and minima",
    summary="Paths of low loss with certified barriers, bands and strings beside them, and how wide the basin is.",
    params=later(f"{_HERE}.minima_params:PathsParams"),
    compute=f"{_HERE}.paths:compute",
    estimate=_paths,
    findings=(
        "barrier_median",
        "barrier_fine_median",
        "barrier_certified_median",
        "excess_median",
        "end_energy_median",
        "image_gap",
        "converged_fraction",
        "certificate_slack",
        "unresolved",
        "start_difference_median",
        "length_ratio_median",
        "rises_median",
        "angle_near_median",
        "angle_middle_median",
        "output_half_median",
        "basin_radius_median",
        "end_distance_median",
        "volume_log10",
        "diverged",
    ),
    arrays=(
        "energy",
        "energy_fine",
        "energy_certified",
        "energy_certified_other",
        "distance",
        "distance_fine",
        "angle",
        "angle_distance",
        "basin_radius",
        "end_distance",
        "minimum",
        "output",
        "output_image",
        "output_x",
    ),
    headline=("barrier_certified_median", "excess_median", "image_gap", "basin_radius_median"),
    dtype="float32",
    warm={"minima": 2, "steps": 10, "polish": 0, "images": 4, "iterations": 2, "method": "string"},
)

SCENARIO = Scenario(
    name="landscape-5x5",
    title="The energy landscape of a simple network",
    experiments=(TARGET, TRAIN, PATHS, BASIN, WIDTHS, HESSIAN),
)
