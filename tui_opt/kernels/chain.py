"""The exact SGD chain on an interval without a barrier: how a law of many walkers moves, step by step.

State vector: mass[cells + 3]; the last three entries count what left above, below, or to no number. All entries
stay >= 0 exactly, and their sum stays what it was to rounding. Mean and variance of the mass inside are those of the
chain wherever positive cells allow it, see `tui_opt.kernels.moments`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.cells import (
    CellMatrix,
    cell_matrix,
    images_by_rows,
    require_edges,
    step,
    steps_per_slice,
)
from tui_opt.kernels.moments import spread_keeping_moments

ABOVE, BELOW, NOWHERE = -3, -2, -1
"""Positions in a state vector of what left beyond edges[-1], below edges[0], or to inf or NaN."""


@dataclass(frozen=True)
class Chain:
    """One step of the chain on the cells of an interval.

    Attributes:
        edges: [cells + 1], increasing.
        maps: f_j, w[n] -> [j, n].
        matrix: probabilities of going from cell to cell and of leaving.
        added_variance: [cells] >= 0, variance per step that the cells add to what the maps do: zero where the
            datapoints differ by more than about a cell.
        terms: number of datapoints.
    """

    edges: FloatArray
    maps: TermField
    matrix: CellMatrix
    added_variance: FloatArray
    terms: int

    @property
    def cells(self) -> int:
        return int(self.edges.size - 1)

    @property
    def centres(self) -> FloatArray:
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def inside(self) -> sparse.csr_matrix:
        """Q[cells, cells], Q[i, k] the probability of going from cell i to cell k, CSR."""
        return self.matrix.inside


def chain_on_edges(maps: TermField, edges: FloatArray, check: Check = unchecked) -> Chain:
    """Build the chain of one-step maps on given cells.

    Args:
        maps: f_j, w[n] -> [j, n], see `tui_opt.kernels.one_step.updated`.
        edges: [cells + 1], strictly increasing, at least 8 cells.
        check: called now and then.

    Raises: ValueError for fewer than 8 cells or edges that do not increase.
    """
    edges = require_edges(edges)
    parts, added = [], []
    for _, images in images_by_rows(maps, edges, check):
        entries, variance = spread_keeping_moments(images, edges)
        parts.append((variance.size, entries))
        added.append(variance)
    matrix = cell_matrix(parts, edges.size - 1, (0, 1, 2), check)
    terms = evaluate_terms(maps, edges[:1]).shape[0]
    return Chain(edges, maps, matrix, np.concatenate(added), terms)


def state_of_masses(chain: Chain, masses: FloatArray) -> FloatArray:
    """A state vector mass[cells + 3] with masses[cells] inside and nothing outside."""
    return np.concatenate([np.asarray(masses, dtype=np.float64), np.zeros(3)])


def advance(chain: Chain, mass: FloatArray, steps: int, check: Check = unchecked) -> None:
    """Advance a state vector by `steps` steps, in place; any slicing gives the same numbers.

    Args:
        mass: [cells + 3], float64, C-contiguous, owned by the caller.
        steps: number of steps.
        check: called every few tens of milliseconds.

    Raises: ValueError when mass has another shape.
    """
    slice_steps = steps_per_slice(chain.matrix)
    for done in range(0, steps, slice_steps):
        check()
        step(chain.matrix, mass, min(slice_steps, steps - done))


def split_cells(edges: FloatArray, parts: int) -> FloatArray:
    """Edges of the cells cut into `parts` equal ones each, [cells * parts + 1].

    A finer chain costs little more, and is more accurate where walkers come to rest or separate.
    """
    inner = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(parts) / parts)
    return np.append(inner.ravel(), edges[-1])


def joined_cells(masses: FloatArray, parts: int) -> FloatArray:
    """Masses of cells from those of their `parts` parts: [..., cells * parts] -> [..., cells]."""
    return np.asarray(masses.reshape(*masses.shape[:-1], -1, parts).sum(axis=-1))
