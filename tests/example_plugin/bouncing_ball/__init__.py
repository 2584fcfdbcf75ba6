"""bouncing-ball: a ball dropped on a table, which keeps a share of its speed at every bounce.

This module is imported whenever optexplore lists its scenarios, so it must stay cheap: it only declares. The arithmetic
is in `bouncing_ball.compute`, which optexplore imports when a run begins.
"""

from __future__ import annotations

from collections.abc import Iterable

from tui_opt.params import Many, OneOrMany, Params, Real, Whole, real, whole
from tui_opt.problems import Problem
from tui_opt.scenario import Estimate, Experiment, Scenario


class DropParams(Params):
    """One ball, dropped from one or several heights."""

    height: OneOrMany = real(
        (0.5, 1.0, 2.0),
        above=0,
        high=1e4,
        unit="m",
        symbol="h",
        log=True,
        group="drop",
        help="Height of the drop.",
    )
    restitution: Real = real(
        0.8,
        low=0,
        below=1,
        symbol="e",
        group="ball",
        help="Share of its speed that the ball keeps at a bounce.",
    )
    gravity: Real = real(9.81, above=0, high=1e3, unit="m/s²", symbol="g", group="drop", help="Acceleration.")
    bounces: Whole = whole(20, low=1, high=10_000, symbol="n", group="drop", help="Bounces to follow.")


class ScatterParams(Params):
    """Many balls with random restitutions: slow on purpose, to show checkpoints and partial results."""

    balls: Whole = whole(2000, low=1, high=1_000_000, log=True, group="sampling", help="Balls in all.")
    blocks: Whole = whole(
        20, low=1, high=10_000, group="sampling", help="Blocks they are cut into; each has its own stream."
    )
    restitution_range: Many = real(
        (0.5, 0.9), low=0, below=1, group="ball", help="Lowest and highest share of speed kept at a bounce."
    )
    seconds: Real = real(0.0, low=0, high=3600, unit="s", group="sampling", help="Time to spend in all.")
    fail_at: Whole = whole(
        -1, low=-1, high=10_000, group="sampling", help="Block at which to give up; -1 is never."
    )


def _is_an_interval(params: ScatterParams) -> Iterable[Problem]:
    """A rule ties parameters together; it is checked once each of them is right by itself."""
    low_high = params.restitution_range
    if len(low_high) != 2 or low_high[0] >= low_high[1]:
        yield Problem("restitution_range", "must be two numbers, the lower one first.", low_high)


ScatterParams.rules = (_is_an_interval,)


def _drop_cost(params: DropParams) -> Estimate:
    heights = len(params.height) if isinstance(params.height, tuple) else 1
    return Estimate(seconds=1e-6 * heights * params.bounces, bytes=64 * heights * params.bounces)


def _scatter_cost(params: ScatterParams) -> Estimate:
    return Estimate(seconds=params.seconds + 1e-7 * params.balls, bytes=64 * params.balls)


SCENARIO = Scenario(
    name="bouncing-ball",
    title="A ball that loses energy at every bounce",
    theory_package="bouncing_ball",  # its bouncing-ball.md is the theory page
    experiments=(
        Experiment(
            name="drop",
            title="Peak heights and the time to come to rest",
            summary="Peak heights after each bounce, and the time to rest in closed form and summed over the bounces.",
            params=DropParams,
            compute="bouncing_ball.compute:drop",
            estimate=_drop_cost,
            findings=("rest_time", "rest_time_summed", "rest_time_error", "last_peak"),
            arrays=("height", "bounce", "peak", "rest_times"),
            headline=("rest_time", "last_peak"),
        ),
        Experiment(
            name="scatter",
            title="Rest times of balls that differ",
            summary="Mean rest time of balls whose restitution is drawn uniformly, with its standard error.",
            params=ScatterParams,
            compute="bouncing_ball.compute:scatter",
            estimate=_scatter_cost,
            findings=("mean_rest_time", "blocks_done"),
            arrays=("block", "block_mean"),
            headline=("mean_rest_time",),
        ),
    ),
)
