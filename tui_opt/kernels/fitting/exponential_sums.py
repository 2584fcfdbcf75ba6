"""Sums of exponentials over scattered points at equally spaced frequencies, directly or by a nonuniform FFT.

F_t(k) = sum_j c_tj exp(i w_k . x_j), the type-1 nonuniform discrete Fourier transform, takes points x frequencies
operations directly and about points + M log M by spreading the points on a fine grid and one FFT.

Reference: A. H. Barnett, J. Magland, L. af Klinteberg, "A parallel nonuniform fast Fourier transform library based on
an 'exponential of semicircle' kernel", SIAM J. Sci. Comput. 41, C479, 2019 (FINUFFT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

MOST_DIRECT: Final = 1 << 20
"""Exponentials that are taken one by one; more of them go through the FFT."""
TOLERANCE: Final = 1e-9
_CHUNK: Final = 1 << 18
_TWO_PI: Final = 2.0 * math.pi


@dataclass(frozen=True)
class Grid:
    """Equally spaced frequencies in one to three dimensions.

    Attributes:
        low: [d], the lowest of each.
        step: [d], their spacing.
        counts: [d], how many.
    """

    low: tuple[float, ...]
    step: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many in all."""
        return math.prod(self.counts)

    def axis(self, k: int) -> FloatArray:
        """The frequencies along dimension k."""
        return np.asarray(self.low[k] + self.step[k] * np.arange(self.counts[k], dtype=np.float64))

    def at(self, cells: NDArray[np.int64]) -> FloatArray:
        """The frequencies of flat cells, [cells, d]."""
        places = np.unravel_index(cells, self.counts)
        return np.stack([self.low[k] + self.step[k] * places[k] for k in range(len(self.counts))], axis=1)


def exponential_sums(x: FloatArray, strengths: ComplexArray, grid: Grid) -> ComplexArray:
    """F_t(k) on a grid of frequencies.

    Args:
        x: [d, n], the points; d is 1, 2 or 3.
        strengths: [t, n], c.
        grid: the frequencies, in units of 1/x.

    Returns:
        [t, *counts]; relative to the sum of the |c| within 1e-8.
    """
    if x.shape[1] * grid.size <= MOST_DIRECT:
        return direct_sums(x, strengths, grid.at(np.arange(grid.size))).reshape(-1, *grid.counts)
    return _by_fft(x, strengths, grid)


def direct_sums(x: FloatArray, strengths: ComplexArray, frequencies: FloatArray) -> ComplexArray:
    """F_t at any frequencies, one by one.

    Args:
        x: [d, n].
        strengths: [t, n].
        frequencies: [m, d].

    Returns:
        [t, m].
    """
    n = x.shape[1]
    out = np.empty((strengths.shape[0], frequencies.shape[0]), dtype=np.complex128)
    rows = max(1, _CHUNK // max(1, n))
    for first in range(0, frequencies.shape[0], rows):
        phases = frequencies[first : first + rows] @ x
        waves = np.empty(phases.shape, dtype=np.complex128)
        np.cos(phases, out=waves.real)
        np.sin(phases, out=waves.imag)
        out[:, first : first + rows] = strengths @ waves.T
    return out


def _by_fft(x: FloatArray, strengths: ComplexArray, grid: Grid) -> ComplexArray:
    import finufft  # takes a while, and small sums do without

    d = x.shape[0]
    centre = np.array([grid.low[k] + grid.step[k] * (grid.counts[k] // 2) for k in range(d)])
    # The transform's frequencies are whole numbers around 0: the points are scaled, and the centre moved there.
    shifted = strengths * np.exp(1j * (centre @ x))
    points = []
    for k in range(d):
        scaled = x[k] * grid.step[k]
        points.append(scaled - _TWO_PI * np.rint(scaled / _TWO_PI))
    transform: Any = (finufft.nufft1d1, finufft.nufft2d1, finufft.nufft3d1)[d - 1]
    modes: Any = grid.counts[0] if d == 1 else grid.counts
    # One thread: with more, the order of additions and so the last digits would differ from run to run.
    found = transform(
        *points, np.ascontiguousarray(shifted), modes, eps=TOLERANCE, isign=1, modeord=0, nthreads=1
    )
    return np.asarray(found, dtype=np.complex128).reshape(strengths.shape[0], *grid.counts)
