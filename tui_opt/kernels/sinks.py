"""Places where every datapoint rests although some lead away from them: does all mass end there?

With g_j(z) = 0 for all j a step multiplies a small distance to z by |f_j'|, f_j' = 1 - T g_j'. Its logarithm walks, on
average by the mean of ln|f_j'|: unless that is above zero walkers come ever nearer, and their law is a point, however
often single steps lead away. Cells, which know no distance below their width, show a law that is as wide as they
make it. The density of a diffusion goes as a power of the distance, and cannot be integrated up to z where that is -1
or less.

Reference: Furstenberg & Kesten (1960), Ann. Math. Stat. 31, 457 (the mean logarithm); Gardiner (2009), Stochastic
Methods, section 5.1 (natural boundaries).
"""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.agreement import agreements
from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.fokker_planck import Model

ROUNDING = 1e-9
"""Gradients below this fraction of the largest one nearby are none."""
NEARBY = 1e-3
"""How far `nearby` reaches, as a fraction of the interval."""


def resting_places(
    gradients: TermField, curvatures: TermField, w_min: float, w_max: float, check: Check = unchecked
) -> list[float]:
    """Places in an interval where all g_j vanish, in increasing order.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        w_min, w_max: interval.
        check: called now and then.

    Returns: the places; none where all datapoints are the same.
    """
    reach = NEARBY * (w_max - w_min)
    found = []
    for w in agreements(gradients, curvatures, w_min, w_max, check):
        values = np.abs(evaluate_terms(gradients, w + reach * np.array([-1.0, 0.0, 1.0])))
        largest = max(float(np.nanmax(values, initial=0.0)), np.finfo(float).tiny)
        if np.all(values[:, 1] <= ROUNDING * largest):
            found.append(w)
    return found


def mean_log_slope(curvatures: FloatArray, temperature: float) -> float:
    """Mean of ln|1 - T g_j'| over curvatures[j] of the update that is made; -inf where one of them is 1/T."""
    with np.errstate(divide="ignore"):
        return float(np.log(np.abs(1.0 - temperature * curvatures)).mean())


def some_lead_away(curvatures: FloatArray, temperature: float) -> bool:
    """Whether the step of any datapoint increases a small distance, for curvatures[j]."""
    return bool(np.any(np.abs(1.0 - temperature * curvatures) > 1.0))


def drains(model: Model, curvatures: FloatArray, temperature: float) -> bool:
    """Whether a diffusion has no density that can be integrated up to a resting place.

    With drift k x and diffusivity d x² the law of zero current is x^(k/d - 4c).

    Args:
        model: which diffusion.
        curvatures: g_j' there, [j], as the model is made of.
        temperature: T, positive.
    """
    mean = float(curvatures.mean())
    drift = -temperature * mean * (1.0 + 0.5 * temperature * mean if model.second_order else 1.0)
    noise = 0.5 * temperature**2 * float(curvatures.var())
    return drift <= (4.0 * model.noise_drift - 1.0) * noise if noise > 0 else drift < 0
