"""solve: the parameters of a model from data alone, with error bars, and how they compare with the best possible."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.samples import SCENARIO, Samples, load_samples
from tui_opt.experiments.cos_fit.solve_answer import Answer, Repetition, Repetitions
from tui_opt.experiments.cos_fit.solve_params import SolveParams
from tui_opt.experiments.cos_fit.solve_result import result_of
from tui_opt.experiments.cos_fit.solver import Solution, solve
from tui_opt.kernels.fitting.least_squares import Sums, covariance, sums
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.streams import generator

FloatArray = NDArray[np.float64]
KEPT = "repetition/"


@dataclass(frozen=True)
class Solved:
    """The answer for one set of samples, and the seconds it took without drawing or reading them."""

    samples: Samples
    rows: Rows
    solution: Solution
    seconds: float


def compute(params: SolveParams, ctx: Context) -> Result:
    """Solve the samples of the seed, and then those of the repetitions."""
    ctx.progress(0, params.seeds, "solving")
    first = _solved(params, ctx, 0, _mapper(ctx))
    answer = _answer(first)
    if params.seeds > 1:
        ctx.partial(lambda: result_of(answer, params))
        answer.repetitions = _repetitions(params, ctx, answer)
    return result_of(answer, params)


def _mapper(ctx: Context) -> Callable[[Callable[[slice], Sums], Iterable[slice]], Iterable[Sums]]:
    """Blocks of rows on the run's threads where there are many of them."""

    def each(function: Callable[[slice], Sums], blocks: Iterable[slice]) -> Iterable[Sums]:
        several = list(blocks)
        return ctx.map(function, several) if len(several) > 4 else map(function, several)

    return each


def _solved(
    params: SolveParams,
    ctx: Context,
    block: int,
    each: Callable[[Callable[[slice], Sums], Iterable[slice]], Iterable[Sums]] = map,
) -> Solved:
    samples = load_samples(params, ctx, block)
    rows = Rows.of(samples)
    highest = None if params.frequency_max == "auto" else float(params.frequency_max)
    begin = time.perf_counter()
    rng = generator(ctx.seed, SCENARIO, "rows", block)
    solution = solve(rows, params.method, highest, rng, ctx.check, each)
    return Solved(samples, rows, solution, time.perf_counter() - begin)


def _answer(solved: Solved) -> Answer:
    """Error bars by the residuals' own variance, and the bound where the truth is known."""
    rows, found = solved.rows, solved.solution.fit
    free = rows.count - found.values.size
    # Residuals are not known better than to the rounding of y.
    least = float(np.mean((np.finfo(float).eps * rows.y) ** 2)) / 12.0
    variance = max(found.error / free, least) if free > 0 else np.nan
    return Answer(
        solved.samples, rows, solved.solution, solved.seconds, variance,
        covariance(found.root, variance), _bound(solved.samples, rows),
    )  # fmt: skip


def _bound(samples: Samples, rows: Rows) -> FloatArray | None:
    """The Cramér-Rao bound at the truth, [p, p]; None where the truth is not known."""
    if samples.truth is None or samples.noise is None:
        return None
    return covariance(sums(rows, rows.y, samples.truth).root, samples.noise**2)


def _repetitions(params: SolveParams, ctx: Context, first: Answer) -> Repetitions:
    """The same for samples of their own, one after another on as many threads as there are."""

    def one(block: int) -> Repetition:
        kept = ctx.checkpoint.get(f"{KEPT}{block}")
        if kept is not None:
            return Repetition.of_array(kept)
        solved = _solved(params, ctx, block)
        bound = _bound(solved.samples, solved.rows)
        assert bound is not None  # repetitions are of drawn samples
        repetition = Repetition(solved.solution.fit.values, np.sqrt(np.diag(bound)), solved.seconds)
        ctx.checkpoint.put(f"{KEPT}{block}", repetition.array())
        return repetition

    assert first.bound is not None
    done = [Repetition(first.solution.fit.values, np.sqrt(np.diag(first.bound)), first.seconds)]
    for repetition in ctx.map(one, range(1, params.seeds)):
        done.append(repetition)
        ctx.progress(len(done), params.seeds, "repetitions")
        ctx.partial(lambda: result_of(replace(first, repetitions=Repetitions.of(done)), params))
    return Repetitions.of(done)
