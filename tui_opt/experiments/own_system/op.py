"""op: W with its tangents in a system that is written down, Op and its sign, and finite differences beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.node_systems import tape_system
from tui_opt.experiments.own_system.op_figures import add_figures
from tui_opt.experiments.own_system.params import OpParams
from tui_opt.kernels.tangents import (
    Comparison,
    Question,
    Tangents,
    TapeSystem,
    blank,
    breakdown_time,
    case,
    compare,
    differences,
    follow,
    held_indices,
)
from tui_opt.kernels.tangents.system import FloatArray, IntArray
from tui_opt.result import Result
from tui_opt.runner.context import Context

CASES = {
    "": "",
    "undone": "; Comp is 0: the change is undone completely",
    "infinite": "; Comp is infinite: with the nodes held nothing of the change arrives",
    "undefined": "; Comp is undefined: the change arrives in neither X nor Y",
    "lost": "; the tangents are no numbers there",
}


@dataclass(frozen=True)
class Setting:
    """What is followed, and which nodes are looked at.

    Attributes:
        places: int64[measured], where they stand among the nodes.
    """

    params: OpParams
    system: TapeSystem
    question: Question
    places: IntArray


def compute(params: OpParams, ctx: Context) -> Result:
    """The tangents with partial answers on the way, then finite differences."""
    setting = _setting(params, ctx)
    room = blank(setting.question)
    total = params.count

    def told(done: int) -> None:
        ctx.progress(done, total * (1.2 if params.deltas else 1.0), "tangents")
        ctx.partial(lambda: _partial(setting, room))

    found = follow(setting.system, setting.question, ctx.check, told, room)
    if not np.all(np.isfinite(found.state[0])):
        raise ExperimentError("The system has no finite values at the start; look at the initial values.")
    result = _report(setting, found)
    _add_findings(result, setting, found)
    _add_step_errors(result, setting, ctx)
    ctx.progress(total, total * 1.2, "finite differences")
    _add_differences(result, setting, found, ctx)
    add_figures(result, params)
    return result


def _setting(params: OpParams, ctx: Context) -> Setting:
    names, noisy = params.names, [(name, sd) for name, sd in params.noise if sd > 0.0]
    inputs = [_fresh(f"noise_of_{name}", names) for name, _ in noisy]
    updates = dict(params.nodes)
    for (name, sd), source in zip(noisy, inputs, strict=True):
        # In a flow the noise is constant within a step, and sums to a Wiener process of this deviation.
        amplitude = sd / math.sqrt(params.step_time)
        updates[name] = f"({updates[name]}) + {amplitude!r}*{source}"
    initial = dict(params.initial)
    until = math.inf if params.held_until is None else params.held_until
    question = Question(
        initial=np.array([initial[name] for name in names]),
        steps=params.count,
        perturbed=names.index(params.perturbed),
        held=held_indices(names, params.held),
        held_until=until,
        integrator=params.stepping,
        dt=params.step_time,
        every=params.output_every,
        inputs=_noise(params, [name for name, _ in noisy], ctx),
    )
    places = np.array([names.index(name) for name in params.looked_at], dtype=np.int64)
    return Setting(params, tape_system(updates, inputs), question, places)


def _fresh(name: str, taken: tuple[str, ...]) -> str:
    while name in taken:
        name += "_"
    return name


def _noise(params: OpParams, noisy: list[str], ctx: Context) -> FloatArray:
    """Standard normal numbers, [step, node]; a stream for every node by its name, so that others do not change it."""
    if not noisy:
        return np.empty((0, 0))
    columns = [ctx.rng(f"noise {name}").standard_normal(params.count) for name in noisy]
    return np.ascontiguousarray(np.stack(columns, axis=1))


# --- the answer -------------------------------------------------------------------------------------------------------


def _report(setting: Setting, found: Tangents) -> Result:
    """The arrays as far as they are known."""
    params, places = setting.params, setting.places
    result = Result()
    unit = "steps" if params.is_map else ""
    result.add_array("t", found.t, ("t",), unit=unit)
    result.add_array(
        "state", found.state.copy(), ("t", "node"), text="nodes in W: " + ", ".join(params.names)
    )
    looked_at = "nodes: " + ", ".join(params.looked_at)
    for name, values, text in (("log_x", found.log_x, "ln|X-W|"), ("log_y", found.log_y, "ln|Y-W|")):
        picked = np.ascontiguousarray(values[:, places].T)
        text = f"{text} for a change of size 1, by tangents; {looked_at}"
        result.add_array(name, picked, ("measured", "t"), unit="nats", text=text)
    for name, signs, text in (("sign_x", found.sign_x, "X-W"), ("sign_y", found.sign_y, "Y-W")):
        picked = np.ascontiguousarray(signs[:, places].T, dtype=np.float64)
        result.add_array(
            name, picked, ("measured", "t"), text=f"sign of {text} for a positive change; {looked_at}"
        )
    answer = _comparison(found, places)
    result.add_array("op", answer.op, ("measured", "t"), unit="nats", text=f"Op = -ln|Comp|; {looked_at}")
    result.add_array("sign", answer.sign, ("measured", "t"), text=f"sign of Comp; {looked_at}")
    return result


def _partial(setting: Setting, found: Tangents) -> Result:
    result = _report(setting, found)
    add_figures(result, setting.params)
    return result


def _comparison(found: Tangents, places: IntArray) -> Comparison:
    log_x, log_y = (np.ascontiguousarray(values[:, places].T) for values in (found.log_x, found.log_y))
    sign_x, sign_y = (np.ascontiguousarray(signs[:, places].T) for signs in (found.sign_x, found.sign_y))
    answer = compare(log_x, sign_x, log_y, sign_y)
    return Comparison(answer.op + 0.0, answer.sign)


def _add_findings(result: Result, setting: Setting, found: Tangents) -> None:
    params = setting.params
    end = f"{'step' if params.is_map else 't ='} {found.t[-1]:g}"
    for k, name in enumerate(params.looked_at):
        what = case(float(result.arrays["log_x"].values[k, -1]), float(result.arrays["log_y"].values[k, -1]))
        op, sign = (float(result.arrays[array].values[k, -1]) for array in ("op", "sign"))
        text = f"Op of {', '.join(params.held) or 'nothing'} for {params.perturbed} and {name} at {end}{CASES[what]}"
        result.add_finding(f"op_final_{name}", op, text, unit="nats")
        result.add_finding(f"sign_final_{name}", sign, f"sign of Comp for {name} at {end}{CASES[what]}")
    for name, value in zip(params.names, found.state[-1], strict=True):
        result.add_finding(f"final_{name}", float(value), f"{name} in W at {end}")
    result.headline = [f"{kind}_final_{name}" for name in params.looked_at[:2] for kind in ("op", "sign")]
    _warn(result, setting, found)


def _warn(result: Result, setting: Setting, found: Tangents) -> None:
    params, question = setting.params, setting.question
    if not params.held:
        result.warn("Nothing is held: X and Y are the same, and Op is 0 wherever a change arrives.")
    for name in params.measured:
        if name in params.held:
            result.warn(f"{name} is held and measured: while it is held Comp is infinite, and Op is -inf.")
    if params.held and question.held_steps < 1:
        result.warn(
            "held_until ends before the first step: the nodes are never held, and Op is 0 wherever a change arrives."
        )
    if params.is_map and params.integrator != "rk4":
        result.warn("The integrator is not used: with steps the system is a map.")
    if found.state_lost is not None:
        result.warn(
            f"{_lost(setting, found)} at step {found.state_lost}: from there on nothing is known. "
            "Look at the update expressions, or choose a shorter step."
        )
    elif found.tangent_lost is not None:
        result.warn(
            f"The derivative of step {found.tangent_lost} is no finite number, as at the foot of a square root: "
            "from there on Op is not known, though W is."
        )


def _lost(setting: Setting, found: Tangents) -> str:
    """Which nodes leave the finite numbers, found out by making the step again."""
    assert found.state_lost is not None
    asked = setting.question
    known = np.flatnonzero(np.all(np.isfinite(found.state), axis=1))
    last = int(known[-1])
    if asked.every > 1 or last + 1 >= len(found.state):
        return "The system leaves the finite numbers"
    before = ", ".join(f"{n} = {v:.4g}" for n, v in zip(setting.params.names, found.state[last], strict=True))
    return f"The system leaves the finite numbers (from {before})"


def _add_step_errors(result: Result, setting: Setting, ctx: Context) -> None:
    """What half the step changes, in a flow without noise, which belongs to its steps."""
    params, asked = setting.params, setting.question
    if params.is_map or params.noise:
        return
    ctx.progress(params.count, params.count * 1.2, "half steps")
    finer = replace(asked, steps=2 * asked.steps, dt=0.5 * asked.dt, every=2 * asked.steps)
    answer = _comparison(follow(setting.system, finer, ctx.check), setting.places)
    for k, name in enumerate(params.looked_at):
        coarse, fine = float(result.arrays["op"].values[k, -1]), float(answer.op[k, -1])
        error = 0.0 if coarse == fine else abs(coarse - fine)
        text = f"change of Op for {name} at the end with half the step"
        result.add_finding(f"op_step_error_{name}", error, text, unit="nats", kind="accuracy")


# --- finite differences -----------------------------------------------------------------------------------------------


def _add_differences(result: Result, setting: Setting, found: Tangents, ctx: Context) -> None:
    params, places = setting.params, setting.places
    if not params.deltas:
        return
    beside = differences(setting.system, setting.question, params.deltas, ctx.check)
    answer = beside.comparison()
    op = np.ascontiguousarray(np.swapaxes(answer.op[:, :, places], 1, 2)) + 0.0
    result.add_array("delta", beside.deltas, ("delta",), text="sizes of the change")
    dims = ("delta", "measured", "t")
    result.add_array("op_finite_difference", op, dims, unit="nats", text="Op by finite differences")
    rows = []
    for d, delta in enumerate(params.deltas):
        times = [
            breakdown_time(found.t, difference[d], logs, delta)
            for difference, logs in ((beside.x, found.log_x), (beside.y, found.log_y))
        ]
        until = min((t for t in times if not math.isnan(t)), default=math.inf)
        early = found.t < until
        with np.errstate(invalid="ignore"):
            off = np.abs(op[d] - result.arrays["op"].values)[:, early]
        off = off[np.isfinite(off)]
        error = float(np.median(off)) if off.size else None
        rows.append((delta, *(None if math.isnan(t) else t for t in times), error))
    result.add_table(
        "breakdown",
        ("delta", "x_time", "y_time", "median_error"),
        rows,
        title="When finite differences are first off by more than 0.1 in the logarithm (empty: never), and the "
        "median error of Op until then",
    )
    errors = [row[3] for row in rows if row[3] is not None]
    if errors:
        text = "median error of Op by finite differences until they break down, for the best δ"
        result.add_finding("difference_error", min(errors), text, unit="nats", kind="accuracy")
    else:
        result.add_missing(
            "difference_error", "no finite difference can be compared with Op here", unit="nats"
        )
