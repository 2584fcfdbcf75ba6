"""network: a room and a linear thermostat; W, X and Y, and Comp of the thermostat for a change of R_0."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.thermostats.loop_params import NetworkParams
from tui_opt.experiments.thermostats.network_figures import add_figures
from tui_opt.kernels.linear_loop import (
    FloatArray,
    Response,
    closed_response,
    eigenvalues,
    precise_difference_log,
    rate,
    response,
    worlds,
)
from tui_opt.result import Result
from tui_opt.runner.context import Context

PRECISE_STEPS = 2000
BROKEN = 0.1
"""A finite difference has broken down where its logarithm is off by more."""


def compute(params: NetworkParams, ctx: Context) -> Result:
    """The worlds in doubles, Comp by its tangent and in closed form, and finite differences beside them."""
    result = Result()
    t = np.arange(params.steps + 1, dtype=np.float64)
    forcing = params.noise_amplitude * np.sin(2.0 * math.pi * t[:-1] / params.noise_period)
    result.add_array("t", t, ("t",), unit="steps")
    ctx.progress(0, 4, "worlds")
    _add_worlds(result, params, forcing)
    ctx.progress(1, 4, "tangent")
    tangent = response(params.gain, params.steps, ctx.check)
    exact = closed_response(params.gain, params.steps, ctx.check)
    _add_comp(result, tangent, exact)
    ctx.progress(2, 4, "finite differences")
    _add_differences(result, params, forcing, exact, ctx)
    ctx.progress(3, 4, "twice the gain")
    _add_rates(result, params, exact, ctx)
    add_figures(result, params)
    return result


def _add_worlds(result: Result, params: NetworkParams, forcing: FloatArray) -> None:
    found = worlds(params.gain, params.setpoint, params.room, params.machine, params.delta, forcing.tolist())
    texts = {
        "w_room": "room in W",
        "x_room": "room in X, where R₀ is changed",
        "y_room": "room in Y, where R₀ is changed and the machine held",
        "w_machine": "machine in W, and so in Y",
        "x_machine": "machine in X",
    }
    with np.errstate(all="ignore"):
        for name, text in texts.items():
            result.add_array(name, getattr(found, name), ("t",), unit="K", text=text)
        result.add_array(
            "y_machine", found.w_machine.copy(), ("t",), unit="K", text="machine in Y, held to W"
        )
        result.add_array(
            "x_difference", found.x_room - found.w_room, ("t",), unit="K", text="room in X less W"
        )
        result.add_array(
            "y_difference", found.y_room - found.w_room, ("t",), unit="K", text="room in Y less W"
        )
        result.add_array(
            "log_comp_difference",
            found.difference_log(),
            ("t",),
            text="ln|(X-W)/(Y-W)| of the room as doubles have it",
        )
    lost = ~np.isfinite(found.x_room)
    if np.any(lost):
        result.warn(
            f"The room leaves the finite numbers at step {int(np.argmax(lost))}: the loop is unstable. "
            "Comp does not depend on where the room is, and goes on."
        )
    result.add_finding("final_room", float(found.w_room[-1]), "the room in W at the end", unit="K")
    result.add_finding("final_machine", float(found.w_machine[-1]), "the machine in W at the end", unit="K")


def _add_comp(result: Result, tangent: Response, exact: Response) -> None:
    result.add_array(
        "log_comp", tangent.log, ("t",), unit="nats", text="ln|Comp| by the tangents of the steps"
    )
    result.add_array("log_comp_exact", exact.log, ("t",), unit="nats", text="ln|Comp| in closed form")
    result.add_array("sign", tangent.sign, ("t",), text="sign of Comp")
    final, sign = float(tangent.log[-1]), float(tangent.sign[-1])
    zero = "; Comp is exactly 0 there" if sign == 0.0 else ""
    result.add_finding("log_comp_final", final, f"ln|Comp| at the end, which is -Op{zero}", unit="nats")
    result.add_finding("op_final", 0.0 - final, f"Op = -ln|Comp| at the end{zero}", unit="nats")
    result.add_finding("sign_final", sign, "sign of Comp at the end")
    flips = int(np.count_nonzero(np.diff(tangent.sign[tangent.sign != 0.0])))
    result.add_finding("sign_changes", flips, "how often Comp changes its sign; never for k up to 1/4")
    same = tangent.log == exact.log
    with np.errstate(invalid="ignore"):
        error = float(np.max(np.where(same, 0.0, np.abs(tangent.log - exact.log))))
    text = "largest difference of ln|Comp| by tangents and in closed form"
    result.add_finding("log_comp_error", error, text, unit="nats", kind="accuracy")


def _add_differences(
    result: Result, params: NetworkParams, forcing: FloatArray, exact: Response, ctx: Context
) -> None:
    """What doubles make of the differences, and that nothing but rounding is wrong with them."""
    beside = result.arrays["log_comp_difference"].values
    with np.errstate(invalid="ignore"):
        off = np.where(beside == exact.log, 0.0, np.abs(beside - exact.log))
    off = np.where(np.isnan(off), np.inf, off)
    worst = int(np.argmax(off))
    text = (
        f"largest error of ln|(X-W)/(Y-W)| with differences of doubles, at step {worst}: rounding alone, which grows "
        "beside a difference that shrinks; infinite where a difference is lost"
    )
    result.add_finding("difference_error", float(off[worst]), text, unit="nats", kind="accuracy")
    result.add_finding(
        "difference_error_final", float(off[-1]), "the same at the end", unit="nats", kind="accuracy"
    )
    broken = np.flatnonzero(off > BROKEN)
    if broken.size:
        text = f"first step at which differences of doubles are off by more than {BROKEN:g} in the logarithm"
        result.add_finding("difference_breakdown", float(broken[0]), text, unit="steps")
    else:
        result.add_missing("difference_breakdown", f"never off by more than {BROKEN:g}", unit="steps")
    steps = min(params.steps, PRECISE_STEPS)
    precise = precise_difference_log(
        params.gain,
        params.setpoint,
        params.room,
        params.machine,
        params.delta,
        forcing[:steps].tolist(),
        ctx.check,
    )
    ours = exact.log[: steps + 1]
    with np.errstate(invalid="ignore"):
        error = float(np.max(np.where(precise == ours, 0.0, np.abs(precise - ours))))
    text = (
        f"the same with as many digits as it takes, over {steps} steps: the loop is linear, so neither δ nor the "
        "sinusoid changes anything"
    )
    result.add_finding("difference_error_precise", error, text, unit="nats", kind="accuracy")


def _add_rates(result: Result, params: NetworkParams, exact: Response, ctx: Context) -> None:
    gain = params.gain
    first, second = eigenvalues(gain)
    result.add_table(
        "eigenvalues",
        ("eigenvalue", "real", "imaginary", "modulus"),
        [(name, z.real, z.imag, abs(z)) for name, z in (("l1", first), ("l2", second))],
        title="Eigenvalues of the loop, l² = l - k",
    )
    long_run = rate(gain)
    result.add_finding("rate", long_run, "ln|l₁|, the slope of ln|Comp| in the long run", unit="nats/step")
    kind = "real" if gain < 0.25 else "equal" if gain == 0.25 else "a complex pair"
    text = f"modulus of the larger eigenvalue; they are {kind}"
    result.add_finding("spectral_radius", math.exp(long_run), text)
    if gain == 0.0:
        result.warn("With k = 0 the machine does nothing: Comp is 1.")
    elif gain < 0.0:
        result.warn("With k below 0 the machine drives the room away from its setpoint, and Comp grows.")
    elif gain >= 1.0:
        grows = "grows without bound" if gain > 1.0 else "does not shrink"
        result.warn(f"With k = {gain:g} the loop is not stable (it is for k below 1): a change {grows}.")
    elif gain > 0.25:
        result.warn(
            f"With k = {gain:g}, above 1/4, the room overshoots: Comp changes its sign about every "
            f"{math.pi / math.atan2(math.sqrt(4.0 * gain - 1.0), 1.0):.3g} steps, and ln|Comp| dips where it does."
        )
    ctx.check()
    twice = closed_response(2.0 * gain, params.steps, ctx.check)
    once, doubled = float(exact.log[-1]), float(twice.log[-1])
    if math.isfinite(once) and math.isfinite(doubled) and once != 0.0:
        text = f"ln|Comp| at the end with 2k, over that with k ({doubled:.6g} over {once:.6g})"
        result.add_finding("doubling_ratio", doubled / once, text)
    else:
        result.add_missing("doubling_ratio", "one of the two is 0 or not finite at the end")
    if long_run != 0.0:
        text = "the same of the rates, which it tends to; 2 only for k to 0"
        result.add_finding("doubling_ratio_limit", rate(2.0 * gain) / long_run, text)
    else:
        result.add_missing(
            "doubling_ratio_limit", "with this k ln|Comp| neither grows nor shrinks in the long run"
        )
    same_step = params.steps * math.log(abs(1.0 - gain)) if gain != 1.0 else -math.inf
    text = "t ln|1-k|: ln|Comp| at the end if the machine read the room at the same step, which is not what is followed"
    result.add_finding("log_comp_same_step", same_step, text, unit="nats")
