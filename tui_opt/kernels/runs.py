"""Runs of the same datapoint: how many consecutive steps leave a pit, and how likely such a run is."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from tui_opt.kernels.callables import Field, FloatArray, evaluate, require_temperature


def run_probability(length: int, draws: int, success: float) -> float:
    """Probability that `draws` independent draws contain a run of at least `length` successes.

    Args:
        length: length of the run, 0 or more.
        draws: number of draws, 0 or more; 10^7 takes some tens of milliseconds.
        success: probability of success per draw, in [0, 1]: 1/N for one of N datapoints.

    Returns: the probability, to about 1e-15 of itself.
    Reference: Feller (1968), An Introduction to Probability Theory I, XIII.7; the recurrence below is its
        first
        difference: a first run ends at draw m exactly when it follows a failure at m - length, before which
            there
        was no run.
    """
    if length < 0 or draws < 0:
        raise ValueError(f"length is {length} and draws is {draws}; both must be 0 or more.")
    if not 0.0 <= success <= 1.0:
        raise ValueError(f"success is {success}; a probability lies between 0 and 1.")
    if length == 0:
        return 1.0
    if draws < length:
        return 0.0
    if success in (0.0, 1.0):
        return success
    return float(_run_probability(length, draws, success))


@nb.njit(nogil=True, cache=True)
def _run_probability(length: int, draws: int, success: float) -> float:
    all_good = success**length
    ends_here = (1.0 - success) * all_good
    history = np.zeros(length + 1)  # P(run within m draws) for the last length + 1 values of m, a ring
    total, carry = all_good, 0.0
    history[length % (length + 1)] = total
    for m in range(length + 1, draws + 1):
        # Only positive terms, summed with Kahan's compensation: 10^7 plain additions would lose 1e-10.
        term = ends_here * (1.0 - history[m % (length + 1)]) - carry
        after = total + term
        carry = (after - total) - term
        total = after
        history[m % (length + 1)] = total
    return total


def mean_wait(length: int, success: float) -> float:
    """Mean number of draws until the first run of `length` successes: (1 - p^n) / (p^n (1 - p)).

    Returns: draws; inf where the run is impossible or the mean overflows.
    Reference: Feller (1968), XIII.7, equation (7.7).
    """
    if length < 0 or not 0.0 <= success <= 1.0:
        raise ValueError(
            f"length is {length} and success is {success}; they must be at least 0 and in [0, 1]."
        )
    if length == 0 or success == 1.0:
        return float(length)
    with np.errstate(all="ignore"):
        log_all_good = length * np.log(np.float64(success))
        return float(-np.expm1(log_all_good) * np.exp(-log_all_good) / (1.0 - success))


@dataclass(frozen=True)
class RunLength:
    """Consecutive steps on one datapoint that pass a barrier.

    `steps` is None when they never do, `reason` then says why; `path[n]` are the places visited, the start
    included.
    """

    steps: int | None
    path: FloatArray
    reason: str = ""

    @property
    def end(self) -> float:
        """The last place of the path: beyond the barrier when `steps` is not None."""
        return float(self.path[-1])


def run_length(
    gradient: Field, start: float, barrier: float, temperature: float, limit: int = 10_000
) -> RunLength:
    """Count the consecutive steps W <- W - T g(W) on one datapoint that lead beyond a barrier.

    Args:
        gradient: g of the datapoint, w[n] -> [n].
        start: starting place; beyond means on the far side of `barrier` as seen from here.
        barrier: place to pass.
        temperature: T, positive.
        limit: steps after which the search ends.

    Returns: the run and its path.
    Raises: ValueError when start and barrier coincide or are not finite.
    """
    temperature = require_temperature(temperature)
    if not (np.isfinite(start) and np.isfinite(barrier)) or start == barrier:
        raise ValueError(
            f"start is {start} and barrier is {barrier}; they must be two different finite places."
        )
    side = 1.0 if barrier > start else -1.0
    path = [float(start)]
    reason = f"The barrier is not passed within {limit} steps."
    for n in range(1, limit + 1):
        after = path[-1] - temperature * float(evaluate(gradient, np.array([path[-1]]))[0])
        if not np.isfinite(after):
            reason = f"Step {n} is not a finite number."
            break
        if after == path[-1]:
            reason = f"The steps come to rest at {after} after {n - 1} steps."
            break
        path.append(after)
        if side * (after - barrier) > 0:
            return RunLength(n, np.array(path))
    return RunLength(None, np.array(path), reason)
