"""trajectory: iterates of gradient descent, SGD and Newton's method, and what they tend to."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.toy_sgd.params import TrajectoryParams
from tui_opt.experiments.toy_sgd.system import FloatArray, System
from tui_opt.experiments.toy_sgd.trajectory_figures import add_figures
from tui_opt.kernels.descent import (
    gradient_descent,
    multiplier,
    newton,
    optimal_temperature,
    orbit_end,
    steps_to_tolerance,
)
from tui_opt.kernels.stationary import StationaryPoint
from tui_opt.kernels.walkers import walk
from tui_opt.result import Result
from tui_opt.runner.context import Context

STEPS_IN_A_SLICE = 1_000_000
STEPS_FURTHER = 4000
LEAST_REACH = 10.0


def compute(params: TrajectoryParams, ctx: Context) -> Result:
    """Iterates of every start, the landscape they move on, and the end of the first start's path."""
    system = System.from_texts(params.losses)
    starts = np.array(params.start)
    result = Result()
    result.add_array("start", starts, ("start",), unit="W", text="starting values")
    result.add_array("step", np.arange(params.steps + 1, dtype=np.float64), ("step",))
    if params.method == "sgd":
        w = _stochastic(system, starts, params, ctx)
        dims: tuple[str, ...] = ("start", "step", "replica")
    else:
        w = _deterministic(system, starts, params, result, ctx)
        dims = ("start", "step")
    result.add_array("w", w, dims, unit="W", text="iterates")
    loss = system.loss(w.reshape(-1)).reshape(w.shape)
    result.add_array("loss", loss, dims, unit="L", text="mean loss at the iterates")
    ctx.check()
    _add_ending(result, system, w, params)
    add_figures(result, system, params)
    return result


def _deterministic(
    system: System, starts: FloatArray, params: TrajectoryParams, result: Result, ctx: Context
) -> FloatArray:
    """Descent of the mean loss or Newton's method, in slices that can be stopped; [start, step]."""
    path = np.empty((starts.size, params.steps + 1))
    path[:, 0] = starts
    done = 0
    slice_steps = max(1, min(2000, STEPS_IN_A_SLICE // starts.size))
    while done < params.steps:
        ctx.check()
        ctx.progress(done, params.steps, params.method)
        now = min(slice_steps, params.steps - done)
        if params.method == "gd":
            part = gradient_descent(system.gradient, path[:, done], params.temperature, now)
        else:
            part = newton(system.gradient, system.curvature, path[:, done], params.temperature, now).w
        path[:, done : done + now + 1] = part
        done += now
    for s in np.flatnonzero(~np.isfinite(path).all(axis=1)):
        step = int(np.flatnonzero(~np.isfinite(path[s]))[0])
        why = (
            "the curvature vanishes or changes sign there"
            if params.method == "newton"
            else "the steps grow without bound"
        )
        result.warn(f"The path from W = {starts[s]:g} leaves the finite numbers at step {step}: {why}.")
    return path


def _stochastic(system: System, starts: FloatArray, params: TrajectoryParams, ctx: Context) -> FloatArray:
    """SGD with independent draws in every replica of every start; [start, step, replica]."""
    paths = np.empty((starts.size, params.steps + 1, params.replicas))
    slice_steps = max(1, STEPS_IN_A_SLICE // params.replicas)
    for s in range(starts.size):
        key = ctx.key("sgd", block=s)
        now = np.full(params.replicas, starts[s])
        done = 0
        while done < params.steps:
            ctx.check()
            ctx.progress(s * params.steps + done, starts.size * params.steps, "sgd")
            count = min(slice_steps, params.steps - done)
            part = np.empty((count + 1, params.replicas))
            walk(system.gradient_program, now, part, 0, done, count, params.temperature, key)
            paths[s, done : done + count + 1] = part
            done += count
    return paths


# --- how it ends ----------------------------------------------------------------------------------------------------


def _add_ending(result: Result, system: System, w: FloatArray, params: TrajectoryParams) -> None:
    final = w[0, -1]
    if params.method == "sgd":
        finite = final[np.isfinite(final)]
        stderr = float(finite.std(ddof=1) / math.sqrt(finite.size)) if finite.size > 1 else None
        mean = float(finite.mean()) if finite.size else math.nan
        text = f"mean over {finite.size} replicas of the first start's last iterate"
        result.add_finding("final_w", mean, text, unit="W", stderr=stderr)
        if finite.size < final.size:
            result.warn(f"{final.size - finite.size} of {final.size} replicas left the finite numbers.")
        place = float(np.median(finite)) if finite.size else math.nan
        path = w[0, :, 0]
    else:
        place = float(final)
        path = w[0]
        result.add_finding("final_w", place, "last iterate of the first start", unit="W")
    settles = _add_period(result, system, path, params)
    well = _minimum_reached(system, place, params) if settles else None
    if well is None:
        why = f"The first start reaches no minimum of the mean loss; it ends at W = {place:.6g}."
        result.add_missing("multiplier", why)
        result.add_missing("optimal_temperature", why, unit="W²/L")
        result.add_missing("steps_to_tolerance", why, unit="steps")
        return
    _add_convergence(result, well, path, params)


def _add_period(result: Result, system: System, path: FloatArray, params: TrajectoryParams) -> bool:
    """What the path tends to, seen by following it further than was asked; False where that is no minimum."""
    if params.method == "sgd":
        return True
    last = path[-1:]
    if params.method == "gd":
        further = gradient_descent(system.gradient, last, params.temperature, STEPS_FURTHER)[0]
    else:
        further = newton(system.gradient, system.curvature, last, params.temperature, STEPS_FURTHER).w[0]
    place = further[-1:]
    end = orbit_end(further, float(system.gradient(place)[0]), float(system.curvature(place)[0]))
    texts = {
        "fixed point": f"the path comes to rest at W = {end.low:.8g}",
        "cycle": f"the path repeats itself between W = {end.low:.8g} and {end.high:.8g}",
        "chaotic band": f"the path wanders between W = {end.low:.6g} and {end.high:.6g} without repeating itself",
        "approaching": f"the path closes in on W = {float(place[0]):.6g} more slowly than by a constant factor",
        "plateau": "the path sticks where the loss is flat, not at a minimum",
        "diverged": "the path leaves the finite numbers",
    }
    period = float(end.period) if end.period else math.nan
    text = f"{texts[end.kind]} ({end.kind}; {STEPS_FURTHER} steps further)"
    result.add_finding("period", period, text, unit="steps")
    return end.kind not in ("plateau", "diverged")


def _minimum_reached(system: System, place: float, params: TrajectoryParams) -> StationaryPoint | None:
    """The minimum of L that lies downhill of where the path ends, None where there is none or the loss is flat."""
    if not math.isfinite(place):
        return None
    reach = max(LEAST_REACH, 3.0 * abs(place - params.start[0]))
    points = system.stationary(place - reach, place + reach)
    slope = float(system.gradient(np.array([place]))[0])
    close = [p for p in points if abs(p.w - place) <= 1e-9 * max(1.0, abs(place))]
    downhill = close or [p for p in points if (p.w - place) * slope < 0]
    nearest = min(downhill, key=lambda point: abs(point.w - place), default=None)
    return nearest if nearest is not None and nearest.kind == "minimum" else None


def _add_convergence(
    result: Result, well: StationaryPoint, path: FloatArray, params: TrajectoryParams
) -> None:
    best = optimal_temperature(well.curvature)
    if params.method == "newton":
        text = f"factor on a small distance to the minimum at W = {well.w:.6g} in one Newton step, 1 - k"
        result.add_finding("multiplier", 1.0 - params.temperature, text)
    else:
        text = f"factor on a small distance to the minimum at W = {well.w:.6g} in one step, 1 - T L''"
        result.add_finding("multiplier", multiplier(params.temperature, well.curvature), text)
    text = "1/L'' at the minimum: fewest steps to a tight tolerance; to a loose one another step size may be faster"
    result.add_finding("optimal_temperature", best, text, unit="W²/L")
    if params.method == "sgd":
        why = "SGD does not settle where the datapoints disagree; see the paths."
        result.add_missing("steps_to_tolerance", why, unit="steps")
        return
    steps = steps_to_tolerance(path, well.w, params.tolerance)
    if steps is None:
        why = f"The path is not within {params.tolerance:g} of W = {well.w:.6g} after {params.steps} steps."
        result.add_missing("steps_to_tolerance", why, unit="steps")
    else:
        text = f"steps until the path stays within {params.tolerance:g} of the minimum"
        result.add_finding("steps_to_tolerance", steps, text, unit="steps")
