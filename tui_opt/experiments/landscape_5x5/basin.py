"""basin: noise on the built network, training from there, and how often it returns."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.landscape_5x5 import seconds_of_training
from tui_opt.experiments.landscape_5x5.basin_report import Stability, Trials, report
from tui_opt.experiments.landscape_5x5.costs import seconds_of_curvature, seconds_of_largest
from tui_opt.experiments.landscape_5x5.hessian import largest
from tui_opt.experiments.landscape_5x5.params import BasinParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import (
    BLOCK,
    advance,
    chunk_size,
    compiled,
    packed,
    rule_of,
    train_through,
    trainer_for,
    unpacked,
)
from tui_opt.experiments.landscape_5x5.work import Part, Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.networks.hessians import hessian
from tui_opt.kernels.networks.lanes import Crowd, Rule
from tui_opt.kernels.networks.pieces import Trains
from tui_opt.kernels.networks.plain import loss
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]

STEPS_AT_ONCE: Final = 1000
CHUNK: Final = 1024
NEARBY_TRIALS: Final = 32
POLISH_MOMENTUM: Final = 0.9


@linear_algebra_on_one_thread
def compute(params: BasinParams, ctx: Context) -> Result:
    """The stability limit, then chunks of trials."""
    task = Task.of(params, ctx.check)
    if task.built is None:
        raise ExperimentError("The built network has no room in these layers; make `width` larger.")
    centre = smallest(task.layout, task.built[None])[0]
    trainer, rule = trainer_for(task, ctx, params.optimizer), rule_of(params)
    adaptive = rule.optimizer not in ("gd", "momentum")
    each = params.steps + params.polish
    tries = 0.0 if adaptive else NEARBY_TRIALS * params.nearby_steps * seconds_of_training(params, 1.0)
    work = Work(
        ctx,
        seconds_of_training(params, float(params.trials) * each)
        + seconds_of_largest(*task.sizes)
        + seconds_of_curvature(*task.sizes)
        + len(params.factors) * tries,
    )
    compiled(trainer, task, rule, work.say)
    work.say("stability limit")
    stability = _stability(params, task, centre, trainer, rule, work, tries, ctx)
    noise = noises(params, task.layout.size, ctx)
    norms = np.linalg.norm(noise, axis=1)
    nothing = np.full(params.trials, np.nan)
    trials = Trials(norms, nothing.copy(), nothing.copy(), nothing.copy() if params.polish else np.empty(0))
    work.say("training")
    size = chunk_size(CHUNK, ctx.device)
    for first in range(0, params.trials, size):
        part = slice(first, min(first + size, params.trials))
        starts = (centre + noise[part]).astype(np.float32)
        kept = ctx.checkpoint.get(f"{first}")
        count = work.part(seconds_of_training(params, float(len(starts)) * each), "training")
        if kept is None:
            kept = _trained(params, task, trainer, rule, starts, first, count, trials, stability, ctx)
            ctx.checkpoint.put(f"{first}", kept)
            ctx.checkpoint.drop(f"{first}/")
        count.end()
        trials.loss[part], trials.moved[part] = kept[0], kept[1]
        if params.polish:
            trials.polished[part] = kept[2]
    work.end()
    return report(params, trials, stability, float(np.linalg.norm(centre)), task.layout.size)


def noises(params: BasinParams, size: int, ctx: Context) -> FloatArray:
    """Gaussian directions with norms uniform on (0, noise_max), [trial, parameter]; a stream for each block."""
    rows = []
    for block in range(-(-params.trials // BLOCK)):
        rng = ctx.rng("noise", block)
        direction = rng.standard_normal((BLOCK, size))
        norm = rng.uniform(0.0, params.noise_max, BLOCK)
        rows.append(direction * (norm / np.linalg.norm(direction, axis=1))[:, None])
    return np.concatenate(rows)[: params.trials]


def losses(task: Task, networks: NDArray[np.float32]) -> FloatArray:
    """In double precision, [network]; infinite where a network diverged."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.concatenate(
            [
                loss(task.layout, networks[k : k + 64].astype(np.float64), task.x, task.y)
                for k in range(0, len(networks), 64)
            ]
        )
    return np.where(task.diverged(networks, found), np.inf, found)


def _trained(
    params: BasinParams, task: Task, trainer: Trains, rule: Rule, starts: NDArray[np.float32], first: int, count: Part,
    trials: Trials, stability: Stability, ctx: Context,
) -> FloatArray:  # fmt: skip
    """Loss, way and, where asked for, polished loss of a chunk, [which, trial]."""
    crowd, phase = Crowd.beginning(starts.astype(np.float64), params.optimizer), 0
    under_way = ctx.checkpoint.get(f"{first}/under-way")
    if under_way is not None:
        crowd, phase = unpacked(under_way)
    part = slice(first, first + len(starts))
    per_step = seconds_of_training(params, 1.0)

    def stepped(steps: int) -> None:
        count.add(steps * per_step)

    def through(crowd: Crowd, rule: Rule, steps: int, phase: int, into: FloatArray) -> None:
        already = phase * params.steps
        count.begin(len(starts) * (already + crowd.steps) * per_step)
        times = np.unique(np.append(np.arange(STEPS_AT_ONCE, steps, STEPS_AT_ONCE), steps))

        def keep() -> None:
            ctx.checkpoint.put(f"{first}/under-way", packed(crowd, phase))

        for _ in train_through(trainer, crowd, rule, times, ctx, stepped, keep):
            into[part] = losses(task, crowd.networks)
            ctx.partial(lambda: report(params, trials, stability, np.nan, task.layout.size))
            keep()

    trained = ctx.checkpoint.get(f"{first}/trained")
    if trained is None or not phase:
        through(crowd, rule, params.steps, 0, trials.loss)
        with np.errstate(over="ignore", invalid="ignore"):
            trained = np.stack(
                [losses(task, crowd.networks), np.linalg.norm(crowd.networks - starts, axis=1)]
            )
        if not params.polish:
            return trained
        ctx.checkpoint.put(f"{first}/trained", trained)
        crowd = Crowd.beginning(crowd.networks.astype(np.float64), "momentum")
    trials.loss[part] = trained[0]
    slow = Rule("momentum", params.polish_rate, POLISH_MOMENTUM)
    through(crowd, slow, params.polish, 1, trials.polished)
    return np.concatenate([trained, losses(task, crowd.networks)[None]])


def _stability(
    params: BasinParams, task: Task, centre: FloatArray, trainer: Trains, rule: Rule, work: Work, tries: float,
    ctx: Context,
) -> Stability:  # fmt: skip
    """Heavy ball: a mode of curvature c is stable for rates below 2 (1 + momentum) / c (Polyak 1964)."""
    # The network is at kinks, and there rounding would decide what a Hessian is: a direction does.
    curvature, _ = largest(task, centre, work, ctx)
    matrix = hessian(task.layout, centre, task.x, task.y, check=ctx.check)
    ctx.check()
    off = float(np.linalg.eigvalsh(matrix)[-1])
    work.part(seconds_of_curvature(*task.sizes)).end()
    if rule.optimizer not in ("gd", "momentum") or not curvature > 0:
        return Stability(curvature, off, float("nan"), [])
    limit = 2.0 * (1.0 + (rule.momentum if rule.optimizer == "momentum" else 0.0)) / curvature
    direction = ctx.rng("nearby").standard_normal((NEARBY_TRIALS, task.layout.size))
    direction *= params.nearby / np.linalg.norm(direction, axis=1, keepdims=True)
    tried = []
    for factor in params.factors:
        crowd = Crowd.beginning(centre + direction, rule.optimizer)
        at = Rule(rule.optimizer, factor * limit, rule.momentum)
        part = work.part(tries)

        def stepped(steps: int, part: Part = part) -> None:
            part.add(steps * seconds_of_training(params, 1.0))

        advance(trainer, crowd, at, params.nearby_steps, ctx, stepped)
        part.end()
        ends = losses(task, crowd.networks)
        tried.append((factor, factor * limit, float(np.median(ends)), float(ends.max())))
    return Stability(curvature, off, limit, tried)
