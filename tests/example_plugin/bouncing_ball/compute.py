"""The arithmetic of the bouncing ball. Compute functions take (params, ctx) and return a `Result`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.figure import Axis, Figure, Line, Ref
from tui_opt.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bouncing_ball import DropParams, ScatterParams
    from tui_opt.runner.context import Context

GRAVITY = 9.81


def drop(params: DropParams, ctx: Context) -> Result:
    """Peaks after each bounce, and the time to rest two ways: in closed form, and summed over the bounces."""
    heights = np.atleast_1d(np.asarray(params.height))
    bounce = np.arange(params.bounces + 1)
    peak = heights[:, None] * params.restitution ** (2 * bounce)
    flights = np.sqrt(2 * peak / params.gravity)
    rest = rest_time(heights, params.restitution, params.gravity)
    summed = flights[:, 0] + 2 * flights[:, 1:].sum(axis=1)

    result = Result()
    result.add_array("height", heights, ("height",), unit="m", text="heights of the drop")
    result.add_array("bounce", bounce.astype(float), ("bounce",), text="number of the bounce")
    result.add_array("peak", peak, ("height", "bounce"), unit="m", text="peak height after each bounce")
    result.add_array("rest_times", rest, ("height",), unit="s", text="time until the ball is at rest")
    if len(heights) == 1:  # a finding is one number; with several heights the arrays answer
        result.add_finding("rest_time", rest[0], "time until the ball is at rest, in closed form", unit="s")
        result.add_finding(
            "rest_time_summed", summed[0], "the same summed over the bounces followed", unit="s"
        )
        error = abs(summed[0] - rest[0])
        result.add_finding(
            "rest_time_error", error, "what the bounces left out amount to", unit="s", kind="accuracy"
        )
        result.add_finding("last_peak", peak[0, -1], "peak after the last bounce followed", unit="m")
    lines = tuple(
        Line(x=Ref(array="bounce"), y=Ref(array="peak", index=(i, None)), label=f"h = {height:g} m")
        for i, height in enumerate(heights[:8])
    )
    y = Axis(label="peak", unit="m", scale="log" if params.restitution > 0 else "linear")
    result.add_figure(Figure(name="peaks", title="Peak heights", x=Axis(label="bounce"), y=y, layers=lines))
    return result


def rest_time(
    height: NDArray[np.float64] | float, restitution: NDArray[np.float64] | float, gravity: float
) -> NDArray[np.float64]:
    """Time until the ball is at rest, the sum of the geometric series of its flights."""
    return np.asarray(
        np.sqrt(2 * np.asarray(height) / gravity) * (1 + restitution) / (1 - np.asarray(restitution))
    )


def scatter(params: ScatterParams, ctx: Context) -> Result:
    """Mean rest time over balls with random restitution.

    Blocks are the unit of everything: each owns a random stream (so that the numbers do not depend on threads), each is
    a piece of the checkpoint (so that a resumed run computes only what is missing), and `ctx.map` hands them out.
    """
    means = np.full(params.blocks, np.nan)

    def one(block: int) -> NDArray[np.float64]:
        kept = ctx.checkpoint.get(f"block-{block}")
        if kept is not None:
            return kept
        if block == params.fail_at:
            raise ExperimentError(f"Block {block} was told to fail. Set fail_at to -1.")
        mean = np.array([_block_mean(params, ctx, block)])
        ctx.checkpoint.put(f"block-{block}", mean)
        return mean

    for block, mean in enumerate(ctx.map(one, range(params.blocks))):
        means[block] = mean[0]
        ctx.progress(block + 1, params.blocks, "balls")
        ctx.partial(lambda: _scatter_result(means))
    return _scatter_result(means)


def _block_mean(params: ScatterParams, ctx: Context, block: int) -> float:
    _spend(params.seconds / params.blocks, ctx)
    first, last = (params.balls * k // params.blocks for k in (block, block + 1))
    low, high = params.restitution_range
    restitution = ctx.rng("restitution", block).uniform(low, high, size=max(1, last - first))
    return float(rest_time(1.0, restitution, GRAVITY).mean())


def _spend(seconds: float, ctx: Context) -> None:
    """Take some time, asking every few milliseconds whether to stop."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ctx.check()
        time.sleep(min(0.02, left))


def _scatter_result(means: NDArray[np.float64]) -> Result:
    """The result from the blocks there are; NaN where one is still to come, so that a partial result is a valid one."""
    done = means[np.isfinite(means)]
    result = Result()
    result.add_array("block", np.arange(float(len(means))), ("block",))
    result.add_array("block_mean", means.copy(), ("block",), unit="s", text="mean rest time of each block")
    stderr = float(done.std(ddof=1) / np.sqrt(len(done))) if len(done) > 1 else None
    mean = float(done.mean()) if len(done) else float("nan")
    result.add_finding("mean_rest_time", mean, "mean time until a ball is at rest", unit="s", stderr=stderr)
    result.add_finding("blocks_done", len(done), f"blocks of {len(means)} that are done")
    line = Line(x=Ref(array="block"), y=Ref(array="block_mean"))
    y = Axis(label="mean rest time", unit="s")
    result.add_figure(Figure(name="blocks", title="Rest times", x=Axis(label="block"), y=y, layers=(line,)))
    return result
