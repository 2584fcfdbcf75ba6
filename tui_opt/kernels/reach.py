"""Where the walkers of a chain are over its first steps: the interval that a computation on cells needs."""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import Check, TermField, evaluate_terms, unchecked
from tui_opt.kernels.chain import ABOVE, BELOW, Chain, advance, chain_on_edges, state_of_masses
from tui_opt.kernels.invariance import Reach
from tui_opt.kernels.laws import TruncatedNormal, masses_of

TAIL = 1e-15
"""Probability that may ever be outside, on either side: little enough for the variance to keep ten digits."""
CELLS = 1500
WIDEN = 0.5
"""Part of the width by which a side is moved out when more leaves there."""
MAX_WIDTH = 1000.0
"""In units of the initial width: a law that grows wider counts as diverging, unless steps no longer than its first
ones could have carried it there."""
CLIPPED_WIDTH = 30.0
"""Width, in the same units, that is shown of a law that diverges."""
EVERY_STEP = 200
LATER_LOOKS = 200
FARTHEST = 1e12


def reachable(
    maps: TermField, law: TruncatedNormal, steps: int, check: Check = unchecked, cells: int = CELLS
) -> Reach:
    """An interval that holds all but 1e-15 of the walkers at each of the first `steps` steps.

    The chain is followed on cells over a tentative interval, which is widened where mass leaves it and at last
    cut to where the mass was.

    Args:
        maps: f_j, w[n] -> [j, n].
        law: of the walkers at the beginning.
        steps: number of steps, 0 or more.
        check: called every few tens of milliseconds.
        cells: as many as the computation will have, as few cells may spread a law wider than it is.

    Returns: the interval; `clipped` where the law grows to more than a thousand times its width, and farther than
        as many steps as long as the longest first one could reach. What lies in an interval of 30 times the width
        is then kept, and the rest leaves it.
    """
    low, high, longest_move = _first_interval(maps, law)
    first_width = high - low
    centre = 0.5 * (low + high)
    # The last widening may overshoot what is needed by half.
    most = max(MAX_WIDTH * first_width, min(4 * steps * longest_move, FARTHEST))
    while high - low <= most:
        chain = chain_on_edges(maps, np.linspace(low, high, cells + 1), check)
        below, above, inside = _follow(chain, law, steps, check)
        if inside is not None:
            return Reach(inside[0], inside[1], False)
        width = high - low
        low = low - WIDEN * width if below > TAIL else low
        high = high + WIDEN * width if above > TAIL else high
    half = 0.5 * CLIPPED_WIDTH * first_width
    return Reach(max(low, centre - half), min(high, centre + half), True)


def monotone_hull(
    maps: TermField, low: float, high: float, steps: int, farthest: float = FARTHEST
) -> tuple[float, float]:
    """The interval that orbits of increasing maps from [low, high] visit in `steps` steps.

    Exact flows in one dimension are increasing maps: the ends of an interval stay the ends of its image.

    Args:
        maps: f_j, increasing, w[n] -> [j, n].
        low, high: ends of the first interval.
        steps: number of steps.
        farthest: largest |W| of an end.
    """
    ends = np.array([low, high], dtype=np.float64)
    for _ in range(steps):
        images = np.where(np.isnan(moved := evaluate_terms(maps, ends)), ends, moved)
        wider = np.clip([min(images.min(), ends[0]), max(images.max(), ends[1])], -farthest, farthest)
        if np.array_equal(wider, ends):
            break
        ends = wider
    return float(ends[0]), float(ends[1])


def _first_interval(maps: TermField, law: TruncatedNormal) -> tuple[float, float, float]:
    """Ends of an interval with room around the law, and the longest first step that is finite."""
    low, high = law.interval()
    ends = np.linspace(low, high, 65) if high > low else np.array([low])
    images = evaluate_terms(maps, ends)
    moves = np.abs(images - ends)
    move = float(moves[np.isfinite(moves)].max(initial=0.0))
    # A law at a point, or a narrow one, gets room for its first step.
    room = max(high - low, min(move, 1.0), 1e-3 * max(1.0, abs(low), abs(high))) / 16
    return low - room, high + room, move


def _looks(steps: int) -> list[int]:
    """Steps at which one looks where the mass is: all of the first, then pairs, as walkers may jump to and fro."""
    first = np.arange(min(steps, EVERY_STEP) + 1)
    later = np.geomspace(EVERY_STEP, max(steps, EVERY_STEP), LATER_LOOKS).astype(np.int64)
    looks = np.unique(np.concatenate([first, later, later + 1, [max(steps - 1, 0), steps]]))
    return [int(look) for look in looks if look <= steps]


def _follow(
    chain: Chain, law: TruncatedNormal, steps: int, check: Check
) -> tuple[float, float, tuple[float, float] | None]:
    """What has left below and above when too much has, or else the interval that held the rest all the time."""
    state = state_of_masses(chain, masses_of(law, chain.edges)[0])
    from_below, from_above = np.zeros(chain.cells), np.zeros(chain.cells)
    done = 0
    for then in _looks(steps):
        advance(chain, state, then - done, check)
        done = then
        inside = state[: chain.cells]
        np.maximum(from_below, np.cumsum(inside), out=from_below)
        np.maximum(from_above, np.cumsum(inside[::-1]), out=from_above)
        if max(state[BELOW], state[ABOVE]) > TAIL:
            return float(state[BELOW]), float(state[ABOVE]), None
    first = int(np.searchsorted(from_below, TAIL, side="right"))
    last = chain.cells - 1 - int(np.searchsorted(from_above, TAIL, side="right"))
    edges = chain.edges
    return 0.0, 0.0, (float(edges[max(first - 2, 0)]), float(edges[min(last + 3, chain.cells)]))
