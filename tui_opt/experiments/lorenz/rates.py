"""rates: Lyapunov exponents and conditional rates with standard errors, so that Op / t is predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tui_opt.experiments.lorenz.course import lorenz_of, question_of, tape_of
from tui_opt.experiments.lorenz.figures import rate_figures
from tui_opt.experiments.lorenz.params import AXES, RatesParams, steps_of
from tui_opt.kernels.tangents import Tangents, compare, follow, held_indices
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.lorenz_lanes import LANES, relevant
from tui_opt.kernels.tangents.lorenz_rates import RateQuestion, Rates, rates
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result
from tui_opt.runner.context import Context

BLOCKS: Final = 20
"""Blocks of time, which the standard error is taken from."""
DISPLACEMENT: Final = 1e-6
"""Of the copies, relative: what is 0 stays 0, so a trajectory on an invariant axis has its copies there."""
MOST_COURSE_STEPS: Final = 200_000
COURSE_OUTPUTS: Final = 400


@dataclass(frozen=True)
class Estimate:
    """A rate with its standard error."""

    value: float
    stderr: float


def compute(params: RatesParams, ctx: Context) -> Result:
    """Rates of all copies, and Op / t of the trajectory itself."""
    lorenz = lorenz_of(params)
    asked = _question(params, ctx)
    groups = [slice(k, k + LANES) for k in range(0, params.trajectories, LANES)]
    total = float(len(groups) * asked.blocks)
    done = [0.0]

    def group(part: slice) -> Rates:
        def told(block: int, so_far: Rates) -> None:
            done[0] += 1
            ctx.progress(done[0], total, "rates")
            if len(groups) == 1:
                ctx.partial(lambda: _result(params, lorenz, asked, so_far, None))

        one = RateQuestion(**{**asked.__dict__, "starts": asked.starts[:, part]})
        return rates(lorenz, one, ctx.check, told)

    parts = list(ctx.map(group, groups))
    found = Rates(
        np.concatenate([p.full for p in parts], axis=2),
        np.concatenate([p.free for p in parts], axis=2),
        np.concatenate([p.held for p in parts], axis=1),
    )
    course = _course(params, ctx)
    return _result(params, lorenz, asked, found, course)


def _question(params: RatesParams, ctx: Context) -> RateQuestion:
    noise = ctx.rng("copies").standard_normal((3, params.trajectories))
    noise[:, 0] = 0.0
    starts = np.array(params.initial)[:, None] * (1.0 + DISPLACEMENT * noise)
    steps = steps_of(params)
    blocks = min(BLOCKS, steps)
    return RateQuestion(
        starts,
        AXES.index(params.perturbed),
        AXES.index(params.measured),
        held_indices(AXES, params.held),
        params.integrator,
        params.hold,
        params.dt,
        round(params.transient / params.dt),
        steps // blocks,
        blocks,
    )


def _course(params: RatesParams, ctx: Context) -> Tangents | None:
    """The trajectory itself with its tangents, at some hundred times; for at most so many steps."""
    asked = question_of(params, params.held, params.perturbed)
    steps = min(asked.steps, MOST_COURSE_STEPS)
    every = max(1, steps // COURSE_OUTPUTS)
    asked = type(asked)(
        asked.initial, steps, asked.perturbed, asked.held, integrator=asked.integrator, dt=asked.dt, rule=asked.rule,
        every=every,
    )  # fmt: skip
    return follow(tape_of(params), asked, ctx.check)


def estimate(values: FloatArray) -> Estimate:
    """Mean over blocks of time and trajectories, [block, trajectory], and its standard error.

    From the scatter of the blocks (each averaged over trajectories) and from that of the trajectories (each averaged
    over time); the larger counts: trajectories that chaos does not part say nothing by their scatter.
    """
    if not np.all(np.isfinite(values)):
        known = np.isfinite(values)
        value = float(np.mean(values[known])) if known.any() else float(values.ravel()[0])
        return Estimate(value, math.nan)
    errors = [
        float(np.std(means, ddof=1) / math.sqrt(means.size)) if means.size > 1 else 0.0
        for means in (values.mean(axis=1), values.mean(axis=0))
    ]
    return Estimate(float(values.mean()), max(errors) if max(values.shape) > 1 else math.nan)


def exact_rate(
    lorenz: Lorenz, held: tuple[int, ...], perturbed: int, measured: int, start: tuple[float, ...]
) -> float | None:
    """The rate of Y-W at the measured node where it is known without averaging; None elsewhere.

    A node that is free alone decays at its own rate. With b held, a drives c, and the slower of both is seen in c.
    With c held, (a, b) solves the linear equation that the tangent obeys: on an orbit that stays bounded and away from
    the axis a = b = 0, the tangent neither grows nor vanishes, and its rate is 0. So it is for rho > 1.
    """
    rate = {0: -lorenz.sigma, 1: -1.0, 2: -lorenz.beta}
    if measured in held or perturbed not in relevant(held, measured):
        return None
    if len(held) == 2:
        return rate[measured]
    if held == (1,):
        return rate[0] if measured == 0 else (rate[2] if perturbed == 2 else max(rate[0], rate[2]))
    usual = lorenz.rho > 1.0 and lorenz.sigma > 0.0 and lorenz.beta > 0.0
    if held == (2,) and usual and (start[0] != 0.0 or start[1] != 0.0):
        return 0.0
    return None


def _result(
    params: RatesParams, lorenz: Lorenz, asked: RateQuestion, found: Rates, course: Tangents | None
) -> Result:
    result = Result()
    known = int(np.count_nonzero(np.isfinite(found.full).any(axis=(0, 2))))
    done = asked.blocks if course is not None else max(known, 1)
    full, free, held = found.full[:, :done], found.free[:, :done], found.held[:done]
    t = np.arange(1, done + 1) * asked.block * asked.dt
    result.add_array("t", t, ("t",), text="time averaged over, after the transient")
    running = _running(full[0]), _running(held)
    with np.errstate(invalid="ignore"):
        op = held - full[0]
    result.add_array("free_rate_mean", running[0], ("t",), unit="1/t", text="rate of X-W so far")
    result.add_array("held_rate_mean", running[1], ("t",), unit="1/t", text="rate of Y-W so far")
    mean = _running(op)
    result.add_array("op_rate_mean", mean, ("t",), unit="1/t", text="Op / t so far, over all trajectories")
    exact = exact_rate(lorenz, asked.held, asked.perturbed, asked.measured, params.initial)
    _add_band(result, op, mean)
    if course is not None:
        _add_course(result, params, course)
        _add_findings(result, params, lorenz, asked, (full, free, held), exact)
    for figure in rate_figures(exact, "op_over_t" in result.arrays):
        result.add_figure(figure)
    return result


def _running(values: FloatArray) -> FloatArray:
    """Means over all trajectories and the blocks so far, [block]."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.cumsum(values.mean(axis=1)) / np.arange(1, len(values) + 1))


def _add_band(result: Result, op: FloatArray, mean: FloatArray) -> None:
    with np.errstate(invalid="ignore"):
        error = np.array([estimate(op[: k + 1]).stderr for k in range(len(op))])
    result.add_array("op_rate_low", mean - error, ("t",), unit="1/t", text="less a standard error")
    result.add_array("op_rate_high", mean + error, ("t",), unit="1/t", text="and more")


def _add_course(result: Result, params: RatesParams, course: Tangents) -> None:
    m = AXES.index(params.measured)
    op = compare(course.log_x[:, m], course.sign_x[:, m], course.log_y[:, m], course.sign_y[:, m]).op
    with np.errstate(invalid="ignore", divide="ignore"):
        over_t = op[1:] / course.t[1:]
    # On the times of the averages, where it reaches them, so that both are drawn against one axis.
    t = result.arrays["t"].values
    nearest = np.clip(np.searchsorted(course.t[1:], t * (1 - 1e-9)), 0, over_t.size - 1)
    inside = t <= course.t[-1] * (1 + 1e-9)
    result.add_array(
        "op_over_t",
        np.where(inside, over_t[nearest], np.nan),
        ("t",),
        unit="1/t",
        text="Op / t of the trajectory",
    )


def _add_findings(
    result: Result,
    params: RatesParams,
    lorenz: Lorenz,
    asked: RateQuestion,
    found: tuple[FloatArray, FloatArray, FloatArray],
    exact: float | None,
) -> None:
    full, free, held = found
    if not np.isfinite(full).all():
        why = "A trajectory leaves the finite numbers, so it has no rates: take a smaller dt, or rk4."
        for name in ("lyapunov_1", "lyapunov_2", "lyapunov_3", "held_rate", "op_rate"):
            result.add_missing(name, why, unit="1/t")
        result.warn(why)
        return
    steps_error = abs(float(full.sum(axis=0).mean()) - lorenz.trace)
    number = min(2, 3 - len(asked.held))
    held_error = (
        abs(float(free[:number].sum(axis=0).mean()) - lorenz.held_trace(asked.held)) if asked.held else 0.0
    )
    # Steps of Euler, or holding at the end of steps, are systems of their own, whose rates are what is asked for.
    as_flow = params.integrator == "rk4"
    in_error = steps_error if as_flow else 0.0
    held_in_error = held_error if as_flow and params.hold == "stage" else 0.0
    exponents = sorted((estimate(x) for x in full), key=lambda e: -e.value)
    for k, e in enumerate(exponents, start=1):
        text = f"Lyapunov exponent {k}: mean over {params.trajectories} trajectories of {params.duration:g}"
        result.add_finding(f"lyapunov_{k}", e.value, text, unit="1/t", stderr=math.hypot(e.stderr, in_error))
    x, y = estimate(full[0]), estimate(held)
    result.add_finding(
        "free_rate", x.value, f"rate at which a change of {params.perturbed} grows where A reacts", unit="1/t",
        stderr=math.hypot(x.stderr, in_error),
    )  # fmt: skip
    if math.isfinite(y.value):
        text = f"rate at which a change of {params.perturbed} grows in {params.measured} with A held"
        result.add_finding("held_rate", y.value, text, unit="1/t", stderr=math.hypot(y.stderr, held_in_error))
        op = estimate(held - full[0])
        text = "Op / t after a long time: the rate with A held less the rate without"
        result.add_finding(
            "op_rate", op.value, text, unit="1/t", stderr=math.hypot(op.stderr, in_error, held_in_error)
        )
    else:
        why = f"Nothing of a change of {params.perturbed} reaches {params.measured} with A held: Comp is infinite."
        result.add_finding("held_rate", y.value, why, unit="1/t")
        result.add_finding("op_rate", -math.inf, why, unit="1/t")
        result.warn(why)
    if exact is not None:
        text = "the rate with A held as the equations give it, without averaging"
        result.add_finding("held_rate_exact", exact, text, unit="1/t")
    _add_conditional(result, asked, free, held_error, held_in_error)
    values = [e.value for e in exponents]
    result.add_finding(
        "dimension", kaplan_yorke(values), "Kaplan and Yorke's dimension of what the orbit fills"
    )
    text = "sum of the Lyapunov exponents less the trace -(σ + 1 + β): the error of the steps"
    result.add_finding(
        "trace_error", float(full.sum(axis=0).mean()) - lorenz.trace, text, unit="1/t", kind="accuracy"
    )


def _add_conditional(
    result: Result, asked: RateQuestion, free: FloatArray, held_error: float, in_error: float
) -> None:
    number = min(2, 3 - len(asked.held))
    if not asked.held:
        return
    found = sorted((estimate(x) for x in free[:number]), key=lambda e: -e.value)
    for k, e in enumerate(found, start=1):
        text = f"conditional exponent {k}: of the free nodes, with A held"
        result.add_finding(
            f"conditional_{k}", e.value, text, unit="1/t", stderr=math.hypot(e.stderr, in_error)
        )
    text = "sum of the conditional exponents less the trace of the free nodes"
    result.add_finding("held_trace_error", held_error, text, unit="1/t", kind="accuracy")


def kaplan_yorke(exponents: list[float]) -> float:
    """The dimension after J. L. Kaplan and J. A. Yorke (1979), of exponents in falling order."""
    total = 0.0
    for k, exponent in enumerate(exponents):
        if total + exponent < 0.0:
            return k + total / -exponent
        total += exponent
    return float(len(exponents))
