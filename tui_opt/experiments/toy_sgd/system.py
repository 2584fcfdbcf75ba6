"""The way out of the pit of a system of losses: how many steps it takes on average."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.pits import Way
from tui_opt.kernels.large_deviations import quasipotential
from tui_opt.kernels.passage import PassageTime, mean_passage, passage_by_rate
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
