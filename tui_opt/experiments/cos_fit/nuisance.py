"""Columns that span what the terms beside an oscillation can be, so that a scan need not know their parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.starts import combinations, phases_of, values_of
from tui_opt.experiments.cos_fit.structure import Structure, WaveTerm, constant, names_in
from tui_opt.expressions import Expression
from tui_opt.kernels.fitting.frequency_scan import independent, orthonormal

FloatArray = NDArray[np.float64]

MOST_SAMPLED = 48
"""Columns that are looked at for each term."""
MOST_COLUMNS = 8
LOOKED_AT = 200


def nuisance_basis(
    rows: Rows, structure: Structure, wave: WaveTerm, known: Mapping[str, float], rng: np.random.Generator
) -> FloatArray:
    """An orthonormal basis, [k, n], of what the terms without the wave's frequencies are for any parameters.

    Terms are sampled at many values of their parameters on few rows; the columns that span the others are picked there
    and evaluated on all rows.

    Args:
        rows: the samples.
        structure: the model taken apart.
        wave: the oscillation that is scanned.
        known: frequencies of other oscillations; those that are not known are left out.
        rng: draws the rows and, where there are many combinations of parameters, some of them.
    """
    few = rows.thinned(LOOKED_AT, rng)
    wanted = list(_sampled(few, structure, wave, known, rng))
    if not wanted:
        return np.empty((0, rows.count))
    columns = np.concatenate([few.evaluated([term], given) for term, given in wanted])
    # On few rows many columns would explain anything.
    most = min(MOST_COLUMNS, max(1, rows.count // 4))
    kept = independent(columns, most)
    if not kept.size:
        return np.empty((0, rows.count))
    picked = np.concatenate([rows.evaluated([wanted[k][0]], wanted[k][1]) for k in kept])
    return orthonormal(picked, most)


def linearised(
    rows: Rows, structure: Structure, wave: WaveTerm, values: Mapping[str, float]
) -> tuple[FloatArray, FloatArray]:
    """The data less the terms without the wave's frequencies, and a basis of how those change with their parameters.

    Args:
        rows: the samples.
        structure: the model taken apart.
        wave: the oscillation that is scanned.
        values: parameters next to which the terms are taken to be linear.

    Returns:
        [n] and [k, n].
    """
    mine = [t for t in structure.terms if not names_in(t) & set(wave.frequencies)]
    if not mine:
        return rows.y, np.empty((0, rows.count))
    slopes = [t.derivative(n) for t in mine for n in structure.kinds if n in names_in(t)]
    columns = rows.evaluated([*mine, *slopes], values)
    rest = rows.y - columns[: len(mine)].sum(axis=0)
    return rest, orthonormal(columns[len(mine) :], max(1, rows.count // 4))


def _sampled(
    rows: Rows, structure: Structure, wave: WaveTerm, known: Mapping[str, float], rng: np.random.Generator
) -> list[tuple[Expression, dict[str, float]]]:
    """Terms with values of their parameters."""
    kinds = structure.kinds
    found: list[tuple[Expression, dict[str, float]]] = []
    if not wave.simple:
        found.append((constant(1.0, rows.model.expression.variables), {}))
    for term in structure.terms:
        inside = names_in(term)
        if inside & set(wave.frequencies):
            continue
        if not {n for n in inside if kinds.get(n) == "frequency"} <= set(known):
            continue
        others = [n for n in kinds if n in inside and kinds[n] in ("other", "phase")]
        choices = [
            values_of(n, structure, rows) if kinds[n] == "other" else phases_of(n, structure, rows, known)
            for n in others
        ]
        linear = [n for n in kinds if n in inside and kinds[n] == "linear"]
        units = [dict.fromkeys(linear, 0.0)] + [{m: float(m == n) for m in linear} for n in linear]
        combined = list(combinations(choices, rng))
        most = max(1, MOST_SAMPLED // len(units))
        if len(combined) > most:
            places = np.unique(np.linspace(0, len(combined) - 1, most).astype(np.int64))
            combined = [combined[k] for k in places]
        for combination in combined:
            given = {**known, **dict(zip(others, combination, strict=True))}
            found += [(term, {**given, **unit}) for unit in units]
    return found
