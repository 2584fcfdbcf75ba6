"""The least squared error of a wave against its frequency, everything linear beside it eliminated.

A wave is s = Re(z exp(i w . u)) with z known, or A s with A unknown, or z times an unknown complex number. Beside it
stand columns Q (orthonormal) with any coefficients: what they explain is projected out of the data and of the wave.
With r the rest of the data and c, s the cosine and sine parts of z e^{iwu}, the error needs at every frequency

    r.c and r.s,   c.c - |Qc|^2,   s.s - |Qs|^2,   c.s - Qc.Qs.

The first two are a nonuniform Fourier transform of r z. The others are nearly those of a wave that goes round many
times, half its power, everywhere but at the lowest frequencies; they are computed where it matters.

Reference: G. H. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", SIAM J. Numer. Anal. 10, 413, 1973 (variable projection); N. R. Lomb, Astrophys. Space Sci. 39,
447, 1976, and M. Zechmeister, M. Kürster, Astron. Astrophys. 496, 577, 2009 (the same for one wave and a constant).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.fitting.exponential_sums import Grid, exponential_sums

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

Unknown = Literal["nothing", "amplitude", "phase"]
"""What is not known of the wave beside its frequency; with an unknown phase the amplitude is unknown as well."""

MOST_EXACT: Final = 1 << 18
"""Samples x frequencies up to which the whole scan has every sum; beyond, only what is looked at closer has."""
_CHUNK: Final = 1 << 17
MOST_CLOSE: Final = 1 << 20
"""Samples x frequencies that are looked at closer."""
LEAST_POWER: Final = 1e-9
"""Share of a wave's power that must be left beside the columns; below, it says nothing that they do not."""


@dataclass(frozen=True)
class Wave:
    """One oscillating term.

    Attributes:
        u: [d, n], what its frequencies multiply.
        z: [n], complex: amplitude and phase besides.
        unknown: what is fitted with it.
    """

    u: FloatArray
    z: ComplexArray
    unknown: Unknown


@dataclass(frozen=True)
class Scan:
    """The error against frequency.

    Attributes:
        grid: the frequencies.
        loss: [*counts], mean squared error with everything linear eliminated.
        exact: whether every sum was taken everywhere, rather than only near the minima and the lowest frequencies.
        without: mean squared error without any wave.
    """

    grid: Grid
    loss: FloatArray
    exact: bool
    without: float


def orthonormal(columns: FloatArray, most: int, least: float = 1e-6) -> FloatArray:
    """An orthonormal basis of the span of columns, [k, n] with k at most their number.

    Args:
        columns: [m, n]; those that are zero or not finite are left out.
        most: the largest dimension; the directions that the columns share most come first.
        least: share of the largest singular value below which a direction counts as rounding.
    """
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.einsum("kn,kn->k", columns, columns))
    kept = np.isfinite(norms) & (norms > 0)
    if not kept.any():
        return np.empty((0, columns.shape[1]))
    rows = columns[kept] / norms[kept, None]
    for _ in range(
        2
    ):  # by products of columns, many times faster than an SVD; once more for what they round away
        sizes, axes = np.linalg.eigh(rows @ rows.T)
        held = sizes > least**2 * sizes[-1]
        held[: max(0, sizes.size - most)] = False
        rows = (axes[:, held].T @ rows) / np.sqrt(sizes[held])[:, None]
    return np.ascontiguousarray(rows)


def independent(columns: FloatArray, most: int, least: float = 1e-5) -> IntArray:
    """Which columns span the others, the one that adds most first (Gram-Schmidt with pivoting).

    Args:
        columns: [m, n]; those that are zero or not finite are left out.
        most: the most there are.
        least: the length that a further one must add, all being of length 1.

    Returns:
        Indices.
    """
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("kn,kn->k", columns, columns))
    usable = np.flatnonzero(np.isfinite(lengths) & (lengths > 0))
    rest = columns[usable] / lengths[usable, None]
    chosen: list[int] = []
    while len(chosen) < min(most, usable.size):
        left = np.einsum("kn,kn->k", rest, rest)
        longest = int(np.argmax(left))
        if left[longest] <= least**2:
            break
        axis = rest[longest] / np.sqrt(left[longest])
        rest = rest - np.outer(rest @ axis, axis)
        chosen.append(longest)
    return np.asarray(usable[chosen], dtype=np.int64)


def scan(y: FloatArray, basis: FloatArray, wave: Wave, grid: Grid, thorough: bool = False) -> Scan:
    """The error of a wave at every frequency of a grid.

    Args:
        y: [n], the data.
        basis: [k, n], orthonormal: what else may explain them.
        wave: the term.
        grid: its frequencies.
        thorough: take every sum at every frequency, for waves that go round many times in a few samples only.
    """
    rest = y - basis.T @ (basis @ y)
    n = y.size
    without = float(rest @ rest) / n
    if n * grid.size <= MOST_EXACT:
        errors = exact_errors(rest, basis, wave, grid.at(np.arange(grid.size)))
        return Scan(grid, errors.reshape(grid.counts) / n, True, without)
    if thorough:
        return Scan(grid, _every_sum(rest, basis, wave, grid) / n, True, without)
    power = float((wave.z.real**2 + wave.z.imag**2).sum())
    first = exponential_sums(wave.u, (rest * wave.z)[None, :], grid)[0]
    # A wave that goes round many times has half its power in the cosine and nothing in common with the columns.
    errors = _error(wave.unknown, float(rest @ rest), first, 0.5 * power, 0.5 * power, np.zeros(()), power)
    flat = errors.reshape(-1)
    close = int(np.clip(MOST_CLOSE // n, 6, 16))
    cells = np.union1d(least_cells(errors, close), _lowest(grid, close))
    flat[cells] = exact_errors(rest, basis, wave, grid.at(cells))
    return Scan(grid, flat.reshape(grid.counts) / n, False, without)


def _every_sum(rest: FloatArray, basis: FloatArray, wave: Wave, grid: Grid) -> FloatArray:
    """Squared errors on the whole grid, [*counts]: by c.c = (sum |z|^2 + Re sum z^2 e^{2iwu})/2 and the like."""
    power = float((wave.z.real**2 + wave.z.imag**2).sum())
    first = exponential_sums(wave.u, (rest * wave.z)[None, :], grid)[0]
    second = exponential_sums(2.0 * wave.u, (wave.z**2)[None, :], grid)[0]
    cc, ss, cs = 0.5 * (power + second.real), 0.5 * (power - second.real), 0.5 * second.imag
    for column in basis:
        shared = exponential_sums(wave.u, (column * wave.z)[None, :], grid)[0]
        cc -= shared.real**2
        ss -= shared.imag**2
        cs -= shared.real * shared.imag
    return _error(wave.unknown, float(rest @ rest), first, cc, ss, cs, power)


def exact_errors(rest: FloatArray, basis: FloatArray, wave: Wave, frequencies: FloatArray) -> FloatArray:
    """Squared errors at any frequencies, every sum taken.

    Args:
        rest: [n], the data with the basis projected out.
        basis: [k, n], orthonormal.
        wave: the term.
        frequencies: [m, d].

    Returns:
        [m].
    """
    n, m = rest.size, frequencies.shape[0]
    power = float((wave.z.real**2 + wave.z.imag**2).sum())
    first = np.empty(m, dtype=np.complex128)
    cc, ss, cs = np.empty(m), np.empty(m), np.empty(m)
    step = max(1, _CHUNK // n)
    for low in range(0, m, step):
        part = slice(low, low + step)
        phases = frequencies[part] @ wave.u
        cosine, sine = np.cos(phases), np.sin(phases)
        c = wave.z.real * cosine - wave.z.imag * sine
        s = wave.z.imag * cosine + wave.z.real * sine
        first.real[part], first.imag[part] = c @ rest, s @ rest
        c_shared, s_shared = c @ basis.T, s @ basis.T
        cc[part] = np.einsum("mn,mn->m", c, c) - (c_shared**2).sum(axis=1)
        ss[part] = np.einsum("mn,mn->m", s, s) - (s_shared**2).sum(axis=1)
        cs[part] = np.einsum("mn,mn->m", c, s) - (c_shared * s_shared).sum(axis=1)
    return _error(wave.unknown, float(rest @ rest), first, cc, ss, cs, power)


def _error(
    unknown: Unknown,
    total: float,
    first: ComplexArray,
    cc: FloatArray | float,
    ss: FloatArray | float,
    cs: FloatArray | float,
    power: float,
) -> FloatArray:
    """The least error; `cc`, `ss`, `cs` are products of the cosine and sine parts, the columns projected out."""
    if unknown == "nothing":
        return np.asarray(total - 2.0 * first.real + cc)
    with np.errstate(all="ignore"):
        by_cosine = np.where(np.asarray(cc) > LEAST_POWER * power, first.real**2 / cc, 0.0)
        if unknown == "amplitude":
            return np.asarray(total - by_cosine)
        determinant = np.asarray(cc) * np.asarray(ss) - np.asarray(cs) ** 2
        both = (first.real**2 * ss - 2.0 * first.real * first.imag * cs + first.imag**2 * cc) / determinant
        gain = np.where(determinant > LEAST_POWER * power * np.maximum(cc, ss), both, by_cosine)
    return np.asarray(total - gain)


def least_cells(values: FloatArray, count: int) -> IntArray:
    """Flat indices of the least values of an array, least first."""
    flat = values.reshape(-1)
    count = min(count, flat.size)
    found = np.argpartition(flat, count - 1)[:count]
    return np.asarray(found[np.argsort(flat[found], kind="stable")], dtype=np.int64)


def _lowest(grid: Grid, count: int) -> IntArray:
    """Flat indices of the frequencies next to 0."""
    reach = [np.argsort(np.abs(grid.axis(k)), kind="stable") for k in range(len(grid.counts))]
    each = max(1, round(count ** (1.0 / len(reach))))
    chosen = np.meshgrid(*(r[:each] for r in reach), indexing="ij")
    return np.asarray(np.ravel_multi_index([c.reshape(-1) for c in chosen], grid.counts), dtype=np.int64)


def candidates(found: Scan, count: int) -> tuple[FloatArray, FloatArray]:
    """The frequencies of the least errors, no two of them neighbours.

    Args:
        found: the scan.
        count: the most there are.

    Returns:
        Frequencies [m, d] and their errors [m], least first.
    """
    order = least_cells(found.loss, 40 * count)
    places = np.stack(np.unravel_index(order, found.grid.counts), axis=1)
    chosen: list[int] = []
    for i in range(order.size):
        if len(chosen) == count:
            break
        if all(np.abs(places[i] - places[j]).max() > 3 for j in chosen):
            chosen.append(i)
    return found.grid.at(order[chosen]), found.loss.reshape(-1)[order[chosen]]
