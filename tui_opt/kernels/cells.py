"""Probability on cells of a line, moved by one-step maps: a sparse matrix from cells to cells and outlets.

The mass of a cell is spread evenly over it. Each cell is cut into `PIECES`, whose images under each map are
intervals between exactly mapped end points; a piece's mass is spread evenly over its image. So the error is
that of even spreading, second order in the width of the cells, and not that of sampling points.

Reference: Ulam (1960), A Collection of Mathematical Problems, VI.4; Froyland (2001), Extracting dynamical
    behaviour via Markov models, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked

PIECES = 8
"""Sub-intervals per cell whose end points are mapped exactly; the map is taken as linear on each."""
ABOVE, BELOW, NOWHERE = 0, 1, 2
"""Where an image may lie that no cell holds: beyond edges[-1], below edges[0], or it is no finite number."""
Entries = tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]
"""Rows, columns and weights of a sparse matrix; column `cells + k` is the outside k."""
_QUANTUM = 2.0**-52
_BLOCK = 1 << 18


@dataclass(frozen=True)
class CellMatrix:
    """One step of a chain on cells. Rows of (inside, outlets) sum to 1 exactly in double precision.

    Attributes:
        inside: Q[cells, cells], Q[i, k] the probability of going from cell i to cell k, CSR.
        outlets: [outlets, cells], probability of leaving cell i through each outlet.
        gather_start, gather_cell, gather_weight: the transpose of `inside`, as stepping reads it.
        outlet_start, outlet_cell, outlet_chance: `outlets` without its zeros, outlet by outlet.
    """

    inside: sparse.csr_matrix
    outlets: FloatArray
    gather_start: NDArray[np.uint32]
    gather_cell: NDArray[np.uint32]
    gather_weight: FloatArray
    outlet_start: NDArray[np.uint32]
    outlet_cell: NDArray[np.uint32]
    outlet_chance: FloatArray

    @property
    def cells(self) -> int:
        return int(self.inside.shape[0])


def require_edges(edges: FloatArray) -> FloatArray:
    """Return the edges of at least 8 cells as an array, or raise ValueError."""
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    cells = edges.size - 1
    if edges.ndim != 1 or cells < 8 or not np.all(np.diff(edges) > 0) or not np.all(np.isfinite(edges)):
        raise ValueError(f"There are {cells} cells; at least 8 with strictly increasing edges are needed.")
    return edges


def images_by_rows(
    maps: TermField, edges: FloatArray, check: Check = unchecked
) -> Iterator[tuple[int, FloatArray]]:
    """The images of the ends of all pieces, a few thousand cells at a time.

    Args:
        maps: f_j, w[n] -> [j, n].
        edges: [cells + 1].
        check: called before every part.

    Yields: the number of the first cell, and images[j, part * PIECES + 1].
    """
    cells = edges.size - 1
    terms = evaluate_terms(maps, edges[:1]).shape[0]
    chunk = max(1, _BLOCK // (PIECES * terms))
    for first in range(0, cells, chunk):
        check()
        yield first, evaluate_terms(maps, _subdivided(edges[first : min(first + chunk, cells) + 1]))


def spread_evenly(images: FloatArray, edges: FloatArray) -> Entries:
    """Entries from the images of the pieces' ends, each piece spread evenly over its image.

    Args:
        images: [j, part * PIECES + 1] of consecutive cells.
        edges: [cells + 1] of all cells.
    """
    row, column, weight = _deposit_images(images, edges, PIECES)
    return row, column, weight


def cell_matrix(
    parts: Sequence[tuple[int, Entries]], cells: int, outlet_of: Sequence[int], check: Check = unchecked
) -> CellMatrix:
    """The matrix that holds the entries.

    Args:
        parts: number of rows and entries of consecutive groups of rows.
        cells: number of cells.
        outlet_of: the outlet that counts what lies ABOVE, BELOW and NOWHERE, in this order.
        check: called now and then.
    """
    outlets = max(outlet_of) + 1
    column_of = np.concatenate([np.arange(cells), cells + np.asarray(outlet_of)])
    width = cells + outlets
    rows = [
        sparse.csr_matrix((weight, (row, column_of[column])), shape=(count, width))
        for count, (row, column, weight) in parts
    ]
    check()
    table = _with_exact_row_sums(sparse.vstack(rows, format="csr"))
    check()
    inside = table[:, :cells].tocsr()
    # Stepping gathers: mass_after[k] = sum over sources i, so every entry is written once and no thread
    # waits.
    gather = inside.T.tocsr()
    chances = np.ascontiguousarray(table[:, cells:].toarray().T)
    leaving = [np.flatnonzero(chance) for chance in chances]  # only a few cells border on the outside
    return CellMatrix(
        inside=inside,
        outlets=chances,
        gather_start=gather.indptr.astype(np.uint32),
        gather_cell=gather.indices.astype(np.uint32),
        gather_weight=gather.data,
        outlet_start=np.cumsum([0, *(cell.size for cell in leaving)]).astype(np.uint32),
        outlet_cell=np.concatenate(leaving).astype(np.uint32),
        outlet_chance=np.concatenate([chances[k, cell] for k, cell in enumerate(leaving)]),
    )


def step(matrix: CellMatrix, mass: FloatArray, steps: int) -> None:
    """Advance a state vector by `steps` steps, in place. The GIL is released.

    Args:
        mass: [cells + outlets], float64, C-contiguous, owned by the caller: stopping after any call and
            resuming from the same array gives the same numbers.
        steps: number of steps; `steps_per_slice` says how many keep a call short.

    Raises: ValueError when mass has another shape.
    """
    size = matrix.cells + matrix.outlets.shape[0]
    if mass.shape != (size,) or mass.dtype != np.float64:
        raise ValueError(f"mass has shape {mass.shape}; it must be float64 of shape ({size},).")
    _advance(
        matrix.gather_start,
        matrix.gather_cell,
        matrix.gather_weight,
        matrix.outlet_start,
        matrix.outlet_cell,
        matrix.outlet_chance,
        mass,
        steps,
    )


def steps_per_slice(matrix: CellMatrix) -> int:
    """Steps that take some 30 ms on an ordinary core (one multiply-add per entry, 1 ns each)."""
    return max(1, int(3e7 / (matrix.gather_weight.size + 4 * matrix.cells)))


def advance_checked(
    advance: Callable[[int], None], steps: int, per_slice: int, check: Check = unchecked
) -> None:
    """Call `advance` for `steps` steps in slices, with a check before each."""
    for done in range(0, steps, per_slice):
        check()
        advance(min(per_slice, steps - done))


# Unsigned indices spare a test for negative ones, and reassociation lets the sums use vector lanes: together 2.4
# times as fast. The order of the sums is fixed at compilation, so slices do not change a bit.
@nb.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def _advance(start, cell, weight, outlet_start, outlet_cell, outlet_chance, mass, steps):  # type: ignore[no-untyped-def]
    cells = start.size - 1
    outlets = outlet_start.size - 1
    after = np.empty(cells)
    for _ in range(steps):
        for outlet in range(outlets):
            gone = 0.0
            for e in range(outlet_start[outlet], outlet_start[outlet + 1]):
                gone += mass[outlet_cell[e]] * outlet_chance[e]
            mass[cells + outlet] += gone
        first = start[0]
        for k in range(cells):
            last = start[k + 1]
            total = 0.0
            for e in range(first, last):
                total += weight[e] * mass[cell[e]]
            after[k] = total
            first = last
        for k in range(cells):  # a slice's check of shapes takes seconds to compile
            mass[k] = after[k]


def _subdivided(edges: FloatArray) -> FloatArray:
    """Edges of the pieces of each cell: [cells * PIECES + 1]."""
    steps = np.arange(PIECES) / PIECES
    inner = edges[:-1, None] + np.diff(edges)[:, None] * steps
    return np.append(inner.ravel(), edges[-1])


@nb.njit(nogil=True, cache=True)
def _deposit_images(images, edges, pieces):  # type: ignore[no-untyped-def]
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
                    # A place exactly on the last edge has not passed it.
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
                            column[count] = cells + BELOW
                        elif k == cells:
                            column[count] = cells + ABOVE
                        elif k > cells:
                            column[count] = cells + NOWHERE
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
