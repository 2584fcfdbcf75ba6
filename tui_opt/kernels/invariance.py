"""Sets that no sequence of SGD updates leaves: a pit's absorbing barrier, and what is reachable before it.

All maps are f_j(W) = W - T g_j(W). Extrema of the maps are found by sampling and zooming into the best nodes,
so a set is known to the accuracy of a few thousand nodes, not proven by interval arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import FloatArray, TermField, evaluate_terms, require_temperature

NODES = 2001
MAX_SWEEPS = 200


@dataclass(frozen=True)
class Barrier:
    """The place beyond which no sequence of updates returns, or None with the `reason` why there is none."""

    w: float | None
    reason: str = ""


@dataclass(frozen=True)
class Reach:
    """An interval that holds everything reachable; `clipped` when it was cut at the allowed width."""

    low: float
    high: float
    clipped: bool


def absorbing_barrier(gradients: TermField, temperature: float, pit: float, other: float) -> Barrier:
    """Find the place nearest to `pit`, towards `other`, beyond which no sequence of updates returns.

    Beyond b, up to everything the walkers can then reach (landings past `other` included), every map must
    answer with a place that is still beyond b. For the smallest such b some datapoint's gradient is zero
    there, so b is a stationary point of one datapoint's loss.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        pit: the minimum of L that is left.
        other: the neighbouring minimum of L behind the barrier.

    Returns: the barrier, or None with a reason: updates come back from beyond, or no place exists from which
        all datapoints push on.
    Raises: ValueError when pit and other coincide or are not finite.
    """
    temperature = require_temperature(temperature)
    if not (np.isfinite(pit) and np.isfinite(other)) or pit == other:
        raise ValueError(f"pit is {pit} and other is {other}; they must be two different finite places.")
    side = 1.0 if other > pit else -1.0
    maps = _Maps(gradients, temperature, side)
    low, high = side * pit, side * other
    candidates = _outward_zones(maps, low, high)
    if not candidates:
        return Barrier(None, "Between the two minima there is no place from which every datapoint pushes on.")
    for zone in candidates:
        before = maps.grow(low, low, ceiling=zone)
        if before is None:
            return Barrier(None, "Updates leave every bounded interval before they pass the barrier.")
        landing = max(high, maps.largest(before[0], zone))
        beyond = maps.grow(zone, landing, ceiling=np.inf, floor=zone)
        if beyond is not None:
            lowest = maps.smallest(zone, beyond[1])
            # At the zone's own edge one datapoint is at rest: its image is the edge itself, up to rounding.
            if lowest >= zone - 1e-9 * max(1.0, abs(zone)):
                return Barrier(side * zone)
    return Barrier(
        None,
        f"At temperature {temperature:g} updates from beyond the maximum can overshoot the minimum at {other:g} "
        "and come back; a smaller temperature has a barrier.",
    )


def reachable_interval(
    gradients: TermField, temperature: float, start: float, barrier: float, max_width: float = 100.0
) -> Reach:
    """An interval that holds every place reachable from `start` before passing `barrier`.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        start: starting place.
        barrier: absorbing place; the interval ends there.
        max_width: in units of |barrier - start|: a wider interval is cut there (`clipped`), which is where
            diverging walkers are lost.

    Returns: the interval, slightly wider than the hull of what is reached and mapped into itself (the part
        beyond the barrier aside) unless it is clipped.
    Raises: ValueError when start and barrier coincide or are not finite.
    """
    temperature = require_temperature(temperature)
    if not (np.isfinite(start) and np.isfinite(barrier)) or start == barrier:
        raise ValueError(
            f"start is {start} and barrier is {barrier}; they must be two different finite places."
        )
    side = 1.0 if barrier > start else -1.0
    maps = _Maps(gradients, temperature, side)
    wall = side * barrier
    limit = max_width * abs(barrier - start)
    grown = maps.grow(side * start, side * start, ceiling=wall, max_width=limit)
    clipped = grown is None
    low = wall - limit if grown is None else float(grown[0])
    return Reach(min(side * low, barrier), max(side * low, barrier), clipped)


def invariant_hull(gradients: TermField, temperature: float, start: float, max_width: float = 1e4) -> Reach:
    """An interval that holds every place that any sequence of updates reaches from `start`.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        start: starting place, finite.
        max_width: a wider interval is cut at half of it on either side of the start (`clipped`).

    Returns: the interval, slightly wider than the hull of what is reached and mapped into itself unless clipped.
    Raises: ValueError when start is not finite.
    """
    temperature = require_temperature(temperature)
    if not np.isfinite(start):
        raise ValueError(f"start is {start}; it must be a finite place.")
    grown = _Maps(gradients, temperature, 1.0).grow(start, start, ceiling=np.inf, max_width=max_width)
    if grown is None:
        return Reach(start - 0.5 * max_width, start + 0.5 * max_width, True)
    return Reach(float(grown[0]), float(grown[1]), False)


def _outward_zones(maps: _Maps, low: float, high: float) -> list[float]:
    """Left ends of the zones of (low, high) in which every map moves to larger W, refined by bisection."""
    w = np.linspace(low, high, 8 * NODES)
    outward = maps.images(w).min(axis=0) >= w
    starts = np.flatnonzero(outward[1:] & ~outward[:-1])
    inside, outside = w[starts + 1], w[starts]
    for _ in range(60):
        middle = 0.5 * (inside + outside)
        good = maps.images(middle).min(axis=0) >= middle
        inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
    # A zone that is only the resting point at `high` itself is none.
    return [float(b) for b in inside if low < b < high - 1e-9 * (high - low)]


class _Maps:
    """The maps f_j, mirrored when the exit is to the left so that the exit is always at larger W."""

    def __init__(self, gradients: TermField, temperature: float, side: float) -> None:
        self.gradients, self.temperature, self.side = gradients, temperature, side

    def images(self, w: FloatArray) -> FloatArray:
        """f_j(w), [j, n]; not finite becomes inf."""
        with np.errstate(all="ignore"):
            moved = w - self.side * self.temperature * evaluate_terms(self.gradients, self.side * w)
        return np.where(np.isfinite(moved), moved, np.inf)

    def smallest(self, low: float, high: float) -> float:
        return self._extremum(low, high, -1.0)

    def largest(self, low: float, high: float) -> float:
        return self._extremum(low, high, 1.0)

    def _extremum(self, low: float, high: float, sign: float) -> float:
        """sign * max(sign * f_j) over [low, high]: nodes, then 3 rounds of zooming into the best ones."""
        w = np.linspace(low, high, NODES)
        height = np.where(np.isinf(values := self.images(w)), np.inf, sign * values).max(axis=0)
        best = float(height.max())
        spacing = w[1] - w[0]
        top = w[np.argsort(height)[-8:]]
        for _ in range(3):
            if not (np.isfinite(best) and spacing > 0):
                break
            w = np.clip(top[:, None] + spacing * np.linspace(-1, 1, 41), low, high).ravel()
            height = (sign * self.images(w)).max(axis=0)
            best = max(best, float(height.max()))
            top, spacing = w[np.argsort(height)[-8:]], spacing / 20
        return sign * best

    def grow(
        self, low: float, high: float, ceiling: float, floor: float = -np.inf, max_width: float = 1e6
    ) -> tuple[float, float] | None:
        """Enlarge [low, high] until the maps answer from within; beyond ceiling and floor is cut off.

        The interval is enlarged by a little more than it has to be, ever more so, because the hull of a
        contraction would be approached in infinitely many steps. None when it does not close within
        max_width.
        """
        first = high
        for sweep in range(MAX_SWEEPS):
            down = max(min(self.smallest(low, high), low), floor)
            up = min(max(self.largest(low, high), high), ceiling)
            if not (np.isfinite(down) and np.isfinite(up)) or up - down > max_width:
                return None
            if down == low and up == high:
                return low, high
            extra = 1e-3 * 1.1**sweep * np.array([low - down, up - high]) + 1e-12 * max(1.0, abs(first))
            low = max(down - extra[0], floor) if down < low else low
            high = min(up + extra[1], ceiling) if up > high else high
        return None
