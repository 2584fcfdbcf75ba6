"""Nonlinear least squares by Gauss-Newton steps, with the parameters that enter linearly eliminated.

Samples are gone through in blocks, of which only the products J^T J and J^T r are kept: ten million of them take no
more memory than ten thousand. Where linear parameters are solved anew at every step, the steps of the others are
those of variable projection in Kaufman's form.

Reference: L. Kaufman, "A variable projection method for solving separable nonlinear least squares problems", BIT 15,
49, 1975; D. W. Marquardt, J. Soc. Indust. Appl. Math. 11, 431, 1963 (the damping).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BLOCK: Final = 1 << 16
"""Samples per block: the model and its derivatives stay in the cache."""
MOST_STEPS: Final = 100
SMALLEST_GAIN: Final = 1e-13
"""Share of the squared error that a full step must promise to be taken; less is far below what the data can tell."""
ROUNDING: Final = 1e-31
"""Share of the data's sum of squares that is rounding."""
LEAST_EIGENVALUE: Final = 1e-13
"""Of the scaled J^T J; below, a direction cannot be told from rounding."""

ModelFunction: TypeAlias = Callable[[FloatArray, slice], FloatArray]
"""(parameters, rows) -> [1 + parameters, rows]: the model, then its derivatives. NaN where it has no value."""
Mapper: TypeAlias = Callable[[Callable[[slice], "Sums"], Iterable[slice]], Iterable["Sums"]]


@dataclass(frozen=True)
class Sums:
    """What a pass over the samples leaves.

    Attributes:
        error: sum of r^2.
        gram: J^T J, [p, p].
        gradient: J^T r, [p].
    """

    error: float
    gram: FloatArray
    gradient: FloatArray


@dataclass(frozen=True)
class Fit:
    """Where least squares ended.

    Attributes:
        values: the parameters, [p].
        error: the sum of squared residuals there.
        gram: J^T J there, [p, p].
        steps: steps taken.
        converged: whether a full step promises nothing any more, or no step in any direction is downhill.
    """

    values: FloatArray
    error: float
    gram: FloatArray
    steps: int
    converged: bool


def blocks(n: int) -> list[slice]:
    """The rows in blocks."""
    return [slice(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]


def sums(function: ModelFunction, y: FloatArray, values: FloatArray, each: Mapper = map) -> Sums:
    """One pass over the samples.

    Args:
        function: the model.
        y: [n], the data.
        values: the parameters, [p].
        each: how the blocks are gone through; they are added in order.
    """

    def of_block(rows: slice) -> Sums:
        table = function(values, rows)
        slopes = table[1:]
        with np.errstate(all="ignore"):
            residual = y[rows] - table[0]
            return Sums(float(residual @ residual), slopes @ slopes.T, slopes @ residual)

    p = values.size
    error, gram, gradient = 0.0, np.zeros((p, p)), np.zeros(p)
    for part in each(of_block, blocks(y.size)):
        error += part.error
        gram = gram + part.gram
        gradient = gradient + part.gradient
    return Sums(error, gram, gradient)


def solve_scaled(gram: FloatArray, gradient: FloatArray, damping: float = 0.0) -> FloatArray:
    """The step of least length, in units of the columns, with (J^T J + damping diag) step = J^T r."""
    scale = np.sqrt(np.diag(gram))
    scale = np.where(scale > 0, scale, 1.0)
    unit = gram / np.outer(scale, scale)
    sizes, axes = np.linalg.eigh(unit)
    kept = sizes > LEAST_EIGENVALUE * max(sizes[-1], 1e-300)
    weights = np.where(kept, 1.0 / np.where(kept, sizes + damping, 1.0), 0.0)
    return np.asarray((axes @ (weights * (axes.T @ (gradient / scale)))) / scale)


def with_linear_solved(
    function: ModelFunction, y: FloatArray, values: FloatArray, linear: BoolArray, each: Mapper = map
) -> FloatArray:
    """The parameters with the linear ones at their best, given the others."""
    if not linear.any():
        return values
    bare = np.where(linear, 0.0, values)
    found = sums(function, y, bare, each)
    out = bare.copy()
    if np.isfinite(found.gram).all() and np.isfinite(found.gradient).all():
        part = np.flatnonzero(linear)
        out[part] = solve_scaled(found.gram[np.ix_(part, part)], found.gradient[part])
    return out


def fit(
    function: ModelFunction,
    y: FloatArray,
    start: FloatArray,
    linear: BoolArray,
    *,
    longest: FloatArray | None = None,
    eliminate: bool = True,
    most_steps: int = MOST_STEPS,
    each: Mapper = map,
) -> Fit:
    """Descend the squared error from a start.

    Args:
        function: the model.
        y: [n], the data.
        start: the parameters, [p].
        linear: [p], which of them enter linearly.
        longest: [p], the longest step of each; infinite where there is no limit.
        eliminate: solve the linear ones anew at every step; otherwise all move together, at half the cost.
        most_steps: steps after which it stops.
        each: how blocks of samples are gone through.
    """
    values = np.asarray(start, dtype=np.float64)
    if eliminate:
        values = with_linear_solved(function, y, values, linear, each)
    here = sums(function, y, values, each)
    damping, stalled = 0.0, 0
    scale_of_data = float(y @ y)
    for step in range(most_steps):
        if not np.isfinite(here.error) or not np.isfinite(here.gram).all():
            return Fit(values, float("inf"), here.gram, step, False)
        promised = float(here.gradient @ solve_scaled(here.gram, here.gradient))
        if promised <= SMALLEST_GAIN * here.error + ROUNDING * scale_of_data:
            return Fit(values, here.error, here.gram, step, True)
        while True:
            move = solve_scaled(here.gram, here.gradient, damping)
            if longest is not None:
                move = move * min(1.0, float(np.min(longest / np.maximum(np.abs(move), 1e-300))))
            there_values = values + move
            if eliminate:
                there_values = with_linear_solved(function, y, there_values, linear, each)
            there = sums(function, y, there_values, each)
            if there.error <= here.error:
                break
            damping = max(1e-3, 10.0 * damping)
            if damping > 1e10:  # nothing is downhill any more: the minimum, to rounding
                return Fit(values, here.error, here.gram, step, True)
        # Where the model itself is rounded, as a cosine far out, steps go on that win nothing.
        stalled = stalled + 1 if here.error - there.error <= 1e-12 * here.error else 0
        values, here = there_values, there
        if stalled == 3:
            return Fit(values, here.error, here.gram, step + 1, True)
        damping = 0.1 * damping if damping > 1e-4 else 0.0
    return Fit(values, here.error, here.gram, most_steps, False)


def covariance(gram: FloatArray, variance: float) -> FloatArray:
    """Covariance of the estimates for noise of a variance: variance times the inverse of J^T J, [p, p].

    With the noise's own variance and J at the true parameters this is the Cramér-Rao bound for normal noise. Infinite
    on the diagonal for parameters that cannot be told apart.

    Reference: C. R. Rao, Bull. Calcutta Math. Soc. 37, 81, 1945; H. Cramér, Mathematical Methods of Statistics, 1946.
    """
    scale = np.sqrt(np.diag(gram))
    safe = np.where(scale > 0, scale, 1.0)
    sizes, axes = np.linalg.eigh(gram / np.outer(safe, safe))
    lost = sizes <= LEAST_EIGENVALUE * max(float(sizes[-1]), 1e-300)
    inverse = (axes * np.where(lost, 0.0, 1.0 / np.where(lost, 1.0, sizes))) @ axes.T
    out = variance * inverse / np.outer(safe, safe)
    undetermined = (np.abs(axes[:, lost]) > 1e-4).any(axis=1) | (scale == 0)
    out[undetermined, undetermined] = np.inf
    return np.asarray(out)
