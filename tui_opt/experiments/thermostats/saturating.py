"""saturating: Op of a thermostat of limited power over time, from one initial temperature."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.thermostats.loop_params import SaturatingParams, steps_of
from tui_opt.experiments.thermostats.saturating_figures import add_course_figures
from tui_opt.kernels.linear_loop import rate
from tui_opt.kernels.saturating_loop import (
    Course,
    FloatArray,
    Loop,
    entry_time,
    follow_loop,
    held_room,
    limit_op,
    limit_room,
)
from tui_opt.result import Result
from tui_opt.runner.context import Context

BROKEN = 0.1
"""A finite difference has broken down where Op is off by more."""


def compute(params: SaturatingParams, ctx: Context) -> Result:
    """W and X with the exact derivative of every step, Y beside them, and the limit of small steps."""
    loop = Loop(params.power, params.width, params.setpoint, params.dt)
    steps = steps_of(params.duration, params.dt)
    t = params.dt * np.arange(steps + 1.0)
    ctx.progress(0, 2, "the loop")
    starts = np.array([params.room, params.room + params.delta])
    course = follow_loop(loop, starts, params.machine, steps, 1, ctx.check)
    ctx.progress(1, 2, "comparisons")
    result = Result()
    result.add_array("t", t, ("t",), unit="s")
    _add_course(result, loop, params, course, t)
    _add_op(result, loop, params, course, t)
    ctx.check()
    _add_differences(result, params)
    warn_of_steps(result, loop)
    add_course_figures(result, params)
    return result


def warn_of_steps(result: Result, loop: Loop) -> None:
    """What a step dt that is too long for the width does."""
    k = loop.gain
    where = f"dt p/θ = {k:g}"
    if k >= 1.0:
        result.warn(
            f"With {where} the loop is not stable within the width (it is below 1): the room swings about the "
            f"setpoint, and tangents grow. Choose dt below {loop.dt / k:.3g}; the telescoped integral holds anyway."
        )
    elif k > 0.25:
        result.warn(
            f"With {where}, above 1/4, the delay makes the room overshoot the setpoint, and Comp changes its sign. "
            f"Choose dt below {loop.dt / (4 * k):.3g} for the course that the continuous thermostat has."
        )


def _add_course(result: Result, loop: Loop, params: SaturatingParams, course: Course, t: FloatArray) -> None:
    w, x = course.room[:, 0].copy(), course.room[:, 1].copy()
    machine = course.machine[:, 0].copy()
    y = held_room(loop, params.room + params.delta, machine)
    result.add_array("room", w, ("t",), unit="K", text="room in W")
    result.add_array("machine", machine, ("t",), unit="K", text="machine in W")
    result.add_array("x_room", x, ("t",), unit="K", text="room in X, where R₀ is changed")
    result.add_array(
        "y_room", y, ("t",), unit="K", text="room in Y, where R₀ is changed and the machine held"
    )
    result.add_array("x_difference", x - w, ("t",), unit="K", text="room in X less W")
    result.add_array("y_difference", y - w, ("t",), unit="K", text="room in Y less W")
    limit = limit_room(loop, np.array(params.room), t)
    result.add_array("room_limit", limit, ("t",), unit="K", text="room for small steps, in closed form")
    result.add_finding("room_final", float(w[-1]), f"the room at t = {t[-1]:g}", unit="K")
    result.add_finding(
        "room_limit_final", float(limit[-1]), f"the room at t = {t[-1]:g} for small steps", unit="K"
    )


def _add_op(result: Result, loop: Loop, params: SaturatingParams, course: Course, t: FloatArray) -> None:
    op = 0.0 - course.log_comp[:, 0]
    sign = course.sign[:, 0].copy()
    limit = limit_op(loop, np.array(params.room), t)
    result.add_array("op", op, ("t",), unit="nats", text="Op = -ln|Comp| by the tangents of the steps")
    result.add_array("sign", sign, ("t",), text="sign of Comp")
    result.add_array("op_limit", limit, ("t",), unit="nats", text="Op for small steps, in closed form")
    end = f"at t = {t[-1]:g}"
    zero = "; Comp is exactly 0 there" if sign[-1] == 0.0 else ""
    result.add_finding("op_final", float(op[-1]), f"Op {end}{zero}", unit="nats")
    result.add_finding("sign_final", float(sign[-1]), f"sign of Comp {end}")
    result.add_finding("op_limit_final", float(limit[-1]), f"Op {end} for small steps", unit="nats")
    result.add_finding(
        "sign_changes", int(np.count_nonzero(np.diff(sign[sign != 0.0]))), "how often Comp changes its sign"
    )
    entry = float(entry_time(loop, np.array(params.room)))
    text = "when the room comes within the width, for small steps: until then Op is 0"
    if math.isfinite(entry):
        result.add_finding("entry_time", entry, text, unit="s")
    else:
        result.add_finding(
            "entry_time", entry, "without power the room never comes within the width", unit="s"
        )
    tail = 0.0 - rate(loop.gain) / loop.dt
    result.add_finding(
        "tail_rate", tail, "growth of Op within the width, -ln|l₁|/dt with k = dt p/θ", unit="nats/s"
    )
    result.add_finding(
        "tail_rate_limit", loop.power / loop.width, "the same for small steps, p/θ", unit="nats/s"
    )


def _add_differences(result: Result, params: SaturatingParams) -> None:
    x, y, t, op = (result.arrays[name].values for name in ("x_difference", "y_difference", "t", "op"))
    with np.errstate(all="ignore"):
        beside = 0.0 - np.log(np.abs(x / y))
        off = np.abs(beside - op)
    result.add_array(
        "op_finite_difference",
        beside,
        ("t",),
        unit="nats",
        text="-ln|(X-W)/(Y-W)| of the room, as doubles have it",
    )
    off = np.where(beside == op, 0.0, np.where(np.isnan(off), np.inf, off))
    broken = np.flatnonzero(off > BROKEN)
    if broken.size:
        text = f"when Op by differences of δ = {params.delta:g} is first off by more than {BROKEN:g}"
        result.add_finding("difference_breakdown", float(t[broken[0]]), text, unit="s")
    else:
        result.add_missing(
            "difference_breakdown", f"Op by differences is never off by more than {BROKEN:g}", unit="s"
        )
    sound = off[: broken[0]] if broken.size else off
    text = "largest error of Op by differences until then"
    result.add_finding(
        "difference_error", float(np.max(sound, initial=0.0)), text, unit="nats", kind="accuracy"
    )
