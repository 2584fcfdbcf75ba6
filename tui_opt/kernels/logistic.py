"""The probability of an outcome as a logistic function of one number, with what the fit knows of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

MOST_STEPS = 100
STEEPEST = 1e4
"""Slopes times the range of x beyond this mean that the outcomes are separated."""


@dataclass(frozen=True)
class LogisticFit:
    """p(x) = 1 / (1 + exp(-(intercept + slope x))), by maximum likelihood.

    Args:
        intercept: of the logit.
        slope: of the logit.
        covariance: of both, [2, 2], the inverse of Fisher's information.
    """

    intercept: float
    slope: float
    covariance: FloatArray

    def probability(self, x: FloatArray) -> FloatArray:
        """p, [place]."""
        return _sigmoid(self.intercept + self.slope * x)

    def band(self, x: FloatArray, z: float = 1.959964) -> tuple[FloatArray, FloatArray]:
        """Lower and upper end of the pointwise confidence band of p (Wald, on the logit), [place]."""
        design = np.stack([np.ones_like(x), x], axis=1)
        error = np.sqrt(np.einsum("ij,jk,ik->i", design, self.covariance, design))
        logit = self.intercept + self.slope * x
        return _sigmoid(logit - z * error), _sigmoid(logit + z * error)

    @property
    def half(self) -> float:
        """Where p is one half."""
        return -self.intercept / self.slope

    @property
    def half_stderr(self) -> float:
        """Its standard error by the delta method."""
        direction = np.array([-1.0 / self.slope, self.intercept / self.slope**2])
        return math.sqrt(float(direction @ self.covariance @ direction))


def logistic_fit(x: FloatArray, outcome: NDArray[np.bool_]) -> LogisticFit | None:
    """The fit, or None where no finite one is the likeliest: all outcomes alike, or parted by a value of x.

    Args:
        x: [trial].
        outcome: [trial].
    """
    if not x.size or outcome.all() or not outcome.any():
        return None
    centre, scale = float(x.mean()), float(x.std())
    if scale == 0.0:
        return None
    design = np.stack([np.ones_like(x), (x - centre) / scale], axis=1)
    wanted = outcome.astype(np.float64)
    beta = np.zeros(2)
    likelihood = _log_likelihood(design @ beta, wanted)
    for _ in range(MOST_STEPS):
        p = _sigmoid(design @ beta)
        information = (design * (p * (1.0 - p))[:, None]).T @ design
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (wanted - p))
        while True:
            after = _log_likelihood(design @ (beta + step), wanted)
            if after >= likelihood - 1e-12 * abs(likelihood):
                break
            step = step / 2.0
        beta, likelihood = beta + step, after
        if abs(beta[1]) > STEEPEST or likelihood > -1e-6:
            return None
        if np.abs(step).max() < 1e-12 * (1.0 + np.abs(beta).max()):
            break
    p = _sigmoid(design @ beta)
    covariance = np.linalg.inv((design * (p * (1.0 - p))[:, None]).T @ design)
    back = np.array([[1.0, -centre / scale], [0.0, 1.0 / scale]])
    intercept, slope = back @ beta
    return LogisticFit(float(intercept), float(slope), back @ covariance @ back.T)


def _sigmoid(logit: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def _log_likelihood(logit: FloatArray, wanted: FloatArray) -> float:
    return float(-np.sum(np.logaddexp(0.0, np.where(wanted > 0.5, -logit, logit))))
