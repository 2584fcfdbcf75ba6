"""plane: the density of two parameters over time, against Monte Carlo, and the circulation of where it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.params import PlaneParams, per_axis
from tui_opt.experiments.probability_current.plane_motion import Motion, relative_changes
from tui_opt.experiments.probability_current.plane_result import Answer, Walked, result_of
from tui_opt.experiments.probability_current.plane_system import PlaneSystem
from tui_opt.kernels.ensembles import Record, joined, statistics
from tui_opt.kernels.laws import TruncatedNormal
from tui_opt.kernels.plane import (
    LEAST_CELLS,
    PlaneOperator,
    PlaneState,
    advance,
    mean_and_covariance,
    normal_state,
    plane_operator,
    sgd_maps,
)
from tui_opt.kernels.plane_box import automatic_box
from tui_opt.kernels.plane_moving import Ends
from tui_opt.kernels.plane_settling import settled_law
from tui_opt.kernels.plane_walkers import follow_pairs
from tui_opt.kernels.walkers import BLOCK
from tui_opt.result import Result
from tui_opt.runner.context import Context

SETTLED_CELLS = 128
"""Most cells per axis of the law it settles to: cells carry their moments, so more would change nothing."""
SETTLING_STEPS = 5000
GROUP = 128 * BLOCK
"""Walkers that are followed together."""
HISTOGRAM_CELLS = 120
STIFFNESS_PLACES = 512
"""Places per axis at which curvatures are looked at."""
GRID_CHANGES = (1e-3, 1e-2)
"""Cells are divided by two per axis, and by four, where that many changed a mean or a standard deviation by more
standard deviations."""
MOST_FINER_CELLS = 1024
MOST_FINER_WORK = 5e8
"""Cells, times steps and datapoints, up to which they are divided."""
FEW_STEPS = 8
STAGES = 7

Mover: TypeAlias = Callable[[PlaneOperator, PlaneState, int], None]
"""Advances a law by so many steps, in place."""


def compute(params: PlaneParams, ctx: Context) -> Result:
    """The law on cells, walkers beside it, and what the law settles to."""
    ctx.progress(0, STAGES, "finding the box")
    answer = _asked(params, ctx)
    move = _mover(ctx)
    answer.motion.keep(answer.times.size)
    _follow(answer, answer.motion, move, ctx, 0)
    coarse = Motion(answer.box, _half_as_many(answer))
    _follow(answer, coarse, move, ctx, 1)
    answer.coarse = [coarse]
    for number, change in enumerate(GRID_CHANGES):
        if not _worth_finer_cells(answer, change):
            break
        finer = Motion(answer.box, params.cells, parts=2 * answer.motion.parts)
        finer.keep(answer.times.size)
        _follow(answer, finer, move, ctx, 2 + number)
        answer.motion, answer.coarse = finer, [answer.motion]
        answer.coarse[0].density = finer.density[:0]
    if answer.system.jumps and answer.motion.parts > 1:
        apart = Motion(answer.box, _half_as_many(answer))
        _follow(answer, apart, move, ctx, 4)
        answer.coarse.append(apart)
    if params.walkers:
        _walk(answer, ctx, 5)
    ctx.progress(6, STAGES, "stationary law")
    answer.settled = settled_law(
        answer.maps, answer.mean, answer.sd, _ends(params), min(params.cells, SETTLED_CELLS), SETTLING_STEPS,
        ctx.threads, ctx.check,
    )  # fmt: skip
    return result_of(answer, ctx.check)


def _half_as_many(answer: Answer) -> int:
    """Cells per axis, half as many as the law is followed on, about.

    A gradient that jumps does so at the border of cells that is nearest, which cells of exactly twice the size may
    share. With one more of them hardly any borders are shared.
    """
    half = max(LEAST_CELLS, answer.motion.cells * answer.motion.parts // 2)
    return half + 1 if answer.system.jumps else half


def _worth_finer_cells(answer: Answer, allowed: float) -> bool:
    """Whether the cells change mean or spread by more than is allowed, and finer ones can be afforded."""
    cells = 2 * answer.params.cells * answer.motion.parts
    work = float(cells) ** 2 * answer.params.steps * answer.system.terms
    affordable = cells <= MOST_FINER_CELLS and work <= MOST_FINER_WORK
    return affordable and max(relative_changes(answer.motion, answer.coarse)) > allowed


def _asked(params: PlaneParams, ctx: Context) -> Answer:
    """Box and output times of the question."""
    system = PlaneSystem.from_texts(params.losses)
    maps = sgd_maps(system.gradients, params.temperature)
    mean, sd = per_axis(params.initial_mean), per_axis(params.initial_sd)
    try:
        box = automatic_box(maps, mean, sd, params.steps, _ends(params), check=ctx.check).box
    except ValueError as error:
        raise ExperimentError(
            f"{error} Set both ends of each axis (w1_min, w1_max, w2_min, w2_max), or leave them on auto."
        ) from None
    times = np.unique(np.append(np.arange(0, params.steps, params.output_every), params.steps))
    answer = Answer(params, system, maps, mean, sd, box, times.astype(np.float64))
    answer.stiffness = params.temperature * _steepest(system, answer, ctx)
    return answer


def _ends(params: PlaneParams) -> Ends:
    """The ends of the box that are given."""

    def given(end: float | str) -> float | None:
        return None if isinstance(end, str) else float(end)

    return (given(params.w1_min), given(params.w1_max)), (given(params.w2_min), given(params.w2_max))


def _steepest(system: PlaneSystem, answer: Answer, ctx: Context) -> float:
    places = [np.linspace(answer.box.low[k], answer.box.high[k], STIFFNESS_PLACES) for k in range(2)]
    steepest = 0.0
    for part in np.array_split(places[0], 16):
        ctx.check()
        w = np.stack([np.repeat(part, STIFFNESS_PLACES), np.tile(places[1], part.size)])
        steepest = max(steepest, system.steepest(w))
    return steepest


def _mover(ctx: Context) -> Mover:
    """The step on the device of the run; on the CPU from then on where the device has no room for the cells."""

    def on_cpu(operator: PlaneOperator, state: PlaneState, steps: int) -> None:
        advance(operator, state, steps, ctx.threads, ctx.check)

    if not ctx.device.startswith("cuda"):
        return on_cpu
    import torch

    from tui_opt.kernels.plane_torch import advance_on

    room = True

    def on_device(operator: PlaneOperator, state: PlaneState, steps: int) -> None:
        nonlocal room
        if room:
            try:
                return advance_on(ctx.device, operator, state, steps, ctx.check)
            except torch.OutOfMemoryError:
                room = False
                cells = " x ".join(map(str, operator.cells))
                ctx.message(f"{ctx.device} has no room for {cells} cells: they are moved on the CPU.")
        return on_cpu(operator, state, steps)

    return on_device


def _follow(answer: Answer, motion: Motion, move: Mover, ctx: Context, stage: int) -> None:
    """Advance the initial law on the cells of a motion, and keep it at the output times."""
    cells = motion.cells * motion.parts
    operator = plane_operator(answer.maps, answer.box, cells, ctx.check)
    state = normal_state(operator, answer.mean, answer.sd)
    if state.outside > 0.5:
        (low1, low2), (high1, high2) = answer.box.low, answer.box.high
        raise ExperimentError(
            f"The cells from ({low1:.4g}, {low2:.4g}) to ({high1:.4g}, {high2:.4g}) hold only "
            f"{1 - state.outside:.3g} of the initial law. Widen w1_min, w1_max, w2_min and w2_max, or leave them on "
            "auto."
        )
    now = 0
    for then in answer.times:
        # A few steps at a time where they take long, so that the progress moves; each call has a price, too.
        while now < then:
            steps = min(int(then) - now, max(FEW_STEPS, int(2e6 / cells**2)))
            move(operator, state, steps)
            now += steps
            ctx.progress(stage + now / max(answer.times[-1], 1.0), STAGES, f"{cells} x {cells} cells")
        mean, covariance = mean_and_covariance(operator, state)
        motion.record(operator, state, mean, np.sqrt(np.diag(covariance)))
        ctx.check()
        if motion is answer.motion:
            ctx.partial(lambda: result_of(answer, ctx.check))


def _walk(answer: Answer, ctx: Context, stage: int) -> None:
    """Follow walkers from the same initial law."""
    params = answer.params
    outputs = [int(t) for t in answer.times]
    size = min(HISTOGRAM_CELLS, params.cells)
    edges = [np.linspace(answer.box.low[k], answer.box.high[k], size + 1) for k in range(2)]
    laws = [TruncatedNormal(answer.mean[k], answer.sd[k], -np.inf) for k in range(2)]
    starts = [ctx.key(f"initial law {axis}") for axis in (1, 2)]
    key = ctx.key("walkers")
    total = float(params.walkers) * params.steps
    done, lock = [0.0], threading.Lock()

    def count(walker_steps: int) -> None:
        with lock:
            done[0] += walker_steps
            ctx.progress(stage + done[0] / total, STAGES, "walkers")

    def group(first: int) -> tuple[Record, Record]:
        number = min(GROUP, params.walkers - first)
        names = [f"walkers/{first}/{axis}/{what}" for axis in (1, 2) for what in ("blocks", "counts")]
        kept = [ctx.checkpoint.get(name) for name in names]
        if not any(piece is None for piece in kept):
            count(number * params.steps)
            pieces = [piece for piece in kept if piece is not None]
            return Record(pieces[0], pieces[1]), Record(pieces[2], pieces[3])
        w = np.stack([laws[k].sample(starts[k], first, number) for k in range(2)])
        records = follow_pairs(
            answer.system.gradient_program,
            params.temperature,
            key,
            w,
            first,
            outputs,
            edges,
            ctx.check,
            count,
        )
        pieces = [piece for record in records for piece in (record.blocks, record.counts)]
        for name, piece in zip(names, pieces, strict=True):
            ctx.checkpoint.put(name, piece)
        return records

    groups = list(ctx.map(group, range(0, params.walkers, GROUP)))
    for k in range(2):
        record = joined([records[k] for records in groups])
        histogram: FloatArray = record.counts[:, :size] / (params.walkers * np.diff(edges[k]))
        answer.walked.append(Walked(statistics(record), edges[k], histogram))
