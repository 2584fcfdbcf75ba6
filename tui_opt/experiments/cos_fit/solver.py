"""The parameters of a model from data, without a start.

Frequencies are scanned with everything linear eliminated, the other parameters tried from a grid of starts, and the
best of these refined by Gauss-Newton. Where the data do not say how far to scan, the rows next to 0 are solved first
and more are added by and by, each time well inside the basin (range annealing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.annealing import anneal
from tui_opt.experiments.cos_fit.ranges import Range
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.search import OVERVIEW_ROWS, Method, Search, Searcher
from tui_opt.experiments.cos_fit.structure import Structure, names_in, structure_of
from tui_opt.kernels.fitting.least_squares import Fit, Mapper, fit, sums

FloatArray = NDArray[np.float64]

MOST = 1e100
"""Largest size of values that are fitted, and one over the least."""
ELIMINATED_ROWS = 200_000
"""Rows up to which linear parameters are solved anew at every step of the last refinement."""


@dataclass(frozen=True)
class Solution:
    """The answer.

    Attributes:
        structure: the model taken apart.
        fit: the parameters on all rows.
        search: how they were found.
        annealed: whether by range annealing.
        method: that in words, with the reason.
        ranges: of each frequency, over all rows.
    """

    structure: Structure
    fit: Fit
    search: Search
    annealed: bool
    method: str
    ranges: dict[str, Range]


def solve(
    rows: Rows,
    method: Method,
    highest: float | None,
    rng: np.random.Generator,
    check: Callable[[], None],
    each: Mapper = map,
) -> Solution:
    """The parameters that describe the rows best.

    Args:
        rows: the samples.
        method: how frequencies are found; `auto` scans where the data or the user say how far.
        highest: the largest frequency, where the user says so.
        rng: draws the rows that are looked at where there are many.
        check: called between steps.
        each: how blocks of rows are gone through in the last refinement.

    Raises:
        ExperimentError: there are fewer rows than parameters, or the model has no value at any start.
    """
    structure = structure_of(rows.model)
    p = len(rows.model.parameters)
    if rows.count < p:
        raise ExperimentError(
            f"{rows.count} rows cannot determine {p} parameters ({', '.join(rows.model.parameters)}): "
            f"give at least {p} rows, and {p + 1} for error bars."
        )
    _check_sizes(rows)
    _check_slopes(rows, structure)
    searcher = Searcher(structure, rng, check, highest)
    overview = rows.thinned(OVERVIEW_ROWS, rng)
    annealing, method_text = searcher.chosen(overview, method)
    search = anneal(searcher, rows) if annealing else searcher.search(rows)
    if not np.isfinite(search.error):
        raise ExperimentError(
            "The model has no finite value at any start that was tried. Look whether it has a value for these data at "
            "all: square roots and logarithms need positive arguments, and exponentials may overflow."
        )
    found = _polished(rows, search.best, searcher, each)
    ranges = {
        name: r
        for wave in structure.waves
        for name, r in zip(wave.frequencies, searcher.ranges(overview, wave), strict=True)
    }
    return Solution(structure, found, search, annealing, method_text, ranges)


def _polished(rows: Rows, start: FloatArray, searcher: Searcher, each: Mapper) -> Fit:
    """Gauss-Newton on all rows, then signs and phases brought to their plain form."""
    found = fit(
        rows, rows.y, start, searcher.linear, longest=searcher.longest(rows),
        eliminate=rows.count <= ELIMINATED_ROWS, each=each,
    )  # fmt: skip
    plain = _plain_form(rows, found, searcher)
    if np.array_equal(plain, found.values):
        return found
    again = sums(rows, rows.y, plain, each)
    if again.error > found.error * (1 + 1e-9) + 1e-20 * float(rows.y @ rows.y):
        return found
    return replace(found, values=plain, error=again.error, root=again.root)


def _plain_form(rows: Rows, found: Fit, searcher: Searcher) -> FloatArray:
    """The same solution with positive frequencies and amplitudes and phases between -pi and pi, where it has one."""
    names = rows.model.parameters
    values = dict(zip(names, map(float, found.values), strict=True))
    kinds = searcher.structure.kinds
    for wave in searcher.structure.waves:
        holding = [t for t in searcher.structure.terms if names_in(t) & set(wave.frequencies)]
        inside = frozenset().union(*(names_in(t) for t in holding))
        phases = [n for n in names if kinds[n] == "phase" and n in inside]
        amplitudes = [n for n in names if kinds[n] == "linear" and n in inside]
        if wave.even and values[wave.frequencies[0]] < 0:
            for name in (*wave.frequencies, *phases):
                values[name] = -values[name]
        if len(holding) == 1 and len(phases) == 1 and wave.simple:
            (phase,) = phases
            if len(amplitudes) == 1 and values[amplitudes[0]] < 0:
                values[amplitudes[0]] = -values[amplitudes[0]]
                values[phase] += np.pi
            values[phase] = float(values[phase] - 2 * np.pi * np.rint(values[phase] / (2 * np.pi)))
    return np.array([values[n] for n in names])


def _check_sizes(rows: Rows) -> None:
    """Squares of what is fitted must be numbers."""
    for name, values in zip(
        (rows.model.text.target, *rows.model.columns), (rows.y, *rows.columns), strict=True
    ):
        largest = float(np.abs(values).max())
        if largest > MOST or 0 < largest < 1 / MOST:
            raise ExperimentError(
                f"The largest value of {name} is {largest:.3g} in size, and its square is no number that can be "
                f"computed with. Give {name} in other units."
            )


def _check_slopes(rows: Rows, structure: Structure) -> None:
    for wave in structure.waves:
        for name, slope in zip(
            wave.frequencies,
            rows.evaluated(list(wave.slopes), dict.fromkeys(structure.kinds, 0.0)),
            strict=True,
        ):
            if not np.isfinite(slope).all() or (rows.count > 1 and np.ptp(slope) == 0):
                raise ExperimentError(
                    f"What the frequency {name} multiplies is the same in every row, or not finite in some, so that "
                    f"{name} cannot be told from a phase. Give data in which it varies."
                )
