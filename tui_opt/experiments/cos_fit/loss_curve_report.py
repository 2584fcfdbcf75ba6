"""What loss-curve says: the curves, the basin, its spread over draws, and how far samples are from the closed form."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.cos_fit.loss_curve_answer import SEARCHED, Answer, exact_curve, is_even
from tui_opt.experiments.cos_fit.loss_curve_figures import add_figures
from tui_opt.experiments.cos_fit.samples import FloatArray
from tui_opt.kernels.fitting.population import (
    cosine_loss_slope,
    population_basin,
    ridge_estimate,
)
from tui_opt.result import Result

ROUNDING = 1e-15
"""Losses differ by so much for no reason but rounding."""


def report(answer: Answer) -> Result:
    """The result of the draws that are done."""
    result, one = Result(), answer.one
    result.add_array("alpha", answer.alpha, ("alpha",), text=f"trial values of {one.name}")
    text = "mean squared error of the first sample"
    result.add_array("mse", answer.curve.mse, ("alpha",), text=text)
    text = "its standard error, from the sample itself"
    result.add_array("mse_stderr", answer.curve.stderr, ("alpha",), text=text)
    if answer.exact is not None:
        text = "mean squared error in closed form, over the law of the samples"
        result.add_array("mse_exact", answer.exact.mse, ("alpha",), text=text)
        if answer.exact.sd is not None:
            text = "sampling standard deviation of mse, in closed form"
            result.add_array("mse_sd", answer.exact.sd, ("alpha",), text=text)
    else:
        why = (
            "an equation of one's own"
            if one.part is None
            else "a root of x, which is negative for half of a normal law"
        )
        why = "data from a file" if answer.params.data else why
        result.warn(f"There is no closed form of the loss for {why}; the sample's curve stands alone.")
    _warn_of_samples(result, answer)
    _add_near(result, answer)
    if answer.basins:
        _add_basin(result, answer)
        _add_draws(result, answer)
    elif answer.near_curves:
        _add_no_basin(result, answer)
    _add_deviation(result, answer)
    _add_start(result, answer)
    add_figures(result, answer.one.name, answer.one.truth, answer.params)
    return result


def _warn_of_samples(result: Result, answer: Answer) -> None:
    samples = answer.one.samples
    if samples.dropped:
        result.warn(
            f"{samples.dropped} of {samples.rows} rows are left out: a value is missing or not finite there."
        )
    step = float(answer.alpha[1] - answer.alpha[0])
    if is_even(answer) and step > 0.5 * answer.scale:
        result.warn(
            f"The trial values are {step:.3g} apart and the loss changes within 1/s = {answer.scale:.3g}: the curve "
            "over the whole range may miss the minimum. The picture of the basin is drawn on values of its own."
        )


def _add_near(result: Result, answer: Answer) -> None:
    result.add_array("near_alpha", answer.near, ("near_alpha",), text="places around the basin")
    if answer.near_curves:
        curves = np.array(answer.near_curves)
        result.add_array("near_mse", curves, ("draw_shown", "near_alpha"), text="losses there of a few draws")
    if answer.near_exact is not None:
        result.add_array("near_exact", answer.near_exact.mse, ("near_alpha",), text="the closed form there")
        if answer.near_exact.sd is not None:
            for name, sign in (("near_low", -4.0), ("near_high", 4.0)):
                values = answer.near_exact.mse + sign * answer.near_exact.sd
                text = f"the closed form {'less' if sign < 0 else 'and'} 4 sampling standard deviations"
                result.add_array(name, values, ("near_alpha",), text=text)


def _add_basin(result: Result, answer: Answer) -> None:
    first, basins = answer.basins[0], answer.basins
    of = f"median of {len(basins)} draws" if len(basins) > 1 else "of the sample"
    for which, values, side in (
        ("basin_low", np.array([b.low for b in basins]), "lower"),
        ("basin_high", np.array([b.high for b in basins]), "upper"),
    ):
        value, stderr = _median(values)
        text = f"{side} ridge beside the minimum, {of}"
        if value == 0.0 and is_even(answer):
            text += f": the loss is the same at -{answer.one.name}, which makes 0 a ridge"
        elif math.isinf(value):
            text += f": there is none within {SEARCHED:g}/s of the target"
        result.add_finding(which, value, text, stderr=stderr)
    result.add_finding("minimum", first.bottom, "where the first sample's loss is least, around the target")
    result.add_finding("minimum_loss", first.loss, "the loss there")
    if len(basins) < answer.tried:
        result.warn(f"{answer.tried - len(basins)} of {answer.tried} draws have no minimum near the target.")
    _add_rules(result, answer)


def _median(values: FloatArray) -> tuple[float, float | None]:
    """The median and its standard error from the values one standard deviation of ranks below and above it."""
    ordered = np.sort(values)
    n = ordered.size
    # Not the mean of the two in the middle, which may be infinite.
    middle = float(ordered[(n - 1) // 2])
    if n % 2 == 0 and np.isfinite(ordered[n // 2]):
        middle = 0.5 * (middle + float(ordered[n // 2]))
    half = 0.5 * math.sqrt(n)
    low, high = max(0, math.floor(0.5 * n - half)), min(n - 1, math.ceil(0.5 * n + half) - 1)
    spread = float(ordered[high] - ordered[low]) if np.isfinite(ordered[[low, high]]).all() else math.nan
    return middle, 0.5 * spread if n > 2 and math.isfinite(spread) else None


def _add_no_basin(result: Result, answer: Answer) -> None:
    why = "The loss has no minimum near the target, so there is no basin."
    for name in ("basin_low", "basin_high", "minimum", "minimum_loss"):
        result.add_missing(name, why)
    _add_rules(result, answer)


def _add_rules(result: Result, answer: Answer) -> None:
    params = answer.params
    if not answer.is_cosine or answer.law is None:
        why = "The rule is for a frequency in cos(a x) with x drawn from a law."
        for name in ("basin_half_width_rule", "basin_low_exact", "basin_high_exact"):
            result.add_missing(name, why)
        return
    law, target = answer.law, abs(answer.one.truth)
    rule = 4.0 / params.x_scale
    result.add_finding(
        "basin_half_width_rule", rule, "4/s: half the width of the basin at about 10,000 samples"
    )
    if target > 0:
        low, high = population_basin(law, target)
        if answer.one.truth < 0:
            low, high = -high, -low
        text = "lower end of the basin of the loss over the law of x"
        result.add_finding("basin_low_exact", low, text)
        endless = "; infinite: for a normal law the loss rises for ever, every ridge is a sample's own ripple"
        text = "upper end of the basin of the loss over the law of x"
        result.add_finding("basin_high_exact", high, text + (endless if math.isinf(high) else ""))
    if law.kind == "normal":
        estimate = ridge_estimate(law, answer.one.samples.count)
        text = "distance from the target at which a sample of this size can have its first ridge"
        result.add_finding("basin_half_width_estimate", estimate, text)


def _add_draws(result: Result, answer: Answer) -> None:
    """What the draws have in common: ridges scatter, so none of them is a property of the loss."""
    basins = answer.basins
    highs = np.array([b.high for b in basins])
    lows = np.array([b.low for b in basins])
    minima = np.array([b.next_minimum for b in basins])
    for name, values, text in (
        ("ridge", highs, "upper ridge"),
        ("ridge_low", lows, "lower ridge"),
        ("next_minimum", minima, "minimum beyond the upper ridge"),
        ("ridge_loss", np.array([b.high_loss for b in basins]), "loss on the upper ridge"),
        ("next_loss", np.array([b.next_loss for b in basins]), "loss at the minimum beyond"),
    ):
        result.add_array(name, values, ("draw",), text=f"{text} of each draw")
    half = np.array([b.high - b.bottom for b in basins])
    finite = half[np.isfinite(half)]
    if finite.size:
        stderr = _stderr(finite)
        text = f"distance from the minimum to the upper ridge, mean over {finite.size} draws"
        result.add_finding("basin_half_width", float(finite.mean()), text, stderr=stderr)
        scaled = float(finite.mean()) / answer.scale
        text = "the same in units of 1/s, s the root mean square of x"
        error = None if stderr is None else stderr / answer.scale
        result.add_finding("basin_half_width_scaled", scaled, text, stderr=error)
    _add_scatter(result, "ridge", highs, "upper ridge")
    _add_scatter(result, "ridge_low", lows, "lower ridge")
    _add_scatter(result, "next_minimum", minima, "minimum beyond the ridge")
    inside = float(np.mean(minima < answer.params.alpha_max))
    text = f"share of the draws with a second minimum below {answer.params.alpha_max:g}"
    result.add_finding("next_minimum_share", inside, text, stderr=_share_error(inside, minima.size))
    depth = np.array([b.high_loss - b.next_loss for b in basins])
    if np.isfinite(depth).any():
        text = "how far the loss falls from the ridge to the minimum beyond, mean over the draws"
        known = depth[np.isfinite(depth)]
        result.add_finding("ripple_depth", float(known.mean()), text, stderr=_stderr(known))


def _add_scatter(result: Result, name: str, values: FloatArray, words: str) -> None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return
    of = f"of {finite.size} draws"
    result.add_finding(f"{name}_mean", float(finite.mean()), f"{words}, mean {of}", stderr=_stderr(finite))
    if finite.size > 1:
        sd = float(finite.std(ddof=1))
        error = sd / math.sqrt(2.0 * (finite.size - 1))
        result.add_finding(f"{name}_sd", sd, f"{words}, standard deviation {of}", stderr=error)
    result.add_finding(f"{name}_least", float(finite.min()), f"{words}, least {of}")
    result.add_finding(f"{name}_most", float(finite.max()), f"{words}, largest {of}")


def _stderr(values: FloatArray) -> float | None:
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else None


def _share_error(share: float, n: int) -> float | None:
    return math.sqrt(share * (1.0 - share) / n) if n > 1 else None


def _add_deviation(result: Result, answer: Answer) -> None:
    """How far the sample's curve strays from the closed form, in sampling standard deviations."""
    if answer.exact is None or answer.exact.sd is None:
        return
    sd = answer.exact.sd
    z = np.abs(answer.curve.mse - answer.exact.mse) / (sd + ROUNDING)
    worst = int(np.argmax(z))
    width = float(answer.alpha[-1] - answer.alpha[0])
    independent = max(1.0, min(width / answer.scale, answer.alpha.size))
    text = (
        f"largest distance of mse from mse_exact in sampling standard deviations, at {answer.alpha[worst]:.4g}; "
        f"about {independent:.0f} of the values are independent"
    )
    result.add_finding("deviation_max", float(z[worst]), text, kind="accuracy")
    rms = float(np.sqrt(np.mean(z**2)))
    text = "root mean square of that distance over all values; 1 is expected"
    result.add_finding("deviation_rms", rms, text, kind="accuracy")
    text = "sampling standard deviation of the loss at the end of the range"
    result.add_finding("plateau_sd", float(sd[-1]), text)
    result.add_finding("plateau", float(answer.exact.mse[-1]), "the closed form there")


def _add_start(result: Result, answer: Answer) -> None:
    start = answer.params.start
    loss, slope = answer.one.loss_and_slope(np.array([start]))
    result.add_finding("loss_at_start", float(loss[0]), f"the first sample's loss at {start:g}")
    result.add_finding("slope_at_start", float(slope[0]), "its slope there")
    if answer.exact is not None:
        place = np.array([start])
        exact = exact_curve(answer.params, answer.one, answer.law, place)
        if exact is not None:
            result.add_finding("loss_at_start_exact", float(exact.mse[0]), "the closed form there")
    if answer.is_cosine and answer.law is not None:
        exact_slope = float(cosine_loss_slope(answer.law, np.array([start]), answer.one.truth)[0])
        text = "slope of the closed form there"
        far = (start - answer.one.truth) ** 2 * answer.law.spread**2 / 2.0
        if exact_slope == 0.0 and start != answer.one.truth and answer.law.kind == "normal":
            text += f": e^-{far:.0f} of the steepest, which is no number in double precision"
        result.add_finding("slope_at_start_exact", exact_slope, text)
    if answer.basins:
        inside = np.array([b.low < start < b.high for b in answer.basins])
        text = f"share of the draws in whose basin {start:g} lies"
        share = float(inside.mean())
        result.add_finding("start_in_basin", share, text, stderr=_share_error(share, inside.size))
