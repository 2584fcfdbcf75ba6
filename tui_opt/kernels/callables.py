"""Functions of one parameter W as the kernels receive them, and how they are evaluated.

A user's loss may overflow, divide by zero or leave its domain; the kernels look at the values instead of the
floating-point warnings, so every evaluation goes through `evaluate` or `evaluate_terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Field: TypeAlias = Callable[[FloatArray], FloatArray]
"""w[n] -> value[n]."""
TermField: TypeAlias = Callable[[FloatArray], FloatArray]
"""w[n] -> value[j, n], one row per datapoint."""
Check: TypeAlias = Callable[[], None]
"""Called every few tens of milliseconds by long computations; what it raises ends them."""


def unchecked() -> None:
    """The check of a caller that never wants to stop."""


def evaluate(function: Field, w: FloatArray) -> FloatArray:
    """Evaluate `function` at w[n] in silence; a scalar answer (a constant function) is broadcast."""
    w = np.asarray(w, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.array(np.broadcast_to(np.asarray(function(w), dtype=np.float64), w.shape))


def evaluate_terms(gradients: TermField, w: FloatArray) -> FloatArray:
    """Evaluate `gradients` at w[n] in silence and check that it answers with one row per datapoint.

    Returns: value[j, n], C-contiguous.
    Raises: ValueError when the answer has another shape.
    """
    w = np.asarray(w, dtype=np.float64)
    with np.errstate(all="ignore"):
        values = np.ascontiguousarray(gradients(w), dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != w.size or values.shape[0] < 1:
        raise ValueError(
            f"gradients(w) returned shape {values.shape} for {w.size} values of w; it must return one row "
            f"per datapoint, shape (datapoints, {w.size})."
        )
    return values


def require_temperature(temperature: float) -> float:
    """Return `temperature` as a float, or raise ValueError when it is not a positive finite number."""
    temperature = float(temperature)
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; it must be a positive finite number.")
    return temperature
