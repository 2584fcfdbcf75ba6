"""loss-curve: mean squared error against one parameter, of samples and in closed form, and how wide its basin is."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.loss_curve_answer import SEARCHED, Answer, exact_curve, is_even
from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
from tui_opt.experiments.cos_fit.loss_curve_report import report
from tui_opt.experiments.cos_fit.named_parts import law_of
from tui_opt.experiments.cos_fit.one_parameter import OneParameter, one_parameter
from tui_opt.experiments.cos_fit.samples import FloatArray, load_samples
from tui_opt.kernels.fitting.basins import Basin, sample_basin
from tui_opt.kernels.fitting.population import (
    Law,
)
from tui_opt.result import Result
from tui_opt.runner.context import Context

SHOWN_CURVES = 4
NEAR_POINTS = 801
NEAR = 10.0
"""Half-width of the picture around the basin, in units of 1/s."""


def compute(params: LossCurveParams, ctx: Context) -> Result:
    """The curve of the first sample beside the population's, then the basins of all."""
    with np.errstate(all="ignore"):  # a model may overflow or have no value; its values are looked at instead
        return _computed(params, ctx)


def _computed(params: LossCurveParams, ctx: Context) -> Result:
    draws = 1 if params.data else params.draws
    ctx.progress(0, draws + 1, "loss curve")
    one = one_parameter(load_samples(params, ctx), params.parameter, dict(params.held))
    alpha = np.linspace(params.alpha_min, params.alpha_max, params.points)
    curve = one.curve(alpha, ctx.map, ctx.check)
    law = _law(params, one)
    reach = one.reach(alpha)
    if reach == 0.0:
        raise ExperimentError(
            f"The loss does not depend on {one.name}: every sample has a derivative of 0 by it."
        )
    answer = Answer(
        params, one, alpha, curve, exact_curve(params, one, law, alpha), law, 1.0 / _spread(one, reach)
    )
    _look_closer(answer)

    def drawn(draw: int) -> tuple[Basin | None, FloatArray | None]:
        here = (
            one if draw == 0 else one_parameter(load_samples(params, ctx, draw), one.name, dict(params.held))
        )
        shown = here.curve(answer.near, map, ctx.check).mse if draw < SHOWN_CURVES else None
        return _basin(answer, here, ctx), shown

    for draw, (basin, shown) in enumerate(ctx.map(drawn, range(draws))):
        ctx.progress(draw + 1, draws + 1, "basins")
        answer.tried += 1
        if basin is not None:
            answer.basins.append(basin)
        if shown is not None:
            answer.near_curves.append(shown)
        ctx.partial(lambda: report(answer))
    return report(answer)


def _law(params: LossCurveParams, one: OneParameter) -> Law | None:
    return law_of(params, one.part[1]) if one.part and not params.data else None


def _spread(one: OneParameter, reach: float) -> float:
    """Root mean square of x, or what stands for it in an equation."""
    if one.part:
        return float(np.sqrt(np.mean(one.samples.columns[one.part[1]] ** 2)))
    return reach / 3.0


def _centre(answer: Answer) -> float:
    """Where the basin is looked for: the true parameter, or the least loss on the grid for data from a file."""
    if np.isfinite(answer.one.truth) and answer.one.samples.truth is not None:
        return answer.one.truth
    finite = np.where(np.isfinite(answer.curve.mse), answer.curve.mse, np.inf)
    return float(answer.alpha[int(np.argmin(finite))])


def _limits(answer: Answer) -> tuple[float, float]:
    """Between which turns are looked for; a cosine's loss is the same at -alpha, so 0 is a ridge."""
    centre, far = _centre(answer), SEARCHED * answer.scale
    low, high = centre - far, centre + far
    if is_even(answer):
        low, high = (
            (max(low, 0.0), high) if centre > 0 else (low, min(high, 0.0)) if centre < 0 else (low, high)
        )
    return low, high


def _look_closer(answer: Answer) -> None:
    """Places around the basin, so many that it is seen however narrow it is."""
    centre, half = _centre(answer), NEAR * answer.scale
    low, high = _limits(answer)
    answer.near = np.linspace(max(centre - half, low), min(centre + half, high), NEAR_POINTS)
    answer.near_exact = exact_curve(answer.params, answer.one, answer.law, answer.near)


def _basin(answer: Answer, one: OneParameter, ctx: Context) -> Basin | None:
    low, high = _limits(answer)
    try:
        found = sample_basin(
            one.loss_and_slope, one.reach(answer.alpha), _centre(answer), low, high, ctx.check
        )
    except ValueError:
        return None
    if not is_even(answer) or _centre(answer) == 0:
        return found
    below = 0.0 if found.low == -math.inf and low == 0.0 else found.low
    above = 0.0 if found.high == math.inf and high == 0.0 else found.high
    return Basin(found.bottom, found.loss, below, above, found.high_loss, found.next_minimum, found.next_loss)
