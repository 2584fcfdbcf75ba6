"""The stationary law of contracting affine maps with separated images: a singular law without a density.

Every map sends the hull of the support into an image of its own, which receives its probability; the images of the
images receive products of probabilities, and so on: a multiplicative cascade. Its distribution function follows
from that alone, digit by digit.

Reference: Hutchinson (1981), Indiana Univ. Math. J. 30, 713, sections 4.4 and 5.3; for the dimension of the law
    Young (1982), Ergodic Theory Dynam. Systems 2, 109.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.affine import AffineMaps
from tui_opt.kernels.callables import FloatArray

TOUCHING = 1e-12
"""Overlap of two images, in units of the hull's width, that is rounding."""
LEAST_WEIGHT = 1e-17
MOST_INTERVALS = 1 << 20
_MAX_HULL_STEPS = 1_000_000


@dataclass(frozen=True)
class Cascade:
    """The construction of a law from maps W <- r_j W + b_j whose images do not overlap.

    Attributes:
        slopes, shifts: of the maps in the order of their images, [j].
        weights: their probabilities, [j].
        low, high: ends of the hull of the support.
    """

    slopes: FloatArray
    shifts: FloatArray
    weights: FloatArray
    low: float
    high: float

    @property
    def dimension(self) -> float:
        """Dimension of the law: entropy over the mean of ln 1/|r|; 1 only where the law may have a density."""
        with np.errstate(divide="ignore"):
            return float(
                -(self.weights @ np.log(self.weights)) / -(self.weights @ np.log(np.abs(self.slopes)))
            )

    @property
    def is_uniform(self) -> bool:
        """Whether the law is the uniform one: the images fill the hull, each as likely as it is wide."""
        return bool(np.allclose(np.abs(self.slopes), self.weights, rtol=1e-9, atol=0.0))

    def level(self, depth: int) -> tuple[FloatArray, FloatArray]:
        """The intervals after `depth` divisions, in order.

        Returns: ends[n, 2] and masses[n].
        Raises: ValueError for a level of more than a million intervals.
        """
        if depth < 0 or self.weights.size**depth > MOST_INTERVALS:
            raise ValueError(
                f"Level {depth} has {self.weights.size}^{depth} intervals; at most {MOST_INTERVALS} are drawn."
            )
        ends, masses = np.array([[self.low, self.high]]), np.ones(1)
        for _ in range(depth):
            images = self.slopes[:, None, None] * ends + self.shifts[:, None, None]
            ends = np.sort(images.reshape(-1, 2), axis=1)
            masses = (self.weights[:, None] * masses).ravel()
        order = np.argsort(ends[:, 0], kind="stable")
        return ends[order], masses[order]

    def cdf(self, w: FloatArray) -> FloatArray:
        """P(W <= w), [n], to about 1e-12."""
        x = np.array(w, dtype=np.float64).ravel()
        ends = np.sort(self.slopes[:, None] * np.array([self.low, self.high]) + self.shifts[:, None], axis=1)
        before = np.append(0.0, np.cumsum(self.weights))
        value = np.where(x >= self.high, 1.0, 0.0)
        inside = np.flatnonzero((x > self.low) & (x < self.high))
        x = x[inside]
        # F(w) = base + scale * F(x): what is below the image that holds x, and x seen in the whole law again.
        base, scale = np.zeros(x.size), np.ones(x.size)
        while inside.size:
            image = np.searchsorted(ends[:, 0], x, side="right") - 1
            image = np.maximum(image, 0)
            base += scale * before[image]
            beyond = x >= ends[image, 1]
            under = x <= ends[image, 0]
            settled = beyond | under
            base += np.where(beyond, scale * self.weights[image], 0.0)
            scale = scale * self.weights[image]
            falling = self.slopes[image] < 0
            base += np.where(falling & ~settled, scale, 0.0)
            scale = np.where(falling, -scale, scale)
            x = (x - self.shifts[image]) / self.slopes[image]
            above, below = x >= self.high, x <= self.low
            base += np.where(above & ~settled, scale, 0.0)
            settled |= above | below | (np.abs(scale) < LEAST_WEIGHT)
            value[inside[settled]] = base[settled]
            keep = ~settled
            inside, x, base, scale = inside[keep], x[keep], base[keep], scale[keep]
        return np.clip(value, 0.0, 1.0).reshape(np.shape(w))


def cascade_of(maps: AffineMaps) -> Cascade | None:
    """The cascade of affine maps; None where one does not contract, is constant, or images overlap.

    Args:
        maps: W <- r_j W + b_j; equal maps count as one with their common probability.
    """
    pairs, counts = np.unique(np.column_stack([maps.slopes, maps.shifts]), axis=0, return_counts=True)
    slopes, shifts = pairs[:, 0], pairs[:, 1]
    weights = counts / counts.sum()
    if slopes.size < 2 or not np.all((np.abs(slopes) < 1) & (slopes != 0)):
        return None
    low, high = _hull(slopes, shifts)
    ends = np.sort(slopes[:, None] * np.array([low, high]) + shifts[:, None], axis=1)
    order = np.argsort(ends[:, 0], kind="stable")
    ends = ends[order]
    if not high > low or np.any(ends[1:, 0] < ends[:-1, 1] - TOUCHING * (high - low)):
        return None
    return Cascade(slopes[order], shifts[order], weights[order], low, high)


def _hull(slopes: FloatArray, shifts: FloatArray) -> tuple[float, float]:
    """The smallest interval that the maps send into itself."""
    fixed = shifts / (1.0 - slopes)
    low, high = float(fixed.min()), float(fixed.max())
    for _ in range(_MAX_HULL_STEPS):
        images = slopes[:, None] * np.array([low, high]) + shifts[:, None]
        lower, higher = min(low, float(images.min())), max(high, float(images.max()))
        if lower == low and higher == high:
            break
        low, high = lower, higher
    return low, high
