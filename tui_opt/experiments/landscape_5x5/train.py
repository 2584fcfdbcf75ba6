"""train: thousands of networks from random weights, and what they find of the target."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.device import gpus
from tui_opt.experiments.landscape_5x5 import seconds_of_examining, seconds_of_training
from tui_opt.experiments.landscape_5x5.devices import devices_of, shared, workers_on
from tui_opt.experiments.landscape_5x5.examined import Trained, examine
from tui_opt.experiments.landscape_5x5.params import TrainParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.train_report import report
from tui_opt.experiments.landscape_5x5.training import (
    chunk_size,
    compiled,
    drawn,
    output_times,
    packed,
    rule_of,
    train_through,
    trainer_for,
    unpacked,
)
from tui_opt.experiments.landscape_5x5.work import Part, Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.networks.lanes import Crowd, Rule
from tui_opt.kernels.networks.pieces import Trains
from tui_opt.result import Result
from tui_opt.runner.context import Context

IntArray: TypeAlias = NDArray[np.int64]
SingleArray: TypeAlias = NDArray[np.float32]


@dataclass
class Progress:
    """What is measured on the way; chunks are named by their first network.

    Args:
        found: the networks of finished chunks that were looked at, in order.
        losses: by chunk, [time, network].
        rates: by trainer, seconds that this process spent in steps, and model-steps taken in them.
        lock: held while any of these changes.
    """

    found: Trained
    losses: dict[int, SingleArray] = field(default_factory=dict)
    rates: dict[int, tuple[float, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, trainer: Trains, seconds: float, model_steps: int) -> None:
        """Add steps that a trainer took."""
        with self.lock:
            before = self.rates.get(id(trainer), (0.0, 0))
            self.rates[id(trainer)] = (before[0] + seconds, before[1] + model_steps)

    @property
    def speed(self) -> float:
        """Model-steps a second, all trainers together; NaN where this process took none."""
        known = [steps / seconds for seconds, steps in self.rates.values() if seconds > 0]
        return sum(known) if known else float("nan")

    def ordered(self) -> list[SingleArray]:
        """Losses of the chunks that have begun, in order."""
        with self.lock:
            return [self.losses[first] for first in sorted(self.losses)]


@linear_algebra_on_one_thread
def compute(params: TrainParams, ctx: Context) -> Result:
    """Chunk after chunk, or several at once where several GPUs share them.

    A run that was stopped finds finished chunks, and those it was at, in its checkpoint.
    """
    task = Task.of(params, ctx.check)
    rule = rule_of(params)
    devices = devices_of(ctx.device, params.gpus, gpus() if ctx.device != "cpu" else ())
    trainers = workers_on(devices, lambda name: _ready(task, ctx, rule, name), ctx.message)
    if params.gpus != "all" and ctx.device != "cpu" and len(trainers) < params.gpus:
        used = len(trainers)
        share = "takes all chunks" if used == 1 else "share the chunks"
        ctx.message(f"{params.gpus} GPUs were asked for; {used} can be used here, and {share}.")
    per_step, per_network = seconds_of_training(params, 1.0), seconds_of_examining(params)
    work = Work(ctx, params.models * (params.steps * per_step + per_network))
    work.say("training")
    times = output_times(params.steps, params.outputs)
    size = chunk_size(params.chunk, ctx.device)
    progress = Progress(Trained.nothing(task))
    chunks = [(first, min(size, params.models - first)) for first in range(0, params.models, size)]

    parts = {first: work.part(number * params.steps * per_step, "training") for first, number in chunks}

    def trained(chunk: tuple[int, int], trainer: Trains) -> SingleArray:
        return _chunk(params, task, trainer, times, *chunk, progress, parts[chunk[0]], ctx)

    answers = shared(chunks, trainers, trained, ctx.message, in_background=ctx.device != "cpu")
    for (first, number), networks in zip(chunks, answers, strict=True):
        last = first + number == params.models
        # On a GPU the next chunk is trained meanwhile, and the run is called by that.
        compared = work.part(number * per_network, "networks compared" if last or ctx.device == "cpu" else "")
        compared.begin()

        def looked_at(networks: float, part: Part = compared) -> None:
            part.add(networks * per_network)

        found = examine(task, networks, first, params.restarts, ctx, report=looked_at)
        compared.end()
        progress.found = progress.found.with_more(found)
        if not last:
            ctx.partial(lambda: _report(params, task, times, progress, progress.found))
    work.end()
    return _report(params, task, times, progress, progress.found)


def _ready(task: Task, ctx: Context, rule: Rule, device: str) -> Trains:
    trainer = trainer_for(task, ctx, rule.optimizer, device)
    compiled(trainer, task, rule, partial(ctx.progress, 0, 1))
    return trainer


def _report(params: TrainParams, task: Task, times: IntArray, progress: Progress, found: Trained) -> Result:
    return report(params, task, times, progress.ordered(), found, progress.speed)


def _chunk(
    params: TrainParams, task: Task, trainer: Trains, times: IntArray, first: int, number: int, progress: Progress,
    part: Part, ctx: Context,
) -> SingleArray:  # fmt: skip
    """Trained networks, [network, parameter], of a chunk; its losses are added to the progress."""
    key = f"{first}+{number}/"
    finished, losses = ctx.checkpoint.get(key + "networks"), ctx.checkpoint.get(key + "losses")
    if finished is not None and losses is not None:
        with progress.lock:
            progress.losses[first] = losses
        part.end()
        return finished
    crowd = Crowd.beginning(drawn(task.layout, params.init, first, number, ctx), params.optimizer)
    so_far = np.full((times.size, number), np.nan, dtype=np.float32)
    kept = ctx.checkpoint.get(key + "under-way")
    if kept is not None and losses is not None:
        crowd, _ = unpacked(kept)
        so_far[: len(losses)] = losses
    with progress.lock:
        progress.losses[first] = so_far
    at = int(np.searchsorted(times, crowd.steps, side="right"))
    began, before = time.perf_counter(), crowd.steps
    per_step = seconds_of_training(params, 1.0)
    part.begin(number * crowd.steps * per_step)

    def stepped(steps: int) -> None:
        part.add(steps * per_step)

    def keep() -> None:
        _keep(key, crowd, so_far[:at], ctx)

    for row in train_through(trainer, crowd, rule_of(params), times, ctx, stepped, keep):
        so_far[at] = row
        at += 1
        progress.count(trainer, time.perf_counter() - began, number * (crowd.steps - before))
        if crowd.steps < params.steps:
            keep()
            ctx.partial(lambda: _under_way(params, task, times, progress, crowd, ctx))
        began, before = time.perf_counter(), crowd.steps
    ctx.checkpoint.put(key + "losses", so_far)
    ctx.checkpoint.put(key + "networks", crowd.networks)
    ctx.checkpoint.drop(key + "under-way")
    part.end()
    return crowd.networks


SHOWN = 256
"""Networks whose outputs a partial result looks at, where none are finished."""


def _under_way(
    params: TrainParams, task: Task, times: IntArray, progress: Progress, crowd: Crowd, ctx: Context
) -> Result:
    found = progress.found
    if not found.loss.size:
        found = examine(task, crowd.networks[:SHOWN], 0, 1, ctx, quickly=True)
    return _report(params, task, times, progress, found)


def _keep(key: str, crowd: Crowd, losses: SingleArray, ctx: Context) -> None:
    """The state of a chunk, of which a resumed run makes the same steps."""
    # Losses first: those after the steps of the state are found again, those before would be missing.
    ctx.checkpoint.put(key + "losses", losses.copy())
    ctx.checkpoint.put(key + "under-way", packed(crowd))
