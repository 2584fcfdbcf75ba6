"""Uniform laws of two parts on boxes under linear maps: corners, entropies and covariances, in fractions.

A linear map of determinant D carries a uniform law on a parallelogram into another, and adds ln|D| to the entropy of
every law. What has to be worked out is decorrelating: each part by itself is a sum of two independent uniform numbers,
whose density is a trapezoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.logarithm_sums import LogarithmSum

Pair = tuple[Fraction, Fraction]
Square = tuple[Pair, Pair]
"""A 2 x 2 matrix, row by row."""
OUTLINE = (0, 1, 3, 2)
"""The order in which the corners of `box` go round it."""


def box(sides: Pair) -> tuple[Pair, Pair, Pair, Pair]:
    """The corners (+, +), (+, -), (-, +), (-, -) of a box about the origin."""
    x, y = sides[0] / 2, sides[1] / 2
    return (x, y), (x, -y), (-x, y), (-x, -y)


def mapped(points: Sequence[Pair], matrix: Square) -> tuple[Pair, ...]:
    """Points after a linear map."""
    (a, b), (c, d) = matrix
    return tuple((a * x + b * y, c * x + d * y) for x, y in points)


def area(corners: Sequence[Pair]) -> Fraction:
    """The area within four corners that are in the order of `box`."""
    outline = [corners[i] for i in OUTLINE]
    crossed = (p[0] * q[1] - q[0] * p[1] for p, q in zip(outline, [*outline[1:], outline[0]], strict=True))
    return abs(sum(crossed, Fraction(0))) / 2


def determinant(matrix: Square) -> Fraction:
    """The determinant."""
    (a, b), (c, d) = matrix
    return a * d - b * c


def times(first: Square, second: Square) -> Square:
    """The product of two matrices."""
    (a, b), (c, d) = first
    (e, f), (g, h) = second
    return (a * e + b * g, a * f + b * h), (c * e + d * g, c * f + d * h)


def transposed(matrix: Square) -> Square:
    """Rows and columns exchanged."""
    (a, b), (c, d) = matrix
    return (a, c), (b, d)


def carried(covariance: Square, matrix: Square) -> Square:
    """The covariance after a linear map."""
    return times(times(matrix, covariance), transposed(matrix))


def uncorrelated(covariance: Square) -> Square:
    """The covariance without correlation."""
    (a, _), (_, d) = covariance
    return (a, Fraction(0)), (Fraction(0), d)


def box_covariance(sides: Pair) -> Square:
    """The covariance of a uniform law on a box: side²/12 along each axis."""
    return (sides[0] ** 2 / 12, Fraction(0)), (Fraction(0), sides[1] ** 2 / 12)


def widths(row: Pair, sides: Pair) -> Pair:
    """The widths of the two uniform numbers whose sum a part is after the map: |row| times the sides."""
    return abs(row[0]) * sides[0], abs(row[1]) * sides[1]


def trapezoid_entropy(of: Pair) -> LogarithmSum | None:
    """The entropy in nats of the sum of two independent uniform numbers: ln u + v/(2u) with u the greater width.

    Between the halves of the sides, where the density v/(uv) falls linearly to 0, it adds v/(2u) to the ln u of the
    wider one.

    Args:
        of: the two widths.

    Returns:
        The entropy, and nothing where both widths are zero and it is minus infinity.
    """
    wide, narrow = max(of), min(of)
    if wide == 0:
        return None
    return LogarithmSum.log(wide) + LogarithmSum({}, narrow / (2 * wide))


def trapezoid_density(x: NDArray[np.float64], of: Pair) -> NDArray[np.float64]:
    """The density of that sum at places x, its middle being 0.

    Raises:
        ValueError: both widths are zero.
    """
    wide, narrow = float(max(of)), float(min(of))
    if wide == 0:
        raise ValueError("A number without spread has no density.")
    inside = np.abs(x) <= (wide + narrow) / 2
    if narrow == 0:
        return np.where(inside, 1 / wide, 0.0)
    return np.where(inside, np.minimum(narrow, (wide + narrow) / 2 - np.abs(x)) / narrow / wide, 0.0)
