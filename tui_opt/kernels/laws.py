"""Laws of W: the truncated normal that walkers start from, laws on cells, and distances between laws.

A law on cells is edges[cells + 1] and masses[cells] >= 0, and is read as spread evenly over each cell: its
distribution function is linear on cells, and its variance is that of the centres plus the mean of h^2 / 12. The
masses that represent a smooth law are chosen so that mean and variance read this way are the law's own; plain
differences of its distribution function would read h^2 / 6 too wide.

Reference: Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, section 13.10.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Final, TypeAlias

import numba as nb
import numpy as np
from scipy import special

from tui_opt.kernels.callables import FloatArray
from tui_opt.kernels.cells import require_edges
from tui_opt.kernels.moments import put_on_cells
from tui_opt.kernels.philox import philox

_UNIT: Final = 2.0**-53
_ROOT2: Final = float(np.sqrt(2.0))
_ROOT2_OVER_PI: Final = float(np.sqrt(2.0 / np.pi))
_FARTHEST: Final = 1e150
"""Distances, in standard deviations, whose squares do not overflow."""
_FAR_CUT: Final = 30.0
"""A cut farther out, in standard deviations, leaves nearly an exponential law, which is expanded in 1 / cut^2."""


@dataclass(frozen=True)
class TruncatedNormal:
    """The normal law restricted to W >= least.

    Attributes:
        mean, sd: of the normal law before it is cut; sd 0 puts everything at `mean`.
        least: lower end, -inf for none.

    Raises: ValueError for numbers that are not finite, a negative sd, or a cut that leaves nothing.
    """

    mean: float
    sd: float
    least: float = -np.inf

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and np.isfinite(self.sd) and self.sd >= 0):
            raise ValueError(
                f"mean is {self.mean} and sd is {self.sd}; they must be finite, and sd 0 or more."
            )
        if np.isnan(self.least) or self.least == np.inf or (self.sd == 0 and self.mean < self.least):
            raise ValueError(
                f"least is {self.least}; it must be below the law's mean {self.mean} or leave part of its tail."
            )

    @property
    def _cut(self) -> float:
        return (self.least - self.mean) / self.sd

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation after the cut."""
        if self.sd == 0 or self.least == -np.inf:
            return self.mean, self.sd
        excess, spread = _tail_moments(self._cut)
        return self.least + self.sd * excess, self.sd * spread

    def cdf(self, w: FloatArray) -> FloatArray:
        """P(W <= w), [n]."""
        w = np.asarray(w, dtype=np.float64)
        if self.sd == 0:
            return np.asarray((w >= self.mean).astype(np.float64))
        if self._cut > 0:
            return np.asarray(-np.expm1(-self._log_odds(np.maximum((w - self.least) / self.sd, 0.0))))
        z = np.maximum((w - self.mean) / self.sd, self._cut)
        return np.asarray(-np.expm1(special.log_ndtr(-z) - special.log_ndtr(-self._cut)))

    def _log_odds(self, beyond: FloatArray) -> FloatArray:
        """-log P(W > least + sd * beyond) for a cut above the mean: without differences of large logarithms."""
        with np.errstate(all="ignore"):
            ratio = special.erfcx((self._cut + beyond) / _ROOT2) / special.erfcx(self._cut / _ROOT2)
            return np.asarray(beyond * (self._cut + 0.5 * beyond) - np.log(ratio))

    def quantile(self, p: FloatArray) -> FloatArray:
        """The places W with P(W <= w) = p, [n], for p in (0, 1)."""
        p = np.asarray(p, dtype=np.float64)
        if self.sd == 0:
            return np.full(p.shape, self.mean)
        return self._upper_quantile(1.0 - p)

    def _upper_quantile(self, q: FloatArray) -> FloatArray:
        """The places with P(W > w) = q."""
        if self._cut > _FAR_CUT:
            wanted = -np.log(q)
            beyond = 2 * wanted / (self._cut + np.sqrt(self._cut**2 + 2 * wanted))
            for _ in range(3):  # Newton's steps; the first guess is off by a part in cut^2
                hazard = _ROOT2_OVER_PI / special.erfcx((self._cut + beyond) / _ROOT2)
                beyond = beyond - (self._log_odds(beyond) - wanted) / hazard
            return np.asarray(self.least + self.sd * beyond)
        z = -special.ndtri_exp(np.log(q) + special.log_ndtr(-self._cut))
        return np.asarray(np.maximum(self.mean + self.sd * z, self.least))

    def interval(self, tail: float = 1e-16) -> tuple[float, float]:
        """An interval that holds all but `tail` of the mass on either side (all of it at a cut)."""
        if self.sd == 0:
            return self.mean, self.mean
        high = float(self._upper_quantile(np.array([tail]))[0])
        if self.least > -np.inf:
            return self.least, high
        return 2 * self.mean - high, high

    def sample(self, key: int, first_walker: int, count: int) -> FloatArray:
        """Independent places, w[count]; walker i always gets the same one, whoever asks with whom.

        Args:
            key: 64-bit key of the random stream, see `tui_opt.kernels.philox.stream_key`.
            first_walker: number of the first walker.
            count: number of walkers.
        """
        if self.sd == 0:
            return np.full(count, self.mean)
        return self._upper_quantile(uniforms(key, first_walker, count))


def masses_of(law: TruncatedNormal, edges: FloatArray) -> tuple[FloatArray, float]:
    """Cell masses of a law, with its mean and its variance.

    Args:
        law: where its tails reach beyond the cells, what is beyond is left out, and the rest normalised.
        edges: [cells + 1].

    Returns: masses[cells], which sum to 1 unless all of the law lies outside; and the variance that had to be
        added because the law is narrower than the cells (0 for a law wider than about one cell).
    Raises: ValueError when the cells hold less than half of the law.
    """
    edges = require_edges(edges)
    centres, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    if law.sd == 0:
        mass, offset = np.zeros(width.size), np.zeros(width.size)
        cell = int(np.searchsorted(edges, law.mean, side="right")) - 1
        cell = cell - 1 if law.mean == edges[-1] else cell
        if 0 <= cell < width.size:
            mass[cell], offset[cell] = 1.0, law.mean - centres[cell]
        square = offset**2
    else:
        mass, offset, square = _partial_moments(law, edges)
    held = float(mass.sum())
    if held < 0.5:
        raise ValueError(
            f"The cells from {edges[0]:g} to {edges[-1]:g} hold {held:.3g} of the initial law with mean "
            f"{law.moments[0]:g}; choose an interval that holds it."
        )
    return put_on_cells(edges, mass / held, offset / held, square / held)


def moments(edges: FloatArray, masses: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of a law on cells; NaN where there is no mass.

    Args:
        edges: [cells + 1].
        masses: [cells], of any sum.
    """
    total = float(masses.sum())
    if not total > 0:
        return np.nan, np.nan
    centres = 0.5 * (edges[1:] + edges[:-1])
    # Sums in a fixed order: a matrix product may be shared among threads.
    mean = float((masses * centres).sum()) / total
    variance = float((masses * ((centres - mean) ** 2 + np.diff(edges) ** 2 / 12.0)).sum()) / total
    return mean, float(np.sqrt(variance))


def sampling_errors(edges: FloatArray, masses: FloatArray, walkers: int) -> tuple[float, float]:
    """Standard errors that mean and standard deviation of so many walkers from a law on cells have.

    Args:
        edges: [cells + 1].
        masses: [cells], of any sum.
        walkers: number of independent walkers.

    Reference: Kendall & Stuart (1977), The Advanced Theory of Statistics 1, equation (10.9), for many walkers.
    """
    mean, sd = moments(edges, masses)
    if not sd > 0:
        return 0.0, 0.0
    away = 0.5 * (edges[1:] + edges[:-1]) - mean
    square = np.diff(edges) ** 2
    # In a fixed order, as in `moments`.
    fourth = (masses * (away**4 + 0.5 * away**2 * square + square**2 / 80.0)).sum() / float(masses.sum())
    variance_error = np.sqrt(max(float(fourth) - sd**4, 0.0) / walkers)
    return sd / float(np.sqrt(walkers)), float(variance_error) / (2 * sd)


def cdf_on_cells(edges: FloatArray, masses: FloatArray, w: FloatArray) -> FloatArray:
    """P(W <= w) of a law on cells, [n], as a share of its mass; NaN where there is none."""
    sums = np.append(0.0, np.cumsum(masses))
    if not sums[-1] > 0:
        return np.full(np.shape(w), np.nan)
    return np.asarray(np.interp(w, edges, sums / sums[-1]))


def kolmogorov_smirnov(edges: FloatArray, masses: FloatArray, cdf_at_edges: FloatArray) -> float:
    """Largest difference at the edges between a law on cells and another distribution function.

    Args:
        edges: [cells + 1].
        masses: [cells].
        cdf_at_edges: [cells + 1], the other distribution function there.
    """
    return float(np.max(np.abs(cdf_on_cells(edges, masses, edges) - cdf_at_edges)))


def wasserstein(edges: FloatArray, masses: FloatArray, cdf_at_edges: FloatArray) -> float:
    """Distance W1 = integral of |F - G|, with both distribution functions linear between the edges.

    Args: as in `kolmogorov_smirnov`.
    Reference: Vallender (1974), Theory Probab. Appl. 18, 784.
    """
    difference = cdf_on_cells(edges, masses, edges) - cdf_at_edges
    return _integral_of_modulus(edges, difference[:-1], difference[1:])


def wasserstein_to_samples(edges: FloatArray, masses: FloatArray, samples: FloatArray) -> float:
    """Distance W1 between a law on cells and the empirical law of finite samples[n], exactly."""
    samples = np.sort(np.asarray(samples, dtype=np.float64))
    places = np.union1d(edges, samples)
    empirical = np.searchsorted(samples, places, side="right") / samples.size
    smooth = cdf_on_cells(edges, masses, places)
    return _integral_of_modulus(places, smooth[:-1] - empirical[:-1], smooth[1:] - empirical[:-1])


def _integral_of_modulus(places: FloatArray, left: FloatArray, right: FloatArray) -> float:
    """Integral of |a line from left[k] to right[k]| over each [places[k], places[k + 1]], summed."""
    a, b = np.abs(left), np.abs(right)
    crossing = left * right < 0
    with np.errstate(invalid="ignore"):
        average = np.where(crossing, 0.5 * (a * a + b * b) / (a + b), 0.5 * (a + b))
    return float(np.sum(average * np.diff(places)))


def uniforms(key: int, first_walker: int, count: int) -> FloatArray:
    """Uniform numbers in (0, 1), [count], one for each walker from `first_walker` on."""
    drawn = np.empty(count)
    _uniforms(np.uint64(key), first_walker, drawn)
    return drawn


@nb.njit("void(uint64, int64, float64[::1])", nogil=True, cache=True, error_model="numpy")
def _uniforms(key: np.uint64, first_walker: int, drawn: FloatArray) -> None:
    for i in range(drawn.size):
        low, _ = philox(np.uint64(first_walker + i), np.uint64(0), key)
        drawn[i] = (np.float64(low >> np.uint64(11)) + 0.5) * _UNIT


def _tail_moments(cut: float) -> tuple[float, float]:
    """Mean of Z - cut and standard deviation of Z, for a standard normal Z restricted to Z >= cut."""
    if cut < _FAR_CUT:
        hazard = float(_ROOT2_OVER_PI / special.erfcx(cut / _ROOT2))
        return hazard - cut, float(np.sqrt(1.0 - hazard * (hazard - cut)))
    # Expansions in 1 / cut^2, where the differences above would cancel.
    s = cut**-2.0
    mean = 1 - 2 * s + 10 * s**2 - 74 * s**3
    variance = 1 - 6 * s + 50 * s**2 - 518 * s**3
    return mean / cut, float(np.sqrt(variance)) / cut


def _partial_moments(law: TruncatedNormal, edges: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mass of each cell, and the sums of W - centre and its square within it."""
    centres, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    parts = _far_tail_parts if law._cut > _FAR_CUT else _normal_parts
    origin, scale, mass, first, second = parts(law, edges)
    away = origin - centres
    offset = scale * first + away * mass
    square = scale**2 * second + 2 * scale * away * first + away**2 * mass
    # Rounding may leave a mean or a square that no mass within the cell has.
    offset = np.clip(offset, -half * mass, half * mass)
    square = np.clip(square, 0.0, half**2 * mass)
    return mass, offset, square


_Parts: TypeAlias = tuple[float, float, FloatArray, FloatArray, FloatArray]
"""Origin, scale, and per cell the integrals of 1, x and x^2 for x = (W - origin) / scale."""


def _normal_parts(law: TruncatedNormal, edges: FloatArray) -> _Parts:
    with np.errstate(over="ignore"):
        z = np.clip((np.maximum(edges, law.least) - law.mean) / law.sd, -_FARTHEST, _FARTHEST)
    low, high = z[:-1], z[1:]
    # The smaller of the two tails, so that far cells keep their digits.
    mass = np.where(low > 0, special.ndtr(-low) - special.ndtr(-high), special.ndtr(high) - special.ndtr(low))
    peak = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    first = peak[:-1] - peak[1:]
    second = mass + low * peak[:-1] - high * peak[1:]
    kept = float(special.ndtr(-law._cut))
    return law.mean, law.sd, mass / kept, first / kept, second / kept


def _far_tail_parts(law: TruncatedNormal, edges: FloatArray) -> _Parts:
    """The density exp(-x - x^2 / (2 cut^2)) for x = cut (W - least) / sd, expanded in 1 / cut^2."""
    scale = law.sd / law._cut
    with np.errstate(over="ignore"):
        x = np.maximum((edges - law.least) / scale, 0.0)
    terms = [(2 * m, (-0.5 / law._cut**2) ** m / factorial(m)) for m in range(5)]

    def integral(power: int) -> FloatArray:
        found = [
            weight * factorial(n + power) * np.diff(special.gammainc(n + power + 1, x)) for n, weight in terms
        ]
        return np.asarray(np.sum(found, axis=0))

    whole = sum(weight * factorial(n) for n, weight in terms)
    return law.least, scale, integral(0) / whole, integral(1) / whole, integral(2) / whole
