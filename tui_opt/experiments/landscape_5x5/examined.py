"""What is asked of each trained network: its loss and output, whether it is dead, how far it is from the built one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import BLOCK
from tui_opt.kernels.networks.knots import knots
from tui_opt.kernels.networks.matching import matched_nodes, sorted_nodes
from tui_opt.kernels.networks.plain import outputs
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]

CONSTANT = 1e-12
"""An output that changes by less than this part of its size is constant."""
MOST_COUNTED = 256
"""Networks whose knots are counted, which takes a millisecond each."""
BEST = 5


@dataclass(frozen=True)
class Trained:
    """Networks that were looked at.

    Args:
        networks: [network, parameter].
        loss: [network], in double precision; infinite where the network diverged.
        dead: [network], the output is constant.
        high_frequency: [network], the share of the target's high frequencies.
        distance_sorted: [network] to the built one, both scaled to the smallest norm and sorted.
        distance_matched: [network], its nodes in the order that is nearest.
        knots: of the first networks, interior ones.
        count: networks that did not diverge.
        mean: of their outputs, [sample].
        spread: sum of squared distances from the mean, [sample].
        best: answers of the best few, [rank, sample].
        best_loss: [rank].
    """

    networks: SingleArray
    loss: FloatArray
    dead: NDArray[np.bool_]
    high_frequency: FloatArray
    distance_sorted: FloatArray
    distance_matched: FloatArray
    knots: FloatArray
    count: int
    mean: FloatArray
    spread: FloatArray
    best: FloatArray
    best_loss: FloatArray

    @classmethod
    def nothing(cls, task: Task) -> Trained:
        """No network yet."""
        none, flat = np.empty(0), np.zeros(task.x.size)
        return cls(
            np.empty((0, task.layout.size), dtype=np.float32), none, np.empty(0, dtype=bool), none, none, none, none, 0,
            flat, flat, np.empty((0, task.x.size)), none,
        )  # fmt: skip

    def with_more(self, other: Trained) -> Trained:
        """These and others, in order; means and spreads as Chan et al. (1983) combine them."""
        count = self.count + other.count
        away = other.mean - self.mean
        share = other.count / count if count else 0.0
        best = np.concatenate([self.best, other.best])
        best_loss = np.concatenate([self.best_loss, other.best_loss])
        order = np.argsort(best_loss, kind="stable")[:BEST]
        together = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("networks", "loss", "dead", "high_frequency", "distance_sorted", "distance_matched")
        }
        return Trained(
            **together,
            knots=np.concatenate([self.knots, other.knots])[:MOST_COUNTED],
            count=count,
            mean=self.mean + share * away,
            spread=self.spread + other.spread + share * self.count * away**2,
            best=best[order],
            best_loss=best_loss[order],
        )

    @property
    def sd(self) -> FloatArray:
        """Standard deviation of the outputs, [sample]; NaN for fewer than two networks."""
        if self.count < 2:
            return np.full_like(self.spread, np.nan)
        return np.asarray(np.sqrt(self.spread / (self.count - 1)))


def examine(
    task: Task,
    networks: SingleArray,
    first: int,
    restarts: int,
    ctx: Context,
    quickly: bool = False,
    report: Callable[[float], None] = lambda networks: None,
) -> Trained:
    """Look at networks, blocks of them on all threads.

    Args:
        task: what they were to learn.
        networks: [network, parameter].
        first: the number of the first among all.
        restarts: starts of the search for the nearest order of nodes.
        ctx: threads and random streams.
        quickly: without distances and knots.
        report: called with the networks looked at since; a share of a network counts as such.
    """
    built = None if task.built is None or quickly else smallest(task.layout, task.built[None])[0]

    def block(start: int) -> Trained:
        part = networks[start : start + BLOCK]
        rng = ctx.rng("matching", (first + start) // BLOCK)
        wanted = 0 if quickly else max(0, MOST_COUNTED - first - start)
        return _block(task, part, built, restarts, rng, wanted, ctx.check, report)

    found = Trained.nothing(task)
    parts = list(ctx.map(block, range(0, len(networks), BLOCK)))
    while len(parts) > 1:  # in pairs, so that what is copied stays little
        parts = [
            parts[k].with_more(parts[k + 1]) if k + 1 < len(parts) else parts[k]
            for k in range(0, len(parts), 2)
        ]
    return found.with_more(parts[0]) if parts else found


def _block(
    task: Task, networks: SingleArray, built: FloatArray | None, restarts: int, rng: np.random.Generator, wanted: int,
    check: Callable[[], None], report: Callable[[float], None],
) -> Trained:  # fmt: skip
    doubles = networks.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        answers = outputs(task.layout, doubles, task.x)
        loss = np.square(answers - task.y).mean(axis=1)
    finite = ~task.diverged(networks, loss)
    answers, loss = np.where(finite[:, None], answers, 0.0), np.where(finite, loss, np.inf)
    dead = finite & (np.ptp(answers, axis=1) <= CONSTANT * np.maximum(1.0, np.abs(answers).max(axis=1)))
    high = np.where(finite, task.high_frequency(answers), np.nan)
    in_order, matched = np.full(len(networks), np.nan), np.full(len(networks), np.nan)
    if built is not None and finite.any():
        balanced = smallest(task.layout, doubles[finite])
        target = sorted_nodes(task.layout, built[None])[0]
        in_order[finite] = np.linalg.norm(sorted_nodes(task.layout, balanced) - target, axis=1)
        share = len(balanced) / restarts
        nearest = matched_nodes(task.layout, balanced, built, rng, restarts, check, lambda: report(share))
        matched[finite] = np.linalg.norm(nearest - built, axis=1)
    else:
        report(len(networks))
    low, end = float(task.x[0]), float(task.x[-1])
    counted = [knots(task.layout, one, low, end).size - 2 for one in doubles[:wanted][finite[:wanted]]]
    kept = answers[finite]
    mean = kept.mean(axis=0) if len(kept) else np.zeros(task.x.size)
    order = np.argsort(loss, kind="stable")[:BEST]
    order = order[finite[order]]
    return Trained(
        networks, loss, dead, high, in_order, matched, np.array(counted, dtype=float), len(kept), mean,
        np.square(kept - mean).sum(axis=0), answers[order], loss[order],
    )  # fmt: skip


def quantiles(values: FloatArray, shares: FloatArray) -> FloatArray:
    """Quantiles of values that may be infinite; NaN of none."""
    if not values.size:
        return np.full(shares.size, math.nan)
    finite = bool(np.isfinite(values).all())
    return np.asarray(np.quantile(values, shares, method="linear" if finite else "lower"))


def quantile_error(values: FloatArray, share: float) -> float | None:
    """Standard error of a quantile, from the order statistics that hold it with 68 %; None of a few values."""
    if values.size < 10:
        return None
    half = math.sqrt(share * (1 - share) / values.size)
    low, high = quantiles(values, np.array([max(0.0, share - half), min(1.0, share + half)]))
    return float(high - low) / 2.0 if math.isfinite(high) else None


def count_error(values: FloatArray, share: float = 0.5) -> float | None:
    """The same of whole numbers, each taken as spread evenly over half a unit to both sides; None of a few values.

    Between equal numbers order statistics would say 0, as if the quantile were certain.
    """
    if values.size < 10:
        return None
    half = math.sqrt(share * (1 - share) / values.size)
    edges = np.arange(values.min(), values.max() + 2.0) - 0.5
    below = np.concatenate([[0.0], np.cumsum(np.histogram(values, edges)[0]) / values.size])
    rising = np.append(True, np.diff(below) > 0)
    low, high = np.interp([max(0.0, share - half), min(1.0, share + half)], below[rising], edges[rising])
    return float(high - low) / 2.0


def share_error(share: FloatArray | float, number: NDArray[np.int64] | int) -> FloatArray:
    """Standard error of a share of `number` networks: half of Wilson's interval (1927) of one standard deviation.

    Unlike the root of p (1 - p) / n it is not 0 where none was found, or nothing else. NaN of none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.asarray(number, dtype=float)
        p = np.asarray(share, dtype=float)
        return np.asarray(np.sqrt(p * (1.0 - p) / n + 0.25 / n**2) / (1.0 + 1.0 / n))
