"""How local a change of parameters is, and what final parameters depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]

ENTRIES: Final = 1 << 20
"""Of a table of parameters, between two looks at whether to stop; so many are at hand three times."""
LITTLE: Final = 0.1
"""Part of a sum of squares that can be what is left of it: a digit is lost."""
_PASSES: Final = 3
"""Readings of the table, the second of which does twice as much."""


def participation_ratio(change: FloatArray) -> float:
    """(sum d^2)^2 / (n sum d^4): the share of n entries that a change is spread over; 1/n for a single one.

    Bell and Dean (1970), Atomic vibrations in vitreous silica, for the amplitudes of a mode. Independent normal changes
    have 1/3. NaN where nothing changes.
    """
    size = np.abs(np.ravel(change))
    top = size.max(initial=0.0)
    if not (top > 0 and np.isfinite(top)):
        return float("nan")
    square = np.square(size / top)
    return float(square.sum() ** 2 / (square.size * np.square(square).sum()))


@dataclass(frozen=True)
class Variance:
    """Shares of the variance of final parameters; they sum to 1, and estimates of small ones may be negative.

    Args:
        data: with the data alone.
        init: with the initialisation alone.
        both: with the pair of them, beyond what each has by itself.
    """

    data: float
    init: float
    both: float


@dataclass(frozen=True)
class Analysis:
    """An analysis of variance, and its jackknife.

    Args:
        shares: of all initialisations.
        without: without each of them in turn; empty for fewer than three, of which two must be left.
    """

    shares: Variance
    without: tuple[Variance, ...]


@dataclass(frozen=True)
class _Squares:
    """Sums of squares over parameters: those of the effects a of initialisations, b of data, and e of both.

    Args:
        init: |a_i|^2 of the parameters, [init].
        moved: the same of how far they moved from where they began, [init].
        data: sum over data sets of |b_j|^2.
        both: sum over data sets of |e_ij|^2, [init].
        mixed: sum over data sets of b_j . e_ij, [init].
        sets: number of data sets.
    """

    init: FloatArray
    moved: FloatArray
    data: float
    both: FloatArray
    mixed: FloatArray
    sets: int

    def shares(self) -> tuple[Variance, Variance]:
        """Of the parameters, and of their movement."""
        number, both = self.init.size, float(self.both.sum())
        return (
            _components(float(self.init.sum()), self.data, both, number, self.sets),
            _components(float(self.moved.sum()), self.data, both, number, self.sets),
        )

    def shares_without(self, left: int) -> tuple[Variance, Variance]:
        """The same without one initialisation.

        Effects sum to zero, so those of the others go up by a_k / (I - 1) and e_kj / (I - 1), and the mean over them
        of a data set's goes down by e_kj / (I - 1).
        """
        rest = self.init.size - 1
        grown = (rest + 1) / rest
        both = float(self.both.sum() - grown * self.both[left])
        data = float(self.data - 2 * self.mixed[left] / rest + self.both[left] / rest**2)
        inits = (float(part.sum() - grown * part[left]) for part in (self.init, self.moved))
        one, other = (_components(init, data, both, rest, self.sets) for init in inits)
        return one, other

    def outweighing(self) -> list[int]:
        """Initialisations without which little is left: their squares cannot be taken away from those of all.

        With a share of (1 - d)(I - 1) / I of a sum, d of it is left: for d = 1/10 one initialisation at most has it.
        """
        rest = self.init.size - 1
        most = (1.0 - LITTLE) * rest / (rest + 1)
        large = np.zeros(rest + 1, dtype=bool)
        for part in (self.init, self.moved, self.both):
            large |= part > most * part.sum()
        return [int(k) for k in np.flatnonzero(large)]


def variance_analysis(
    ends: Sequence[FloatArray],
    starts: Sequence[FloatArray],
    check: Callable[[], None] = lambda: None,
    report: Callable[[float], None] = lambda part: None,
) -> tuple[Analysis, Analysis]:
    """Two-way analyses of variance, pooled over parameters, with unbiased components, and without each initialisation.

    For one network of every initialisation and data set mean squares of rows and columns contain that of the
    interaction: sigma_data^2 = (MS_data - MS_both) / I, and likewise for the initialisation (Searle, Casella, McCulloch
    1992, Variance components, section 4.4). Where parameters began changes the effects of initialisations and no
    others: both analyses are made of one table of differences from it, which are smaller than what they are of. Leaving
    out one initialisation takes its squares from the sums of all: the table is read three times, whatever is left out.

    Args:
        ends: final parameters, [data, parameter] of each initialisation.
        starts: the same before any learning, [parameter] of each initialisation.
        check: called after at most `ENTRIES` of the table.
        report: told as often how much more of the whole is done; these sum to 1.

    Returns: of the parameters, and of how far they moved.

    Raises:
        ValueError: there are fewer than two initialisations or data sets.
    """
    number = len(ends)
    if number < 2 or len(ends[0]) < 2:
        raise ValueError("An analysis of variance needs two initialisations and two data sets or more.")
    passes = _PASSES * number * ends[0].size

    def read(entries: int) -> None:
        check()
        report(entries / passes)

    squares = _squares(ends, starts, range(number), read)
    without: list[tuple[Variance, Variance]] = []
    if number > 2:
        without = [squares.shares_without(k) for k in range(number)]
        for k in squares.outweighing():
            others = [i for i in range(number) if i != k]
            without[k] = _squares(ends, starts, others, lambda entries: check()).shares()
    shares = squares.shares()
    return (
        Analysis(shares[0], tuple(one for one, _ in without)),
        Analysis(shares[1], tuple(other for _, other in without)),
    )


def _squares(
    ends: Sequence[FloatArray],
    starts: Sequence[FloatArray],
    chosen: Sequence[int],
    read: Callable[[int], None],
) -> _Squares:
    """Sums of squares of the effects, over the chosen initialisations; a slice of the parameters at a time."""
    sets, parameters = ends[0].shape
    number, width = len(chosen), max(1, ENTRIES // sets)
    init, moved, both, mixed = np.zeros((4, number))
    of_data = 0.0
    for first in range(0, parameters, width):
        part = slice(first, first + width)
        size = sets * min(width, parameters - first)
        begin, row = np.zeros(size // sets), np.zeros(size // sets)
        columns = np.zeros((sets, size // sets))
        for k in chosen:
            begin += starts[k][part]
            columns += ends[k][:, part] - starts[k][part]
            read(size)
        columns /= number
        begin /= number
        whole = columns.mean(axis=0)
        data = columns - whole
        of_data += _dot(data, data)
        for place, k in enumerate(chosen):
            moves = ends[k][:, part] - starts[k][part]
            row = moves.mean(axis=0)
            moves -= row
            moves -= data
            row -= whole
            moved[place] += _dot(row, row)
            row += starts[k][part] - begin
            init[place] += _dot(row, row)
            both[place] += _dot(moves, moves)
            mixed[place] += _dot(data, moves)
            read((_PASSES - 1) * size)
    return _Squares(init, moved, of_data, both, mixed, sets)


def _dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of products, by the thread that asks: for those of BLAS, which waits for its other threads, it is little."""
    return float(np.einsum("i,i->", a.reshape(-1), b.reshape(-1)))


def _components(init: float, data: float, both: float, inits: int, sets: int) -> Variance:
    """From sums of squares of effects."""
    ms_init, ms_data = sets * init / (inits - 1), inits * data / (sets - 1)
    ms_both = both / ((inits - 1) * (sets - 1))
    of_init, of_data = (ms_init - ms_both) / sets, (ms_data - ms_both) / inits
    total = of_init + of_data + ms_both
    if not total > 0:
        return Variance(float("nan"), float("nan"), float("nan"))
    return Variance(of_data / total, of_init / total, ms_both / total)
