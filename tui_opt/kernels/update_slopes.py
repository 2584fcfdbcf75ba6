"""Slopes of the updates: the curvatures g_j' that belong to the effective gradients of several small steps.

With effective gradients (w - f_j(w)) / T every formula for plain steps holds for any update; their derivative is
(1 - f_j') / T, and f_j' is known exactly from g_j' along the way.
"""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.one_step import EXACT_FLOW, own_gradients, updated

AT_REST = 1e-9
"""A gradient times T below this, in units of max(1, |W|), counts as none: the flow's slope is then exp(-T g')."""


def effective_curvatures(
    gradients: TermField,
    curvatures: TermField,
    temperature: float,
    substeps: int,
    check: Check = unchecked,
) -> TermField:
    """Derivatives of `one_step.effective_gradients`.

    Several steps: f_j' is the product of 1 - (T/n) g_j' along them. The exact flow: trajectories of one equation
    keep their distance in time, so f_j' = g_j(f_j(w)) / g_j(w), and exp(-T g_j'(w)) where g_j vanishes.

    Args:
        gradients: g_j, w[n] -> [j, n].
        curvatures: g_j', w[n] -> [j, n].
        temperature: T, positive.
        substeps: as in `one_step.updated`.
        check: called now and then.

    Returns: w[n] -> [j, n]; `curvatures` itself for one substep.
    """
    if substeps == 1:
        return curvatures
    maps = updated(gradients, temperature, substeps, check)

    def of_the_flow(w: FloatArray) -> FloatArray:
        w = np.asarray(w, dtype=np.float64)
        before = evaluate_terms(gradients, w)
        after = own_gradients(gradients, evaluate_terms(maps, w))
        with np.errstate(all="ignore"):
            resting = np.abs(before) * temperature <= AT_REST * np.maximum(np.abs(w), 1.0)
            slope = np.where(resting, np.exp(-temperature * evaluate_terms(curvatures, w)), after / before)
            return np.asarray((1.0 - slope) / temperature)

    def of_the_steps(w: FloatArray) -> FloatArray:
        w = np.asarray(w, dtype=np.float64)
        pace = temperature / substeps
        places = np.tile(w, (evaluate_terms(gradients, w[:1]).shape[0], 1))
        slope = np.ones_like(places)
        with np.errstate(all="ignore"):
            for _ in range(substeps):
                slope = slope * (1.0 - pace * own_gradients(curvatures, places))
                places = places - pace * own_gradients(gradients, places)
            return np.asarray((1.0 - slope) / temperature)

    return of_the_flow if substeps == EXACT_FLOW else of_the_steps
