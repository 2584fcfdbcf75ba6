"""train: thousands of networks from random weights, and what they find of the target."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.examined import Trained, examine
from tui_opt.experiments.landscape_5x5.params import TrainParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.train_report import report
from tui_opt.experiments.landscape_5x5.training import (
    Trains,
    chunk_size,
    compiled,
    drawn,
    output_times,
    rule_of,
    train_through,
    trainer_for,
)
from tui_opt.kernels.networks.lanes import Crowd
from tui_opt.result import Result
from tui_opt.runner.context import Context

IntArray: TypeAlias = NDArray[np.int64]
SingleArray: TypeAlias = NDArray[np.float32]


@dataclass
class Progress:
    """What is measured on the way.

    Args:
        seconds: spent in steps of this process.
        model_steps: taken in them.
        losses: by chunk, [time, network].
    """

    seconds: float = 0.0
    model_steps: int = 0
    losses: list[SingleArray] = field(default_factory=list)


def compute(params: TrainParams, ctx: Context) -> Result:
    """Chunk after chunk; a run that was stopped finds finished chunks, and the one it was at, in its checkpoint."""
    task = Task.of(params)
    trainer = trainer_for(task, ctx, params.optimizer)
    times = output_times(params.steps, params.outputs)
    size = chunk_size(params.chunk, ctx.device)
    compiled(trainer, task, rule_of(params))
    progress, done = Progress(), Trained.nothing(task)
    for first in range(0, params.models, size):
        number = min(size, params.models - first)
        networks = _chunk(params, task, trainer, times, first, number, progress, done, ctx)
        found = examine(task, networks, first, params.restarts, ctx)
        done = done.with_more(found)
        if first + number < params.models:
            ctx.partial(partial(report, params, task, times, progress.losses, done, speed(progress)))
    ctx.progress(params.models * params.steps, params.models * params.steps, "networks compared")
    return report(params, task, times, progress.losses, done, speed(progress))


def speed(progress: Progress) -> float:
    """Model-steps a second, of the steps taken by this process; NaN where there are none."""
    return progress.model_steps / progress.seconds if progress.seconds > 0 else float("nan")


def _chunk(
    params: TrainParams, task: Task, trainer: Trains, times: IntArray, first: int, number: int, progress: Progress,
    done: Trained, ctx: Context,
) -> SingleArray:  # fmt: skip
    """Trained networks, [network, parameter], of a chunk; its losses are added to the progress."""
    key = f"{first}+{number}/"
    finished, losses = ctx.checkpoint.get(key + "networks"), ctx.checkpoint.get(key + "losses")
    if finished is not None and losses is not None:
        progress.losses.append(losses)
        return finished
    crowd = Crowd.beginning(drawn(task.layout, params.init, first, number, ctx), params.optimizer)
    so_far = np.full((times.size, number), np.nan, dtype=np.float32)
    kept = ctx.checkpoint.get(key + "under-way")
    if kept is not None and losses is not None:
        taken = int(kept[0, 0, 0])
        crowd.networks, crowd.state = kept[1].astype(np.float32), kept[2:].astype(np.float32)
        crowd.steps = taken
        so_far[: len(losses)] = losses
    progress.losses.append(so_far)
    at = int(np.searchsorted(times, crowd.steps, side="right"))
    began, before = time.perf_counter(), crowd.steps
    for row in train_through(trainer, crowd, rule_of(params), times, ctx):
        so_far[at] = row
        at += 1
        progress.seconds += time.perf_counter() - began
        progress.model_steps += number * (crowd.steps - before)
        ctx.progress(first * params.steps + number * crowd.steps, params.models * params.steps, "training")
        if crowd.steps < params.steps:
            _keep(key, crowd, so_far[:at], ctx)
            ctx.partial(lambda: _under_way(params, task, times, progress, done, crowd, ctx))
        began, before = time.perf_counter(), crowd.steps
    ctx.checkpoint.put(key + "losses", so_far)
    ctx.checkpoint.put(key + "networks", crowd.networks)
    ctx.checkpoint.drop(key + "under-way")
    return crowd.networks


SHOWN = 256
"""Networks whose outputs a partial result looks at, where none are finished."""


def _under_way(
    params: TrainParams, task: Task, times: IntArray, progress: Progress, done: Trained, crowd: Crowd, ctx: Context
) -> Result:  # fmt: skip
    found = done if done.loss.size else examine(task, crowd.networks[:SHOWN], 0, 1, ctx, quickly=True)
    return report(params, task, times, progress.losses, found, speed(progress))


def _keep(key: str, crowd: Crowd, losses: SingleArray, ctx: Context) -> None:
    """The state of a chunk, of which a resumed run makes the same steps."""
    steps = np.full((1, *crowd.networks.shape), np.nan)
    steps[0, 0, 0] = crowd.steps
    # Losses first: those after the steps of the state are found again, those before would be missing.
    ctx.checkpoint.put(key + "losses", losses.copy())
    ctx.checkpoint.put(key + "under-way", np.concatenate([steps, crowd.networks[None], crowd.state]))
