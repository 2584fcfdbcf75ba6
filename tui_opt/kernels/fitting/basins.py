"""The basin of a sample's global minimum: the ridges on either side of it, and the next minimum beyond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from scipy.optimize import brentq

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.fitting.parts import FloatArray

LossAndSlope: TypeAlias = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""theta[n] -> (loss[n], its derivative[n])."""

STEPS_PER_PHASE: Final = 4.0
"""Places that are looked at while theta times the largest |x| changes by 1: no turn between two is overlooked."""
MARCHED: Final = 16
"""Places per call."""
MOST_PLACES: Final = 20_000


@dataclass(frozen=True)
class Basin:
    """Turns of a sample's loss around its minimum.

    Attributes:
        bottom: the minimum.
        loss: the loss there.
        low, high: the ridges beside it; -inf or inf where none was met up to the limits.
        high_loss: the loss on the upper ridge; NaN where there is none.
        next_minimum: the minimum beyond the upper ridge; inf where none was met.
        next_loss: the loss there, NaN where there is none.
    """

    bottom: float
    loss: float
    low: float
    high: float
    high_loss: float
    next_minimum: float
    next_loss: float


def sample_basin(
    loss: LossAndSlope,
    reach: float,
    near: float,
    low: float = -np.inf,
    high: float = np.inf,
    check: Check = unchecked,
) -> Basin:
    """The basin of the minimum next to `near`.

    Args:
        loss: theta[n] -> (loss[n], its derivative[n]).
        reach: the fastest that phases change with theta; for cos(theta x) the largest |x|.
        near: where to begin, such as the true parameter.
        low, high: limits of the search. A cosine's loss is even: 0 is the natural lower limit, and a ridge there.
        check: called between groups of places.

    Returns: the basin.
    Raises: ValueError where no minimum lies within the limits, as where all x are zero.
    """
    if not (reach > 0.0 and low < near < high):
        raise ValueError("The loss does not depend on the parameter, or the start lies outside the limits.")
    step = 1.0 / (STEPS_PER_PHASE * reach)

    def turn(begin: float, direction: int, rising: bool) -> float | None:
        return _turn(loss, begin, direction * step, rising, low if direction < 0 else high, check)

    slope = float(loss(np.array([near]))[1][0])
    direction = -1 if slope > 0 else 1
    # From a little before, so that a start within rounding of the minimum finds it.
    bottom = near if slope == 0 else turn(near - 3.0 * direction * step, direction, rising=False)
    if bottom is None:
        raise ValueError("The loss has no minimum within the limits.")
    upper = turn(bottom, 1, rising=True)
    lower = turn(bottom, -1, rising=True)
    beyond = None if upper is None else turn(upper, 1, rising=False)
    losses = loss(
        np.array([bottom, bottom if upper is None else upper, bottom if beyond is None else beyond])
    )[0]
    return Basin(
        bottom,
        float(losses[0]),
        -np.inf if lower is None else lower,
        np.inf if upper is None else upper,
        np.nan if upper is None else float(losses[1]),
        np.inf if beyond is None else beyond,
        np.nan if beyond is None else float(losses[2]),
    )


def _turn(
    loss: LossAndSlope, begin: float, step: float, rising: bool, limit: float, check: Check
) -> float | None:
    """The first place from `begin` on where the loss stops rising (or falling) along the way; None up to the limit.

    The first two steps are not judged: next to the turn one begins at, rounding decides the sign.
    """
    way = np.sign(step) * (1.0 if rising else -1.0)
    last = begin + 2.0 * step
    for start in range(2, MOST_PLACES, MARCHED):
        check()
        places = begin + step * np.arange(start + 1, start + MARCHED + 1)
        inside = (places - limit) * np.sign(step) < 0
        places = places[inside]
        if places.size == 0:
            return None
        slopes = way * loss(places)[1]
        turned = np.flatnonzero(slopes < 0)
        if turned.size:
            k = int(turned[0])
            return _bisected(loss, last if k == 0 else float(places[k - 1]), float(places[k]), way)
        if not inside.all():
            return None
        last = float(places[-1])
    return None


def _bisected(loss: LossAndSlope, near: float, far: float, way: float) -> float:
    """The place between two where the slope times `way` becomes negative."""

    def slope(theta: float) -> float:
        return float(way * loss(np.array([theta]))[1][0])

    if slope(near) <= 0.0:
        return near
    return float(brentq(slope, near, far, xtol=1e-15 * max(1.0, abs(far)), rtol=9e-16))
