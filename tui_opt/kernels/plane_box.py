"""A box that holds the law of two parameters over a number of steps, and is no larger than it needs to be.

A law on few cells is followed through all steps in a box that moves with it, and what it ever reaches with more than a
given mass is the box. Where a mass too small to matter runs away, and would take all cells with it, it is let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray, unchecked
from tui_opt.kernels.plane import Box, PlaneField, PlaneOperator
from tui_opt.kernels.plane_cells import RIM
from tui_opt.kernels.plane_moving import CELLS, Ends, MovingLaw, box_of

TAIL: Final = 1e-12
"""Mass that may leave the box, as far as few cells tell; on fine ones it may be some 1e-12 in every step."""
MOST_TAIL: Final = 1e-8
"""Mass that may leave it where the box is much smaller for it."""
MUCH_SMALLER: Final = 0.5
"""Ratio of areas that is worth it."""
FINER_CELLS: Final = (CELLS, 2 * CELLS, 4 * CELLS)
"""Cells per axis of the trial laws: the first that resolve the maps are used."""
RESOLVED: Final = 0.5
"""By how many cells the images of neighbouring cells may gape where they meet."""
LOOK_EVERY: Final = 64
"""Steps after which it is seen whether anything has changed."""
AT_REST: Final = 1e-5
"""A law that has changed by less since half of its steps, and has reached nothing new, stays where it was. It never
comes to rest altogether: which of its lightest cells are cut goes back and forth."""
LEAST_REST: Final = 1024
"""Steps that are looked at for it, at least."""
MARGIN: Final = 0.5 / CELLS
"""Room at every end that is found, in widths: on few cells the last 1e-12 of a law may end most of a cell too early."""


@dataclass(frozen=True)
class FoundBox:
    """A box, and the mass that a law on few cells loses from it over all steps."""

    box: Box
    lost: float


def automatic_box(
    maps: PlaneField,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    fixed: Ends = ((None, None), (None, None)),
    tail: float = TAIL,
    check: Check = unchecked,
) -> FoundBox:
    """Find a box for a law that starts as two independent normal variables.

    Args:
        maps: f_j, w[axis, n] -> [j, axis, n].
        mean, sd: of the initial law, per axis.
        steps: how long it is followed.
        fixed: (low, high) per axis, a number where that end is given and None where it is to be found.
        tail: mass that may lie outside at any time, per end.
        check: called before every step of the trial laws.

    Raises: ValueError when a given end leaves no room.
    """
    law = _followed(maps, mean, sd, steps, fixed, tail, check)
    if law.moves > 1 and tail < MOST_TAIL:
        other = _followed(maps, mean, sd, steps, fixed, MOST_TAIL, check)
        areas = [np.prod(x.reach[1] - x.reach[0]) for x in (other, law)]
        if law.runs_away or areas[0] < MUCH_SMALLER * areas[1]:
            law = other
    reach = law.reach
    room = MARGIN * (reach[1] - reach[0])
    return FoundBox(box_of(_with_fixed(reach + np.array([-room, room]), fixed)), law.state.outside)


def _followed(
    maps: PlaneField,
    mean: tuple[float, float],
    sd: tuple[float, float],
    steps: int,
    fixed: Ends,
    tail: float,
    check: Check,
) -> MovingLaw:
    """The law after all steps, or after as many as change anything; one that runs away is not followed to its end."""
    for cells in FINER_CELLS:
        law = MovingLaw(maps, mean, sd, fixed, tail, cells, check)
        resolved, done, mark = True, 0, _Mark(0, law)
        while done < steps:
            before, moves = law.state.mass.copy(), law.moves
            resolved = resolved and _gape(law.operator, before > tail) <= RESOLVED
            if not resolved and cells != FINER_CELLS[-1]:
                break
            law.advance(min(LOOK_EVERY, steps - done))
            done += LOOK_EVERY
            if law.runs_away and tail < MOST_TAIL:
                return law
            if law.moves == moves and np.abs(law.state.mass - before).sum() <= tail:
                break
            if done >= max(2 * mark.steps, LEAST_REST):
                if mark.holds(law):
                    break
                mark = _Mark(done, law)
        if resolved or law.runs_away:
            break
    return law


class _Mark:
    """Where a law was after so many steps."""

    def __init__(self, steps: int, law: MovingLaw) -> None:
        self.steps = steps
        self._moves, self._reach, self._mass = law.moves, law.reach, law.state.mass.copy()

    def holds(self, law: MovingLaw) -> bool:
        """Whether the law is at rest since, and has reached nothing new."""
        return (
            law.moves == self._moves
            and np.array_equal(law.reach, self._reach)
            and float(np.abs(law.state.mass - self._mass).sum()) <= AT_REST
        )


def _with_fixed(bounds: FloatArray, fixed: Ends) -> FloatArray:
    """The bounds with the given ends in place; a found end that lies beyond a given one gives way."""
    bounds = bounds.copy()
    for axis, (low, high) in enumerate(fixed):
        width = bounds[1, axis] - bounds[0, axis]
        if low is not None:
            bounds[0, axis] = low
            bounds[1, axis] = max(bounds[1, axis], low + 1e-3 * width)
        if high is not None:
            bounds[1, axis] = high
            if low is None:
                bounds[0, axis] = min(bounds[0, axis], high - 1e-3 * width)
    return bounds


def _gape(operator: PlaneOperator, held: NDArray[np.bool_]) -> float:
    """How far apart, in cells, the images of neighbouring cells lie where they meet, at most, among cells held."""
    widest = 0.0
    rows, columns = operator.cells
    for u in operator.images[:, :, RIM : RIM + rows + 2, RIM : RIM + columns + 2].reshape(
        -1, rows + 2, columns + 2
    ):
        with np.errstate(all="ignore"):
            for along, where in ((u[:, 1:-1], held), (u[1:-1].T, held.T)):
                slope, bend = 0.5 * (along[2:] - along[:-2]), along[2:] - 2.0 * along[1:-1] + along[:-2]
                upper = along[1:-1] + 0.5 * slope + 0.125 * bend
                lower = along[1:-1] - 0.5 * slope + 0.125 * bend
                gape = np.abs(upper[:-1] - lower[1:])[where[:-1] & where[1:]]
                widest = max(widest, float(gape[np.isfinite(gape)].max(initial=0.0)))
    return widest
