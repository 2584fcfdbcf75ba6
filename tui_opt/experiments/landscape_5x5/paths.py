"""paths: the loss along paths from the built network to minima, how far to trust it, and how wide the basin is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5 import seconds_of_training
from tui_opt.experiments.landscape_5x5.minima import Minima, found_minima, seconds_to_minima
from tui_opt.experiments.landscape_5x5.minima_params import PathsParams
from tui_opt.experiments.landscape_5x5.optimizer_params import USUAL_RATES
from tui_opt.experiments.landscape_5x5.paths_report import Found, report
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import trainer_for
from tui_opt.experiments.landscape_5x5.work import Part, Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.networks.certificate import certify
from tui_opt.kernels.networks.lane_source import LANES
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
SECONDS_OF_A_STEP: Final = 6e-5
SECONDS_OF_A_SEGMENT: Final = 1.5e-3
SECONDS_OF_A_MATCH: Final = 3.5e-4
"""A step of paths besides its gradients, the certificate of one segment, and one start of matching a network."""


@dataclass(frozen=True)
class Ends:
    """Where paths lead: the built network, and minima in an order of nodes that suits it, [network, parameter]."""

    built: FloatArray
    minima: FloatArray


@linear_algebra_on_one_thread
def compute(params: PathsParams, ctx: Context) -> Result:
    """Minima, their order, paths in groups on all threads, and a certificate of each."""
    task = Task.of(params, ctx.check)
    trainer = trainer_for(task, ctx)
    assert isinstance(trainer, Trainer), "wider layers passed the rules"
    rate = USUAL_RATES["momentum"] if params.learning_rate == "auto" else float(params.learning_rate)
    sizes = Sizes.of(params, trainer)
    matching = params.number * RESTARTS * SECONDS_OF_A_MATCH if params.align == "matched" else 0.0
    groups_at_most = -(-params.number // GROUP)
    work = Work(
        ctx, seconds_to_minima(params) + matching + groups_at_most * sizes.moving + params.number * sizes.certifying
    )  # fmt: skip
    found = found_minima(params, task, trainer, Rule("momentum", rate, params.momentum), ctx, work)
    ends = _aligned(params, task, found.networks, work.part(matching, "nodes matched"), ctx)
    groups = [np.arange(k, min(k + GROUP, len(ends.minima))) for k in range(0, len(ends.minima), GROUP)]
    # Compiling is not for several threads at once.
    with announced_compilation(work.say):
        certify(task.layout, np.stack([ends.built, ends.built]), task.x, task.y)
    work.say("paths")

    def of(number: int) -> list[Found]:
        return _group(params, task, trainer, ends, groups[number], number, sizes, work, ctx)

    done: list[Found] = []
    for answers in ctx.map(of, range(len(groups))):
        done += answers
        if len(done) < len(ends.minima):
            ctx.partial(partial(_reported, params, task, list(done), found))
    work.end()
    return _reported(params, task, done, found)


def _reported(params: PathsParams, task: Task, done: list[Found], minima: Minima) -> Result:
    result = report(params, task, done)
    if len(done) == len(minima.networks):
        minima.describe(result, "path")
    return result


@dataclass(frozen=True)
class Sizes:
    """What paths take of a run's work, in seconds of one core.

    Args:
        pull: a step of pulling a group's ends.
        steps: a step of moving a group's paths, by number of images.
        moving: a group, all its starts.
        certifying: a path, all its starts.
    """

    pull: float
    steps: dict[int, float]
    moving: float
    certifying: float

    @classmethod
    def of(cls, params: PathsParams, trainer: Trainer) -> Sizes:
        """For these parameters; a group that is not full takes less."""
        a_step = seconds_of_training(params, float(LANES))

        def step(networks: int) -> float:
            return SECONDS_OF_A_STEP + -(-networks // LANES) * a_step

        if params.method != "minimax":
            each = step(GROUP * params.images)
            certifying = (params.images - 1) * SECONDS_OF_A_SEGMENT
            return cls(0.0, {params.images: each}, params.iterations * each, certifying)
        pull, stages = step(GROUP), _stages(params)
        steps = {stage.pivots: step(GROUP * (stage.pivots - 1)) for stage in stages}
        start = PULL_STEPS * (PULL_ROUNDS - 1) * pull + sum(
            stage.steps * steps[stage.pivots] for stage in stages
        )
        certifying = params.starts * (2 * params.images - 1) * SECONDS_OF_A_SEGMENT
        return cls(pull, steps, params.starts * start, certifying)


def _stages(params: PathsParams) -> tuple[Stage, ...]:
    return tuple(
        Stage(params.images * (1 if i < 2 else 2), max(1, round(share * params.iterations)), power, rate)
        for i, (share, power, rate) in enumerate(SHARES)
    )


def _aligned(params: PathsParams, task: Task, networks: FloatArray, part: Part, ctx: Context) -> Ends:
    assert task.built is not None
    built, minima = task.built[None], networks
    if params.representative == "smallest":
        built, minima = smallest(task.layout, built), smallest(task.layout, minima)
    if params.align == "sorted":
        built, minima = sorted_nodes(task.layout, built), sorted_nodes(task.layout, minima)
    elif params.align == "matched":
        part.begin()
        each = len(minima) * SECONDS_OF_A_MATCH
        rng = ctx.rng("matching")
        minima = matched_nodes(
            task.layout, minima, built[0], rng, RESTARTS, ctx.check, lambda: part.add(each)
        )
        part.end()
    return Ends(built[0], minima)


def _group(
    params: PathsParams,
    task: Task,
    trainer: Trainer,
    ends: Ends,
    members: NDArray[np.int64],
    number: int,
    sizes: Sizes,
    work: Work,
    ctx: Context,
) -> list[Found]:
    """Paths of some minima with their certificates; of two starts the lower one."""
    kept = ctx.checkpoint.get(f"group {number}")
    minima = ends.minima[members].astype(np.float32)
    built = np.broadcast_to(ends.built.astype(np.float32), minima.shape).copy()
    moving = work.part(sizes.moving, "paths")
    if kept is None:
        kept = _moved(params, trainer, built, minima, number, sizes, moving, ctx).astype(np.float64)
        ctx.checkpoint.put(f"group {number}", kept)
    moving.end()
    certifying = work.part(len(members) * sizes.certifying, "paths")

    def segment() -> None:
        ctx.check()
        certifying.add(SECONDS_OF_A_SEGMENT)

    answers = []
    for candidates in np.swapaxes(kept, 0, 1):  # [start, image, parameter] of one minimum
        certificates = [certify(task.layout, path, task.x, task.y, check=segment) for path in candidates]
        best = int(np.argmin([c.bound for c in certificates]))
        other = certificates[1 - best].bound if len(certificates) > 1 else float("nan")
        answers.append(Found.of(params.fine, task, candidates[best], certificates[best], other))
    certifying.end()
    return answers


def _moved(
    params: PathsParams,
    trainer: Trainer,
    built: SingleArray,
    minima: SingleArray,
    number: int,
    sizes: Sizes,
    part: Part,
    ctx: Context,
) -> SingleArray:
    """Paths from the built network to the minima, [start, path, image, parameter]."""
    slope = trainer.loss_and_gradient
    if params.method != "minimax":
        begun = straight(built, minima, params.images)
        move = string if params.method == "string" else nudged_elastic_band
        each = sizes.steps[params.images]
        return move(begun, slope, params.iterations, check=ctx.check, report=lambda images: part.add(each))[
            None
        ]
    pull = partial(
        pulled,
        slope=slope,
        rounds=PULL_ROUNDS,
        steps=PULL_STEPS,
        check=ctx.check,
        report=lambda: part.add(sizes.pull),
    )
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
                    stages=_stages(params),
                    check=ctx.check,
                    report=lambda pivots: part.add(sizes.steps[pivots]),
                ),
                2 * params.images,
            )
            for start, paths in enumerate(starts)
        ]
    )
