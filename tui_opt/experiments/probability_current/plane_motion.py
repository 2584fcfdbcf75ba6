"""The law of plane on cells at the output times, and what cells of twice the size change of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.kernels.plane import Box, PlaneOperator, PlaneState, density

NARROW: Final = 1e-4
"""Part of the widest spread so far below which a spread is not told from none: it takes 1e-8 of the mass to make it,
where the law was, and that is less than one of the most walkers."""


@dataclass
class Motion:
    """A law on cells at the output times so far.

    Attributes:
        box: what the cells cover.
        cells: per axis, those on which the law is shown.
        parts: into how many, per axis, each of them is divided for the steps.
        density: [t, w1, w2] on the cells shown; empty where it is not kept.
        mean, sd: [axis] for each time.
        outside: for each time, mass that has left the cells.
        mass_error: largest deviation of the total, what has left included, from 1.
        least: the least density of any cell at any time.
    """

    box: Box
    cells: int
    parts: int = 1
    density: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)))
    mean: list[FloatArray] = field(default_factory=list)
    sd: list[FloatArray] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)
    mass_error: float = 0.0
    least: float = np.inf

    @property
    def sides(self) -> FloatArray:
        """[axis], sides of the cells shown."""
        sides: FloatArray = (np.array(self.box.high) - np.array(self.box.low)) / self.cells
        return sides

    def edges(self, axis: int) -> FloatArray:
        """Borders of the cells shown along an axis (0 or 1)."""
        return np.linspace(self.box.low[axis], self.box.high[axis], self.cells + 1)

    def keep(self, times: int) -> None:
        """Make room for the densities at so many times."""
        self.density = np.empty((times, self.cells, self.cells))

    def record(self, operator: PlaneOperator, state: PlaneState, mean: FloatArray, sd: FloatArray) -> None:
        """Add the law at the next output time."""
        if len(self.density):
            fine = density(operator, state).reshape(self.cells, self.parts, self.cells, self.parts)
            self.density[len(self.mean)] = fine.mean(axis=(1, 3))
        self.mean.append(mean)
        self.sd.append(sd)
        self.outside.append(state.outside)
        self.mass_error = max(self.mass_error, abs(float(state.mass.sum()) + state.outside - 1.0))
        self.least = min(self.least, float(state.mass.min()) / float(operator.sides.prod()))


def spreads(sd: FloatArray) -> FloatArray:
    """What changes of a law are measured by: its sd[t, axis], but no less than `NARROW` of the widest until then."""
    return np.fmax(sd, NARROW * np.fmax.accumulate(sd, axis=0))


def changes(fine: Motion, others: list[Motion]) -> FloatArray:
    """The larger changes of mean and standard deviation, [t, axis, 2], to the same law on other cells."""

    def moments(motion: Motion) -> FloatArray:
        return np.stack([np.array(motion.mean), np.array(motion.sd)], axis=-1)

    ours = moments(fine)
    return np.asarray(np.max([np.abs(ours - moments(other)) for other in others], axis=0))


def relative_changes(fine: Motion, others: list[Motion]) -> tuple[float, float]:
    """The largest change of a mean and of a standard deviation, in `spreads`; 0 where none is known."""
    with np.errstate(all="ignore"):
        ratios = changes(fine, others) / spreads(np.array(fine.sd))[..., None]
    mean, sd = np.where(np.isfinite(ratios), ratios, 0.0).max(axis=(0, 1), initial=0.0)
    return float(mean), float(sd)
