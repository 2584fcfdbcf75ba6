"""Where a chain on cells ends: its stationary law, or laws where it has several.

The cells fall into classes: from a closed one there is no way out, all others are left for good. Each closed class
has exactly one stationary law; a class that is visited in turns (a period above 1) has none that its walkers tend
to, and its stationary law is the average over the turns.

Reference: Kemeny & Snell (1960), Finite Markov Chains, chapters 3 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.cells import CellMatrix, step

SWEEP = 200
MAX_SWEEPS = 60
SETTLED = 1e-13
"""Estimated distance (sum of |differences|) from its limit of a law that has settled."""
ROUNDING = 1e-15
POLISHING_STEPS = 50
CONSERVED = 1e-6
"""Deviation from 1 of the probabilities of all ends, above which the way to them is too slow for elimination."""
SLOW_STEPS = 100_000


@dataclass(frozen=True)
class StationaryLaw:
    """The law that a chain tends to.

    Attributes:
        masses: [cells]; NaN where nothing stays in the cells.
        unique: whether every start leads to this law.
        classes: number of closed classes that the start leads to; 0 where it leads out, or has not settled.
        period: of the class that holds most of the law; above 1 the law is an average over turns.
        kept: share of the start's mass that stays in the cells for ever.
        residual: sum of |pi Q - pi|.
        reason: what is not as one would expect; empty otherwise.
    """

    masses: FloatArray
    unique: bool
    classes: int
    period: int
    kept: float
    residual: float
    reason: str = ""


def stationary_law(matrix: CellMatrix, start: FloatArray, check: Check = unchecked) -> StationaryLaw:
    """The law that walkers from `start` end with.

    Args:
        matrix: one step of the chain on cells.
        start: [cells], masses the walkers begin with; they decide how several closed classes share them.
        check: called between sweeps; a factorisation of the cells cannot be interrupted.

    Returns: the law, normalised to what stays in the cells.
    Raises: ValueError when start has another shape or no mass.
    """
    start = np.asarray(start, dtype=np.float64)
    if start.shape != (matrix.cells,) or not start.sum() > 0:
        raise ValueError(f"start has shape {start.shape}; it must hold the masses of {matrix.cells} cells.")
    start = start / start.sum()
    members, is_closed = _classes(matrix)
    closed = [np.flatnonzero(members == c) for c in np.flatnonzero(is_closed)]
    reached, gone = _shares(matrix, start, closed, ~is_closed[members], check)
    if abs(sum(reached) + gone - 1.0) > CONSERVED:
        return _not_settled(matrix, start, check)
    ends = [(share, cells) for share, cells in zip(reached, closed, strict=True) if share > 0]
    kept = min(float(sum(share for share, _ in ends)), 1.0)
    if not ends:
        nan = np.full(matrix.cells, np.nan)
        return StationaryLaw(nan, False, 0, 0, 0.0, np.nan, "Everything leaves the cells in the end.")
    masses = np.zeros(matrix.cells)
    for share, cells in ends:
        check()
        masses[cells] = share / kept * _law_of_class(matrix.inside[cells][:, cells].tocsr(), check)
    masses = masses / masses.sum()
    largest = max(ends, key=lambda end: end[0])[1]
    period = _period(matrix.inside[largest][:, largest].tocsr())
    residual = float(np.abs(matrix.inside.T @ masses - masses).sum())
    # Another start may lead elsewhere: to another closed class, or out of the cells.
    unique = len(closed) == 1 and not matrix.outlets.any()
    return StationaryLaw(masses, unique, len(ends), period, kept, residual, _reason(len(ends), period, kept))


def _reason(classes: int, period: int, kept: float) -> str:
    said = []
    if classes > 1:
        said.append(
            f"There are {classes} sets of cells without a way out; the start decides how they share the walkers."
        )
    if period > 1:
        said.append(f"Walkers visit {period} sets in turn; the law is the average over the turns.")
    if kept < 1.0 - 1e-9:
        said.append(f"Only {kept:.6g} of the walkers stay in the cells; the law is theirs.")
    return " ".join(said)


def _classes(matrix: CellMatrix) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The class of each cell, and whether each class is closed."""
    count, members = csgraph.connected_components(matrix.inside, directed=True, connection="strong")
    entries = matrix.inside.tocoo()
    is_closed = np.ones(count, dtype=np.bool_)
    leaving = members[entries.row] != members[entries.col]
    is_closed[members[entries.row[leaving]]] = False
    is_closed[members[matrix.outlets.any(axis=0)]] = False
    return members.astype(np.int64), is_closed


def _shares(
    matrix: CellMatrix,
    start: FloatArray,
    closed: list[NDArray[np.int64]],
    passing: NDArray[np.bool_],
    check: Check,
) -> tuple[list[float], float]:
    """Shares of the start's mass that end in each closed class, and the share that leaves the cells."""
    gone = 0.0
    shares = [float(start[cells].sum()) for cells in closed]
    through = np.flatnonzero(passing)
    if start[through].sum() > 0:
        check()
        # Visits to the cells that are left for good: x = start + Q^T x.
        matrix_through = matrix.inside[through][:, through]
        system = sparse.identity(through.size, format="csc") - matrix_through.T.tocsc()
        visits = np.maximum(splu(system, permc_spec="NATURAL").solve(start[through]), 0.0)
        onward = matrix.inside[through].T @ visits
        shares = [share + float(onward[cells].sum()) for share, cells in zip(shares, closed, strict=True)]
        gone = float((matrix.outlets[:, through] @ visits).sum())
    return shares, gone


def _not_settled(matrix: CellMatrix, start: FloatArray, check: Check) -> StationaryLaw:
    """The law after many steps, where some walkers stay where they are for longer than numbers can tell."""
    state = np.concatenate([start, np.zeros(matrix.outlets.shape[0])])
    for _ in range(SLOW_STEPS // SWEEP):
        check()
        step(matrix, state, SWEEP)
    inside = state[: matrix.cells]
    kept = float(inside.sum())
    masses = inside / kept
    residual = float(np.abs(matrix.inside.T @ masses - masses).sum())
    reason = (
        f"Some walkers leave their place so slowly that the end is out of reach; this is the law after {SLOW_STEPS} "
        "steps."
    )
    return StationaryLaw(masses, False, 0, 1, kept, residual, reason)


def _law_of_class(inside: sparse.csr_matrix, check: Check) -> FloatArray:
    """The stationary law of a closed class: by stepping where that settles, else by a linear system."""
    size = inside.shape[0]
    if size == 1:
        return np.ones(1)
    forward = inside.T.tocsr()
    law = np.full(size, 1.0 / size)
    change = np.inf
    for _ in range(MAX_SWEEPS):
        check()
        before, last_change = law, change
        law = _lazily(forward, law, SWEEP)
        change = float(np.abs(law - before).sum())
        ratio = change / last_change
        # The changes that are still to come, if they go on shrinking as they do.
        if change <= ROUNDING or (0.0 < ratio < 0.9 and change * ratio / (1.0 - ratio) <= SETTLED):
            return law
    return _by_elimination(inside, law)


def _lazily(forward: sparse.csr_matrix, law: FloatArray, steps: int) -> FloatArray:
    """Steps of the chain that stays put half of the time: the same stationary law, without periods."""
    for _ in range(steps):
        law = 0.5 * (law + forward @ law)
    return np.asarray(law / law.sum())


def _by_elimination(inside: sparse.csr_matrix, guess: FloatArray) -> FloatArray:
    """pi from (I - Q^T) pi = 0 with the most likely cell's mass set to 1.

    The matrix left over is an M-matrix: its inverse is positive, and elimination keeps the small masses.
    """
    size = inside.shape[0]
    known = int(np.argmax(guess))
    others = np.delete(np.arange(size), known)
    system = sparse.identity(size - 1, format="csc") - inside[others][:, others].T.tocsc()
    law = np.empty(size)
    law[known] = 1.0
    law[others] = np.maximum(
        splu(system, permc_spec="NATURAL").solve(inside[known, others].toarray().ravel()), 0
    )
    return _lazily(inside.T.tocsr(), law / law.sum(), POLISHING_STEPS)


def _period(inside: sparse.csr_matrix) -> int:
    """Greatest common divisor of the lengths of all ways back, from the distances to one cell."""
    if inside.shape[0] == 1:
        return 1
    order, parent = csgraph.breadth_first_order(inside, 0, directed=True)
    level = np.zeros(inside.shape[0], dtype=np.int64)
    for cell in order[1:]:
        level[cell] = level[parent[cell]] + 1
    entries = inside.tocoo()
    return int(np.gcd.reduce(level[entries.row] + 1 - level[entries.col]))
