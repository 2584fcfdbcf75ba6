"""The pit of a system of datapoints: where it is, where walkers start in it, and the barrier on the way out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import System
from tui_opt.kernels.callables import TermField
from tui_opt.kernels.invariance import absorbing_barrier
from tui_opt.kernels.stationary import Pit, StationaryPoint, minima, sharpest_pit, sharpness


@dataclass(frozen=True)
class Way:
    """A start and the barrier a walker must pass."""

    start: float
    barrier: float

    @property
    def side(self) -> float:
        """1 where the way out leads to larger W, -1 where to smaller."""
        return 1.0 if self.barrier > self.start else -1.0


@dataclass(frozen=True)
class Question:
    """Where walkers start and where they count as escaped, as the user asked it."""

    system: System
    start: float | str
    barrier: float | str
    w_min: float
    w_max: float

    @cached_property
    def points(self) -> list[StationaryPoint]:
        """Stationary points of L in the range that is searched."""
        return self.system.stationary(self.w_min, self.w_max)

    @cached_property
    def pit(self) -> Pit:
        """The pit: the sharpest minimum of L with another one beside it.

        Raises:
            ExperimentError: L has fewer than two minima in the range.
        """
        found = sharpest_pit(self.points)
        if found is None:
            wells = minima(self.points)
            where = f"a single minimum, at W = {wells[0].w:.6g}," if wells else "no minimum"
            raise ExperimentError(
                f"There is no pit to escape from: the mean loss has {where} between W = {self.w_min:g} and "
                f"{self.w_max:g}. Change the losses, widen w_min and w_max, or give start and barrier as numbers."
            )
        return found

    @cached_property
    def starting_place(self) -> float:
        """Where the walkers start."""
        if self.start == "minimum":
            return self.pit.w
        if self.start == "datapoint-minimum":
            return self._datapoint_minimum()
        return float(self.start)

    def _datapoint_minimum(self) -> float:
        """The sharpest minimum at the pit of a single datapoint's loss: that datapoint makes the pit."""
        found: list[StationaryPoint] = []
        for term in range(self.system.terms):
            wells = minima(self.system.stationary_of(term, self.w_min, self.w_max))
            near = [w for w in wells if abs(w.w - self.pit.w) < abs(self.pit.maximum - self.pit.w)]
            found += near
        if not found:
            raise ExperimentError(
                f"No single datapoint has a minimum at the pit of the mean loss (W = {self.pit.w:.6g}); set start to "
                "`minimum` or to a number."
            )
        return max(found, key=sharpness).w

    def way(self, temperature: float, gradients: TermField | None = None) -> Way:
        """Start and barrier at a temperature.

        Args:
            temperature: T.
            gradients: those whose plain step the update is, where it is another than a step on a datapoint.

        Raises:
            ExperimentError: there is no pit, or no barrier at this temperature.
        """
        start = self.starting_place
        if self.barrier != "auto":
            barrier = float(self.barrier)
            if barrier == start:
                raise ExperimentError(
                    f"start and barrier are both {start:g}; they must be two different places."
                )
            return Way(start, barrier)
        found = absorbing_barrier(gradients or self.system.gradients, temperature, self.pit.w, self.pit.other)
        if found.w is None:
            raise ExperimentError(f"There is no barrier at temperature {temperature:g}: {found.reason}")
        if (found.w - start) * (found.w - self.pit.w) <= 0:
            raise ExperimentError(
                f"The start W = {start:g} lies beyond the barrier at {found.w:.6g} already, seen from the pit at "
                f"{self.pit.w:.6g}. Start inside the pit, or give the barrier as a number."
            )
        return Way(start, found.w)
