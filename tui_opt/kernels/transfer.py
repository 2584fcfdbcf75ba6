"""The transfer operator of the exact SGD chain on cells (Ulam's method), with absorption beyond a barrier.

State vector: mass[cells + 2]; the last two entries are bookkeeping cells, `absorbed` (passed the barrier) and
    `lost`
(left the cells on the other side, or met a gradient that is not finite). All entries stay >= 0 exactly.

Reference: Ulam (1960), A Collection of Mathematical Problems, VI.4; Froyland (2001), Extracting dynamical
    behaviour
via Markov models, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tui_opt.kernels.callables import (
    Check,
    FloatArray,
    TermField,
    evaluate_terms,
    require_temperature,
    unchecked,
)
from tui_opt.kernels.invariance import reachable_interval

ABSORBED, LOST = -2, -1
"""Positions of the bookkeeping cells in a state vector."""
DEFAULT_CELLS = 4000
PIECES = 8
"""Sub-intervals per cell whose end points are mapped exactly; the map is taken as linear on each."""
_QUANTUM = 2.0**-52
_BLOCK = 1 << 18


@dataclass(frozen=True)
class TransferOperator:
    """One step of the chain on cells.

    Attributes:
        edges: [cells + 1], increasing. The barrier is edges[-1] when side is 1, edges[0] when side is -1.
        side: direction of the exit.
        inside: Q[cells, cells], Q[i, k] the probability of going from cell i to cell k, CSR.
        absorbed: [cells], probability of passing the barrier in one step.
        lost: [cells], probability of leaving on the other side or to no number.
        drift: [cells], largest |T g_j| at the middle of the cell: how far one step can move at most.
        gradients, temperature, terms: of the chain; terms is the number of datapoints.
        gather_start, gather_cell, gather_weight: the transpose of `inside`, as `advance` reads it.
    Rows of (inside, absorbed, lost) sum to 1 exactly in double precision.
    """

    edges: FloatArray
    side: float
    inside: sparse.csr_matrix
    absorbed: FloatArray
    lost: FloatArray
    drift: FloatArray
    gradients: TermField
    temperature: float
    terms: int
    gather_start: NDArray[np.uint32]
    gather_cell: NDArray[np.uint32]
    gather_weight: FloatArray

    @property
    def cells(self) -> int:
        return int(self.edges.size - 1)

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
    """Build the operator on given cells.

    The mass of a cell is spread evenly over it. Each cell is cut into `PIECES`, whose images under each map
    are intervals between exactly mapped end points; a piece's mass is spread evenly over its image. So the
    error is that of even spreading, second order in the width of the cells, and not that of sampling points.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        edges: [cells + 1], strictly increasing, at least 8 cells.
        side: 1 when walkers exit beyond edges[-1], -1 when they exit below edges[0].
        check: called now and then.

    Raises: ValueError for fewer than 8 cells or edges that do not increase.
    """
    temperature = require_temperature(temperature)
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    cells = edges.size - 1
    if cells < 8 or not np.all(np.diff(edges) > 0):
        raise ValueError(f"There are {cells} cells; at least 8 with strictly increasing edges are needed.")
    terms = evaluate_terms(gradients, edges[:1]).shape[0]
    rows: list[sparse.csr_matrix] = []
    chunk = max(1, _BLOCK // (PIECES * terms))
    for first in range(0, cells, chunk):
        check()
        last = min(first + chunk, cells)
        nodes = _subdivided(edges[first : last + 1])
        with np.errstate(all="ignore"):
            images = nodes - temperature * evaluate_terms(gradients, nodes)
        row, column, weight = _deposit_images(images, edges, PIECES, side)
        rows.append(sparse.csr_matrix((weight, (row, column)), shape=(last - first, cells + 2)))
    check()
    table = _with_exact_row_sums(sparse.vstack(rows, format="csr"))
    check()
    with np.errstate(all="ignore"):
        drift = temperature * np.abs(evaluate_terms(gradients, 0.5 * (edges[1:] + edges[:-1]))).max(axis=0)
    inside = table[:, :cells].tocsr()
    # Stepping gathers: mass_after[k] = sum over sources i, so every entry is written once and no thread
    # waits.
    gather = inside.T.tocsr()
    return TransferOperator(
        edges=edges,
        side=float(side),
        inside=inside,
        absorbed=np.ravel(table[:, [cells]].toarray()),
        lost=np.ravel(table[:, [cells + 1]].toarray()),
        drift=np.where(np.isfinite(drift), drift, np.inf),
        gradients=gradients,
        temperature=temperature,
        terms=terms,
        gather_start=gather.indptr.astype(np.uint32),
        gather_cell=gather.indices.astype(np.uint32),
        gather_weight=gather.data,
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
    """Advance a state vector by `steps` steps, in place. The GIL is released.

    Args:
        mass: [cells + 2], float64, C-contiguous, owned by the caller: stopping after any call and resuming
            from the same array gives the same numbers.
        steps: number of steps; `steps_per_slice` says how many keep a call short.

    Raises: ValueError when mass has another shape.
    """
    if mass.shape != (operator.cells + 2,) or mass.dtype != np.float64:
        raise ValueError(f"mass has shape {mass.shape}; it must be float64 of shape ({operator.cells + 2},).")
    _advance(
        operator.gather_start,
        operator.gather_cell,
        operator.gather_weight,
        *_nonzero(operator.absorbed),
        *_nonzero(operator.lost),
        mass,
        steps,
    )


def steps_per_slice(operator: TransferOperator) -> int:
    """Steps whose `advance` takes some 30 ms on an ordinary core (one multiply-add per entry, 1 ns each)."""
    return max(1, int(3e7 / (operator.gather_weight.size + 4 * operator.cells)))


def _nonzero(chance: FloatArray) -> tuple[NDArray[np.uint32], FloatArray]:
    """Cells with a chance, and their chances: only a few cells border on the outside."""
    cells = np.flatnonzero(chance)
    return cells.astype(np.uint32), chance[cells]


# Unsigned indices spare a test for negative ones, and reassociation lets the sums use vector lanes: together 2.4
# times as fast. The order of the sums is fixed at compilation, so slices do not change a bit.
@nb.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def _advance(start, cell, weight, out_cell, out_chance, lost_cell, lost_chance, mass, steps):  # type: ignore[no-untyped-def]
    cells = start.size - 1
    after = np.empty(cells)
    for _ in range(steps):
        gone_out = 0.0
        for e in range(out_cell.size):
            gone_out += mass[out_cell[e]] * out_chance[e]
        gone_lost = 0.0
        for e in range(lost_cell.size):
            gone_lost += mass[lost_cell[e]] * lost_chance[e]
        first = start[0]
        for k in range(cells):
            last = start[k + 1]
            total = 0.0
            for e in range(first, last):
                total += weight[e] * mass[cell[e]]
            after[k] = total
            first = last
        mass[:cells] = after
        mass[cells] += gone_out
        mass[cells + 1] += gone_lost


def _subdivided(edges: FloatArray) -> FloatArray:
    """Edges of the pieces of each cell: [cells * PIECES + 1]."""
    steps = np.arange(PIECES) / PIECES
    inner = edges[:-1, None] + np.diff(edges)[:, None] * steps
    return np.append(inner.ravel(), edges[-1])


@nb.njit(nogil=True, cache=True)
def _deposit_images(images, edges, pieces, side):  # type: ignore[no-untyped-def]
    """Entries (row, column, weight) from images[j, cells * pieces + 1] of the pieces' ends."""
    terms, nodes = images.shape
    cells = edges.size - 1
    count = 0
    for fill in range(2):
        if fill == 1:
            row = np.empty(count, np.int64)
            column = np.empty(count, np.int64)
            weight = np.empty(count, np.float64)
            count = 0
        for n in range(nodes - 1):
            for j in range(terms):
                a, b = images[j, n], images[j, n + 1]
                low, high = min(a, b), max(a, b)
                share = 1.0 / (terms * pieces)
                if not (np.isfinite(a) and np.isfinite(b)):
                    first, last = cells + 1, cells + 1
                else:
                    # Cells -1 and `cells` stand for the two outsides.
                    first = np.searchsorted(edges, low, side="right") - 1
                    last = max(np.searchsorted(edges, high, side="left") - 1, first)
                    # A place exactly on the barrier has not passed it.
                    if low == high and first == cells and high == edges[cells]:
                        first, last = cells - 1, cells - 1
                for k in range(first, last + 1):
                    if fill == 1:
                        part = share
                        if first != last:
                            left = low if k == first else edges[k]
                            right = high if k == last else edges[k + 1]
                            part = share * (right - left) / (high - low)
                        row[count] = n // pieces
                        weight[count] = part
                        if k < 0:
                            column[count] = cells + 1 if side > 0 else cells
                        elif k == cells:
                            column[count] = cells if side > 0 else cells + 1
                        else:
                            column[count] = k
                    count += 1
    return row, column, weight


def _with_exact_row_sums(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """Round entries to multiples of 2^-52 and put each row's remainder on its largest entry.

    Sums of such multiples up to 1 are exact in double precision, so no mass leaks whatever the number of
    steps.
    """
    table.sum_duplicates()
    table.data = np.rint(table.data / _QUANTUM) * _QUANTUM
    _complete_rows(table.indptr, table.data)
    table.eliminate_zeros()
    return table


@nb.njit(nogil=True, cache=True)
def _complete_rows(indptr, data):  # type: ignore[no-untyped-def]
    for i in range(indptr.size - 1):
        total = 0.0
        largest = indptr[i]
        for e in range(indptr[i], indptr[i + 1]):
            total += data[e]
            if data[e] > data[largest]:
                largest = e
        if total != 1.0:
            data[largest] += 1.0 - total
