"""What the experiments about loss and descent declare: loss-curve, fit, basin-map, overparameterised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, later

if TYPE_CHECKING:
    from tui_opt.experiments.cos_fit.basin_map_params import BasinMapParams
    from tui_opt.experiments.cos_fit.fit_params import FitParams
    from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
    from tui_opt.experiments.cos_fit.overparameterised_params import OverparameterisedParams

_HERE = "tui_opt.experiments.cos_fit"
# Costs on the reference machine, one core.
_SECONDS_PER_ROTATED = 2e-9
_SECONDS_PER_EVALUATED = 8e-9
_SECONDS_PER_OWN_MODEL = 1e-7
_SECONDS_PER_NETWORK_STEP = 3e-4
_SECONDS_PER_ACTIVATION = 1.2e-8
_SECONDS_PER_WEIGHT_AND_SAMPLE = 3e-10
_SECONDS_PER_UPDATED = 1.2e-8
_PLACES_OF_A_BASIN = 250
_SECONDS_PER_TORCH_STEP = 4e-4
_SECONDS_PER_TORCH_SAMPLE = 1e-7
_NEAR_POINTS = 801
_SHOWN_CURVES = 4


def _loss_curve(p: LossCurveParams) -> Estimate:
    named = p.model in ("cos+exp", "cos", "exp", "exp+exp", "sqrt+exp")
    curves = p.points + _SHOWN_CURVES * _NEAR_POINTS
    each, basin = (_SECONDS_PER_ROTATED, _SECONDS_PER_EVALUATED) if named else (_SECONDS_PER_OWN_MODEL,) * 2
    seconds = 0.1 + p.samples * (curves * each + p.draws * _PLACES_OF_A_BASIN * basin)
    return Estimate(seconds, 100_000_000 + 200 * p.samples + 200 * p.points)


LOSS_CURVE = Experiment(
    name="loss-curve",
    title="Mean squared error against one parameter",
    summary="Of samples and in closed form over the law of x; how wide the basin is, and what is one sample's ripple.",
    params=later(f"{_HERE}.loss_curve_params:LossCurveParams"),
    compute=f"{_HERE}.loss_curve:compute",
    estimate=_loss_curve,
    findings=(
        "basin_low",
        "basin_high",
        "basin_half_width",
        "basin_half_width_scaled",
        "basin_half_width_rule",
        "basin_half_width_estimate",
        "basin_low_exact",
        "basin_high_exact",
        "minimum",
        "minimum_loss",
        *(
            f"{name}_{what}"
            for name in ("ridge", "ridge_low", "next_minimum")
            for what in ("mean", "sd", "least", "most")
        ),
        "next_minimum_share",
        "ripple_depth",
        "plateau",
        "plateau_sd",
        "deviation_max",
        "deviation_rms",
        "loss_at_start",
        "loss_at_start_exact",
        "slope_at_start",
        "slope_at_start_exact",
        "start_in_basin",
    ),
    arrays=(
        "alpha",
        "mse",
        "mse_stderr",
        "mse_exact",
        "mse_sd",
        "mse_low",
        "mse_high",
        "near_alpha",
        "near_mse",
        "near_exact",
        "near_low",
        "near_high",
        "ridge",
        "ridge_low",
        "ridge_loss",
        "next_minimum",
        "next_loss",
    ),
    headline=("basin_low", "basin_high", "basin_half_width_rule", "start_in_basin"),
    warm={"points": 64, "samples": 300, "draws": 2},
)


def _fit(p: FitParams) -> Estimate:
    stochastic = p.optimizer in ("sgd", "momentum", "adam")
    steps = p.epochs * -(-p.samples // min(p.batch, p.samples)) if stochastic else 30
    together = min(p.seeds, 64)
    per_step = _SECONDS_PER_TORCH_STEP + _SECONDS_PER_TORCH_SAMPLE * p.batch * together
    seconds = steps * per_step * -(-p.seeds // 64) if stochastic else p.seeds * steps * 1e-7 * p.samples
    seconds += 2.5 + 1.6e-8 * p.surface**2 * min(p.samples, 1500)
    return Estimate(seconds, 400_000_000 + 200 * p.samples * together + 40 * steps * together)


FIT = Experiment(
    name="fit",
    title="One fit from one start, and how it ends",
    summary="SGD, momentum, Adam (torch), L-BFGS-B, least squares (SciPy): the path on the loss, and why it ends so.",
    params=later(f"{_HERE}.fit_params:FitParams"),
    compute=f"{_HERE}.fit:compute",
    estimate=_fit,
    # Findings and arrays carry the names of the model's parameters, which an equation of one's own chooses.
    headline=("final_a", "final_b", "final_loss", "converged"),
    dtype="float32",
    warm={"samples": 300, "epochs": 1, "surface": 3},
)


def _basin_map(p: BasinMapParams) -> Estimate:
    named = p.model in ("cos+exp", "cos", "exp", "exp+exp", "sqrt+exp")
    per_sample = _SECONDS_PER_UPDATED if named else _SECONDS_PER_OWN_MODEL
    passes = {"gd": p.gd_steps, "sgd": p.epochs, "momentum": p.epochs, "adam": p.epochs, "lbfgs": 30}
    seconds = 0.0
    for method in p.optimizers:
        if method in ("annealing", "scan"):
            seconds += 0.1 + 1.5e-6 * p.samples
        elif method == "least-squares":
            seconds += p.starts * 60 * (2e-4 + 4 * per_sample * p.samples)
        else:
            seconds += p.starts * passes[method] * (1e-5 + per_sample * p.samples)
    return Estimate(
        0.3 + seconds * (1 if p.data else p.seeds), 250_000_000 + 300 * p.samples + 200 * p.starts
    )


BASIN_MAP = Experiment(
    name="basin-map",
    title="Where each start ends, by each optimizer",
    summary="Start against end, success rates with their errors, and cost: descents, L-BFGS-B, least squares, solve.",
    params=later(f"{_HERE}.basin_map_params:BasinMapParams"),
    compute=f"{_HERE}.basin_map:compute",
    estimate=_basin_map,
    findings=tuple(
        f"{what}_{method}"
        for method in ("gd", "sgd", "momentum", "adam", "lbfgs", "least-squares", "annealing", "scan")
        for what in ("success", "basin_low", "basin_high", "passes", "seconds", "lost")
    ),
    arrays=("start", "optimizer", "final_a", "found"),
    headline=("success_sgd", "success_adam", "success_lbfgs", "success_scan"),
    warm={
        "samples": 300,
        "starts": 2,
        "epochs": 1,
        "seeds": 1,
        "optimizers": ("adam", "lbfgs", "least-squares"),
    },
)


def _overparameterised(p: OverparameterisedParams) -> Estimate:
    samples = p.samples
    steps = p.epochs * -(-samples // min(p.batch, samples))
    batch = min(p.batch, samples)
    seconds, most = 1.0 + p.starts * p.epochs * samples * _SECONDS_PER_UPDATED, 0
    for width in p.widths:
        weights = 2 * width + (p.layers - 1) * width**2 + width
        activations = _SECONDS_PER_ACTIVATION * batch * width * p.layers
        each = activations + _SECONDS_PER_WEIGHT_AND_SAMPLE * weights * batch
        seconds += steps * (_SECONDS_PER_NETWORK_STEP * p.layers + p.seeds * each)
        most = max(most, 16 * (weights + 4 * width) + 16 * batch * (width * p.layers + 3))
    together = max(most, min(p.seeds * most, 500_000_000))
    return Estimate(seconds, 500_000_000 + together + 100 * samples * p.seeds)


OVERPARAMETERISED = Experiment(
    name="overparameterised",
    title="The same target fitted by networks of growing width",
    summary="Success over seeds and loss in and beyond the samples' range, beside the model's own two parameters.",
    params=later(f"{_HERE}.overparameterised_params:OverparameterisedParams"),
    compute=f"{_HERE}.overparameterised:compute",
    estimate=_overparameterised,
    findings=(
        "success_model",
        "outside_model",
        "seconds_model",
        "variance",
        *(f"{what}_{which}" for which in ("narrowest", "widest") for what in ("success", "loss", "outside")),
        *(f"{what}_{level}" for level in ("half", "all") for what in ("width", "parameters")),
    ),
    arrays=(
        "width",
        "parameters",
        "train_loss",
        "test_loss",
        "outside_loss",
        "success",
        "success_stderr",
        "history",
        "epoch",
        "x",
        "target",
        "output",
    ),
    headline=("success_model", "success_widest", "width_all", "outside_widest"),
    devices=("cpu", "cuda"),
    dtype="float32",
    warm={"samples": 300, "widths": (2,), "seeds": 2, "epochs": 1, "starts": 2, "test_samples": 10},
)
