"""The basin of a sample's global minimum: the ridges on either side of it, and the next minimum beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.fitting.loss_curve import loss_and_slope
from tui_opt.kernels.fitting.parts import FloatArray

STEPS_PER_PHASE: Final = 4.0
"""Places that are looked at while theta times the largest |x| changes by 1: no turn between two is overlooked."""
MARCHED: Final = 64
"""Places per call."""
MOST_PLACES: Final = 20_000
_HALVINGS: Final = 45


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
    part: str, x: FloatArray, y: FloatArray, near: float, low: float, high: float, check: Check = unchecked
) -> Basin:
    """The basin of the minimum next to `near`.

    Args:
        part: the part h of the model, as in `loss_curve`.
        x, y: [samples].
        near: where to begin, such as the true parameter.
        low, high: limits of the search. A cosine's loss is even: 0 is the natural lower limit, and a ridge there.
        check: called between groups of places.

    Returns: the basin.
    Raises: ValueError where no minimum lies within the limits, as where all x are zero.
    """
    reach = float(np.max(np.abs(x)))
    if reach == 0.0 or not low < near < high:
        raise ValueError("The loss does not depend on the parameter, or the start lies outside the limits.")
    step = 1.0 / (STEPS_PER_PHASE * reach)

    def turn(begin: float, direction: int, rising: bool, limit: float) -> float | None:
        return _turn(part, x, y, begin, direction * step, rising, limit, check)

    slope = float(loss_and_slope(part, x, y, np.array([near]))[1][0])
    direction = -1 if slope > 0 else 1
    # From a little before, so that a start within rounding of the minimum finds it.
    begin = near - 3.0 * direction * step
    bottom = (
        near if slope == 0 else turn(begin, direction, rising=False, limit=low if direction < 0 else high)
    )
    if bottom is None:
        raise ValueError("The loss has no minimum within the limits.")
    upper = turn(bottom, 1, rising=True, limit=high)
    lower = turn(bottom, -1, rising=True, limit=low)
    beyond = None if upper is None else turn(upper, 1, rising=False, limit=high)
    places = np.array([bottom, bottom if upper is None else upper, bottom if beyond is None else beyond])
    losses = loss_and_slope(part, x, y, places)[0]
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
    part: str,
    x: FloatArray,
    y: FloatArray,
    begin: float,
    step: float,
    rising: bool,
    limit: float,
    check: Check,
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
        slopes = way * loss_and_slope(part, x, y, places)[1]
        turned = np.flatnonzero(slopes < 0)
        if turned.size:
            k = int(turned[0])
            return _halved(part, x, y, last if k == 0 else float(places[k - 1]), float(places[k]), way)
        if not inside.all():
            return None
        last = float(places[-1])
    return None


def _halved(part: str, x: FloatArray, y: FloatArray, near: float, far: float, way: float) -> float:
    """The place between two where the slope times `way` becomes negative, by regula falsi with halving."""
    ends = way * loss_and_slope(part, x, y, np.array([near, far]))[1]
    if ends[0] <= 0:
        return near
    f_near, f_far = float(ends[0]), float(ends[1])
    side = 0
    for _ in range(_HALVINGS):
        middle = (near * f_far - far * f_near) / (f_far - f_near)
        if not min(near, far) < middle < max(near, far):
            break
        value = float(way * loss_and_slope(part, x, y, np.array([middle]))[1][0])
        if value > 0:
            near, f_near = middle, value
            f_far *= 0.5 if side == 1 else 1.0
            side = 1
        elif value < 0:
            far, f_far = middle, value
            f_near *= 0.5 if side == -1 else 1.0
            side = -1
        else:
            return middle
        if abs(far - near) <= 4e-16 * max(abs(near), abs(far)) or value == 0:
            break
    return 0.5 * (near + far) if abs(far - near) < 1e-9 * abs(far) else (near if f_near < -f_far else far)
