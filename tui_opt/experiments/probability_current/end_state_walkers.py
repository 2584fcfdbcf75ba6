"""Walkers of end-state: a long Monte Carlo that checks the exact chain's law, and counts escapes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.end_state_laws import End
from tui_opt.experiments.probability_current.end_state_question import Asked
from tui_opt.experiments.probability_current.setting import WORTH_COMPILING
from tui_opt.kernels.callables import evaluate_terms
from tui_opt.kernels.cells import step, steps_per_slice
from tui_opt.kernels.emit import specialise
from tui_opt.kernels.end_states import Escapes, atoms_on_cells, escapes_after
from tui_opt.kernels.ensembles import LOST, Record, Walk, follow, joined, statistics
from tui_opt.kernels.laws import kolmogorov_smirnov, sampling_errors
from tui_opt.kernels.reflection import reflected_walk, walk_to_barrier
from tui_opt.kernels.walkers import BLOCK, first_passage
from tui_opt.runner.context import Context

HISTOGRAM_CELLS = 240
MOST_CHUNKS = 16
LEAST_CHUNK = 4 * BLOCK
LOOKS = 40
MOST_ATOMS = 4096
LEAST_LEFT = 0.02
"""Share of the walkers that are waited for to settle, before they have."""
SETTLED = 0.005
"""Largest difference of distribution functions at which a law counts as settled."""


@dataclass(frozen=True)
class Plan:
    """When walkers are looked at, by what the exact chain from the same start says.

    Attributes:
        burn_in: steps after which the law of those left has settled; all steps where it does not.
        snapshot: step at which walkers are compared: the last one at which half of those at `burn_in` are left.
        law: [cells] of the exact chain, masses at the snapshot among those left; None without the chain.
        distance: Kolmogorov-Smirnov distance of that law from the one it tends to; NaN without the chain.
    """

    burn_in: int
    snapshot: int
    law: FloatArray | None = None
    distance: float = np.nan


@dataclass(frozen=True)
class Walked:
    """What the walkers say.

    Attributes:
        plan: when they were looked at.
        left: walkers compared.
        mean, mean_error, sd, sd_error: of W, with standard errors, those by the exact chain's law where there is one.
        lost: share of the walkers at no finite place that did not pass the exit.
        edges, counts: [n + 1] and [n], their histogram on the cells of the question.
        escapes: counted after the burn-in.
        escaped: how many passed the exit at all.
    """

    plan: Plan
    left: int
    mean: float
    mean_error: float
    sd: float
    sd_error: float
    lost: float
    edges: FloatArray
    counts: FloatArray
    escapes: Escapes
    escaped: int

    @property
    def cdf(self) -> FloatArray:
        """Share of the walkers in the cells at or below each edge, [n + 1]."""
        return np.append(0.0, np.cumsum(self.counts)) / max(float(self.counts.sum()), 1.0)


def walked(question: Asked, exact: End | None, ctx: Context, report: Callable[[float], None]) -> Walked:
    """Walk them all from the start."""
    params = question.params
    plan = _plan(question, exact, ctx)
    edges = question.edges
    total = float(params.walkers) * params.steps
    done, lock = [0.0], threading.Lock()
    outputs = sorted({plan.snapshot, params.steps})

    def count(walker_steps: int) -> None:
        with lock:
            done[0] += walker_steps
            report(done[0] / total)

    advance = _advance(question, ctx, total)

    def group(chunk: tuple[int, int]) -> tuple[Record, Escapes, int]:
        first, size = chunk
        names = [f"walkers/{first}/{part}" for part in ("blocks", "counts", "escapes")]
        kept = [ctx.checkpoint.get(name) for name in names]
        if kept[0] is not None and kept[1] is not None and kept[2] is not None:
            count(size * params.steps)
            return (
                Record(kept[0], kept[1]),
                Escapes(int(kept[2][0]), float(kept[2][1])),
                int(kept[2][2]),
            )
        passage = np.full(size, -1, dtype=np.int64)
        record = follow(
            advance(passage), np.full(size, question.start), first, outputs, edges, ctx.check, count
        )
        escapes = escapes_after(passage, plan.burn_in, params.steps)
        passed = np.array([escapes.count, escapes.at_risk, float((passage >= 0).sum())])
        for name, values in zip(names, (record.blocks, record.counts, passed), strict=True):
            ctx.checkpoint.put(name, values)
        return record, escapes, int(passed[2])

    size = max(LEAST_CHUNK, -(-params.walkers // (MOST_CHUNKS * BLOCK)) * BLOCK)
    chunks = [(first, min(size, params.walkers - first)) for first in range(0, params.walkers, size)]
    groups = list(ctx.map(group, chunks))
    record = joined([g[0] for g in groups])
    escapes = sum((g[1] for g in groups), Escapes())
    return _summary(question, exact, plan, record, escapes, sum(g[2] for g in groups))


def _summary(
    question: Asked, exact: End | None, plan: Plan, record: Record, escapes: Escapes, escaped: int
) -> Walked:
    walkers = question.params.walkers
    stats = statistics(record)
    left = int(record.blocks[0, :, 0].sum())
    errors = float(stats.mean_error[0]), float(stats.sd_error[0])
    if exact is not None and plan.law is not None and left:
        errors = sampling_errors(exact.edges, plan.law, left)
    counts = record.counts[0, : question.edges.size - 1].astype(np.float64)
    # At the last step whoever is nowhere has either passed the exit or is lost.
    lost = max(0.0, float(record.counts[-1, LOST]) - escaped) / walkers
    return Walked(
        plan, left, float(stats.mean[0]), errors[0], float(stats.sd[0]), errors[1], lost, question.edges, counts,
        escapes, escaped,
    )  # fmt: skip


def _advance(question: Asked, ctx: Context, walker_steps: float) -> Callable[[NDArray[np.int64]], Walk]:
    """A walk for a group with its own record of passages; walkers beyond the exit are put to no number."""
    setting, edges = question.setting, question.edges
    if question.side and setting.substeps == 1 and not question.reflecting:
        return _plain(question, ctx, walker_steps)
    room = 0.5 * float(edges[-1] - edges[0])
    walk = setting.walk(ctx, "walkers", walker_steps, float(edges[0]) - room, float(edges[-1]) + room)
    if question.reflecting:
        walk = reflected_walk(walk, *question.walls)
    if not question.side:
        return lambda passage: walk

    def with_exit(passage: NDArray[np.int64]) -> Walk:
        def onward(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
            barrier, side = question.barrier, question.side
            walk_to_barrier(walk, w, passage, first_walker, first_step, steps, barrier, side)
            w[passage >= 0] = np.nan

        return onward

    return with_exit


def _plain(question: Asked, ctx: Context, walker_steps: float) -> Callable[[NDArray[np.int64]], Walk]:
    """Plain steps, whose kernel looks after the exit itself."""
    system, temperature = question.setting.system, question.setting.temperature
    key = ctx.key("walkers")
    kernel: Callable[..., None] = partial(first_passage, system.gradient_program)
    if ctx.kernels is not None and walker_steps >= WORTH_COMPILING:
        kernel = specialise(system.gradient_tape, ctx.kernels)

    def with_exit(passage: NDArray[np.int64]) -> Walk:
        def onward(w: FloatArray, first_walker: int, first_step: int, steps: int) -> None:
            barrier, side = question.barrier, question.side
            kernel(w, passage, first_walker, first_step, steps, temperature, barrier, side, key)
            w[passage >= 0] = np.nan

        return onward

    return with_exit


def _plan(question: Asked, exact: End | None, ctx: Context) -> Plan:
    """Follow the exact chain from the start to see when its law has settled."""
    steps = question.params.steps
    if exact is None or exact.matrix is None:
        return Plan(steps // 2, steps)
    matrix, edges = exact.matrix, exact.edges
    state = np.zeros(matrix.cells + matrix.outlets.shape[0])
    now, state[: matrix.cells] = _first_steps(question, edges)
    goal = exact.cdf(edges)
    slice_steps = steps_per_slice(matrix)
    looks: list[Plan] = []
    burn_in, enough = None, LEAST_LEFT
    for then in np.unique(np.geomspace(now, steps, LOOKS).astype(np.int64)):
        for done in range(now, int(then), slice_steps):
            ctx.check()
            step(matrix, state, min(slice_steps, int(then) - done))
        now = int(then)
        inside = state[: matrix.cells]
        left = float(inside.sum())
        if looks and left < enough:
            break
        if not left > 0:
            return Plan(steps, steps)
        distance = kolmogorov_smirnov(edges, inside, goal)
        if burn_in is None and distance <= SETTLED:
            burn_in, enough = now, 0.5 * left
        looks.append(Plan(steps if burn_in is None else burn_in, now, inside / left, distance))
    return looks[-1]


def _first_steps(question: Asked, edges: FloatArray) -> tuple[int, FloatArray]:
    """Every possible place after a few steps, put on the cells: a start in a point is narrower than any cell."""
    places, weight = np.array([question.start]), 1.0
    depth = 0
    while depth < question.params.steps and places.size:
        images = evaluate_terms(question.maps, places)
        if depth > 0 and images.size > MOST_ATOMS:
            break
        places, weight, depth = images.ravel(), weight / images.shape[0], depth + 1
        if question.side:
            places = places[question.side * (places - question.barrier) <= 0]
        if images.shape[0] == 1:
            break
    return depth, atoms_on_cells(edges, places, np.full(places.size, weight))
