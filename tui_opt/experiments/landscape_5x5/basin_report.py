"""What basin says: the scatter with its smooth curve, the probability to return, the stability limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.examined import share_error
from tui_opt.experiments.landscape_5x5.params import BasinParams
from tui_opt.experiments.landscape_5x5.training import rule_of
from tui_opt.experiments.landscape_5x5.words import counted
from tui_opt.figure import Axis, Band, Figure, Layer, Line, Ref, Rule, Scatter
from tui_opt.kernels.logistic import LogisticFit, logistic_fit
from tui_opt.kernels.lowess import lowess
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

THRESHOLDS: Final = (1e-6, 1e-4, 1e-3, 1e-2)
PLACES: Final = 101
BINS: Final = 8
LEAST_LOSS: Final = 1e-16
"""Losses are smoothed as logarithms; below this they are rounding."""


@dataclass
class Trials:
    """What became of the noisy copies.

    Args:
        noise: [trial], norm.
        loss: [trial] after training; NaN where it is not finished.
        moved: [trial], the way from start to end.
        polished: [trial], loss after the steps that follow; empty where there are none.
    """

    noise: FloatArray
    loss: FloatArray
    moved: FloatArray
    polished: FloatArray


@dataclass(frozen=True)
class Stability:
    """The largest curvature at the built network, and what it predicts.

    Args:
        curvature: the largest of any direction, on the side of the kinks that it leads to.
        off: the largest eigenvalue of the Hessian with every node that is at a kink off.
        limit: largest learning rate at which a step does not grow along it; NaN for adaptive optimizers.
        tried: rows of (factor, learning rate, median loss, largest loss) from nearby.
    """

    curvature: float
    off: float
    limit: float
    tried: list[tuple[float, float, float, float]]


def report(params: BasinParams, trials: Trials, stability: Stability, norm: float, size: int) -> Result:
    """Arrays, findings and charts, of the trials that are finished."""
    result = Result()
    result.headline = ["half_distance", "return_fraction", "stability_limit", "lambda_max"]
    known = ~np.isnan(trials.loss)
    noise, loss = trials.noise[known], trials.loss[known]
    returned = loss < params.threshold
    places = np.linspace(0.0, params.noise_max, PLACES)
    result.add_array("noise", trials.noise, ("trial",), text="norm of the noise")
    result.add_array(
        "loss", trials.loss, ("trial",), text="loss after training; infinite where a trial diverged"
    )
    result.add_array("moved", trials.moved, ("trial",), text="distance between start and end")
    result.add_array("distance", places, ("distance",), text="norm of the noise")
    result.add_array(
        "lowess", _smooth(noise, loss, places), ("distance",), text="LOWESS of log10 of the loss"
    )
    fit = logistic_fit(noise, returned)
    _add_probability(result, places, fit, noise, returned)
    _add_half(result, params, fit, noise, returned, "half_distance")
    share = float(returned.mean()) if returned.size else math.nan
    result.add_finding(
        "return_fraction", share, f"trials with a last loss below {params.threshold:g}",
        stderr=float(share_error(share, returned.size)) if returned.size else None,
    )  # fmt: skip
    if loss.size:
        best, median = float(loss.min()), float(np.median(loss))
        text = "least loss after training" if math.isfinite(best) else "infinite: every trial diverged"
        result.add_finding("loss_best", best, text)
        text = (
            "median loss after training"
            if math.isfinite(median)
            else "infinite: half of the trials or more diverged"
        )
        result.add_finding("loss_median", median, text)
    _add_diverged(result, params, trials)
    _add_thresholds(result, params, noise, loss)
    if trials.polished.size:
        _add_polished(result, params, trials)
    _add_stability(result, params, stability)
    if math.isfinite(norm):
        _add_volume(result, norm, size, fit)
    _add_figures(result, params, fit is not None)
    return result


def _smooth(noise: FloatArray, loss: FloatArray, places: FloatArray) -> FloatArray:
    finite = np.isfinite(loss)
    if finite.sum() < 3:
        return np.full(places.size, np.nan)
    return lowess(noise[finite], np.log10(np.maximum(loss[finite], LEAST_LOSS)), places, share=0.3)


def _add_probability(
    result: Result,
    places: FloatArray,
    fit: LogisticFit | None,
    noise: FloatArray,
    returned: NDArray[np.bool_],
) -> None:
    if fit is None:
        level = 0.0 if not returned.any() else 1.0 if returned.all() else math.nan
        curve = low = high = np.full(places.size, level)
    else:
        curve = fit.probability(places)
        low, high = fit.band(places)
    result.add_array(
        "return_probability", curve, ("distance",), text="logistic fit of the probability to return"
    )
    result.add_array("return_low", low, ("distance",), text="lower end of its 95 % confidence band")
    result.add_array("return_high", high, ("distance",), text="upper end of its 95 % confidence band")
    edges = np.linspace(0.0, places[-1], BINS + 1)
    number, _ = np.histogram(noise, edges)
    back, _ = np.histogram(noise[returned], edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = back / number
    result.add_array(
        "bin", (edges[1:] + edges[:-1]) / 2, ("bin",), text="middle of an interval of the noise's norm"
    )
    result.add_array("return_share", share, ("bin",), text="share that returned, by interval")
    result.add_array("return_share_error", share_error(share, number), ("bin",), text="its standard error")


def _add_half(
    result: Result,
    params: BasinParams,
    fit: LogisticFit | None,
    noise: FloatArray,
    returned: NDArray[np.bool_],
    name: str,
) -> None:
    if fit is not None and fit.slope < 0 and fit.half <= 0:
        result.add_missing(name, "fewer than half of the trials return, however small the noise")
    elif fit is not None and fit.slope < 0:
        text = "norm of the noise from which half of the trials return"
        if fit.half > params.noise_max:
            text += f"; beyond {params.noise_max:g}, the largest that was tried, the fit is only continued"
        result.add_finding(name, fit.half, text, stderr=fit.half_stderr)
        result.add_finding(
            "return_slope", fit.slope, "slope of the logit", stderr=math.sqrt(fit.covariance[1, 1])
        )
    elif returned.any() and not returned.all() and noise[returned].max() < noise[~returned].min():
        middle = (noise[returned].max() + noise[~returned].min()) / 2
        result.add_finding(
            name, middle, "between the trials that returned and those that did not, which are parted"
        )
    elif not returned.any():
        result.add_missing(name, "no trial returned: the probability is zero at every distance")
    elif returned.all():
        result.add_missing(name, f"all trials returned: half of them would from beyond {params.noise_max:g}")
    else:
        result.add_missing(name, "the probability to return does not fall with the noise")


def _half(noise: FloatArray, returned: NDArray[np.bool_]) -> float:
    """Where half return by the fit; NaN where that is nowhere."""
    fit = logistic_fit(noise, returned)
    return fit.half if fit is not None and fit.slope < 0 and fit.half > 0 else math.nan


def _add_thresholds(result: Result, params: BasinParams, noise: FloatArray, loss: FloatArray) -> None:
    rows = []
    for threshold in sorted({*THRESHOLDS, params.threshold}):
        returned = loss < threshold
        rows.append((threshold, int(returned.sum()), int(returned.size), _half(noise, returned)))
    result.add_table(
        "thresholds",
        ("threshold", "returned", "trials", "half_distance"),
        rows,
        title="How far, by what counts as returned",
    )


def _add_diverged(result: Result, params: BasinParams, trials: Trials) -> None:
    """How many trials have no finite loss after training, and how many lost it in the small steps that follow."""
    of = counted(int(np.sum(~np.isnan(trials.loss))), "trial")
    lost = np.isinf(trials.loss)
    number = int(lost.sum())
    if number:
        text = f"{number} of {of} diverged. Lower learning_rate, now {rule_of(params).rate:g}, or noise_max."
        result.add_finding("diverged", number, text, kind="warning")
    later = int(np.sum(np.isinf(trials.polished) & ~lost)) if trials.polished.size else 0
    if later:
        text = f"{later} of {of} diverged in the small steps after training. Lower polish_rate, now "
        result.add_finding("diverged_polished", later, f"{text}{params.polish_rate:g}.", kind="warning")


def _add_polished(result: Result, params: BasinParams, trials: Trials) -> None:
    result.add_array(
        "loss_polished", trials.polished, ("trial",), text="loss after the small steps that follow"
    )
    known = ~np.isnan(trials.polished)
    returned = trials.polished[known] < params.threshold
    share = float(returned.mean()) if returned.size else math.nan
    result.add_finding(
        "return_fraction_polished",
        share,
        f"trials below {params.threshold:g} after {counted(params.polish, 'small step')}",
    )
    half = _half(trials.noise[known], returned)
    if math.isnan(half):
        result.add_missing("half_distance_polished", "too few trials returned, or all of them")
    else:
        result.add_finding("half_distance_polished", half, "the same distance after the small steps")


def _add_stability(result: Result, params: BasinParams, stability: Stability) -> None:
    result.add_finding(
        "lambda_max",
        stability.curvature,
        "largest curvature of any direction at the built network of smallest norm, to its own side of the kinks",
    )
    result.add_finding(
        "lambda_max_off", stability.off, "largest eigenvalue there if every node at a kink counts as off"
    )
    if math.isnan(stability.limit):
        why = f"{params.optimizer} has no fixed step size, and so no limit of stability"
        result.add_missing("stability_limit", why)
        return
    result.add_finding(
        "stability_limit",
        stability.limit,
        "learning rate above which steps along it grow: 2 (1 + momentum) / lambda_max",
    )
    columns = ("factor", "learning_rate", "loss_median", "loss_max")
    title = f"Training from {params.nearby:g} away, at parts of the limit"
    result.add_table("stability", columns, stability.tried, title=title)
    for side, text in ((-1, "below"), (1, "above")):
        rows = [row for row in stability.tried if side * (row[0] - 1.0) > 0]
        if rows:
            nearest = min(rows, key=lambda row: abs(row[0] - 1.0))
            result.add_finding(
                f"loss_{text}_limit", nearest[2], f"median loss from nearby at {nearest[0]:g} of the limit"
            )


def _add_volume(result: Result, norm: float, size: int, fit: LogisticFit | None) -> None:
    if fit is None or not fit.slope < 0 or not fit.half > 0 or not norm > 0:
        return
    ratio = size * math.log10(fit.half / norm)
    result.add_finding(
        "volume_log10",
        ratio,
        f"log10 of the ball of that radius to the ball of radius {norm:.4g}, in {size} dimensions",
    )


def _add_figures(result: Result, params: BasinParams, fitted: bool) -> None:
    x = Axis(label="norm of the noise", low=0.0, high=params.noise_max)
    noise, places = Ref(array="noise"), Ref(array="distance")
    result.add_array(
        "loss_lowess", 10.0 ** result.arrays["lowess"].values, ("distance",), text="LOWESS as a loss"
    )
    scatter: list[Layer] = [
        Scatter(x=noise, y=Ref(array="loss"), label="trials"),
        Line(x=places, y=Ref(array="loss_lowess"), label="LOWESS"),
        Rule(axis="y", value=params.threshold, label="threshold"),
    ]
    if "loss_polished" in result.arrays:
        scatter.insert(1, Scatter(x=noise, y=Ref(array="loss_polished"), label="polished"))
    result.add_figure(
        Figure(
            name="loss",
            title="Loss after training from noisy copies",
            x=x,
            y=Axis(label="loss", scale="log"),
            layers=tuple(scatter),
        )
    )
    shares = Scatter(
        x=Ref(array="bin"), y=Ref(array="return_share"), error=Ref(array="return_share_error"), label="shares"
    )
    curve = Line(x=places, y=Ref(array="return_probability"), label="logistic fit")
    band = (
        (Band(x=places, low=Ref(array="return_low"), high=Ref(array="return_high"), label="95 %"),)
        if fitted
        else ()
    )
    result.add_figure(
        Figure(
            name="return", title="Probability to return", x=x, y=Axis(label="probability", low=0.0, high=1.0),
            layers=(*band, curve, shares),
        )
    )  # fmt: skip
