"""op: Op along one trajectory by exact tangents, with its sign, and finite differences beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.lorenz.course import (
    add_course,
    halved,
    lorenz_of,
    question_of,
    tape_of,
    warn_of_divergence,
)
from tui_opt.experiments.lorenz.figures import (
    difference_figures,
    growth_over_time,
    op_over_time,
    portraits,
    time_series,
)
from tui_opt.experiments.lorenz.params import AXES, OpParams
from tui_opt.kernels.tangents import (
    Comparison,
    Differences,
    Question,
    Tangents,
    blank,
    breakdown_time,
    case,
    compare,
    differences,
    follow,
)
from tui_opt.kernels.tangents.comparison import INFINITE, LOST, UNDEFINED, UNDONE
from tui_opt.kernels.tangents.lorenz_rates import RateQuestion, rates
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result
from tui_opt.runner.context import Context

MEANINGS = {
    UNDONE: "nothing of the change is left where A reacts: Op is infinite",
    INFINITE: "nothing of the change arrives where A is held, and something does where it reacts: Comp is infinite",
    UNDEFINED: "the change arrives neither with A held nor without: Comp is 0/0",
    LOST: "the trajectory or its tangent is no number any more",
}


@dataclass
class Answer:
    """What is known so far."""

    params: OpParams
    question: Question
    tangents: Tangents
    finer: Tangents | None = None
    beside: Differences | None = None
    volume: float | None = None

    @property
    def places(self) -> list[int]:
        """Of the measured axes."""
        return [AXES.index(axis) for axis in self.params.measured]

    def comparison(self, of: Tangents | None = None) -> Comparison:
        """Op and sign of the measured axes, [measured, t]."""
        tangents = self.tangents if of is None else of
        p = self.places
        return compare(
            tangents.log_x[:, p].T, tangents.sign_x[:, p].T, tangents.log_y[:, p].T, tangents.sign_y[:, p].T
        )


def compute(params: OpParams, ctx: Context) -> Result:
    """Tangents, the same with half the step, differences, and the volume of the full tangent."""
    system, asked = tape_of(params), question_of(params, params.held, params.perturbed)
    answer = Answer(params, asked, blank(asked))
    total = (3 + 2 * len(params.deltas)) * asked.steps

    def told(done: int) -> None:
        ctx.progress(done, total, "tangents")
        ctx.partial(lambda: _result(answer))

    follow(system, asked, ctx.check, told, answer.tangents)
    answer.beside = differences(system, asked, params.deltas, ctx.check)
    answer.finer = follow(
        system,
        halved(asked),
        ctx.check,
        lambda done: ctx.progress((1 + 2 * len(params.deltas)) * asked.steps + done, total, "half steps"),
    )
    answer.volume = _log_volume(answer, ctx)
    return _result(answer)


def _log_volume(answer: Answer, ctx: Context) -> float:
    """ln|det| of the full tangent at the end."""
    asked = answer.question
    if answer.tangents.state_lost is not None:
        return math.nan
    frame = RateQuestion(
        np.repeat(asked.initial[:, None], 1, axis=1),
        1,
        1,
        (),
        asked.integrator,
        "stage",
        asked.dt,
        0,
        asked.steps,
        1,
    )
    return float(rates(lorenz_of(answer.params), frame, ctx.check).full.sum()) * asked.steps * asked.dt


def _result(answer: Answer) -> Result:
    params, tangents = answer.params, answer.tangents
    result = Result()
    add_course(result, tangents.t, tangents.state)
    op = answer.comparison()
    dims = ("measured", "t")
    for name, text in (
        ("log_x", "ln|X-W| of a change of 1, A free"),
        ("log_y", "ln|Y-W| of a change of 1, A held"),
    ):
        values = getattr(tangents, name)[:, answer.places].T
        result.add_array(name, np.ascontiguousarray(values), dims, unit="nats", text=text)
    for name, text in (("sign_x", "sign of X-W"), ("sign_y", "sign of Y-W")):
        values = getattr(tangents, name)[:, answer.places].T.astype(np.float64)
        result.add_array(name, np.ascontiguousarray(values), dims, text=f"{text} for a positive change")
    result.add_array("op", np.ascontiguousarray(op.op), dims, unit="nats", text="Op = -ln|Comp|")
    result.add_array("sign", np.ascontiguousarray(op.sign), dims, text="sign of Comp")
    if answer.beside is not None and params.deltas:
        _add_differences(result, answer, answer.beside)
    deltas = params.deltas if answer.beside is not None else ()
    op_over_time(result, params.measured, params.held_until, deltas)
    for figure in growth_over_time(params.measured, params.held_until):
        result.add_figure(figure)
    for figure in difference_figures(params.measured, deltas):
        result.add_figure(figure)
    result.add_figure(time_series(tangents.state))
    result.add_figure(portraits()[0])
    if answer.finer is not None:
        _add_findings(result, answer, op)
    return result


def _add_differences(result: Result, answer: Answer, beside: Differences) -> None:
    deltas = answer.params.deltas
    dims = ("delta", "measured", "t")
    places = answer.places
    result.add_array("delta", np.array(deltas), ("delta",), text="perturbations")
    found = beside.comparison().op[:, :, places].transpose(0, 2, 1)
    result.add_array(
        "op_finite_difference",
        np.ascontiguousarray(found),
        dims,
        unit="nats",
        text="Op by finite differences",
    )
    for name in "xy":
        values = getattr(beside, name)[:, :, places].transpose(0, 2, 1)
        text = f"{name.upper()}-W as computed from two trajectories"
        result.add_array(f"{name}_difference", np.ascontiguousarray(values), dims, text=text)
    t, tangents = answer.tangents.t, answer.tangents
    rows = [
        (
            float(delta),
            breakdown_time(t, beside.x[k], tangents.log_x, delta),
            breakdown_time(t, beside.y[k], tangents.log_y, delta),
        )
        for k, delta in enumerate(deltas)
    ]
    title = "When the length of a finite difference is off by more than a factor e^0.1 for the first time; nan: never"
    result.add_table("breakdown", ("delta", "x_time", "y_time"), rows, title=title)


def _add_findings(result: Result, answer: Answer, op: Comparison) -> None:
    params, tangents = answer.params, answer.tangents
    end = float(tangents.t[-1])
    for k, axis in enumerate(params.measured):
        place = answer.places[k]
        what = case(float(tangents.log_x[-1, place]), float(tangents.log_y[-1, place]))
        text = f"Op of {axis} at t = {end:g}" + (f": {MEANINGS[what]}" if what else "")
        result.add_finding(f"op_final_{axis}", float(op.op[k, -1]), text, unit="nats")
        result.add_finding(f"sign_final_{axis}", float(op.sign[k, -1]), f"sign of Comp of {axis} there")
        if axis in params.held:
            _warn_of_held(result, axis, params.held_until, end)
        _add_signs(result, axis, tangents.t, op.op[k], op.sign[k])
        assert answer.finer is not None
        finer = answer.comparison(answer.finer).op[k, -1]
        error = abs(float(finer - op.op[k, -1])) if np.isfinite(finer) else math.nan
        text = f"change of Op of {axis} at t = {end:g} with half the step; a sixteenth of it is left then"
        if params.integrator == "euler" or params.hold == "node":
            text = f"change of Op of {axis} at t = {end:g} with half the step"
        result.add_finding(f"op_step_error_{axis}", error, text, unit="nats", kind="accuracy")
    if answer.volume is not None:
        exact = lorenz_of(params).trace * answer.question.steps * answer.question.dt
        text = (
            f"ln|det| of the full tangent at t = {end:g}; {exact:.9g} in continuous time, the trace times t"
        )
        result.add_finding("log_volume", answer.volume, text, unit="nats", kind="accuracy")
        text = "how far it is from there"
        result.add_finding("trace_error", answer.volume - exact, text, unit="nats", kind="accuracy")
    warn_of_divergence(result, tangents.state_lost, params.dt)
    result.headline = [f"{name}_{axis}" for axis in params.measured for name in ("op_final", "sign_final")][
        :4
    ]


def _warn_of_held(result: Result, axis: str, until: float | None, end: float) -> None:
    if until is None or until >= end * (1 - 1e-9):
        result.warn(
            f"{axis} is measured and held, so nothing of the change ever arrives in Y: Comp is infinite."
        )
    elif until > 0:
        result.warn(f"{axis} is measured and held up to t = {until:g}: Comp is infinite until then.")


def _add_signs(result: Result, axis: str, t: FloatArray, op: FloatArray, sign: FloatArray) -> None:
    """How often Comp changes sign, how long it is negative, and from when on Op is."""
    known = sign[np.isfinite(sign) & (sign != 0.0)]
    changes = int(np.count_nonzero(np.diff(known)))
    result.add_finding(f"sign_changes_{axis}", changes, f"changes of the sign of Comp of {axis}")
    share = float(np.mean(sign < 0)) * float(t[-1]) if sign.size else 0.0
    result.add_finding(f"negative_sign_time_{axis}", share, f"how long Comp of {axis} is negative", unit="t")
    above = np.flatnonzero(~(op < 0.0))
    start = float(t[above[-1] + 1]) if above.size and above[-1] + 1 < t.size else math.nan
    if not above.size:
        start = float(t[0])
    text = (
        f"Op of {axis} is negative from then on"
        if math.isfinite(start)
        else f"Op of {axis} does not stay negative"
    )
    result.add_finding(f"op_negative_from_{axis}", start, text, unit="t")
