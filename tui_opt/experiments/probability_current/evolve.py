"""evolve: the density of W over time, by the exact chain, by diffusion models, and by Monte Carlo."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.probability_current.evolve_motions import motion_of
from tui_opt.experiments.probability_current.evolve_question import asked
from tui_opt.experiments.probability_current.evolve_report import Answer, report
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.kernels.descent import gradient_descent_at
from tui_opt.kernels.ensembles import Record, follow, joined, statistics
from tui_opt.kernels.walkers import BLOCK
from tui_opt.result import Result
from tui_opt.runner.context import Context

HISTOGRAM_CELLS = 240
MOST_CHUNKS = 64
MOST_PATH_POINTS = 2000


def compute(params: EvolveParams, ctx: Context) -> Result:
    """The same initial law moved by every model and by walkers, each the others' check."""
    answer = Answer(asked(params, ctx))
    work = len(params.models) + (2 if params.walkers else 0)
    for done, model in enumerate(params.models):
        ctx.progress(done, work, model)
        try:
            answer.motions[model] = motion_of(answer.question, model, ctx)
        except ExperimentError as error:
            answer.reasons[model] = str(error)
        ctx.partial(lambda: report(answer))
    if not answer.motions:
        raise ExperimentError(next(iter(answer.reasons.values())))
    if params.walkers:
        done = len(params.models)
        _by_walkers(answer, ctx, lambda share: ctx.progress(done + 2 * share, work, "walkers"))
    if params.starts:
        kept = np.unique(np.linspace(0, params.steps, MOST_PATH_POINTS).astype(np.int64))
        gradient, starts = answer.question.setting.system.gradient, np.array(params.starts)
        paths = gradient_descent_at(gradient, starts, params.temperature, kept, ctx.check)
        answer.path_times, answer.paths = kept.astype(np.float64), paths
    return report(answer)


def _by_walkers(answer: Answer, ctx: Context, progress: Callable[[float], None]) -> None:
    params, low, high = answer.params, float(answer.edges[0]), float(answer.edges[-1])
    total = float(params.walkers) * params.steps
    room = 0.5 * (high - low)
    walk = answer.question.setting.walk(ctx, "walkers", total, low - room, high + room)
    edges = np.linspace(low, high, min(HISTOGRAM_CELLS, params.cells) + 1)
    outputs = [int(t) for t in answer.question.times]
    start = ctx.key("initial law")
    done, lock = [0.0], threading.Lock()

    def count(walker_steps: int) -> None:
        with lock:
            done[0] += walker_steps
            progress(done[0] / total)

    def group(chunk: tuple[int, int]) -> Record:
        first, size = chunk
        kept = ctx.checkpoint.get(f"walkers/{first}/blocks"), ctx.checkpoint.get(f"walkers/{first}/counts")
        if kept[0] is not None and kept[1] is not None:
            count(size * params.steps)
            return Record(kept[0], kept[1])
        w = answer.question.law.sample(start, first, size)
        record = follow(walk, w, first, outputs, edges, ctx.check, count)
        ctx.checkpoint.put(f"walkers/{first}/blocks", record.blocks)
        ctx.checkpoint.put(f"walkers/{first}/counts", record.counts)
        return record

    size = -(-params.walkers // (MOST_CHUNKS * BLOCK)) * BLOCK
    chunks = [(first, min(size, params.walkers - first)) for first in range(0, params.walkers, size)]
    record = joined(list(ctx.map(group, chunks)))
    answer.sample = statistics(record)
    answer.histogram_edges = edges
    answer.histogram = record.counts[:, : edges.size - 1] / (params.walkers * np.diff(edges))
