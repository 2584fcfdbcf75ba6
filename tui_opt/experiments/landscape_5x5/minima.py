"""Minima: networks that are trained from random weights and then polished."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import Trains, advance, compiled, drawn
from tui_opt.kernels.networks.lanes import Crowd, Rule
from tui_opt.kernels.networks.plain import loss
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]

PIECES = 20
"""Parts in which training is done, for progress."""


def found_minima(
    params: Any, task: Task, trainer: Trains, rule: Rule, ctx: Context, total: float
) -> FloatArray:
    """Trained and polished networks that did not diverge, [network, parameter], the same whatever threads there are.

    Args:
        params: with minima, steps, init, polish and polish_rate.
        task: what is learnt.
        trainer: takes the steps.
        rule: how they are trained.
        ctx: gives the random weights, threads and progress.
        total: steps of everything, for progress; training and polishing take the first of them.

    Raises:
        ExperimentError: all of them diverged.
    """
    kept = ctx.checkpoint.get("minima")
    if kept is None:
        compiled(trainer, task, rule)
        crowd = Crowd.beginning(drawn(task.layout, params.init, 0, params.minima, ctx), rule.optimizer)
        _in_pieces(trainer, crowd, rule, params.steps, 0.0, total, "training", ctx)
        if params.polish:
            small = replace(rule, optimizer="momentum", rate=params.polish_rate, momentum=0.9)
            polished = Crowd.beginning(crowd.networks.astype(np.float64), "momentum")
            _in_pieces(trainer, polished, small, params.polish, params.steps, total, "polishing", ctx)
            crowd = polished
        kept = crowd.networks.astype(np.float64)
        ctx.checkpoint.put("minima", kept)
    with np.errstate(all="ignore"):
        sound = np.isfinite(kept).all(axis=1) & np.isfinite(loss(task.layout, kept, task.x, task.y))
    if not sound.any():
        raise ExperimentError(
            f"All {len(kept)} networks diverged in training. Lower learning_rate, now {rule.rate:g}, or polish_rate."
        )
    return np.asarray(kept[sound])


def _in_pieces(
    trainer: Trains,
    crowd: Crowd,
    rule: Rule,
    steps: int,
    before: float,
    total: float,
    what: str,
    ctx: Context,
) -> None:
    ends = np.unique(np.linspace(0, steps, PIECES + 1).astype(int))
    for first, last in pairwise(ends):
        advance(trainer, crowd, rule, int(last - first), ctx)
        ctx.progress(before + float(last), total, what)
