"""One-step maps that are dear to compute, as piecewise polynomials with a known error.

The pieces are cut until the polynomial through Chebyshev nodes agrees with the map at points that it does not
know; where a map jumps (within a rounding error or so it may: a flow passes unstable places that thin), they are
cut down to the resolution of doubles.

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 4 and 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked

DEGREE = 9
TOLERANCE = 1e-10
"""Largest error of an image, in units of max(1, |image|)."""
PLACE_TOLERANCE = 1e-13
"""Where a map is so steep that rounding W matters, the image of a place so near (in units of |W|) is as good."""
FIRST_PIECES = 64
BUCKETS = 4096
SPLIT = 4
"""Parts into which a piece is cut that is too long."""
MAX_PIECES = 200_000
RESOLUTION = 2.0**-46
"""Width, in units of the largest |W| of a piece, below which pieces are not cut."""


@dataclass(frozen=True)
class MapTable:
    """Maps f_j on an interval.

    Attributes:
        breaks: [pieces + 1], increasing.
        coefficients: [pieces, j, DEGREE + 1] of the powers of t, which runs from -1 to 1 over a piece.
        first_piece: [BUCKETS + 1], the piece that holds the beginning of each of equal parts of the interval.
        error: largest error seen at points the polynomials do not know, in units of max(1, |image|).
        unresolved: total width of the pieces, at jumps, where the error is larger.
    """

    breaks: FloatArray
    coefficients: FloatArray
    first_piece: NDArray[np.int64]
    error: float
    unresolved: float

    def __call__(self, w: FloatArray) -> FloatArray:
        """f_j(w), [j, n]; NaN outside the interval."""
        w = np.asarray(w, dtype=np.float64)
        piece = np.clip(np.searchsorted(self.breaks, w, side="right") - 1, 0, self.breaks.size - 2)
        left, right = self.breaks[piece], self.breaks[piece + 1]
        t = (2.0 * w - left - right) / (right - left)
        values = np.zeros((self.coefficients.shape[1], w.size))
        for power in range(DEGREE, -1, -1):
            values = values * t + self.coefficients[piece, :, power].T
        return np.where((w >= self.breaks[0]) & (w <= self.breaks[-1]), values, np.nan)


def tabulate(maps: TermField, low: float, high: float, check: Check = unchecked) -> MapTable:
    """Tabulate maps on an interval.

    Args:
        maps: f_j, w[n] -> [j, n].
        low, high: ends of the interval, low < high.
        check: called now and then.

    Raises: ValueError for an interval that is none, or maps that 200,000 pieces do not resolve.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"The interval {low} to {high} is none; low must be below high, both finite.")
    nodes = np.cos(np.pi * np.arange(DEGREE, -1, -1) / DEGREE)
    probes = np.cos(np.pi * (np.arange(DEGREE, 0, -1) - 0.5) / DEGREE)
    to_powers = np.linalg.inv(np.vander(nodes, increasing=True))
    at_probes = np.vander(probes, DEGREE + 1, increasing=True)
    done: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    ends = np.linspace(low, high, FIRST_PIECES + 1)
    left, right = ends[:-1], ends[1:]
    error = unresolved = 0.0
    kept = 0
    while left.size:
        check()
        middle, half = 0.5 * (left + right), 0.5 * (right - left)
        places = middle[:, None] + half[:, None] * np.concatenate([nodes, probes])
        values = evaluate_terms(maps, places.ravel()).reshape(-1, *places.shape)
        with np.errstate(all="ignore"):
            coefficients = values[:, :, : DEGREE + 1] @ to_powers.T
            seen = values[:, :, DEGREE + 1 :]
            steepness = np.ptp(values, axis=2) / (2 * half)
            allowed = np.maximum(1.0, np.abs(seen).max(axis=2)) * TOLERANCE
            excused = PLACE_TOLERANCE * np.maximum(np.abs(left), np.abs(right)) * steepness
            worst = np.abs(coefficients @ at_probes.T - seen).max(axis=2) - excused
            worst *= TOLERANCE / allowed
        # A place where all walkers diverge, or have no gradient, is as good as a number.
        alike = (values == values[:, :, :1]).all(axis=2) | np.isnan(values).all(axis=2)
        coefficients[alike] = 0.0
        coefficients[alike, 0] = values[alike, 0]
        fits = (worst <= TOLERANCE) | alike
        good = fits.all(axis=0)
        finest = 2 * half <= RESOLUTION * np.maximum(np.abs(left) + np.abs(right), 1e-3 * (high - low))
        keep = good | finest
        error = max(error, float(worst[fits & ~alike].max(initial=0.0)))
        jumps = ~fits & finest
        coefficients[jumps] = 0.0
        coefficients[jumps, 0] = values[jumps, 0]
        unresolved += float(2 * half[keep & ~good].sum())
        done.append((left[keep], right[keep], np.moveaxis(coefficients, 0, 1)[keep]))
        kept += int(keep.sum())
        if kept + SPLIT * int((~keep).sum()) > MAX_PIECES:
            raise ValueError(
                f"The maps are not resolved by {MAX_PIECES} pieces; take a smaller temperature or range."
            )
        parts = left[~keep, None] + (right - left)[~keep, None] * np.arange(SPLIT + 1) / SPLIT
        parts[:, -1] = right[~keep]
        left, right = parts[:, :-1].ravel(), parts[:, 1:].ravel()
    starts = np.concatenate([part[0] for part in done])
    order = np.argsort(starts)
    breaks = np.append(starts[order], high)
    coefficients = np.ascontiguousarray(np.concatenate([part[2] for part in done])[order])
    parts = np.linspace(low, high, BUCKETS + 1)
    first = np.clip(np.searchsorted(breaks, parts, side="right") - 1, 0, starts.size - 1)
    return MapTable(breaks, coefficients, first.astype(np.int64), error, unresolved)
