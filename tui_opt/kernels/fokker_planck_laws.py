"""Laws a Fokker-Planck generator settles to, and how long escapes take: stationary, quasi-stationary, passage times.

On a line all three are recurrences of positive terms, taken in logarithms: a density of e^-1e6 and an escape rate of
1e-300 keep their relative accuracy, and nothing overflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.fokker_planck_generator import Barrier, Generator

MAX_ITERATIONS = 10_000
CHECK_EVERY = 20


@dataclass(frozen=True)
class EscapingLaw:
    """The law that mass in the pit tends to while it has not passed the barrier, and the rate at which it does.

    Attributes:
        mass: [cells], sums to 1.
        log_rate: log of the rate of escape per step; -inf when nothing can pass.
        iterations: solves until law and rate settled.
        converged: whether they did.
    """

    mass: FloatArray
    log_rate: float
    iterations: int
    converged: bool


def stationary_law(generator: Generator) -> FloatArray:
    """The law of zero current between reflecting walls, as masses.

    The ratio of neighbouring masses is that of the rates between them. Where drift leads one way only, because there
    is no noise at all, mass ends in the cells that are never left. Faces that nothing passes in either direction
    count as faces with equal density on both sides: the limit of a small noise.

    Args:
        generator: with reflecting walls.

    Returns: mass[cells], sums to 1.
    Raises: ValueError with a barrier, or when mass ends in several separate places, in shares that depend on where it
        started.
    Reference: Gardiner (2009), Stochastic Methods, section 5.2.2 (detailed balance in one dimension).
    """
    if generator.barrier is not Barrier.NONE:
        raise ValueError(
            "With a barrier all mass escapes in the end; use quasi_stationary_law, or no barrier."
        )
    blocked = ~np.isfinite(generator.log_right) & ~np.isfinite(generator.log_left)
    with np.errstate(invalid="ignore"):
        rise = generator.log_right - generator.log_left
    rise[blocked] = np.log(generator.widths[1:] / generator.widths[:-1])[blocked]
    return _closed_law(rise)


def quasi_stationary_law(
    generator: Generator, start: float, tolerance: float = 1e-12, check: Check = unchecked
) -> EscapingLaw:
    """The law among what has not yet passed the barrier, by inverse iteration.

    Each solve is a steady flow: the flux through a face is all that is fed in behind it, so the masses follow from
    the barrier backwards by sums of positive terms.

    Args:
        generator: with a barrier.
        start: where the first law is concentrated; mass far from it that cannot be reached plays no part.
        tolerance: change of the logarithms of the rate, and of the masses that matter, at which the iteration ends.
        check: called now and then.

    Returns: law and rate; where the drift leads away from the barrier and no noise leads back, the law of the cells
        that are never left with a rate of zero. Cells behind a place like that count as out of reach.
    Raises: ValueError without a barrier or for a start outside the cells.
    Reference: Collet, Martinez & San Martin (2013), Quasi-Stationary Distributions, section 5 (birth and death chains).
    """
    onward, back, out = _towards_barrier(generator)
    if not generator.edges[0] <= start <= generator.edges[-1]:
        raise ValueError(
            f"start is {start}, outside the cells {generator.edges[0]:g} to {generator.edges[-1]:g}."
        )
    flip = slice(None, None, -1 if generator.barrier is Barrier.LEFT else 1)
    at = int(np.clip(np.searchsorted(generator.edges, start) - 1, 0, generator.cells - 1))
    at = generator.cells - 1 - at if generator.barrier is Barrier.LEFT else at
    passable = np.append(onward, out) > -np.inf
    with np.errstate(invalid="ignore"):
        drop = back - onward
    if not passable[at:].all():
        # The first face that nothing passes outward closes off everything behind it, the first one that nothing
        # passes inward what lies farther in: between them is all that can be reached.
        last = at + int(np.flatnonzero(~passable[at:])[0])
        shut = np.flatnonzero(back[:at] == -np.inf)
        lowest = int(shut[-1]) + 1 if shut.size else 0
        mass = np.zeros(generator.cells)
        mass[lowest : last + 1] = _closed_law(-drop[lowest:last])
        return EscapingLaw(mass[flip], -np.inf, 0, True)
    # What cannot come back to the barrier is out of the game: the chain begins behind the last face like that.
    first = int(np.flatnonzero(~passable[:at])[-1]) + 1 if not passable[:at].all() else 0
    log_onward, drop = np.append(onward, out)[first:], np.append(drop, -np.inf)[first:]
    law = np.full(generator.cells - first, -np.inf)
    law[at - first] = 0.0
    log_rate, settled, iteration = np.inf, False, 0
    while iteration < MAX_ITERATIONS and not settled:
        if iteration % CHECK_EVERY == 0:
            check()
        iteration += 1
        flux = np.logaddexp.accumulate(law)
        grown = _log_recurrence((flux - log_onward)[::-1].copy(), drop[::-1].copy())[::-1]
        # All that is fed in, a mass of one, flows out: the rate is one over the mass it keeps there.
        total = _log_total(grown)
        before, log_rate = log_rate, -total
        change = np.abs(np.exp(grown - total) - np.exp(law)).max()
        law = grown - total
        settled = abs(log_rate - before) <= tolerance and change <= tolerance
    mass = np.concatenate([np.zeros(first), np.exp(law)])
    # The logarithms may be large, and what was subtracted from them is known to their rounding only.
    return EscapingLaw(mass[flip] / mass.sum(), float(log_rate), iteration, settled)


def log_passage_times(generator: Generator) -> FloatArray:
    """Logs of the mean first-passage times to the barrier, [cells], in steps; inf from where it is never passed.

    The mean time from a cell to the next one towards the barrier obeys t_i = (1 + b_i t_(i-1)) / a_i, a and b the
    rates towards the barrier and back.

    Raises: ValueError without a barrier.
    Reference: Gardiner (2009), Stochastic Methods, section 7.4.3.
    """
    onward, back, out = _towards_barrier(generator)
    log_onward = np.append(onward, out)
    with np.errstate(invalid="ignore"):
        ratio = np.append(-np.inf, back - log_onward[1:])
    waiting = _log_recurrence(-log_onward, np.where(np.isnan(ratio), np.inf, ratio))
    times = np.logaddexp.accumulate(waiting[::-1])[::-1]
    return times[::-1] if generator.barrier is Barrier.LEFT else times


def _towards_barrier(generator: Generator) -> tuple[FloatArray, FloatArray, float]:
    """Log rates towards the barrier and back, in the order of cells that ends at the barrier, and out of it."""
    if generator.barrier is Barrier.NONE:
        raise ValueError("Nothing escapes between reflecting walls; build the generator with a barrier.")
    if generator.barrier is Barrier.RIGHT:
        return generator.log_right, generator.log_left, generator.log_out
    return generator.log_left[::-1], generator.log_right[::-1], generator.log_out


def _closed_law(rise: FloatArray) -> FloatArray:
    """Masses from the log ratios of neighbours; infinite ones are faces that are passed one way only.

    Raises: ValueError when the cells between such faces hold more than one group that is never left.
    """
    cells = rise.size + 1
    mass = np.zeros(cells)
    cuts = np.flatnonzero(~np.isfinite(rise))
    first = np.concatenate([[0], cuts + 1])
    last = np.concatenate([cuts, [cells - 1]])
    entered_left = np.concatenate([[True], rise[cuts] > 0])
    entered_right = np.concatenate([rise[cuts] < 0, [True]])
    closed = np.flatnonzero(entered_left & entered_right)
    if closed.size > 1:
        raise ValueError(
            f"Mass ends in {closed.size} separate places that no noise connects, in shares that depend on where it "
            "started. Evolve the density from its start instead, or choose the interval around one of them."
        )
    low, high = first[closed[0]], last[closed[0]] + 1
    logs = np.concatenate([[0.0], np.cumsum(rise[low : high - 1])])
    part = np.exp(logs - logs.max())
    mass[low:high] = part / part.sum()
    return mass


def _log_total(logs: FloatArray) -> float:
    largest = float(logs.max())
    return largest + float(np.log(np.exp(logs - largest).sum()))


@nb.njit(nogil=True, cache=True)
def _log_recurrence(source, ratio):  # type: ignore[no-untyped-def]
    """Logs of y[i] = exp(source[i]) + exp(ratio[i]) y[i - 1]."""
    result = np.empty_like(source)
    before = -np.inf
    for i in range(source.size):
        other = ratio[i] + before if before > -np.inf and ratio[i] > -np.inf else -np.inf
        high, low = max(source[i], other), min(source[i], other)
        before = high if low == -np.inf or high == np.inf else high + np.log1p(np.exp(low - high))
        result[i] = before
    return result
