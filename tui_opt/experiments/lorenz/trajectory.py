"""trajectory: W over time, where it could rest, and how long its steps can be trusted."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.lorenz.course import (
    add_course,
    halved,
    lorenz_of,
    question_of,
    tape_of,
    warn_of_divergence,
)
from tui_opt.experiments.lorenz.figures import portraits, time_series
from tui_opt.experiments.lorenz.params import AXES, TrajectoryParams
from tui_opt.kernels.tangents import Tangents, blank, follow
from tui_opt.kernels.tangents.lorenz import Equilibrium, equilibria, hopf_rho
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result
from tui_opt.runner.context import Context

AGREEMENT = 0.01
"""Two courses agree while they differ by less than this share of the largest distance from their mean."""


def compute(params: TrajectoryParams, ctx: Context) -> Result:
    """W, the same with half the step, and the equilibria."""
    system, asked = tape_of(params), question_of(params)
    room = blank(asked)

    def told(done: int) -> None:
        ctx.progress(done, 3 * asked.steps, "trajectory")
        ctx.partial(lambda: _result(params, room, None))

    found = follow(system, asked, ctx.check, told, room)
    finer = follow(
        system,
        halved(asked),
        ctx.check,
        lambda done: ctx.progress(asked.steps + done, 3 * asked.steps, "half steps"),
    )
    return _result(params, found, finer)


def _result(params: TrajectoryParams, found: Tangents, finer: Tangents | None) -> Result:
    result = Result()
    add_course(result, found.t, found.state)
    result.add_figure(time_series(found.state))
    for figure in portraits():
        result.add_figure(figure)
    _add_equilibria(result, params, found.state[-1])
    if finer is None:
        return result
    for k, axis in enumerate(AXES):
        result.add_finding(f"final_{axis}", float(found.state[-1, k]), f"{axis} at t = {found.t[-1]:g}")
    growth = float(np.max(found.log_x[-1]) / found.t[-1]) if found.state_lost is None else math.nan
    text = "rate at which a small change of b has grown: ln(its largest part) / t"
    result.add_finding("growth", growth, text, unit="1/t")
    _add_reliability(result, found, finer)
    warn_of_divergence(result, found.state_lost, params.dt)
    return result


def _add_reliability(result: Result, found: Tangents, finer: Tangents) -> None:
    """Until when half the steps lead to the same place."""
    off = np.max(np.abs(found.state - finer.state), axis=1)
    result.add_array("difference", off, ("t",), text="largest difference to the course with half the steps")
    with np.errstate(invalid="ignore", over="ignore"):
        size = float(np.nanmax(np.abs(found.state - np.nanmean(found.state, axis=0))))
    broken = np.flatnonzero(~(off <= AGREEMENT * size))
    until = float(found.t[broken[0]]) if broken.size else float(found.t[-1])
    text = f"until then half the steps give the same state within {AGREEMENT:g} of the size of the orbit" + (
        "" if broken.size else ", which is all the time looked at"
    )
    result.add_finding("reliable_until", until, text, unit="t", kind="accuracy")


def _add_equilibria(result: Result, params: TrajectoryParams, last: FloatArray) -> None:
    found = equilibria(lorenz_of(params), params.dt, params.integrator)
    columns = (
        "name",
        "a",
        "b",
        "c",
        "kind",
        "eigenvalue_1",
        "eigenvalue_2",
        "eigenvalue_3",
        "multiplier",
        "in_steps",
    )
    result.add_table("equilibria", columns, [_row(e) for e in found], title="States at rest")
    result.add_finding("equilibria", len(found), "states at rest")
    stable = sum(e.kind == "stable" for e in found)
    result.add_finding("stable_equilibria", stable, "stable ones; the others are saddles or unstable")
    in_steps = sum(bool(np.all(np.abs(e.multipliers) < 1)) for e in found)
    steps = f"steps of {params.integrator} with dt = {params.dt:g}"
    text = f"states at rest that are stable under {steps}"
    if in_steps != stable:
        text = f"Under {steps}, {in_steps} states at rest are stable; in continuous time, {stable}. Take a smaller dt."
    result.add_finding("stable_in_steps", in_steps, text, kind="finding" if in_steps == stable else "warning")
    lost = hopf_rho(lorenz_of(params))
    result.add_finding("stability_lost_at", lost, "rho above which C+ and C- are unstable in continuous time")
    near = min(math.dist(last, e.place) for e in found)
    result.add_finding("distance_to_equilibrium", near, "from the last state to the nearest state at rest")


def _row(e: Equilibrium) -> tuple[str | float, ...]:
    kept = (
        "as in the flow" if e.kept else ("unstable" if e.kind == "stable" else "stable") + ", unlike the flow"
    )
    return (
        e.name,
        *(float(x) for x in e.place),
        e.kind,
        *(_complex(x) for x in e.eigenvalues),
        float(np.abs(e.multipliers[0])),
        kept,
    )


def _complex(x: complex) -> str:
    return f"{x.real:.6g}" + (f"{x.imag:+.6g}i" if abs(x.imag) > 1e-12 * max(1.0, abs(x)) else "")
