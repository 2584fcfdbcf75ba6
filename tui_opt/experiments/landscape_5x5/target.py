"""target: the hand-built network or another target, its training set, and how many knots networks have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5 import seconds_of_training
from tui_opt.experiments.landscape_5x5.examined import count_error
from tui_opt.experiments.landscape_5x5.params import TargetParams
from tui_opt.experiments.landscape_5x5.target_figures import add_figures
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import advance, compiled, drawn, rule_of, trainer_for
from tui_opt.experiments.landscape_5x5.work import Part, Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.networks.knots import knots
from tui_opt.kernels.networks.lanes import Crowd
from tui_opt.kernels.networks.plain import loss, outputs
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]

SECONDS_OF_COUNTING = 4e-4
SECONDS_OF_A_LOSS = 5e-5
"""Of one network's knots and its loss, for progress."""
_NOT_SPLIT = "no part of a target that was not built is known to be of high frequency"


@dataclass(frozen=True)
class Counted:
    """Interior knots of networks.

    Args:
        kind: built, random, or trained.
        knots: [network].
        loss_median: of their mean squared errors.
    """

    kind: str
    knots: FloatArray
    loss_median: float


@linear_algebra_on_one_thread
def compute(params: TargetParams, ctx: Context) -> Result:
    """The target at once; then networks are drawn, counted, trained, and counted again."""
    task = Task.of(params, ctx.check)
    counted: list[Counted] = []
    if task.built is not None:
        counted.append(_count("built", task, task.built[None], ctx))
    ctx.partial(lambda: report(params, task, counted))
    if params.compared:
        counting = params.compared * (SECONDS_OF_COUNTING + SECONDS_OF_A_LOSS)
        training = seconds_of_training(params, float(params.compared * params.steps))
        work = Work(ctx, (2 if params.steps else 1) * counting + training)
        part = work.part(counting, "random networks")
        part.begin()
        networks = drawn(task.layout, params.init, 0, params.compared, ctx)
        counted.append(_count("random", task, networks, ctx, part))
        ctx.partial(lambda: report(params, task, counted))
        if params.steps:
            networks = _trained(params, task, networks, work, training, ctx)
            part = work.part(counting, "trained networks")
            part.begin()
            counted.append(_count("trained", task, networks, ctx, part))
        work.end()
    return report(params, task, counted)


def _trained(
    params: TargetParams, task: Task, networks: FloatArray, work: Work, seconds: float, ctx: Context
) -> FloatArray:
    trainer, rule = trainer_for(task, ctx, params.optimizer), rule_of(params)
    compiled(trainer, task, rule, work.say)
    crowd = Crowd.beginning(networks, params.optimizer)
    part, per_step = work.part(seconds, "training"), seconds / (params.compared * params.steps)
    part.begin()
    advance(trainer, crowd, rule, params.steps, ctx, lambda steps: part.add(steps * per_step))
    part.end()
    return crowd.networks.astype(np.float64)


def _count(kind: str, task: Task, networks: FloatArray, ctx: Context, part: Part | None = None) -> Counted:
    """Interior knots within the training set's interval; NaN for a network that is not finite."""
    low, high = float(task.x[0]), float(task.x[-1])
    numbers = np.full(len(networks), np.nan)
    for k, network in enumerate(networks):
        if k % 50 == 0:
            ctx.check()
        if np.all(np.isfinite(network)):
            numbers[k] = knots(task.layout, network, low, high, ctx.check).size - 2
        if part is not None:
            part.add(SECONDS_OF_COUNTING)
    losses = []
    for k in range(0, len(networks), 64):
        ctx.check()
        with np.errstate(over="ignore", invalid="ignore"):
            losses.append(loss(task.layout, networks[k : k + 64], task.x, task.y, ctx.check))
        if part is not None:
            part.add(len(losses[-1]) * SECONDS_OF_A_LOSS)
    return Counted(kind, numbers, float(np.median(np.concatenate(losses))))


def report(params: TargetParams, task: Task, counted: list[Counted]) -> Result:
    """Arrays, findings, and the table of knots; as far as things were counted."""
    result = Result()
    result.headline = ["parameters", "knots", "samples", "spline_mse"]
    result.add_array("x", task.x, ("x",), text="training points")
    result.add_array("y", task.y, ("x",), text="the target there")
    if params.is_built:
        result.add_array("knots", task.knots, ("knot",), text="where the target bends, with both ends")
    else:
        result.add_array(
            "knots", task.knots, ("knot",), text="ends of the training set; its target is not built of lines"
        )
    high = "the part of high frequency" if params.is_built else f"the target itself: {_NOT_SPLIT}"
    result.add_array("high_frequency", task.high, ("x",), text=high)
    result.add_finding(
        "parameters", task.layout.size, f"parameters of a {params.layers} × {params.width} network"
    )
    known = "knots of the target, with both ends" if params.is_built else "ends of the training set"
    result.add_finding("knots", task.knots.size, known)
    result.add_finding("samples", task.x.size, "training points")
    result.add_finding("y_min", task.y.min(), "least value of the target")
    result.add_finding("y_max", task.y.max(), "largest value of the target")
    result.add_finding("y_mean", task.y.mean(), "mean over the training points")
    result.add_finding(
        "y_variance",
        task.y.var(),
        "variance over the training points: the loss of the best constant, and of dead networks",
    )
    what = (
        "variance of the part of high frequency over the training points"
        if params.is_built
        else f"variance over the training points once more: {_NOT_SPLIT}"
    )
    result.add_finding("high_variance", task.high.var(), what)
    result.add_finding(
        "spline_mse",
        task.spline_error,
        f"least loss of a spline with {task.corners.size} knots: all but the high frequencies",
    )
    for text in task.warnings:
        result.warn(text)
    if task.built is not None:
        _add_built(result, task, task.built)
    elif params.is_built:
        raise AssertionError("a built target without its network passed the rules")
    _add_counted(result, counted)
    add_figures(result, task)
    return result


def _add_built(result: Result, task: Task, built: FloatArray) -> None:
    balanced = smallest(task.layout, built[None])[0]
    answers = outputs(task.layout, np.stack([built, balanced]), task.x)
    result.add_array(
        "weights", built, ("parameter",), text="the hand-built network, layer by layer: weights, then biases"
    )
    result.add_array(
        "weights_smallest", balanced, ("parameter",), text="the same function with the smallest norm"
    )
    result.add_finding("loss_built", np.square(answers[0] - task.y).mean(), "loss of the hand-built network")
    result.add_finding("norm_built", float(np.linalg.norm(built)), "its norm as it is written down")
    result.add_finding("norm_smallest", float(np.linalg.norm(balanced)), "the smallest norm of its scalings")
    result.add_finding(
        "scaling_error",
        np.abs(answers[1] - answers[0]).max(),
        "largest change of the output by that scaling",
        kind="accuracy",
    )


def _add_counted(result: Result, counted: list[Counted]) -> None:
    rows: list[tuple[str | int | float, ...]] = []
    most = int(max((np.nanmax(c.knots, initial=0.0) for c in counted), default=0.0))
    edges = np.arange(most + 2) - 0.5
    result.add_array("knots_edge", edges, ("knots_edge",), text="edges of the histograms of knots")
    for one in counted:
        known = one.knots[np.isfinite(one.knots)]
        row = np.quantile(known, [0.0, 0.5, 1.0]) if known.size else np.full(3, np.nan)
        flat = int(np.sum(known == 0))
        rows.append((one.kind, len(one.knots), *map(float, row), flat, one.loss_median))
        result.add_array(
            f"knots_{one.kind}",
            one.knots,
            (f"{one.kind}_network",),
            text=f"interior knots of {one.kind} networks",
        )
        counts, _ = np.histogram(known, bins=edges)
        result.add_array(
            f"knots_{one.kind}_counts", counts.astype(float), ("knots_cell",), text="networks with so many"
        )
        name = f"knots_{one.kind}_median"
        if one.kind == "built":
            result.add_finding(name, row[1], "interior knots of the hand-built network")
        else:
            result.add_finding(
                name,
                row[1],
                f"median of the interior knots of {one.kind} networks",
                stderr=count_error(known),
            )
    result.add_table(
        "knots", ("networks", "number", "least", "median", "most", "straight", "loss_median"), rows,
        title="Interior knots of networks: built, random, trained",
    )  # fmt: skip
