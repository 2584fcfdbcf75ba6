"""From sums of updates and from forks to shares, and how far two kinds of share agree.

A share is a / (a + b): how much of a parameter's updating came from one group of classes, or how much of its change
came with exchanging one class for another of the same group. Where both are zero there is none (NaN), and pairs with a
NaN are left out of every mean and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Check: TypeAlias = Callable[[], None]
IntArray: TypeAlias = NDArray[np.int64]

_ROUNDINGS: Final = 4.0
"""What differs by fewer of them is the same."""

PERMUTATIONS: Final = 100
"""How many are drawn where their law is not known in closed form."""


def share(a: FloatArray, b: FloatArray) -> FloatArray:
    """a / (a + b), elementwise; NaN where both are zero or one is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(a / (a + b))


def spread_of_forks(forks: FloatArray | Sequence[FloatArray], check: Check = lambda: None) -> FloatArray:
    """Mean absolute difference between pairs of forks of one group, [fork, ...] -> [...]; zero for a single one.

    `check` is called after every pair.
    """
    number = len(forks)
    total = np.zeros(forks[0].shape)
    for i in range(number):
        for j in range(i + 1, number):
            total += np.abs(forks[i] - forks[j])
            check()
    return np.asarray(total / max(number * (number - 1) // 2, 1))


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's correlation of all pairs that have both; NaN where fewer than two do, or one does not vary."""
    both = np.isfinite(x) & np.isfinite(y)
    if int(both.sum()) < 2:
        return float("nan")
    x, y = _varying(x[both]), _varying(y[both])
    norm = np.sqrt((x @ x) * (y @ y))
    return float((x @ y) / norm) if norm > 0 else float("nan")


def _varying(x: FloatArray) -> FloatArray:
    """Without its mean; zero where it varies by no more than its rounding."""
    away = x - x.mean()
    rounding = _ROUNDINGS * np.finfo(np.float64).eps * np.abs(x).max()
    return np.asarray(away if np.abs(away).max() > rounding else np.zeros_like(away))


def correlation_along(x: FloatArray, y: FloatArray) -> FloatArray:
    """The correlation over the last axis, for every place in the others."""
    both = np.isfinite(x) & np.isfinite(y)
    number = both.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = _centred(x, both, number), _centred(y, both, number)
        found = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return np.where(number >= 2, found, np.nan)


def within(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both without their means over the last axis; only pairs that have both are left."""
    both = np.isfinite(x) & np.isfinite(y)
    number = both.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = _centred(x, both, number), _centred(y, both, number)
    return np.where(both, x, np.nan), np.where(both, y, np.nan)


def _centred(x: FloatArray, both: NDArray[np.bool_], number: NDArray[np.intp]) -> FloatArray:
    x = np.where(both, x, 0.0)
    mean = x.sum(axis=-1) / number
    away = np.where(both, x - mean[..., None], 0.0)
    rounding = _ROUNDINGS * np.finfo(np.float64).eps * np.abs(x).max(axis=-1, initial=0.0)
    return np.asarray(np.where((np.abs(away).max(axis=-1, initial=0.0) > rounding)[..., None], away, 0.0))


def under_unit_permutations(
    x: FloatArray, y: FloatArray, rng: np.random.Generator, check: Check = lambda: None
) -> tuple[float, float]:
    """Mean and standard deviation of the correlation when the units of x are permuted, over all permutations.

    With x and y centred and G = x'y, [unit, unit], a permutation's covariance is the sum of one entry per row and
    column of G, whose mean is sum(G) / H and whose variance is |G without the means of rows and columns|^2 / (H - 1)
    (Hoeffding 1951, A combinatorial central limit theorem, eq. 10). Where pairs are missing it depends on the
    permutation which are left, and a sample of them is taken. A single unit cannot be permuted: there is no law, and
    both are NaN.

    Args:
        x: [pixel, unit].
        y: [pixel, unit].
        rng: draws permutations, where some must be drawn.
        check: called between products of all units with all.
    """
    units = x.shape[1]
    if units < 2:
        return float("nan"), float("nan")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        drawn = _drawn_correlations(x, y, rng, check)
        return float(np.mean(drawn)), float(np.std(drawn, ddof=1))
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x * x).sum() * (y * y).sum())
    if not norm > 0:
        return float("nan"), float("nan")
    check()
    gram = x.T @ y / norm
    check()
    centred = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
    return float(gram.sum() / units), float(np.sqrt((centred * centred).sum() / (units - 1)))


def _drawn_correlations(x: FloatArray, y: FloatArray, rng: np.random.Generator, check: Check) -> FloatArray:
    """Correlations under drawn permutations of the units of x, of the pairs that have both.

    Every sum that a correlation is made of is, for a permutation, a sum over units of what each unit of x gives with
    each of y: those are found once, and no permutation looks at the pixels again.
    """
    units = x.shape[1]
    there, present = np.isfinite(x), np.isfinite(y)
    x, y = _filled(x, there), _filled(y, present)
    has_x, has_y = there.astype(float), present.astype(float)
    of_pairs = []
    for one, other in (
        (has_x, has_y), (x, has_y), (has_x, y), (np.square(x), has_y), (has_x, np.square(y)), (x, y),
    ):  # fmt: skip
        of_pairs.append(one.T @ other)
        check()
    drawn, own = np.empty(PERMUTATIONS), np.arange(units)
    for k in range(PERMUTATIONS):
        order = rng.permutation(units)
        n, sx, sy, sxx, syy, sxy = (float(sums[order, own].sum()) for sums in of_pairs)
        norm = (n * sxx - sx * sx) * (n * syy - sy * sy)
        drawn[k] = (n * sxy - sx * sy) / np.sqrt(norm) if n >= 2 and norm > 0 else np.nan
    return drawn


def _filled(x: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Without the mean of what is known, and zero elsewhere."""
    mean = x[known].mean() if known.any() else 0.0
    return np.asarray(np.where(known, x - mean, 0.0))


def shares_of_data(sums: IntArray, group: int) -> FloatArray:
    """Sum of each input over the images of the first `group` classes as a share of that over all.

    What a network would show whose units learnt the same from every image: no network is needed.

    Args:
        sums: of whole grey values, [class, pixel].
        group: classes of the first group.

    Returns: [pixel].
    """
    return share(sums[:group].sum(axis=0).astype(float), sums[group:].sum(axis=0).astype(float))


def contrast_of_data(sums: IntArray, counts: IntArray, group: int) -> FloatArray:
    """Share of the first group in the differences between class means.

    Differences are found between whole numbers: those of rounded means would not be zero where means are equal, and
    their shares a ratio of roundings.

    Args:
        sums: of whole grey values over the images of each class, [class, pixel].
        counts: images of each class.
        group: classes of the first group.

    Returns: [pixel].
    """
    parts = []
    for classes in (range(group), range(group, len(counts))):
        total = np.zeros(sums.shape[1])
        for i in classes:
            for j in range(i + 1, classes.stop):
                away = np.abs(sums[i] * counts[j] - sums[j] * counts[i])
                total += away / (float(counts[i]) * float(counts[j]))
        parts.append(total / max(len(classes) * (len(classes) - 1) // 2, 1))
    return share(parts[0], parts[1])
