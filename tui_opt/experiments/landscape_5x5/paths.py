"""paths: the loss along paths from the built network to minima, how far to trust it, and how wide the basin is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.landscape_5x5.minima import Minima, found_minima, steps_to_minima
from tui_opt.experiments.landscape_5x5.minima_params import PathsParams
from tui_opt.experiments.landscape_5x5.optimizer_params import USUAL_RATES
from tui_opt.experiments.landscape_5x5.paths_report import Found, report
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import trainer_for
from tui_opt.kernels.networks.certificate import certify
from tui_opt.kernels.networks.lanes import Rule, Trainer
from tui_opt.kernels.networks.matching import matched_nodes, sorted_nodes
from tui_opt.kernels.networks.paths import (
    SingleArray,
    Stage,
    minimax,
    nudged_elastic_band,
    pulled,
    spread,
    straight,
    string,
)
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.machine import announced_compilation

FloatArray: TypeAlias = NDArray[np.float64]

GROUP: Final = 4
"""Paths that are moved together, with a stream of random places of their own."""
RESTARTS: Final = 20
SHARES: Final = ((0.4, 16.0, 3e-3), (0.6, 64.0, 1e-3), (0.6, 64.0, 1e-3), (0.4, 200.0, 3e-4))
"""Of the iterations, power and learning rate of each stage of minimax; from the third on with twice the images."""
PULL_ROUNDS: Final = 200
PULL_STEPS: Final = 100
WORK_OF_PULLING: Final = 0.3
"""Of a start of minimax, for progress."""


@dataclass(frozen=True)
class Ends:
    """Where paths lead: the built network, and minima in an order of nodes that suits it, [network, parameter]."""

    built: FloatArray
    minima: FloatArray


def compute(params: PathsParams, ctx: Context) -> Result:
    """Minima, their order, paths in groups on all threads, and a certificate of each."""
    task = Task.of(params)
    trainer = trainer_for(task, ctx)
    if not isinstance(trainer, Trainer):
        raise ExperimentError(
            f"Paths are computed for layers of up to 16 nodes, not {params.width}. Lower width."
        )
    rate = USUAL_RATES["momentum"] if params.learning_rate == "auto" else float(params.learning_rate)
    training = float(max(1, steps_to_minima(params)))
    total = 2.0 * training
    found = found_minima(params, task, trainer, Rule("momentum", rate, params.momentum), ctx, total)
    ends = _aligned(params, task, found.networks, ctx)
    groups = [np.arange(k, min(k + GROUP, len(ends.minima))) for k in range(0, len(ends.minima), GROUP)]
    # Compiling is not for several threads at once.
    with announced_compilation(partial(ctx.progress, training, total)):
        certify(task.layout, np.stack([ends.built, ends.built]), task.x, task.y)
    ctx.progress(training, total, "paths")
    steps = 2 * params.iterations if params.method == "minimax" else params.iterations
    work = Work(
        ctx, training, total, steps * len(groups) * (params.starts if params.method == "minimax" else 1)
    )

    def of(number: int) -> list[Found]:
        return _group(params, task, trainer, ends, groups[number], number, work, ctx)

    done: list[Found] = []
    for answers in ctx.map(of, range(len(groups))):
        done += answers
        if len(done) < len(ends.minima):
            ctx.partial(partial(_reported, params, task, list(done), found))
    return _reported(params, task, done, found)


def _reported(params: PathsParams, task: Task, done: list[Found], minima: Minima) -> Result:
    result = report(params, task, done)
    if len(done) == len(minima.networks):
        minima.describe(result, "path")
    return result


@dataclass
class Work:
    """Counts steps of paths, from all threads, for progress."""

    ctx: Context
    before: float
    total: float
    steps: float
    done: float = 0.0

    def report(self, steps: float) -> None:
        """So many steps more were taken by one group."""
        self.done += steps
        share = min(1.0, self.done / max(self.steps, 1.0))
        self.ctx.progress(self.before + share * (self.total - self.before), self.total, "paths")


def _aligned(params: PathsParams, task: Task, networks: FloatArray, ctx: Context) -> Ends:
    assert task.built is not None
    built, minima = task.built[None], networks
    if params.representative == "smallest":
        built, minima = smallest(task.layout, built), smallest(task.layout, minima)
    if params.align == "sorted":
        built, minima = sorted_nodes(task.layout, built), sorted_nodes(task.layout, minima)
    elif params.align == "matched":
        minima = matched_nodes(task.layout, minima, built[0], ctx.rng("matching"), RESTARTS)
    return Ends(built[0], minima)


def _group(
    params: PathsParams,
    task: Task,
    trainer: Trainer,
    ends: Ends,
    members: NDArray[np.int64],
    number: int,
    work: Work,
    ctx: Context,
) -> list[Found]:
    """Paths of some minima with their certificates; of two starts the lower one."""
    kept = ctx.checkpoint.get(f"group {number}")
    minima = ends.minima[members].astype(np.float32)
    built = np.broadcast_to(ends.built.astype(np.float32), minima.shape).copy()
    if kept is None:
        kept = _moved(params, trainer, built, minima, number, work, ctx).astype(np.float64)
        ctx.checkpoint.put(f"group {number}", kept)
    answers = []
    for candidates in np.swapaxes(kept, 0, 1):  # [start, image, parameter] of one minimum
        certificates = [certify(task.layout, path, task.x, task.y, check=ctx.check) for path in candidates]
        best = int(np.argmin([c.bound for c in certificates]))
        other = certificates[1 - best].bound if len(certificates) > 1 else float("nan")
        answers.append(Found.of(params.fine, task, candidates[best], certificates[best], other))
    return answers


def _moved(
    params: PathsParams,
    trainer: Trainer,
    built: SingleArray,
    minima: SingleArray,
    number: int,
    work: Work,
    ctx: Context,
) -> SingleArray:
    """Paths from the built network to the minima, [start, path, image, parameter]."""
    slope = trainer.loss_and_gradient
    if params.method != "minimax":
        begun = straight(built, minima, params.images)
        move = string if params.method == "string" else nudged_elastic_band
        return move(begun, slope, params.iterations, check=ctx.check, report=work.report)[None]
    stages = tuple(
        Stage(params.images * (1 if i < 2 else 2), max(1, round(share * params.iterations)), power, rate)
        for i, (share, power, rate) in enumerate(SHARES)
    )
    pull = partial(pulled, slope=slope, rounds=PULL_ROUNDS, steps=PULL_STEPS, check=ctx.check)
    starts = [pull(minima, built)[:, ::-1]]
    if params.starts > 1:
        starts.append(pull(built, minima))
    return np.stack(
        [
            spread(
                minimax(
                    np.ascontiguousarray(paths),
                    slope,
                    ctx.rng(f"places {start}", number),
                    stages=stages,
                    check=ctx.check,
                    report=work.report,
                ),
                2 * params.images,
            )
            for start, paths in enumerate(starts)
        ]
    )
