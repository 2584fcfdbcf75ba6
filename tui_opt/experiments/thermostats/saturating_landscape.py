"""saturating-landscape: Op of a thermostat of limited power over initial temperatures, and its integral."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.thermostats.loop_params import SaturatingLandscapeParams, steps_of
from tui_opt.experiments.thermostats.saturating import warn_of_steps
from tui_opt.experiments.thermostats.saturating_figures import add_landscape_figures
from tui_opt.kernels.saturating_loop import Course, FloatArray, Loop, follow_loop, limit_op
from tui_opt.result import Result
from tui_opt.runner.context import Context

LANES_IN_A_BLOCK = 8192


def compute(params: SaturatingLandscapeParams, ctx: Context) -> Result:
    """The loop from every initial temperature and from one beside it, in blocks of temperatures."""
    loop = Loop(params.power, params.width, params.setpoint, params.dt)
    steps = steps_of(params.time, params.dt)
    room = np.linspace(params.room_min, params.room_max, params.points)
    begins = range(0, params.points, LANES_IN_A_BLOCK)

    def block(begin: int) -> tuple[Course, Course]:
        starts = room[begin : begin + LANES_IN_A_BLOCK]
        return (
            follow_loop(loop, starts, params.machine, steps, steps, ctx.check),
            follow_loop(loop, starts + params.delta, params.machine, steps, steps, ctx.check),
        )

    found = []
    for done, answer in enumerate(ctx.map(block, begins)):
        found.append(answer)
        ctx.progress(done + 1, len(begins), "initial temperatures")
    final, beside = (np.concatenate([pair[k].room[-1] for pair in found]) for k in range(2))
    op = 0.0 - np.concatenate([course.log_comp[-1] for course, _ in found])
    sign = np.concatenate([course.sign[-1] for course, _ in found])
    result = Result()
    t = steps * params.dt
    _add_arrays(result, loop, params, room, final, op, sign, t)
    one_minus_comp = 1.0 - (beside - final) / ((room + params.delta) - room)
    result.add_array(
        "one_minus_comp", one_minus_comp, ("room",), text=f"1 - Comp by differences of δ = {params.delta:g}"
    )
    _add_integrals(result, loop, params, steps)
    warn_of_steps(result, loop)
    add_landscape_figures(result, params, t)
    return result


def _add_arrays(
    result: Result,
    loop: Loop,
    params: SaturatingLandscapeParams,
    room: FloatArray,
    final: FloatArray,
    op: FloatArray,
    sign: FloatArray,
    t: float,
) -> None:
    limit = limit_op(loop, room, np.array(t))
    result.add_array("room", room, ("room",), unit="K", text="initial temperatures")
    result.add_array("room_final", final, ("room",), unit="K", text=f"temperatures at t = {t:g}")
    result.add_array("op", op, ("room",), unit="nats", text="Op = -ln|Comp| by the tangents of the steps")
    result.add_array("sign", sign, ("room",), text="sign of Comp")
    result.add_array("op_limit", limit, ("room",), unit="nats", text="Op for small steps, in closed form")
    result.add_array(
        "one_minus_comp_limit",
        1.0 - np.exp(-limit),
        ("room",),
        text="1 - Comp for small steps, in closed form",
    )
    best = int(np.argmax(op))
    result.add_finding("op_max", float(op[best]), f"largest Op, from R₀ = {room[best]:g}", unit="nats")
    optimized = room[op > 0.0]
    where = (
        f"of initial temperatures; from {optimized[0]:g} to {optimized[-1]:g}"
        if optimized.size
        else "of none"
    )
    result.add_finding("optimized_fraction", optimized.size / room.size, f"share with Op > 0 {where}")
    result.add_finding("negative_sign_fraction", float(np.mean(sign < 0.0)), "share with Comp below 0")


def _add_integrals(result: Result, loop: Loop, params: SaturatingLandscapeParams, steps: int) -> None:
    """∫(1-Comp) dR₀ sampled, telescoped, and as it is where both ends move at full power all the time."""
    room, final, one_minus_comp, op, sign = (
        result.arrays[name].values for name in ("room", "room_final", "one_minus_comp", "op", "sign")
    )
    low, high = params.room_min, params.room_max
    sampled = float(np.trapezoid(one_minus_comp, room))
    with np.errstate(over="ignore"):
        by_tangents = float(np.trapezoid(1.0 - sign * np.exp(-op), room))
    telescoped = math.fsum([high, -low, -float(final[-1]), float(final[0])])
    text = f"∫(1-Comp) dR₀ by the trapezoidal rule on {params.points} differences of δ = {params.delta:g}"
    result.add_finding("compression_integral", sampled, text, unit="K")
    text = "the same with the tangents at the sampled points, which is off where a point lies on a kink"
    result.add_finding("compression_integral_tangent", by_tangents, text, unit="K", kind="accuracy")
    text = "the same integral exactly: Comp = dR_t/dR₀, so it telescopes to (b-a) - (R_t(b) - R_t(a))"
    result.add_finding("compression_exact", telescoped, text, unit="K")
    text = "sampled less exact: the error of the grid and of δ"
    result.add_finding("grid_error", sampled - telescoped, text, unit="K", kind="accuracy")
    t = params.dt * steps
    reach = params.width + params.power * t
    text = f"2pt, what it tends to for small steps where the range reaches beyond {params.setpoint:g} ± {reach:g}"
    result.add_finding("compression_limit", 2.0 * params.power * t, text, unit="K")
    full = params.power * (steps - 1) * params.dt
    first = params.dt * float(loop.action(np.array(params.machine)))
    ends = ((high, final[-1], high - first - full), (low, final[0], low - first + full))
    # A step of rounding, many times over: what is asked is whether an end ever moved at less than full power.
    near = 1e-9 * max(1.0, abs(low), abs(high), full)
    if all(abs(reached - expected) <= near for _, reached, expected in ends):
        text = "2p(n-1)dt: both ends move towards each other at full power in all steps but the first"
        result.add_finding("compression_telescoped", 2.0 * full, text, unit="K")
    else:
        result.add_missing(
            "compression_telescoped",
            "an end of the range comes within the width before the end, so that the integral is not 2p(n-1)dt; "
            f"it is where the range reaches beyond {params.setpoint:g} ± {reach:g}",
            unit="K",
        )
