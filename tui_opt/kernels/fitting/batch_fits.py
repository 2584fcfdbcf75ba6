"""Fits that look at all samples at once: L-BFGS-B and least squares of SciPy, with their paths and what they cost.

References: R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained
optimization", 1995; J. J. More, "The Levenberg-Marquardt algorithm: implementation and theory", 1978.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import least_squares, minimize

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.fitting.minibatch import Fit, losses_and_gradients, residuals_and_jacobian
from tui_opt.kernels.fitting.parts import FloatArray

_FAR: Final = 1e150
"""Stands for a loss that is no number, so that a line search turns back instead of stopping."""


@dataclass(frozen=True)
class BatchFit:
    """What a fit did.

    Attributes:
        path: [iterates, parameters], the start included.
        losses: [iterates], over all samples.
        evaluations: how often all samples were looked at.
        message: how it ended, in the library's words.
        failed: it met values that are no numbers and could not go on.
    """

    path: FloatArray
    losses: FloatArray
    evaluations: int
    message: str
    failed: bool = False


def lbfgs(fit: Fit, start: FloatArray, most_iterations: int = 1000, check: Check = unchecked) -> BatchFit:
    """Minimise the mean squared error by L-BFGS-B without bounds, exact gradients given.

    Args:
        fit: the model and its samples.
        start: [parameters].
        most_iterations: at most so many.
        check: called at every evaluation.

    Returns: iterates, including the start.
    """
    count = [0]
    path = [np.array(start, dtype=np.float64)]

    def value(p: FloatArray) -> tuple[float, FloatArray]:
        check()
        count[0] += 1
        loss, gradient = losses_and_gradients(fit, p)
        if not (np.isfinite(loss[0]) and np.isfinite(gradient[0]).all()):
            return _FAR, np.zeros(p.size)
        return float(loss[0]), gradient[0]

    def keep(p: FloatArray) -> None:
        path.append(np.array(p))

    options = {"maxiter": most_iterations, "maxfun": 20 * most_iterations, "ftol": 1e-30, "gtol": 1e-12}
    with np.errstate(all="ignore"):
        found = minimize(value, path[0], jac=True, method="L-BFGS-B", callback=keep, options=options)
    path.append(np.array(found.x))
    return _finished(fit, path, count[0], str(found.message))


def least_squares_fit(
    fit: Fit,
    start: FloatArray,
    most_evaluations: int = 1000,
    tolerance: float = 1e-11,
    check: Check = unchecked,
) -> BatchFit:
    """Minimise by Levenberg and Marquardt's method (MINPACK), exact derivatives given.

    Args:
        fit, start, check: as in `lbfgs`.
        most_evaluations: at most so many of the residuals.
        tolerance: relative change of the loss, or of the parameters, below which it ends.

    Returns: the places where derivatives were taken, which are those the method moved to, and the last.
    """
    count = [0]
    path = [np.array(start, dtype=np.float64)]
    known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def rows(p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals and derivatives, which are asked for at the same place one after the other."""
        key = p.tobytes()
        if key not in known:
            check()
            known.clear()
            known[key] = residuals_and_jacobian(fit, p)
        return known[key]

    def residuals(p: FloatArray) -> FloatArray:
        count[0] += 1
        found = rows(p)[0]
        # MINPACK steps back from a large residual; one that is no number would end it.
        return np.where(np.isfinite(found), found, 1e75)

    def jacobian(p: FloatArray) -> FloatArray:
        path.append(np.array(p))
        found = rows(p)[1]
        return np.where(np.isfinite(found), found, 0.0)

    with np.errstate(all="ignore"):
        if not np.isfinite(losses_and_gradients(fit, path[0])[0][0]):
            return BatchFit(np.array(path), np.array([np.nan]), 1, "the loss at the start is no number", True)
        # MINPACK wants as many residuals as parameters; where there are fewer, a trust region does without.
        method = "lm" if fit.y.size >= path[0].size else "trf"
        found = least_squares(
            residuals, path[0], jac=jacobian, method=method, max_nfev=most_evaluations, xtol=tolerance,
            ftol=tolerance, gtol=1e-12,
        )  # fmt: skip
    path.append(np.array(found.x))
    return _finished(fit, path, count[0], str(found.message))


def _finished(fit: Fit, path: list[FloatArray], evaluations: int, message: str) -> BatchFit:
    kept = [path[0], *(b for a, b in itertools.pairwise(path) if not np.array_equal(a, b))]
    places = np.array(kept)
    losses = losses_and_gradients(fit, places)[0]
    return BatchFit(
        places, losses, evaluations, message.strip().rstrip("."), not bool(np.isfinite(losses[-1]))
    )
