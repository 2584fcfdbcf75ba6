"""Minima: networks that are trained from random weights, or taken from a run of `train`, and then polished."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.landscape_5x5 import seconds_of_training
from tui_opt.experiments.landscape_5x5.minima_params import MinimaParams
from tui_opt.experiments.landscape_5x5.network_params import NetworkParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import (
    compiled,
    drawn,
    packed,
    rule_of,
    train_through,
    unpacked,
)
from tui_opt.experiments.landscape_5x5.work import Part, Work
from tui_opt.kernels.networks.lanes import Crowd, Rule
from tui_opt.kernels.networks.pieces import Trains
from tui_opt.kernels.networks.plain import loss
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.earlier import earlier_run

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

UNDER_WAY = "minima under way"


@dataclass(frozen=True)
class Minima:
    """Networks near minima.

    Args:
        networks: [network, parameter].
        numbers: which they are of those that were trained, [network].
        rule: how they were trained.
        run: the id of the run they are from; empty where they were trained here.
        lost: networks that diverged, and are left out.
        lower: the learning rates that may be too large.
    """

    networks: FloatArray
    numbers: IntArray
    rule: Rule
    run: str
    lost: int
    lower: str

    def describe(self, result: Result, dim: str) -> None:
        """Say in a result, whose arrays have this dim for them, which networks these are."""
        whose = f"the run {self.run}" if self.run else "those trained here"
        result.add_array(
            "minimum", self.numbers.astype(float), (dim,), text=f"number of the network among {whose}"
        )
        if self.lost:
            asked = self.lost + len(self.networks)
            are = "is" if self.lost == 1 else "are"
            text = f"{self.lost} of {asked} networks diverged and {are} left out. Lower {self.lower}."
            result.add_finding("diverged", self.lost, text, kind="warning")


def seconds_to_minima(params: Any) -> float:
    """What training and polishing take of a run's work."""
    return seconds_of_training(params, params.number * float(_steps_trained(params) + params.polish))


def _steps_trained(params: Any) -> int:
    return 0 if params.run else int(params.steps)


def found_minima(params: Any, task: Task, trainer: Trains, rule: Rule, ctx: Context, work: Work) -> Minima:
    """Polished networks that did not diverge, the same whatever threads there are.

    Args:
        params: with minima, of_run, taken, steps, init, polish and polish_rate.
        task: what is learnt.
        trainer: takes the steps.
        rule: how they are trained, where they are not taken from a run.
        ctx: gives the random weights, threads, earlier runs and progress.
        work: progress, of which training and polishing are `seconds_to_minima`.

    Raises:
        ExperimentError: all of them diverged, or the run cannot be used.
    """
    kept = ctx.checkpoint.get("minima")
    if params.run:
        numbers, begun, rule = _of_run(params, task, ctx)
    else:
        numbers, begun = np.arange(params.minima), None
    small = replace(rule, optimizer="momentum", rate=params.polish_rate, momentum=0.9)
    stages = (
        _Stage(0, "training", rule, _steps_trained(params)),
        _Stage(1, "polishing", small, params.polish),
    )
    if kept is None:
        compiled(trainer, task, rule, work.say)
        crowd, at = begun, 0
        under_way = ctx.checkpoint.get(UNDER_WAY)
        if under_way is not None:
            crowd, at = unpacked(under_way)
        if crowd is None:
            crowd = Crowd.beginning(drawn(task.layout, params.init, 0, params.minima, ctx), rule.optimizer)
        for stage in stages:
            if not stage.steps:
                continue
            if stage.number > at:
                crowd = Crowd.beginning(crowd.networks.astype(np.float64), stage.rule.optimizer)
            if stage.number >= at:
                stage.carry_out(params, trainer, crowd, work, ctx)
            else:
                stage.part(params, work).end()
        kept = crowd.networks.astype(np.float64)
        ctx.checkpoint.put("minima", kept)
        ctx.checkpoint.drop(UNDER_WAY)
    else:
        for stage in stages:
            if stage.steps:
                stage.part(params, work).end()
    with np.errstate(all="ignore"):
        losses = loss(task.layout, kept, task.x, task.y)
    sound = ~task.diverged(kept, losses)
    rates = [] if params.run else [f"learning_rate, now {rule.rate:g}"]
    rates += [f"polish_rate, now {params.polish_rate:g}"] if params.polish else []
    lower = " or ".join(rates) or "the learning_rate of the run"
    if not sound.any():
        who = "The only network" if len(kept) == 1 else f"All {len(kept)} networks"
        raise ExperimentError(f"{who} diverged in training. Lower {lower}.")
    lost = int(np.sum(~sound))
    return Minima(np.asarray(kept[sound]), numbers[sound], rule, params.run, lost, lower)


@dataclass(frozen=True)
class _Stage:
    """Steps with one rule.

    Args:
        number: of the stage.
        what: its name.
        rule: the optimizer.
        steps: how many.
    """

    number: int
    what: str
    rule: Rule
    steps: int

    def part(self, params: Any, work: Work) -> Part:
        """Its part of the run's work."""
        return work.part(seconds_of_training(params, params.number * float(self.steps)), self.what)

    def carry_out(self, params: Any, trainer: Trains, crowd: Crowd, work: Work, ctx: Context) -> None:
        """Take the steps that the crowd has not taken yet."""
        part, per_step = self.part(params, work), seconds_of_training(params, 1.0)
        part.begin(len(crowd.networks) * crowd.steps * per_step)

        def stepped(steps: int) -> None:
            part.add(steps * per_step)

        def keep() -> None:
            ctx.checkpoint.put(UNDER_WAY, packed(crowd, self.number))

        for _ in train_through(trainer, crowd, self.rule, np.array([self.steps]), ctx, stepped, keep):
            keep()
        part.end()


def _of_run(params: MinimaParams, task: Task, ctx: Context) -> tuple[IntArray, Crowd, Rule]:
    """Numbers, networks and rule of a run of `train` on the same task; those that diverged there are not taken."""
    run = earlier_run(params.run, ctx.runs, "landscape-5x5/train", ("x", "y", "loss", "networks"))
    _same_task(params, run.params, run.id, task, run.arrays["x"], run.arrays["y"])
    losses = run.arrays["loss"]
    order = np.argsort(losses, kind="stable") if params.taken == "best" else np.arange(losses.size)
    numbers = order[np.isfinite(losses[order])][: params.of_run]
    if not numbers.size:
        raise ExperimentError(
            f"Every network of the run {run.id} diverged. Train with a lower learning_rate."
        )
    networks = np.asarray(run.arrays["networks"][numbers], dtype=np.float64)
    return numbers, Crowd.beginning(networks, "momentum"), rule_of(run.params)


def _same_task(params: Any, theirs: Any, run: str, task: Task, x: FloatArray, y: FloatArray) -> None:
    """Networks of another layout or target are refused, with the parameters that differ.

    Raises:
        ExperimentError: they are.
    """
    differ = {name: getattr(theirs, name) for name in ("layers", "width")}
    differ = {name: value for name, value in differ.items() if value != getattr(params, name)}
    if not differ and np.array_equal(x, task.x) and np.array_equal(y, task.y):
        return
    if not differ:
        differ = {
            name: getattr(theirs, name)
            for name in NetworkParams.model_fields
            if getattr(theirs, name) != getattr(params, name)
        }
    what = ", ".join(f"{name} = {_said(value)}" for name, value in differ.items())
    if not what:
        raise ExperimentError(
            f"The run {run} learnt another training set, though its parameters are the same: the data file may have "
            "changed since. Train again."
        )
    raise ExperimentError(
        f"The run {run} is of other networks or another target: it has {what}. Set the same here, or give another run."
    )


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{entry:g}" for entry in value) + "]"
    return f"{value:g}" if isinstance(value, float) else repr(value)
