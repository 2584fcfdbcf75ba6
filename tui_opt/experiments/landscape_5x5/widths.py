"""widths: networks of several sizes trained on the same target; how near they come, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5 import seconds_of_kind
from tui_opt.experiments.landscape_5x5.examined import quantiles
from tui_opt.experiments.landscape_5x5.params import WidthsParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import (
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
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule
from tui_opt.kernels.networks.lanes import Crowd
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss, outputs
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]

COLUMNS = (
    "layers", "width", "parameters", "dead", "loss_best", "loss_median", "least_best", "least_median", "seconds",
    "model_steps_per_second",
)  # fmt: skip


SECONDS_OF_A_LOOK = 1e-4
"""At a trained network, for progress; each is looked at twice."""


@dataclass
class Kind:
    """Networks of one size.

    Args:
        layout: their shape.
        losses: [time, network]; NaN where not computed yet.
        last: [network], in double precision at the end; infinite where a network diverged.
        dead: [network], the output is constant.
        best: output of the best, [sample].
        seconds: of training, without compiling.
    """

    layout: Layout
    losses: FloatArray
    last: FloatArray
    dead: NDArray[np.bool_]
    best: FloatArray
    seconds: float = 0.0

    @property
    def least(self) -> FloatArray:
        """The least loss so far, that at the end included, [time, network]; NaN counts as none."""
        least = np.fmin.accumulate(self.losses, axis=0)
        least[-1] = np.fmin(least[-1], self.last)
        return np.asarray(least)


@linear_algebra_on_one_thread
def compute(params: WidthsParams, ctx: Context) -> Result:
    """One kind after the other."""
    task = Task.of(params, ctx.check)
    times = output_times(params.steps, params.outputs)
    seconds = [seconds_of_kind(params, *kind) for kind in params.kinds]
    looking = 2 * params.models * SECONDS_OF_A_LOOK
    work = Work(ctx, sum(seconds) + len(seconds) * looking)
    done: list[Kind] = []
    for number, (layers, width) in enumerate(params.kinds):
        own = replace(task, layout=Layout(layers, width), built=None)
        done.append(_empty(own, times, params.models))
        part = work.part(seconds[number], "training")
        crowd = _trained(
            params, own, times, done[-1], number, work, part, ctx, lambda: report(task, times, done)
        )
        part.end()
        _look_at(own, crowd.networks.astype(np.float64), done[-1], work, ctx)
    work.end()
    return report(task, times, done)


def _empty(task: Task, times: NDArray[np.int64], models: int) -> Kind:
    return Kind(
        task.layout,
        np.full((times.size, models), np.nan),
        np.full(models, np.nan),
        np.zeros(models, dtype=bool),
        np.full(task.x.size, np.nan),
    )


def _look_at(task: Task, networks: FloatArray, kind: Kind, work: Work, ctx: Context) -> None:
    """Losses of trained networks, the output of the best, and which are dead."""
    look = work.part(2 * len(networks) * SECONDS_OF_A_LOOK, "losses")
    look.begin()

    def looked_at(number: int) -> None:
        ctx.check()
        look.add(number * SECONDS_OF_A_LOOK)

    lasts = []
    for k in range(0, len(networks), 16):
        with np.errstate(over="ignore", invalid="ignore"):
            lasts.append(loss(task.layout, networks[k : k + 16], task.x, task.y))
        looked_at(len(lasts[-1]))
    last = np.concatenate(lasts)
    kind.last = np.where(task.diverged(networks, last), np.inf, last)
    kind.best = outputs(task.layout, networks[np.argmin(kind.last)], task.x)
    for k, network in enumerate(networks):
        if np.isfinite(kind.last[k]):
            answers = outputs(task.layout, network, task.x)
            kind.dead[k] = np.ptp(answers) <= 1e-12 * max(1.0, float(np.abs(answers).max()))
        looked_at(1)
    look.end()


def _trained(
    params: WidthsParams,
    task: Task,
    times: NDArray[np.int64],
    kind: Kind,
    number: int,
    work: Work,
    part: Part,
    ctx: Context,
    so_far: Callable[[], Result],
) -> Crowd:
    """Networks of a kind, of which a run that was stopped finds the finished ones, and those that it was at."""
    key = f"{number}/"
    crowd = Crowd.beginning(drawn(task.layout, params.init, 0, params.models, ctx), params.optimizer)
    kept, losses, seconds = (ctx.checkpoint.get(key + name) for name in ("networks", "losses", "seconds"))
    before = 0.0
    if kept is not None and losses is not None and seconds is not None:
        crowd, _ = unpacked(kept)
        kind.losses[: len(losses)] = losses
        kind.seconds = before = float(seconds[0])
        if crowd.steps == params.steps:
            return crowd
    trainer, rule = trainer_for(task, ctx, params.optimizer), rule_of(params)
    compiled(trainer, task, rule, work.say)
    per_step = seconds_of_kind(params, task.layout.layers, task.layout.width) / (params.models * params.steps)
    part.begin(len(crowd.networks) * crowd.steps * per_step)
    at = int(np.searchsorted(times, crowd.steps, side="right"))
    began = time.perf_counter()

    def stepped(steps: int) -> None:
        part.add(steps * per_step)

    def keep() -> None:
        kind.seconds = before + time.perf_counter() - began
        ctx.checkpoint.put(key + "seconds", np.array([kind.seconds]))
        # Losses before the networks: those after their steps are found again, those before would be missing.
        ctx.checkpoint.put(key + "losses", kind.losses[:at].copy())
        ctx.checkpoint.put(key + "networks", packed(crowd))

    for row in train_through(trainer, crowd, rule, times, ctx, stepped, keep):
        kind.losses[at] = row
        at += 1
        keep()
        ctx.partial(so_far)
    return crowd


def report(task: Task, times: NDArray[np.int64], kinds: list[Kind]) -> Result:
    """The table, losses over time by kind, and the best fit of each."""
    result = Result()
    result.add_array("x", task.x, ("x",), text="training points")
    result.add_array("y", task.y, ("x",), text="the target there")
    result.add_array("t", times.astype(np.float64), ("t",), text="steps")
    result.add_array(
        "width",
        np.array([kind.layout.width for kind in kinds], dtype=float),
        ("kind",),
        text="nodes of a layer",
    )
    least = [kind.least for kind in kinds]
    result.add_array(
        "loss", np.stack([kind.last for kind in kinds]), ("kind", "model"), text="loss at the end"
    )
    result.add_array("least", np.stack(least), ("kind", "t", "model"), text="least loss so far")
    half = np.array([0.5])
    medians = np.array([[_median(row, half) for row in one] for one in least])
    with np.errstate(all="ignore"):
        lowest = np.array(
            [[np.nan if np.isnan(row).all() else np.nanmin(row) for row in one] for one in least]
        )
    result.add_array("least_median", medians, ("kind", "t"), text="median of the least losses so far")
    result.add_array("least_best", lowest, ("kind", "t"), text="the best of them")
    result.add_array(
        "output_best",
        np.stack([kind.best for kind in kinds]),
        ("kind", "x"),
        text="output of the best network",
    )
    rows = []
    for kind, middle, best in zip(kinds, medians, lowest, strict=True):
        layout, models = kind.layout, kind.last.size
        speed = models * float(times[-1]) / kind.seconds if kind.seconds else np.nan
        dead = float(kind.dead.mean())
        rows.append(
            (
                layout.layers, layout.width, layout.size, dead, float(kind.last.min()), float(np.median(kind.last)),
                float(best[-1]), float(middle[-1]), kind.seconds, speed,
            )
        )  # fmt: skip
        name = f"{layout.layers}x{layout.width}"
        result.add_finding(f"loss_best_{name}", rows[-1][4], f"least loss of {name} networks at the end")
        result.add_finding(f"loss_median_{name}", rows[-1][5], "their median at the end")
        result.add_finding(f"least_median_{name}", rows[-1][7], "median of the least losses on their way")
        result.add_finding(f"seconds_{name}", kind.seconds, "time of their training", unit="s")
    result.add_table("widths", COLUMNS, rows, title="Networks of several sizes on the same target")
    for text in task.warnings:
        result.warn(text)
    _add_figures(result, task, kinds)
    return result


def _median(row: FloatArray, half: FloatArray) -> float:
    known = row[~np.isnan(row)]
    return float(quantiles(known, half)[0])


def _add_figures(result: Result, task: Task, kinds: list[Kind]) -> None:
    names = [f"{kind.layout.layers} × {kind.layout.width}" for kind in kinds]
    lines: list[Layer] = []
    for k, name in enumerate(names):
        for array, what in (("least_median", "median"), ("least_best", "best")):
            lines.append(Line(x=Ref(array="t"), y=Ref(array=array, index=(k,)), label=f"{name}, {what}"))
    lines.append(Rule(axis="y", value=task.spline_error, label="spline"))
    result.add_figure(
        Figure(
            name="losses", title="Least loss so far", x=Axis(label="steps", scale="log"),
            y=Axis(label="loss", scale="log"), layers=tuple(lines),
        )
    )  # fmt: skip
    best = tuple(
        Line(x=Ref(array="x"), y=Ref(array="output_best", index=(k,)), label=name)
        for k, name in enumerate(names)
    )
    target = Line(x=Ref(array="x"), y=Ref(array="y"), label="target")
    result.add_figure(
        Figure(
            name="best", title="The best fits", x=Axis(label="x"), y=Axis(label="y"), layers=(target, *best)
        )
    )
