"""Training of networks as an experiment asks for it: which kernel, which optimizer, in which pieces."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.optimizer_params import USUAL_RATES
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.one_thread import torch_on_one_thread
from tui_opt.kernels.networks.initial import Init, random_networks
from tui_opt.kernels.networks.lane_source import LANES
from tui_opt.kernels.networks.lanes import WIDEST, Crowd, Report, Rule, Trainer, unreported
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.pieces import Apart, InPieces, Trains, networks_apart
from tui_opt.runner.context import Context
from tui_opt.runner.machine import announced_compilation

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]

BLOCK: Final = LANES
"""Networks that are drawn from a stream of their own, and trained side by side."""


LEAST_ON_A_GPU: Final = 33_792
"""Networks that a large GPU trains at the same time; fewer would leave a part of it idle."""


KEPT_EVERY: Final = 2.0
"""Seconds between two states that are kept for a checkpoint, which is written every few seconds."""
MOST_OFTEN: Final = 20.0
"""Keeping takes at most a twentieth of the time."""
FIRST_STRETCH: Final = 10_000_000
"""Weights moved before it is known how long that takes: a moment in lanes, a second or so by matrix products."""


MOST_ON_A_GPU: Final = 2_000_000
"""Networks that the fused kernel is given at a time: 5 GB of weights and state at the most."""


def chunk_size(chunk: int, device: str) -> int:
    """Networks trained at a time: whole blocks, and on a GPU at least what it has room for."""
    wanted = chunk if device == "cpu" else max(chunk, LEAST_ON_A_GPU)
    return -(-wanted // BLOCK) * BLOCK


def rule_of(params: Any) -> Rule:
    """The optimizer that parameters name."""
    rate = USUAL_RATES[params.optimizer] if params.learning_rate == "auto" else params.learning_rate
    return Rule(
        params.optimizer, rate, params.momentum, params.rho, params.epsilon, params.beta1, params.beta2
    )


def trainer_for(task: Task, ctx: Context, optimizer: str = "momentum", device: str = "") -> Trains:
    """Lanes where layers are narrow enough, and matrix products elsewhere; on a GPU the fused kernel where it can.

    Args:
        task: what is learnt.
        ctx: the run.
        optimizer: how it is learnt.
        device: the run's own if empty.
    """
    device = device or ctx.device
    if device != "cpu":
        return _trainer_on_gpu(task, ctx, optimizer, device)
    if task.layout.width > WIDEST:
        return _by_matrix_products(task, device)
    return Trainer(task.layout, task.x, task.y, ctx.kernels or _folder_of_this_process())


def _by_matrix_products(task: Task, device: str) -> Trains:
    from tui_opt.kernels.networks.batched import BatchedTrainer, bytes_of_network, room

    trainer = BatchedTrainer(task.layout, task.x, task.y, device)
    fitting = room(device) // bytes_of_network(task.layout, task.x.size)
    if device == "cpu":
        number = networks_apart(task.layout, task.x.size)
        return Apart(trainer, number, fitting // number)
    return InPieces(trainer, fitting)


def _trainer_on_gpu(task: Task, ctx: Context, optimizer: str, device: str) -> Trains:
    from tui_opt.kernels.networks.fused import OPTIMIZERS, FusedTrainer, UnavailableError, torch_launcher

    if optimizer in OPTIMIZERS:
        ctx.progress(0, 1, f"compiling for {device}")
        try:
            trainer = FusedTrainer(task.layout, task.x, task.y, torch_launcher(device))
            trainer.verify(task.x, task.y)
            return InPieces(trainer, MOST_ON_A_GPU)
        except UnavailableError as error:
            ctx.message(f"{error} Networks are trained by matrix products instead, which is slower.")
    return _by_matrix_products(task, device)


@functools.cache
def _folder_of_this_process() -> Path:
    """Where kernels are kept if the user's cache cannot be written."""
    folder = tempfile.mkdtemp(prefix="optexplore-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def compiled(trainer: Trains, task: Task, rule: Rule, say: Callable[[str], None]) -> None:
    """Take a step with a network that nobody asked for, so that compiling is not counted as training.

    Args:
        trainer: what may have to be compiled.
        task: what is learnt.
        rule: the optimizer.
        say: is told what the run is at, where something is really compiled; what comes next must be said after it.
    """
    with announced_compilation(say):
        trainer.train(Crowd.beginning(np.zeros((1, task.layout.size)), rule.optimizer), rule, 1)


def drawn(layout: Layout, init: Init, first: int, number: int, ctx: Context) -> FloatArray:
    """Networks `first` and on; network i is the same whatever is drawn with it.

    Args:
        layout: their shape.
        init: the law of their weights.
        first: a multiple of BLOCK.
        number: how many.
        ctx: gives each block its stream.
    """
    blocks = range(first // BLOCK, -(-(first + number) // BLOCK))
    networks = [random_networks(layout, init, BLOCK, ctx.rng("weights", block)) for block in blocks]
    return np.concatenate(networks)[:number]


def advance(
    trainer: Trains, crowd: Crowd, rule: Rule, steps: int, ctx: Context, report: Report = unreported
) -> SingleArray:
    """Steps of all networks, on all threads; the losses before the last of them, [network].

    `report` is called from these threads, every tenth of a second of each.
    """
    number = len(crowd.networks)

    def one(part: slice) -> SingleArray:
        return trainer.train(crowd, rule, steps, ctx.check, part, report)

    if isinstance(trainer, Apart):
        with torch_on_one_thread():
            answers = list(ctx.map(one, trainer.pieces(number)))
    elif isinstance(trainer, Trainer):
        answers = list(ctx.map(one, [slice(k, min(k + BLOCK, number)) for k in range(0, number, BLOCK)]))
    else:
        answers = [one(slice(0, number))]
    losses = np.concatenate(answers)
    crowd.steps += steps
    return losses


def output_times(steps: int, number: int) -> NDArray[np.int64]:
    """Numbers of steps at which the losses are kept: early ones closer together, the last one `steps`."""
    grid = np.linspace(0.0, 1.0, number) ** 2 * steps
    return np.unique(np.maximum(1, np.round(grid)).astype(np.int64))


def train_through(
    trainer: Trains,
    crowd: Crowd,
    rule: Rule,
    times: NDArray[np.int64],
    ctx: Context,
    report: Report = unreported,
    keep: Callable[[], None] = lambda: None,
) -> Iterator[SingleArray]:
    """Train through the given times; yields the losses [network] before the step that ends at each.

    Between them training stops now and then for a checkpoint, which changes no number.

    Args:
        trainer: takes the steps.
        crowd: is changed.
        rule: the optimizer.
        times: ascending; those that are behind are left out.
        ctx: threads.
        report: as of `advance`.
        keep: keeps the crowd as it is, between two times; every KEPT_EVERY seconds, and less often where it takes long.
    """
    most = max(1, FIRST_STRETCH // max(1, crowd.networks.size))
    keeping = 0.0
    for end in times[times > crowd.steps]:
        while True:
            steps = min(most, int(end) - crowd.steps)
            began = time.monotonic()
            losses = advance(trainer, crowd, rule, steps, ctx, report)
            taken = max(time.monotonic() - began, 1e-6)
            if steps == most:
                wanted = max(KEPT_EVERY, MOST_OFTEN * keeping)
                most = max(1, int(steps * min(4.0, wanted / taken)))
            if crowd.steps == end:
                break
            began = time.monotonic()
            keep()
            keeping = time.monotonic() - began
        yield losses


def packed(crowd: Crowd, phase: int = 0) -> FloatArray:
    """A crowd and the number of what it is at, for a checkpoint: of it the same steps are made."""
    head = np.full((1, *crowd.networks.shape), np.nan)
    head[0, 0, :2] = crowd.steps, phase
    return np.concatenate([head, crowd.networks[None], crowd.state])


def unpacked(kept: FloatArray) -> tuple[Crowd, int]:
    """What `packed` made an array of."""
    crowd = Crowd(kept[1].astype(np.float32), kept[2:].astype(np.float32), int(kept[0, 0, 0]))
    return crowd, int(np.nan_to_num(kept[0, 0, 1]))
