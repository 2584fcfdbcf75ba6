"""How a descent ended and why: where it stands on the loss of all samples, and what its step size means there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tui_opt.kernels.fitting.minibatch import Fit, losses_and_gradients, residuals_and_jacobian
from tui_opt.kernels.fitting.parts import FloatArray

_MOST_PLACES: Final = 4000
_RISE: Final = 1e-12
"""A rise of the loss by less than this share of itself is rounding."""


def hessian(fit: Fit, p: FloatArray) -> FloatArray:
    """Second derivatives of the mean squared error over all samples, [parameters, parameters].

    By central differences of exact gradients: relative error about 1e-7.
    """
    p = np.asarray(p, dtype=np.float64)
    reach = np.array([_reach(fit, p, k) for k in range(p.size)])
    steps = 1e-5 / np.where(reach > 0, reach, 1.0)
    places = np.concatenate([p + np.diag(steps), p - np.diag(steps)])
    gradients = losses_and_gradients(fit, places)[1]
    found = (gradients[: p.size] - gradients[p.size :]) / (2.0 * steps[:, None])
    return np.asarray(0.5 * (found + found.T))


def _reach(fit: Fit, p: FloatArray, k: int) -> float:
    """How fast the residuals can change with a parameter, in units of their size: |x| of a phase."""
    slopes = np.abs(residuals_and_jacobian(fit, p)[1][:, k])
    finite = slopes[np.isfinite(slopes)]
    scale = float(np.std(fit.y)) or 1.0
    return float(np.max(finite, initial=0.0)) / scale


@dataclass(frozen=True)
class Ridge:
    """A rise of the loss on the straight line from one place to another.

    Attributes:
        place: [parameters], its top.
        loss: the loss there.
        share: how far along the line.
    """

    place: FloatArray
    loss: float
    share: float


def ridge_between(fit: Fit, here: FloatArray, there: FloatArray) -> Ridge | None:
    """The first ridge on the straight line between two places, None where the loss only falls.

    Args:
        fit: the model and its samples.
        here, there: [parameters], finite.
    """
    away = there - here
    turns = sum(abs(away[k]) * max(_reach(fit, here, k), _reach(fit, there, k)) for k in range(here.size))
    places = int(min(max(64, 4.0 * turns), _MOST_PLACES))
    share = np.linspace(0.0, 1.0, places + 1)
    loss = losses_and_gradients(fit, here + share[:, None] * away)[0]
    rises = np.flatnonzero(~(np.diff(loss) <= _RISE * loss[:-1]))
    if not rises.size:
        return None
    first = int(rises[0])
    top = first
    while top < places and loss[top + 1] > loss[top]:
        top += 1
    # Where the descent ends a little short of the line's lowest place, that is no ridge.
    if top == places:
        return None
    return Ridge(here + share[top] * away, float(loss[top]), float(share[top]))


@dataclass(frozen=True)
class Lost:
    """Where a path left the numbers.

    Attributes:
        step: the first update whose result is no number, from 1.
        last: [parameters] before it.
        without_value: samples for which the model has no value there.
        overflowing: samples for which it is infinite.
        jump: [parameters], the last finite step that led there; zero where there was none.
    """

    step: int
    last: FloatArray
    without_value: int
    overflowing: int
    jump: FloatArray


def where_lost(fit: Fit, path: FloatArray) -> Lost | None:
    """Where a path [steps + 1, parameters] leaves the numbers, None where it does not."""
    bad = np.flatnonzero(~np.isfinite(path).all(axis=1))
    if not bad.size:
        return None
    step = int(bad[0])
    last = path[step - 1] if step > 0 else path[0]
    residuals = residuals_and_jacobian(fit, last)[0] if np.isfinite(last).all() else np.full(1, np.nan)
    jump = path[step - 1] - path[step - 2] if step > 1 else np.zeros(path.shape[1])
    return Lost(step, last, int(np.isnan(residuals).sum()), int(np.isinf(residuals).sum()), jump)


def time_constants(curvatures: FloatArray, learning_rate: float, momentum: float = 0.0) -> FloatArray:
    """Updates in which a small distance to the minimum falls by a factor e, by gradient descent.

    Args:
        curvatures: second derivatives, [n].
        learning_rate: step size.
        momentum: factor on the last direction; it makes the effective step size 1/(1 - momentum) times as large.

    Returns: [n]; inf where the curvature is not positive, NaN where the step size is too large to settle.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.abs(1.0 - learning_rate / (1.0 - momentum) * curvatures)
        constant = -1.0 / np.log(factor)
    settled = learning_rate * curvatures < 2.0 * (1.0 + momentum)
    # With momentum the exact factor is a root of a quadratic; below critical damping it is this one to first order.
    constant = np.where(factor < 1e-300, 0.0, np.abs(constant))
    return np.where(curvatures <= 0, np.inf, np.where(settled, constant, np.nan))
