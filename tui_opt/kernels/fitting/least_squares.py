"""Nonlinear least squares by Gauss-Newton steps, with the parameters that enter linearly eliminated.

Samples are gone through in blocks, of which only the triangle R of J = Q R and Q^T r are kept: ten million of them
take no more memory than ten thousand. The triangle has the condition of J, where J^T J would have its square, so
columns that are alike to one part in 10^11 are still told apart. Where linear parameters are solved anew at every
step, the steps of the others are those of variable projection in Kaufman's form.

Reference: L. Kaufman, "A variable projection method for solving separable nonlinear least squares problems", BIT 15,
49, 1975; D. W. Marquardt, J. Soc. Indust. Appl. Math. 11, 431, 1963 (the damping); J. Demmel, L. Grigori,
M. Hoemmen, J. Langou, SIAM J. Sci. Comput. 34, A206, 2012 (the triangle of blocks).
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
LEAST_SINGULAR: Final = 1e-12
"""Of J with columns of length 1, over the largest; below, a direction cannot be told from rounding."""

ModelFunction: TypeAlias = Callable[[FloatArray, slice], FloatArray]
"""(parameters, rows) -> [1 + parameters, rows]: the model, then its derivatives. NaN where it has no value."""
Mapper: TypeAlias = Callable[[Callable[[slice], "Sums"], Iterable[slice]], Iterable["Sums"]]


@dataclass(frozen=True)
class Sums:
    """What a pass over the samples leaves.

    Attributes:
        error: sum of r^2.
        root: the triangle R of J = Q R, [p, p].
        projected: Q^T r, [p].
    """

    error: float
    root: FloatArray
    projected: FloatArray


@dataclass(frozen=True)
class Fit:
    """Where least squares ended.

    Attributes:
        values: the parameters, [p].
        error: the sum of squared residuals there.
        root: the triangle of the slopes there, [p, p].
        steps: steps taken.
        converged: whether a full step promises nothing any more, or no step in any direction is downhill.
    """

    values: FloatArray
    error: float
    root: FloatArray
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

    p = values.size

    def of_block(rows: slice) -> Sums:
        table = function(values, rows)
        with np.errstate(all="ignore"):
            table[0] = y[rows] - table[0]
            error = float(table[0] @ table[0])
        # The residual last: the triangle's last column then holds Q^T r.
        return _of_triangle(error, _triangle(np.roll(table, -1, axis=0).T, p + 1), p)

    total: Sums | None = None
    for found in each(of_block, blocks(y.size)):
        if total is None:
            total = found
        else:
            pair = [np.column_stack([part.root, part.projected]) for part in (total, found)]
            total = _of_triangle(total.error + found.error, _triangle(np.vstack(pair), p + 1), p)
    assert total is not None
    return total


def _triangle(columns: FloatArray, size: int) -> FloatArray:
    """The triangle of a matrix [n, size], rows of zeros added where n is less; NaN where it is not finite."""
    if not np.isfinite(columns).all():
        return np.full((size, size), np.nan)
    found = np.asarray(np.linalg.qr(columns, mode="r"), dtype=np.float64)
    return found if found.shape[0] == size else np.vstack([found, np.zeros((size - found.shape[0], size))])


def _of_triangle(error: float, triangle: FloatArray, p: int) -> Sums:
    return Sums(error, triangle[:p, :p], triangle[:p, p])


def _decomposed(root: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Lengths of the columns, and the singular value decomposition with the lengths divided out."""
    scale = np.sqrt(np.einsum("ij,ij->j", root, root))
    scale = np.where(scale > 0, scale, 1.0)
    left, sizes, right = np.linalg.svd(root / scale, full_matrices=False)
    return scale, left, sizes, right


def solve_scaled(root: FloatArray, projected: FloatArray, damping: float = 0.0) -> tuple[FloatArray, float]:
    """The step of least length, in units of the columns, with (J^T J + damping diag) step = J^T r.

    Returns:
        The step, and by how much the squared error would fall by the one without damping, were the model linear.
    """
    scale, left, sizes, right = _decomposed(root)
    kept = sizes > LEAST_SINGULAR * max(float(sizes[0]), 1e-300)
    parts = np.where(kept, left.T @ projected, 0.0)
    weights = np.where(kept, sizes / np.where(kept, sizes**2 + damping, 1.0), 0.0)
    return np.asarray((right.T @ (weights * parts)) / scale), float(parts @ parts)


def with_linear_solved(
    function: ModelFunction, y: FloatArray, values: FloatArray, linear: BoolArray, each: Mapper = map
) -> FloatArray:
    """The parameters with the linear ones at their best, given the others."""
    if not linear.any():
        return values
    bare = np.where(linear, 0.0, values)
    found = sums(function, y, bare, each)
    out = bare.copy()
    if np.isfinite(found.root).all():
        out[linear], _ = solve_scaled(found.root[:, linear], found.projected)
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
        if not np.isfinite(here.error) or not np.isfinite(here.root).all():
            return Fit(values, float("inf"), here.root, step, False)
        _, promised = solve_scaled(here.root, here.projected)
        if promised <= SMALLEST_GAIN * here.error + ROUNDING * scale_of_data:
            return Fit(values, here.error, here.root, step, True)
        while True:
            move, _ = solve_scaled(here.root, here.projected, damping)
            if longest is not None:
                # Each by itself: a frequency that jumps about must not hold the others back.
                move = np.clip(move, -longest, longest)
            there_values = values + move
            if eliminate:
                there_values = with_linear_solved(function, y, there_values, linear, each)
            there = sums(function, y, there_values, each)
            if there.error <= here.error:
                break
            damping = max(1e-3, 10.0 * damping)
            if damping > 1e10:  # nothing is downhill any more: the minimum, to rounding
                return Fit(values, here.error, here.root, step, True)
        # Where the model itself is rounded, as a cosine far out, steps go on that win nothing.
        stalled = stalled + 1 if here.error - there.error <= 1e-12 * here.error else 0
        values, here = there_values, there
        if stalled == 3:
            return Fit(values, here.error, here.root, step + 1, True)
        damping = 0.1 * damping if damping > 1e-4 else 0.0
    return Fit(values, here.error, here.root, most_steps, False)


def covariance(root: FloatArray, variance: float) -> FloatArray:
    """Covariance of the estimates for noise of a variance: variance times the inverse of J^T J, [p, p].

    With the noise's own variance and J at the true parameters this is the Cramér-Rao bound for normal noise. Infinite
    on the diagonal for parameters that cannot be told apart.

    Args:
        root: the triangle of J, [p, p].
        variance: of the noise.

    Reference: C. R. Rao, Bull. Calcutta Math. Soc. 37, 81, 1945; H. Cramér, Mathematical Methods of Statistics, 1946.
    """
    scale, _, sizes, right = _decomposed(root)
    lost = sizes <= LEAST_SINGULAR * max(float(sizes[0]), 1e-300)
    inverse = (right.T * np.where(lost, 0.0, 1.0 / np.where(lost, 1.0, sizes) ** 2)) @ right
    out = variance * inverse / np.outer(scale, scale)
    undetermined = (np.abs(right[lost]) > 1e-4).any(axis=0) | (np.abs(root).max(axis=0) == 0)
    out[undetermined, undetermined] = np.inf
    return np.asarray(out)
