"""op-landscape: Op over two initial coordinates, a coarse map first and then every start."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from tui_opt.experiments.lorenz.course import lorenz_of
from tui_opt.experiments.lorenz.figures import add_histogram, map_figures
from tui_opt.experiments.lorenz.params import AXES, OpLandscapeParams, map_steps
from tui_opt.kernels.tangents import Question, compare, held_indices
from tui_opt.kernels.tangents.lorenz_lanes import TILE, LaneTangents, follow_lanes
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result
from tui_opt.runner.context import Context

PREVIEW = 128
"""Starts per axis of the map that is shown first."""
CHECKED = 64
"""Starts per axis at which half the step is tried."""
MIRRORED = 256
"""Starts that are compared with their mirror images."""
GPU_LANES = 1 << 20

Follower: TypeAlias = Callable[[Question], LaneTangents]


@dataclass
class Map:
    """What is known so far, [y, x]; between finished rows stand the values of the coarse map."""

    params: OpLandscapeParams
    x: FloatArray
    y: FloatArray
    op: FloatArray
    sign: FloatArray
    complete: bool = False
    step_error: float = math.nan
    symmetry_error: float = math.nan
    lock: threading.Lock = field(default_factory=threading.Lock)


def compute(params: OpLandscapeParams, ctx: Context) -> Result:
    """The coarse map, all rows, and two checks of accuracy."""
    n = params.points
    answer = Map(
        params, np.linspace(params.x_min, params.x_max, n), np.linspace(params.y_min, params.y_max, n),
        np.full((n, n), np.nan), np.full((n, n), np.nan),
    )  # fmt: skip
    follower = _follower(params, ctx)
    _preview(answer, follower, ctx)
    _rows(answer, follower, ctx)
    _check_accuracy(answer, follower)
    answer.complete = True
    return _result(answer)


def question_of(params: OpLandscapeParams, x: FloatArray, y: FloatArray) -> Question:
    """What is asked of starts x[n], y[n]."""
    starts = np.empty((3, x.size))
    starts[:] = np.array(params.initial)[:, None]
    starts[AXES.index(params.axis_x)] = x
    starts[AXES.index(params.axis_y)] = y
    return Question(
        starts,
        map_steps(params),
        AXES.index(params.perturbed),
        held_indices(AXES, params.held),
        held_until=math.inf if params.held_until is None else params.held_until,
        integrator=params.integrator,
        dt=params.dt,
        rule=params.hold,
    )


def _follower(params: OpLandscapeParams, ctx: Context) -> Follower:
    """Follows starts on the device of the run."""
    lorenz, measured = lorenz_of(params), AXES.index(params.measured)
    if ctx.device.startswith("cuda"):
        from tui_opt.kernels.tangents.lorenz_gpu import UnavailableError, follow_on

        refused: list[str] = []

        def on_gpu(question: Question) -> LaneTangents:
            if not refused:
                try:
                    return follow_on(ctx.device, lorenz, question, measured, ctx.check)
                except UnavailableError as error:
                    refused.append(str(error))
                    ctx.message(f"{error} The map is computed on the CPU.")
            return follow_lanes(lorenz, question, measured, ctx.check)

        return on_gpu
    return lambda question: follow_lanes(lorenz, question, measured, ctx.check)


def _op(params: OpLandscapeParams, follower: Follower, question: Question) -> tuple[FloatArray, FloatArray]:
    found = follower(question)
    m = AXES.index(params.measured)
    answer = compare(found.log_x[m], found.sign_x[m], found.log_y[m], found.sign_y[m])
    return answer.op, answer.sign


def _preview(answer: Map, follower: Follower, ctx: Context) -> None:
    """The coarse map: every so many starts, each value drawn in the place of its neighbours until they are there."""
    params, n = answer.params, answer.params.points
    stride = -(-n // PREVIEW)
    if stride == 1:
        return
    ctx.progress(0, 1, "coarse map")
    rows = np.minimum(np.arange(0, n, stride) + stride // 2, n - 1)
    bands = np.array_split(rows, max(1, min(8, ctx.threads)))
    asked = [
        question_of(params, np.tile(answer.x[rows], band.size), np.repeat(answer.y[band], rows.size))
        for band in bands
    ]
    parts = list(ctx.map(lambda question: _op(params, follower, question), asked))
    where = np.minimum(np.arange(n) // stride, rows.size - 1)
    for k, target in enumerate((answer.op, answer.sign)):
        coarse = np.concatenate([part[k] for part in parts]).reshape(rows.size, rows.size)
        target[:] = coarse[np.ix_(where, where)]
    ctx.partial(lambda: _result(answer))


def _rows(answer: Map, follower: Follower, ctx: Context) -> None:
    """Every start, in bands of rows."""
    params, n = answer.params, answer.params.points
    at_once = GPU_LANES if ctx.device.startswith("cuda") else TILE
    height = max(1, at_once // n)
    done = [0]

    def band(first: int) -> None:
        last = min(n, first + height)
        key = f"rows/{first}"
        kept = ctx.checkpoint.get(key)
        if kept is None or kept.shape != (2, last - first, n):
            question = question_of(
                params, np.tile(answer.x, last - first), np.repeat(answer.y[first:last], n)
            )
            kept = np.stack(_op(params, follower, question)).reshape(2, last - first, n)
            ctx.checkpoint.put(key, kept)
        with answer.lock:
            answer.op[first:last], answer.sign[first:last] = kept
            done[0] += last - first
            ctx.progress(done[0], n, "rows")
        ctx.partial(lambda: _result(answer))

    for _ in ctx.map(band, range(0, n, height)):
        pass


def _check_accuracy(answer: Map, follower: Follower) -> None:
    """Half the step at some starts, and the mirror images of some."""
    params = answer.params
    rows = np.unique(np.linspace(0, params.points - 1, min(params.points, CHECKED)).astype(np.int64))
    question = question_of(params, np.tile(answer.x[rows], rows.size), np.repeat(answer.y[rows], rows.size))
    finer, _ = _op(params, follower, replace(question, dt=0.5 * params.dt, steps=2 * question.steps))
    with np.errstate(invalid="ignore"):
        off = np.abs(finer - answer.op[np.ix_(rows, rows)].ravel())
    off = off[np.isfinite(off)]
    answer.step_error = float(np.median(off)) if off.size else math.nan
    some = question.initial[:, :: max(1, question.initial.shape[1] // MIRRORED)]
    ours, _ = _op(params, follower, replace(question, initial=some))
    mirrored, _ = _op(params, follower, replace(question, initial=some * [[-1.0], [-1.0], [1.0]]))
    both = np.isfinite(ours) & np.isfinite(mirrored)
    answer.symmetry_error = float(np.max(np.abs(ours[both] - mirrored[both]))) if both.any() else math.nan


def _result(answer: Map) -> Result:
    params = answer.params
    result = Result()
    dims = ("y", "x")
    result.add_array("x", answer.x, ("x",), text=f"{params.axis_x} at t = 0")
    result.add_array("y", answer.y, ("y",), text=f"{params.axis_y} at t = 0")
    time = map_steps(params) * params.dt
    result.add_array(
        "op", answer.op.copy(), dims, unit="nats", text=f"Op of {params.measured} at t = {time:g}"
    )
    result.add_array("sign", answer.sign.copy(), dims, text=f"sign of Comp of {params.measured}")
    map_figures(result, params.axis_x, params.axis_y, params.measured, time)
    if answer.complete:
        add_histogram(result, params.measured)
        _add_findings(result, answer)
    return result


def _add_findings(result: Result, answer: Map) -> None:
    params = answer.params
    op, sign = answer.op, answer.sign
    finite = op[np.isfinite(op)]
    starts = f"over the starts ({params.points} x {params.points})"
    if finite.size:
        result.add_finding("op_mean", float(finite.mean()), f"mean Op {starts}", unit="nats")
        result.add_finding("op_median", float(np.median(finite)), f"median Op {starts}", unit="nats")
        result.add_finding("op_min", float(finite.min()), f"least Op {starts}", unit="nats")
        result.add_finding("op_max", float(finite.max()), f"largest Op {starts}", unit="nats")
    else:
        why = _why_none(params, op)
        for name in ("op_mean", "op_median", "op_min", "op_max"):
            result.add_missing(name, why, unit="nats")
        result.warn(why)
    known = np.isfinite(sign) & (sign != 0)
    negative = float(np.mean(sign[known] < 0)) if known.any() else math.nan
    result.add_finding("negative_sign_fraction", negative, "share of the starts where Comp is negative")
    there = ~np.isnan(op)
    positive = float(np.mean(op[there] > 0)) if there.any() else math.nan
    result.add_finding(
        "positive_op_fraction", positive, "share of the starts where Op is positive: A compresses"
    )
    undefined = float(np.mean(~np.isfinite(op)))
    if undefined > 0:
        text = f"share of the starts where Op is no finite number: {undefined:.3g}"
        result.add_finding(
            "undefined_fraction", undefined, text, kind="warning" if finite.size else "finding"
        )
    else:
        result.add_finding("undefined_fraction", 0.0, "share of the starts where Op is no finite number")
    text = "median change of Op with half the step, at some of the starts"
    result.add_finding("step_error", answer.step_error, text, unit="nats", kind="accuracy")
    text = "largest difference of Op between a start and its mirror image (-a, -b, c), which has the same Op exactly"
    result.add_finding("symmetry_error", answer.symmetry_error, text, unit="nats", kind="accuracy")


def _why_none(params: OpLandscapeParams, op: FloatArray) -> str:
    if np.isnan(op).all():
        return (
            "Op is defined at no start: the trajectories leave the finite numbers (take a smaller dt), or the "
            "change never arrives."
        )
    held = params.measured in params.held and params.held_until is None
    if held:
        return (
            f"{params.measured} is measured and held, so nothing ever arrives there in Y: Comp is infinite."
        )
    return f"Nothing of a change of {params.perturbed} reaches {params.measured} where A is held: Comp is infinite."
