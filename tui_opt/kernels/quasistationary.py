"""The quasi-stationary law of the SGD chain in a pit, and the rate at which walkers escape from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.settling import STILL_LAW, largest_change
from tui_opt.kernels.transfer import TransferOperator, mass_at

STILL = 3e-9
"""Where no update moves farther than this fraction of all cells' width: a plateau or a common minimum. Even where the
loss steepens at its natural scale a walker then needs some ten million steps to get going."""
MAX_POWER_STEPS = 200_000
SWEEP = 50
"""Power steps between two looks at the rate."""


@dataclass(frozen=True)
class QuasiStationary:
    """The law that walkers in the pit tend to while they have not escaped, and their rate of escape from it.

    Attributes:
        density: [cells], per unit of W, integrates to 1; NaN when no walker is left in motion.
        log_rate: log of the probability of escape per step; -inf when no walker passes the barrier.
        log_never_rate: log of the probability per step of being trapped or lost for good.
        steps: steps until the rate settled.
        converged: whether law and rate came to rest.
    """

    density: FloatArray
    log_rate: float
    log_never_rate: float
    steps: int
    converged: bool


def quasi_stationary(
    operator: TransferOperator,
    start: float,
    tilt: FloatArray | None = None,
    tolerance: float = 1e-11,
    check: Check = unchecked,
) -> QuasiStationary:
    """Iterate the chain among the walkers still in motion until the escape flux settles.

    The flux is a sum of positive terms, so it keeps its relative accuracy however small it is.

    Args:
        operator: the chain on cells.
        start: starting place, within the cells.
        tilt: [cells], logarithms by which the law is expected to be small (`quasipotential` / T): the
            iteration then runs on law * exp(tilt), which does not underflow. Needed for rates below about
            1e-300. None for no tilt.
        tolerance: change of the logarithm of the rate over a sweep at which the iteration ends.
        check: called after every sweep.

    Returns: density, rates and whether they settled.
    Raises: ValueError when tilt has another shape.
    Reference: Darroch & Seneta (1965), J. Appl. Probab. 2, 88, section 2.
    """
    lift = np.zeros(operator.cells) if tilt is None else np.asarray(tilt, dtype=np.float64)
    if lift.shape != (operator.cells,):
        raise ValueError(
            f"tilt has shape {lift.shape}; it must have one number per cell, ({operator.cells},)."
        )
    trapped = trapped_cells(operator)
    forward = _tilted(moving_part(operator, trapped), lift)
    never = operator.lost + operator.inside @ trapped.astype(np.float64)
    # From the start alone: mass put anywhere else, such as into a second pit, would escape from there.
    law = mass_at(operator, np.array([start]), np.array([1.0]))[: operator.cells]
    law = np.where(trapped, 0.0, law)
    current, steps, settled = np.nan, 0, False
    while steps < MAX_POWER_STEPS and not settled:
        check()
        before = law
        for _ in range(SWEEP):
            law = forward @ law
        total = float(law.sum())
        if not (np.isfinite(total) and total > 0):
            return QuasiStationary(np.full(operator.cells, np.nan), -np.inf, -np.inf, steps, False)
        law = law / total
        steps += SWEEP
        previous, current = current, _log_share(law, operator.absorbed, lift)
        if largest_change(before, law) > STILL_LAW:
            continue
        # A law that alternates between two bands is the same after every even number of steps.
        onward = forward @ law
        onward /= onward.sum()
        settled = largest_change(law, onward) <= STILL_LAW and (
            current == -np.inf or abs(current - previous) <= tolerance
        )
    with np.errstate(divide="ignore"):
        density = np.exp(np.log(law) - lift - _log_sum(law, lift)) / np.diff(operator.edges)
    return QuasiStationary(density, float(current), _log_share(law, never, lift), steps, settled)


def trapped_cells(operator: TransferOperator) -> NDArray[np.bool_]:
    """Cells that count as never left: no update moves noticeably, or no path leads to the barrier."""
    width = operator.edges[-1] - operator.edges[0]
    still = operator.drift < STILL * width
    reaching = (operator.absorbed > 0) & ~still
    frontier = reaching
    while frontier.any():
        leads_there = operator.inside @ frontier.astype(np.float64) > 0
        frontier = leads_there & ~still & ~reaching
        reaching = reaching | frontier
    return np.asarray(~reaching)


def moving_part(operator: TransferOperator, trapped: NDArray[np.bool_]) -> sparse.csr_matrix:
    """Q between the cells that are not trapped; rows and columns of the trapped ones are zero."""
    free = sparse.diags((~trapped).astype(np.float64))
    return sparse.csr_matrix(free @ operator.inside @ free)


def _tilted(matrix: sparse.csr_matrix, lift: FloatArray) -> sparse.csr_matrix:
    """The transposed matrix acting on law * exp(lift) instead of law."""
    forward = matrix.T.tocsr()
    rows = np.repeat(np.arange(lift.size), np.diff(forward.indptr))
    with np.errstate(over="ignore"):  # an overflow ends the iteration, which says so
        forward.data = forward.data * np.exp(lift[rows] - lift[forward.indices])
    return forward


def _log_share(law: FloatArray, chance: FloatArray, lift: FloatArray) -> float:
    """log of the law's mean of `chance`; law * exp(-lift) is the untilted law."""
    return _log_sum(law * chance, lift) - _log_sum(law, lift)


def _log_sum(values: FloatArray, lift: FloatArray) -> float:
    with np.errstate(divide="ignore"):
        logs = np.log(values) - lift
    largest = float(logs.max())
    return largest if largest == -np.inf else largest + float(np.log(np.exp(logs - largest).sum()))
