"""Where datapoints agree on the gradient, so that SGD has no noise, and where they differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.fokker_planck import gradient_variance
from tui_opt.kernels.stationary import stationary_points

ROUNDING = 1e-9
"""Gradients that differ by less than this fraction of the largest difference nearby are one number."""
NEARBY = 1e-3
"""How far `nearby` reaches, as a fraction of the interval."""


@dataclass(frozen=True)
class Peak:
    """The largest gradient variance on an interval, and where."""

    w: float
    variance: float


def agreements(
    gradients: TermField, curvatures: TermField, w_min: float, w_max: float, check: Check = unchecked
) -> list[float]:
    """Places where all g_j are equal: the zeros of S².

    They are looked for among the zeros of g_k - g_0, k the first datapoint that differs from datapoint 0 anywhere.
    Stretches on which S² is merely too small for doubles are plateaus and give no places.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        w_min, w_max: interval.
        check: called now and then.

    Returns: places in increasing order; none for a single datapoint, or where all are the same everywhere.
    """
    nodes = np.linspace(w_min, w_max, 257)
    with np.errstate(invalid="ignore"):
        spread = np.nan_to_num(np.abs(_less_first(gradients, nodes)), nan=0.0, posinf=0.0).max(axis=1)
    differing = np.flatnonzero(spread > 0)
    if differing.size == 0:
        return []
    k = int(differing[0])
    found = stationary_points(
        lambda w: _less_first(gradients, w)[k],
        lambda w: _less_first(curvatures, w)[k],
        w_min,
        w_max,
        check=check,
    )
    reach = NEARBY * (w_max - w_min)
    places = []
    for point in found:
        around = np.abs(_less_first(gradients, point.w + reach * np.array([-1.0, 0.0, 1.0])))
        if np.all(around[:, 1] <= ROUNDING * max(float(np.nanmax(around)), np.finfo(float).tiny)):
            places.append(point.w)
    return places


def variance_peak(gradients: TermField, w: FloatArray) -> Peak:
    """The largest S² on a grid w[n], refined between its neighbours on the grid.

    Raises: ValueError where no value on the grid is finite.
    """
    values = gradient_variance(gradients, w)
    if not np.isfinite(values).any():
        raise ValueError("The gradients are finite nowhere on the interval; choose another interval.")
    best = int(np.nanargmax(np.where(np.isfinite(values), values, np.nan)))
    left, right = float(w[max(best - 1, 0)]), float(w[min(best + 1, w.size - 1)])
    found = minimize_scalar(
        lambda at: -float(gradient_variance(gradients, np.array([at]))[0]),
        bounds=(left, right),
        method="bounded",
        options={"xatol": 1e-12 * max(abs(left), abs(right), right - left)},
    )
    if np.isfinite(found.fun) and -found.fun > values[best]:
        return Peak(float(found.x), float(-found.fun))
    return Peak(float(w[best]), float(values[best]))


def _less_first(terms: TermField, w: FloatArray) -> FloatArray:
    """Terms less the first one, [j, n]."""
    values = evaluate_terms(terms, w)
    with np.errstate(invalid="ignore"):
        return np.asarray(values - values[:1])
