"""What one datapoint does to W: a step of SGD, several smaller steps, or the exact flow down its gradient.

The maps f_j are functions w[n] -> [j, n], one row per datapoint; a place whose image overflows or is undefined
answers with inf or NaN.
"""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import (
    Check,
    FloatArray,
    TermField,
    evaluate_terms,
    require_temperature,
    unchecked,
)
from tui_opt.kernels.gradient_flow import flow

EXACT_FLOW = 0
"""The number of substeps that stands for the limit of infinitely many."""


def updated(
    gradients: TermField, temperature: float, substeps: int = 1, check: Check = unchecked
) -> TermField:
    """The maps f_j of one update.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        substeps: n >= 1 for W <- W - (T / n) g_j(W), n times on the same datapoint; 0 for the solution of
            dW/dt = -g_j(W) after time T.
        check: called now and then while the exact flow is computed.

    Returns: f_j, w[n] -> [j, n].
    Raises: ValueError for a temperature or a number of substeps out of range.
    """
    temperature = require_temperature(temperature)
    if substeps < 0:
        raise ValueError(f"substeps is {substeps}; it must be 1 or more, or 0 for the exact flow.")
    if substeps == EXACT_FLOW:
        return lambda w: flow(gradients, w, temperature, check)

    def plain(w: FloatArray) -> FloatArray:
        w = np.asarray(w, dtype=np.float64)
        slopes = evaluate_terms(gradients, w)
        with np.errstate(all="ignore"):
            return np.asarray(w - temperature * slopes)

    def repeated(w: FloatArray) -> FloatArray:
        w = np.asarray(w, dtype=np.float64)
        places = np.tile(w, (evaluate_terms(gradients, w[:1]).shape[0], 1))
        for _ in range(substeps):
            with np.errstate(all="ignore"):
                places = places - temperature / substeps * own_gradients(gradients, places)
        return places

    return plain if substeps == 1 else repeated


def own_gradients(gradients: TermField, places: FloatArray) -> FloatArray:
    """The gradient of each datapoint at its own places.

    Args:
        gradients: g_j, w[n] -> [j, n].
        places: [j, n].

    Returns: g_j(places[j]), [j, n].
    """
    terms, count = places.shape
    all_of_them = evaluate_terms(gradients, places.ravel()).reshape(terms, terms, count)
    return all_of_them[np.arange(terms), np.arange(terms)]


def effective_gradients(
    gradients: TermField, temperature: float, substeps: int, check: Check = unchecked
) -> TermField:
    """The gradients (w - f_j(w)) / T whose plain step is the update: what is written for plain steps serves any.

    Args: as in `updated`.
    Returns: w[n] -> [j, n]; `gradients` itself for one substep.
    """
    maps = updated(gradients, temperature, substeps, check)
    if substeps == 1:
        return gradients

    def gradients_of_the_update(w: FloatArray) -> FloatArray:
        w = np.asarray(w, dtype=np.float64)
        with np.errstate(all="ignore"):
            return np.asarray((w - evaluate_terms(maps, w)) / temperature)

    return gradients_of_the_update
