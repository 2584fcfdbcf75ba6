"""Plants that a controller regulates, on arrays of any library, with their exact derivatives.

A plant has a state s[axis] whose first component should be 0, and takes a control u in each step of time dt:

    leaky room   r' = r + dt (-leak r + load + u)                 r: temperature less the setpoint
    pendulum     a' = a + dt w,  w' = w + dt (g sin a - damping w + u)      a: angle from upright, which is unstable
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Sine: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Plant:
    """A plant.

    Attributes:
        axes: names of the components of its state.
        dt: time of a step.
        spread: initial states are drawn evenly from -spread to spread, per axis.
        weights: what a squared component costs, per axis.
        control_weight: what the squared control costs.
        step: (s, u, sin) -> the state after a step, components along the first axis; for arrays or tensors.
        slopes: (s) -> dF/ds[axis, axis, ..] at s[axis, ..]; it does not depend on u.
        input_slope: dF/du[axis].
    """

    axes: tuple[str, ...]
    dt: float
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    control_weight: float
    step: Callable[[Any, Any, Sine], tuple[Any, ...]]
    slopes: Callable[[FloatArray], FloatArray]
    input_slope: tuple[float, ...]


LEAK: Final = 0.2
LOAD: Final = -0.6
GRAVITY: Final = 4.0
DAMPING: Final = 0.1
_ROOM_STEP: Final = 0.1
_PENDULUM_STEP: Final = 0.05


def _room_step(s: Any, u: Any, sine: Sine) -> tuple[Any, ...]:
    (r,) = s
    return (r + _ROOM_STEP * (u - LEAK * r + LOAD),)


def _room_slopes(s: FloatArray) -> FloatArray:
    return np.full((1, 1, *s.shape[1:]), 1.0 - _ROOM_STEP * LEAK)


def _pendulum_step(s: Any, u: Any, sine: Sine) -> tuple[Any, ...]:
    a, w = s
    return a + _PENDULUM_STEP * w, w + _PENDULUM_STEP * (GRAVITY * sine(a) - DAMPING * w + u)


def _pendulum_slopes(s: FloatArray) -> FloatArray:
    slopes = np.empty((2, 2, *s.shape[1:]))
    slopes[0, 0], slopes[0, 1] = 1.0, _PENDULUM_STEP
    slopes[1, 0], slopes[1, 1] = _PENDULUM_STEP * GRAVITY * np.cos(s[0]), 1.0 - _PENDULUM_STEP * DAMPING
    return slopes


LEAKY_ROOM: Final = Plant(("r",), _ROOM_STEP, (5.0,), (1.0,), 0.1, _room_step, _room_slopes, (_ROOM_STEP,))
PENDULUM: Final = Plant(
    ("a", "w"),
    _PENDULUM_STEP,
    (0.5, 0.5),
    (1.0, 0.1),
    0.01,
    _pendulum_step,
    _pendulum_slopes,
    (0.0, _PENDULUM_STEP),
)
PLANTS: Final = {"leaky-room": LEAKY_ROOM, "pendulum": PENDULUM}
