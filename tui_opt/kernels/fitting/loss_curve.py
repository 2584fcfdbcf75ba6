"""A sample's mean squared error against one parameter, on grids of many thousand values.

What makes it fast: on an evenly spaced grid the cosines of all samples are rotated from one value of the parameter to
the next, four multiplications instead of a cosine, and taken anew every `RENEWED` values, so that errors stay below
1e-14. Samples are rows of LANES; sums are pairwise within a row and in order over rows, whatever the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numba
import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.fitting.parts import CODES, FloatArray, folded, value_and_slope
from tui_opt.kernels.fitting.trig_lanes import LARGEST, sine_cosine
from tui_opt.kernels.lanes import LANES

RENEWED: Final = 64
"""Values of the parameter between two evaluations of the cosines."""
_WORK: Final = 8_000_000
"""Residuals per slice: some tens of milliseconds."""
Mapper: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Maps a function over items in order, perhaps on several threads."""


@numba.njit(
    "void(float64[::1], float64[::1], float64[::1], float64, float64[:, ::1])",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def _rotated_cosines(x: FloatArray, y: FloatArray, theta: FloatArray, step: float, sums: FloatArray) -> None:
    """sums[k] = (sum r^2, sum r^4) with r = cos(theta[k] x) - y; theta evenly spaced, |theta x| within LARGEST."""
    c, s = np.empty(LANES), np.empty(LANES)
    turn_c, turn_s = np.empty(LANES), np.empty(LANES)
    target = np.empty(LANES)
    second, fourth = np.empty(LANES), np.empty(LANES)
    sums[:] = 0.0
    for begin in range(0, x.size, LANES):
        count = min(LANES, x.size - begin)
        for i in range(LANES):
            turn_s[i], turn_c[i] = 0.0, 1.0
            target[i] = 1.0
        for i in range(count):
            target[i] = y[begin + i]
            turn_s[i], turn_c[i] = sine_cosine(step * x[begin + i])
        for k in range(sums.shape[0]):
            if k % RENEWED == 0:
                for i in range(LANES):
                    s[i], c[i] = 0.0, 1.0
                for i in range(count):
                    s[i], c[i] = sine_cosine(theta[k] * x[begin + i])
            for i in range(LANES):
                r = c[i] - target[i]
                second[i] = r * r
                fourth[i] = (r * r) * (r * r)
                turned = c[i] * turn_c[i] - s[i] * turn_s[i]
                s[i] = s[i] * turn_c[i] + c[i] * turn_s[i]
                c[i] = turned
            sums[k, 0] += folded(second)
            sums[k, 1] += folded(fourth)


@numba.njit(
    "void(int64, float64[::1], float64[::1], float64, float64[::1], float64[:, ::1])",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def _evaluated(
    part: int, x: FloatArray, y: FloatArray, largest: float, theta: FloatArray, sums: FloatArray
) -> None:
    """sums[k] = (sum r^2, sum r^4, sum r dr/dtheta) with r = h(theta[k] x) - y."""
    here, value, slope = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    second, fourth, down = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    sums[:] = 0.0
    for begin in range(0, x.size, LANES):
        count = min(LANES, x.size - begin)
        for i in range(LANES):
            here[i] = x[begin + i] if i < count else x[begin]
        for k in range(theta.size):
            value_and_slope(part, theta[k], here, largest, value, slope)
            for i in range(count):
                r = value[i] - y[begin + i]
                second[i] = r * r
                fourth[i] = (r * r) * (r * r)
                down[i] = r * slope[i]
            for i in range(count, LANES):
                second[i] = 0.0
                fourth[i] = 0.0
                down[i] = 0.0
            sums[k, 0] += folded(second)
            sums[k, 1] += folded(fourth)
            sums[k, 2] += folded(down)


@dataclass(frozen=True)
class Curve:
    """A sample's loss against theta.

    Attributes:
        mse: [n], mean squared error.
        stderr: [n], its standard error, from the fourth powers of the residuals.
    """

    mse: FloatArray
    stderr: FloatArray


def _checked(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    x = np.ascontiguousarray(x, dtype=np.float64)
    y = np.ascontiguousarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0:
        raise ValueError(f"x and y have shapes {x.shape} and {y.shape}; they must be equal lists, not empty.")
    return x, y, float(np.max(np.abs(x)))


def loss_curve(
    part: str, x: FloatArray, y: FloatArray, theta: FloatArray, mapped: Mapper = map, check: Check = unchecked
) -> Curve:
    """Mean of (h(theta x) - y)^2 over the samples.

    Args:
        part: h, one of `CODES`.
        x, y: [samples].
        theta: [n] values of the parameter; evenly spaced ones are faster where h is a cosine.
        mapped: maps pieces of the grid, perhaps on several threads.
        check: called between slices.

    Returns: [n]; NaN and inf where h has no value or overflows.
    Raises: ValueError where the samples do not fit.
    """
    x, y, largest = _checked(x, y)
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    step = float(theta[-1] - theta[0]) / max(1, theta.size - 1)
    farthest = float(np.max(np.abs(theta)))
    rotate = part == "cos" and farthest * largest <= LARGEST and _evenly_spaced(theta, farthest)

    def piece(begin: int) -> FloatArray:
        check()
        end = min(begin + size, theta.size)
        sums = np.empty((end - begin, 2 if rotate else 3))
        with np.errstate(all="ignore"):
            if rotate:
                _rotated_cosines(x, y, theta[begin:end], step, sums)
            else:
                _evaluated(CODES[part], x, y, largest, theta[begin:end], sums)
        return sums[:, :2]

    size = max(1, min(-(-_WORK // x.size), theta.size))
    size = -(-size // RENEWED) * RENEWED
    sums = np.concatenate(list(mapped(piece, range(0, theta.size, size))))
    mse = sums[:, 0] / x.size
    with np.errstate(all="ignore"):
        variance = np.maximum(sums[:, 1] / x.size - mse**2, 0.0)
    return Curve(mse, np.sqrt(variance / max(1, x.size - 1)))


def _evenly_spaced(theta: FloatArray, farthest: float) -> bool:
    steps = np.diff(theta)
    return bool(np.all(np.abs(steps - steps[:1]) <= 1e-15 * farthest))


def loss_and_slope(
    part: str, x: FloatArray, y: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The loss and its derivative by theta, [n] each; arguments as in `loss_curve`."""
    x, y, largest = _checked(x, y)
    theta = np.atleast_1d(np.asarray(theta, dtype=np.float64))
    sums = np.empty((theta.size, 3))
    _evaluated(CODES[part], x, y, largest, theta, sums)
    return sums[:, 0] / x.size, 2.0 * sums[:, 2] / x.size
