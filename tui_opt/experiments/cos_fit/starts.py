"""Values from which parameters that are neither linear nor scanned are refined."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.structure import Structure, angles_in, names_in

FloatArray = NDArray[np.float64]

DECADES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
COARSE = (0.1, 1.0, 10.0)
PHASES = 12
QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
MOST_COMBINATIONS = 4000
"""Combinations of start values that are tried."""


def values_of(name: str, structure: Structure, rows: Rows, decades: Sequence[float] = DECADES) -> FloatArray:
    """Values worth trying for a parameter of kind other.

    It is as large as one over a column it stands with, as a rate or a slope, or as large as the column itself, as a
    place or a width; both signs, over decades.
    """
    found = [0.0]
    for k, column in enumerate(rows.model.columns):
        if not any({name, column} <= names_in(term) for term in structure.terms):
            continue
        values = rows.columns[k]
        width = float(np.sqrt(np.mean(values * values)))
        if width > 0 and np.isfinite(width):
            found += [sign * d / width for d in decades for sign in (1.0, -1.0)]
        if decades is DECADES:
            spread = float(np.std(values))
            found += [sign * d * spread for d in (0.1, 0.3, 1.0) for sign in (1.0, -1.0)]
            found += list(np.quantile(values, QUANTILES))
            found += [sign * v for v in (0.5, 1.0, 2.0, 3.0) for sign in (1.0, -1.0)]  # powers
    return np.unique(np.array(found))


def phases_of(name: str, structure: Structure, rows: Rows, at: Mapping[str, float]) -> FloatArray:
    """Values of a phase that go round once, the frequencies being known."""
    for term in structure.terms:
        for angle in angles_in(term):
            if name not in names_in(angle):
                continue
            slope = rows.some(np.array([0])).evaluated([angle.derivative(name)], at)[0, 0]
            if np.isfinite(slope) and slope != 0:
                return np.asarray(2 * np.pi / abs(slope) * np.arange(PHASES) / PHASES)
    return np.zeros(1)


def combinations(choices: Sequence[FloatArray], rng: np.random.Generator) -> Iterator[tuple[float, ...]]:
    """Every combination of the values, or so many of them drawn at random."""
    total = int(np.prod([float(c.size) for c in choices])) if choices else 1
    if total <= MOST_COMBINATIONS:
        yield from itertools.product(*(map(float, c) for c in choices))
        return
    for _ in range(MOST_COMBINATIONS):
        yield tuple(float(c[rng.integers(c.size)]) for c in choices)
