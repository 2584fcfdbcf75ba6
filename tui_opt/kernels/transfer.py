"""The transfer operator of the exact SGD chain on cells (Ulam's method), with absorption beyond a barrier.

State vector: mass[cells + 2]; the last two entries are bookkeeping cells, `absorbed` (passed the barrier) and
`lost` (left the cells on the other side, or met a gradient that is not finite). All entries stay >= 0 exactly.

Reference: Ulam (1960), A Collection of Mathematical Problems, VI.4; Froyland (2001), Extracting dynamical
    behaviour via Markov models, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.cells import (
    PIECES,
    CellMatrix,
    cell_matrix,
    images_by_rows,
    require_edges,
    spread_evenly,
    step,
)
from tui_opt.kernels.cells import steps_per_slice as steps_per_slice_of
from tui_opt.kernels.invariance import reachable_interval
from tui_opt.kernels.one_step import updated

ABSORBED, LOST = -2, -1
"""Positions of the bookkeeping cells in a state vector."""
DEFAULT_CELLS = 4000


@dataclass(frozen=True)
class TransferOperator:
    """One step of the chain on cells.

    Attributes:
        edges: [cells + 1], increasing. The barrier is edges[-1] when side is 1, edges[0] when side is -1.
        side: direction of the exit.
        matrix: probabilities of going from cell to cell and of leaving.
        drift: [cells], how far one step from the middle of the cell can move at most.
        gradients, temperature, terms: of the chain; terms is the number of datapoints.
    """

    edges: FloatArray
    side: float
    matrix: CellMatrix
    drift: FloatArray
    gradients: TermField
    temperature: float
    terms: int

    @property
    def cells(self) -> int:
        return int(self.edges.size - 1)

    @property
    def inside(self) -> sparse.csr_matrix:
        """Q[cells, cells], Q[i, k] the probability of going from cell i to cell k, CSR."""
        return self.matrix.inside

    @property
    def absorbed(self) -> FloatArray:
        """[cells], probability of passing the barrier in one step."""
        return np.asarray(self.matrix.outlets[0])

    @property
    def lost(self) -> FloatArray:
        """[cells], probability of leaving on the other side or to no number."""
        return np.asarray(self.matrix.outlets[1])

    @property
    def centres(self) -> FloatArray:
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def barrier(self) -> float:
        return float(self.edges[-1] if self.side > 0 else self.edges[0])


def transfer_operator(
    gradients: TermField,
    temperature: float,
    start: float,
    barrier: float,
    cells: int = DEFAULT_CELLS,
    check: Check = unchecked,
) -> TransferOperator:
    """Build the operator on equal cells over everything reachable from `start` before `barrier`.

    The far end of the cells is where nothing reachable lies beyond (or 100 times |barrier - start| away,
    where diverging walkers are lost).

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        start: starting place; the exit is where `barrier` lies as seen from it.
        barrier: absorbing place, an edge of the last cell.
        cells: number of cells, at least 8.
        check: called now and then while the operator is built.
    """
    reach = reachable_interval(gradients, temperature, start, barrier)
    side = 1.0 if barrier > start else -1.0
    return operator_on_edges(
        gradients, temperature, np.linspace(reach.low, reach.high, cells + 1), side, check
    )


def operator_on_edges(
    gradients: TermField, temperature: float, edges: FloatArray, side: float, check: Check = unchecked
) -> TransferOperator:
    """Build the operator on given cells; `tui_opt.kernels.cells` says how.

    Another update than a plain step is given by its `effective_gradients` (`tui_opt.kernels.one_step`).

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        edges: [cells + 1], strictly increasing, at least 8 cells.
        side: 1 when walkers exit beyond edges[-1], -1 when they exit below edges[0].
        check: called now and then.

    Raises: ValueError for fewer than 8 cells or edges that do not increase.
    """
    maps = updated(gradients, temperature)
    edges = require_edges(edges)
    cells = edges.size - 1
    parts = [
        (images.shape[1] // PIECES, spread_evenly(images, edges))
        for _, images in images_by_rows(maps, edges, check)
    ]
    absorbed, lost = 0, 1
    outlets = (absorbed, lost, lost) if side > 0 else (lost, absorbed, lost)
    matrix = cell_matrix(parts, cells, outlets, check)
    slopes = evaluate_terms(gradients, 0.5 * (edges[1:] + edges[:-1]))
    with np.errstate(all="ignore"):
        drift = float(temperature) * np.abs(slopes).max(axis=0)
    return TransferOperator(
        edges=edges,
        side=float(side),
        matrix=matrix,
        drift=np.where(np.isfinite(drift), drift, np.inf),
        gradients=gradients,
        temperature=float(temperature),
        terms=slopes.shape[0],
    )


def mass_at(operator: TransferOperator, places: FloatArray, weights: FloatArray) -> FloatArray:
    """Put atoms into a state vector, each shared between two neighbouring cells so that its place is kept.

    Args:
        places: [a]; those beyond the barrier count as absorbed, those beyond the other end or NaN as lost.
        weights: [a], >= 0.

    Returns: mass[cells + 2].
    """
    places = np.asarray(places, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.float64)
    mass = np.zeros(operator.cells + 2)
    outward = operator.side * (places - operator.barrier)
    low, high = operator.edges[0], operator.edges[-1]
    gone = outward > 0
    inside = ~gone & (places >= low) & (places <= high)
    mass[ABSORBED] = weights[gone].sum()
    mass[LOST] = weights[~gone & ~inside].sum()
    centres = operator.centres
    at = np.clip(np.searchsorted(centres, places[inside]) - 1, 0, operator.cells - 2)
    share = np.clip((places[inside] - centres[at]) / (centres[at + 1] - centres[at]), 0.0, 1.0)
    mass[: operator.cells] += np.bincount(at, weights[inside] * (1 - share), operator.cells)
    mass[: operator.cells] += np.bincount(at + 1, weights[inside] * share, operator.cells)
    return mass


def advance(operator: TransferOperator, mass: FloatArray, steps: int) -> None:
    """Advance a state vector mass[cells + 2] by `steps` steps, in place; see `tui_opt.kernels.cells.step`."""
    step(operator.matrix, mass, steps)


def steps_per_slice(operator: TransferOperator) -> int:
    """Steps whose `advance` takes some 30 ms on an ordinary core."""
    return steps_per_slice_of(operator.matrix)
