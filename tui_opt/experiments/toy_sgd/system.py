"""The question of toy-sgd: where the pit of a system of losses is, and the way out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.kernels.invariance import absorbing_barrier
from tui_opt.kernels.large_deviations import quasipotential
from tui_opt.kernels.passage import PassageTime, mean_passage, passage_by_rate
from tui_opt.kernels.stationary import (
    Pit,
    StationaryPoint,
    minima,
    sharpest_pit,
    sharpness,
)
from tui_opt.kernels.transfer import TransferOperator, transfer_operator
from tui_opt.result import Result
from tui_opt.runner.context import Context

GRID_ERROR_WORTH_A_WARNING = 0.01
"""Change of a mean's logarithm with the number of cells."""
REFINEMENT = 4
"""Times as many cells for mean passage times as for probabilities: rare escapes feel the cells most."""
UNDERFLOW = 650.0
"""ln(mean steps) above which an untilted rate is near the smallest doubles."""


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

    def way(self, temperature: float) -> Way:
        """Start and barrier at a temperature.

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
        found = absorbing_barrier(self.system.gradients, temperature, self.pit.w, self.pit.other)
        if found.w is None:
            raise ExperimentError(f"There is no barrier at temperature {temperature:g}: {found.reason}")
        if (found.w - start) * (found.w - self.pit.w) <= 0:
            raise ExperimentError(
                f"The start W = {start:g} lies beyond the barrier at {found.w:.6g} already, seen from the pit at "
                f"{self.pit.w:.6g}. Start inside the pit, or give the barrier as a number."
            )
        return Way(start, found.w)


@dataclass(frozen=True)
class MeanSteps:
    """Mean number of steps to escape, and how much the logarithm changes from fewer cells to the cells used."""

    passage: PassageTime
    grid_change: float


def mean_steps(system: System, temperature: float, way: Way, cells: int, ctx: Context) -> MeanSteps:
    """The mean on `REFINEMENT` times the cells, which costs a few hundred steps, however rare escape is."""
    first = _passage_on(system, temperature, way, cells, ctx)
    if not math.isfinite(first.log_mean):
        return MeanSteps(first, math.nan)
    # A factorisation grows with the square of the cells: it is compared with fewer of them instead of more.
    other = cells // 2 if first.method == "linear system" else REFINEMENT * cells
    second = _passage_on(system, temperature, way, other, ctx)
    finest = first if other < cells or not math.isfinite(second.log_mean) else second
    return MeanSteps(finest, abs(second.log_mean - first.log_mean))


def _passage_on(system: System, temperature: float, way: Way, cells: int, ctx: Context) -> PassageTime:
    ctx.check()
    operator = transfer_operator(system.gradients, temperature, way.start, way.barrier, cells, ctx.check)
    passage = mean_passage(operator, way.start, check=ctx.check)
    if passage.method in ("rate", "tail") and not passage.log_mean < UNDERFLOW:
        passage = passage_by_rate(operator, way.start, _lift(system, operator, way), ctx.check)
    return passage


def _lift(system: System, operator: TransferOperator, way: Way) -> FloatArray:
    """How small the law of the walkers in the pit is on each cell, as a logarithm: the quasipotential over T.

    Past the maximum the law does not grow again, it flows out; so the lift stays at its highest from there on.
    """
    lift = quasipotential(system.gradients, operator.centres) / operator.temperature
    outward = lift if way.side > 0 else lift[::-1]
    first = int(np.argmin(np.abs(operator.centres - way.start)))
    first = first if way.side > 0 else lift.size - 1 - first
    outward[first:] = np.maximum.accumulate(outward[first:])
    return lift


def warn_of_coarse_means(result: Result, changes: Iterable[float]) -> None:
    """Warn where the cells are too coarse for the mean number of steps to be shown with confidence."""
    worst = max((change for change in changes if math.isfinite(change)), default=0.0)
    if worst > GRID_ERROR_WORTH_A_WARNING:
        result.warn(
            f"The mean number of steps changes by {math.expm1(min(worst, 700.0)):.2g} of itself with the number of "
            "cells, so its last digits are not to be trusted. Take more cells."
        )
