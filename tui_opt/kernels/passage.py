"""Mean first-passage time of the SGD chain out of a pit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.escape import Atoms, follow_exactly, state_of
from tui_opt.kernels.quasistationary import moving_part, quasi_stationary, trapped_cells
from tui_opt.kernels.settling import CHECK_EVERY, settled_tail
from tui_opt.kernels.transfer import ABSORBED, LOST, TransferOperator, advance

ILL_CONDITIONED = 1e10
"""Mean times above this lose digits in I - Q (condition number about tau); the rate is used instead."""
ESCAPE_TOLERANCE = 1e-9
"""A probability of never escaping below this is the cells' own error, not a trap."""
MAX_SUMMED_STEPS = 5000
REMAINDER = 1e-14
"""Probability still in motion at which the summation ends."""
LOOK = 128
MAX_TAIL_LOOKS = 64
MAX_FACTORED_CELLS = 5000


@dataclass(frozen=True)
class PassageTime:
    """Mean number of steps to pass the barrier from a start.

    Attributes:
        mean: steps; inf when some walkers never escape or when the mean overflows (`reason` says which).
        log_mean: its logarithm, also where the mean overflows.
        escape_probability: of ever escaping, walkers that come to rest on a plateau counted as never.
        mean_if_escaping: mean over the walkers that escape; NaN when none does.
        method: "tail", "summation", "linear system" or "rate".
        reason: why the mean is infinite or undefined; empty otherwise.
    """

    mean: float
    log_mean: float
    escape_probability: float
    mean_if_escaping: float
    method: str
    reason: str = ""


def mean_passage(
    operator: TransferOperator, start: float, tilt: FloatArray | None = None, check: Check = unchecked
) -> PassageTime:
    """Mean first-passage time from `start`.

    The first steps are followed exactly, so an atomic start does not feel the cells. Then
    tau = sum_n P(not yet escaped at n) is summed step by step until the law among the survivors is still, and its
    geometric rest added in closed form; where it does not come to rest, the sum is taken to its end if escapes are
    fast, and tau = (I - Q)^-1 1 solved otherwise; where that matrix is singular to double precision tau is the
    reciprocal of the quasi-stationary escape rate.

    Walkers in cells where no datapoint moves them noticeably (a flat plateau, or a minimum common to all datapoints)
    count as never escaping: the mean is then infinite, and the probability of escape and the mean over those that do
    are given.

    Args:
        operator: the chain on cells.
        start: starting place, within the cells.
        tilt: [cells], see `quasi_stationary`; only needed where rates underflow (below about 1e-300).
        check: called now and then; a factorisation cannot be interrupted, so it is left out above
            `MAX_FACTORED_CELLS` cells.

    Returns: the mean and how it was found.
    Raises: ValueError when start is not within the cells.
    Reference: Kemeny & Snell (1960), Finite Markov Chains, theorem 3.2.4.
    """
    if not operator.edges[0] <= start <= operator.edges[-1]:
        raise ValueError(
            f"start is {start}, outside the cells {operator.edges[0]:g} to {operator.edges[-1]:g}; "
            "build the operator from this start."
        )
    trapped = trapped_cells(operator)
    stages = follow_exactly(operator, start)
    answer = passage_by_tail(operator, stages, trapped, check)
    if answer is None:
        answer = passage_by_summation(operator, stages, trapped, check)
    if answer is None and operator.cells <= MAX_FACTORED_CELLS:
        answer = passage_by_linear_system(operator, stages, trapped)
    return passage_by_rate(operator, start, tilt, check) if answer is None else answer


def passage_by_tail(
    operator: TransferOperator, stages: list[Atoms], trapped: NDArray[np.bool_], check: Check = unchecked
) -> PassageTime | None:
    """Step until the law among the survivors is still, and add the geometric rest; None where it does not come to
    rest in time, where nothing escapes from it, or where walkers are trapped or lost.

    All terms are positive, so a mean of 1e30 steps is as accurate as one of 10.
    """
    total, _ = _exact_sums(stages)
    mass = state_of(operator, stages[-1])
    inside = mass[: operator.cells]
    steps = stages[-1].steps
    for _ in range(MAX_TAIL_LOOKS):
        check()
        before = mass.copy()
        for _ in range(CHECK_EVERY):
            total += float(inside.sum())
            advance(operator, mass, 1)
        steps += CHECK_EVERY
        if float(inside[trapped].sum()) + float(mass[LOST]) > 0.0 or float(inside.sum()) <= REMAINDER:
            return None
        tail = settled_tail(operator, before, mass, steps)
        if tail is not None:
            if tail.absorbed_flux <= 0.0 or tail.lost_flux > 0.0:
                return None
            mean = total + float(inside.sum()) / tail.rate
            return PassageTime(mean, float(np.log(mean)), 1.0, mean, "tail")
    return None


def passage_by_summation(
    operator: TransferOperator, stages: list[Atoms], trapped: NDArray[np.bool_], check: Check = unchecked
) -> PassageTime | None:
    """Step until all walkers have escaped or are trapped; None beyond MAX_SUMMED_STEPS steps."""
    total, early = _exact_sums(stages)
    mass = state_of(operator, stages[-1])
    inside = mass[: operator.cells]
    never = float(inside[trapped].sum())
    inside[trapped] = 0.0
    mark = 1.0
    for n in range(stages[-1].steps, stages[-1].steps + MAX_SUMMED_STEPS):
        left = float(inside.sum())
        if left <= REMAINDER:
            return _summary(total, early, float(mass[ABSORBED]), never + float(mass[LOST]), "summation")
        if (n - stages[-1].steps) % LOOK == LOOK - 1:
            # Give up early when the decay since the last look is too slow to finish in time.
            if left > mark * REMAINDER ** (LOOK / MAX_SUMMED_STEPS):
                return None
            mark = left
            check()
        before = mass[ABSORBED]
        advance(operator, mass, 1)
        never += float(inside[trapped].sum())
        inside[trapped] = 0.0
        total += left
        early += (n + 1) * float(mass[ABSORBED] - before)
    return None


def passage_by_linear_system(
    operator: TransferOperator, stages: list[Atoms], trapped: NDArray[np.bool_]
) -> PassageTime | None:
    """Solve (I - Q) tau = 1 by sparse LU; None when the matrix is too near to singular to be trusted."""
    matrix = sparse.identity(operator.cells, format="csc") - moving_part(operator, trapped).tocsc()
    try:
        # Neighbouring cells have neighbouring images: the natural order fills in least.
        factors = splu(matrix, permc_spec="NATURAL")
    except RuntimeError:
        return None
    free = (~trapped).astype(np.float64)
    tau = factors.solve(free)
    # Solved for what does NOT escape as well: 1 - escape would lose a small probability to rounding.
    never = factors.solve(free * (operator.lost + operator.inside @ (1 - free))) + (1 - free)
    if not (_sound(tau) and _sound(never)) or tau.max() > ILL_CONDITIONED:
        return None
    escape = factors.solve(free * operator.absorbed)
    # E[steps; escape] obeys m = escape + Q m: a walker that will escape takes this step too.
    late = factors.solve(free * escape)
    last = stages[-1]

    def average(field: FloatArray) -> float:
        return float(np.interp(last.places, operator.centres, field) @ last.weights)

    total, early = _exact_sums(stages)
    never_at = last.lost + average(never)
    later = average(escape)
    early += last.steps * later + average(late)
    return _summary(total + average(tau), early, last.absorbed + later, never_at, "linear system")


def passage_by_rate(
    operator: TransferOperator, start: float, tilt: FloatArray | None, check: Check = unchecked
) -> PassageTime:
    """1 / rate of the quasi-stationary law: exact up to the time to settle in the pit over tau itself."""
    law = quasi_stationary(operator, start, tilt, check=check)
    if law.log_rate == -np.inf:
        why = "No walker passes the barrier: the probability per step is zero or below 1e-308."
        return PassageTime(np.inf, np.inf, 0.0, np.nan, "rate", why)
    if not law.converged:
        why = f"The escape rate had not settled after {law.steps} steps, and the linear system is singular."
        return PassageTime(np.nan, np.nan, np.nan, np.nan, "rate", why)
    log_any = float(np.logaddexp(law.log_rate, law.log_never_rate))
    never = float(np.exp(law.log_never_rate - log_any))
    if never > ESCAPE_TOLERANCE:
        return PassageTime(np.inf, np.inf, 1.0 - never, _exp(-log_any), "rate", _never_reason(never))
    mean = _exp(-law.log_rate)
    why = "" if np.isfinite(mean) else "The mean exceeds the largest double; see its logarithm."
    return PassageTime(mean, -law.log_rate, 1.0, mean, "rate", why)


def _exact_sums(stages: list[Atoms]) -> tuple[float, float]:
    """Sum of the survival before the last stage, and sum of n P(escape at n) up to it."""
    survival = sum(float(atoms.weights.sum()) for atoms in stages[:-1])
    pairs = pairwise(stages)
    return survival, sum(b.steps * (b.absorbed - a.absorbed) for a, b in pairs)


def _summary(total: float, early: float, escaped: float, never: float, method: str) -> PassageTime:
    # The smaller of the two complementary probabilities is the accurate one.
    escape = 1.0 - never if never < 0.5 else escaped
    if never <= ESCAPE_TOLERANCE:
        return PassageTime(total, float(np.log(total)), escape, total, method)
    conditional = early / escape if escape > 0 else float("nan")
    return PassageTime(np.inf, np.inf, escape, conditional, method, _never_reason(never))


def _never_reason(fraction: float) -> str:
    return (
        f"A fraction {fraction:.3g} of the walkers never escapes: it diverges, wanders in a set without a way out, or "
        "sits where the losses are so flat that it is not back within 10 million steps. The mean over all walkers is "
        "infinite or beyond use."
    )


def _sound(values: FloatArray) -> bool:
    return bool(np.all(np.isfinite(values)) and values.min() >= -1e-9 * max(1.0, float(np.abs(values).max())))


def _exp(logarithm: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(np.float64(logarithm)))
