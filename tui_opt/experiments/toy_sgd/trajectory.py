"""trajectory: iterates of gradient descent, SGD and Newton's method, and what they tend to."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.toy_sgd.params import TrajectoryParams
from tui_opt.experiments.toy_sgd.trajectory_figures import add_figures
from tui_opt.kernels.descent import (
    multiplier,
    newton,
    optimal_temperature,
    orbit_end,
    steps_to_tolerance,
)
from tui_opt.kernels.mean_descent import descend
from tui_opt.kernels.stationary import StationaryPoint
from tui_opt.kernels.walkers import walk
from tui_opt.result import Result
from tui_opt.runner.context import Context

STEPS_IN_A_SLICE = 200_000
STEPS_FURTHER = 4000
LEAST_REACH = 10.0
FARTHEST = 1e6
MOST_SHARES_NAMED = 5


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
    loss = _loss(system, w, ctx)
    result.add_array("loss", loss, dims, unit="L", text="mean loss at the iterates")
    ctx.check()
    _add_ending(result, system, w, params)
    add_figures(result, system, params, ctx)
    return result


def _loss(system: System, w: FloatArray, ctx: Context) -> FloatArray:
    """The mean loss at every iterate, in slices that can be stopped."""
    flat = w.reshape(-1)
    loss = np.empty_like(flat)
    for begin in range(0, flat.size, STEPS_IN_A_SLICE):
        ctx.check()
        loss[begin : begin + STEPS_IN_A_SLICE] = system.loss(flat[begin : begin + STEPS_IN_A_SLICE])
    return loss.reshape(w.shape)


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
            part = descend(system.gradient_program, path[:, done], params.temperature, now)
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
    if params.method == "sgd":
        _add_stochastic_ending(result, system, w[0], params)
        return
    path = w[0]
    place = float(path[-1])
    result.add_finding("final_w", place, "last iterate of the first start", unit="W")
    further = _further(system, path[-1:], params)
    well: StationaryPoint | None = None
    if _add_period(result, system, path, further):
        well = _minima_downhill(system, path[-1:], params.start[0])[0]
    if well is None:
        _add_no_convergence(
            result, f"The first start reaches no minimum of the mean loss; it ends at W = {place:.6g}."
        )
        return
    _add_convergence(result, well, params)
    _add_steps(result, well.w, path, further, params)


def _add_stochastic_ending(result: Result, system: System, w: FloatArray, params: TrajectoryParams) -> None:
    """The ending of the first start's replicas, w[step, replica]."""
    final = w[-1]
    finite = final[np.isfinite(final)]
    stderr = float(finite.std(ddof=1) / math.sqrt(finite.size)) if finite.size > 1 else None
    mean = float(finite.mean()) if finite.size else math.nan
    text = f"mean over {finite.size} replicas of the first start's last iterate"
    result.add_finding("final_w", mean, text, unit="W", stderr=stderr)
    if finite.size < final.size:
        result.warn(f"{final.size - finite.size} of {final.size} replicas left the finite numbers.")
    shares = Counter(_minima_downhill(system, final, params.start[0]))
    well = next(iter(shares)) if len(shares) == 1 else None
    if well is None:
        parts = [
            f"{count / final.size:.4g} near {'no minimum' if point is None else f'W = {point.w:.6g}'}"
            for point, count in shares.most_common(MOST_SHARES_NAMED)
        ]
        more = ", the rest elsewhere" if len(shares) > MOST_SHARES_NAMED else ""
        alone = set(shares) == {None}
        why = (
            "No replica of the first start ends near a minimum of the mean loss."
            if alone
            else f"The replicas of the first start end at different places: {', '.join(parts)}{more}."
        )
        _add_no_convergence(result, why)
        return
    _add_convergence(result, well, params)
    why = "SGD does not settle where the datapoints disagree; see the paths."
    result.add_missing("steps_to_tolerance", why, unit="steps")


def _further(system: System, last: FloatArray, params: TrajectoryParams) -> FloatArray:
    """The path from its last place on, that place included."""
    if params.method == "gd":
        paths = descend(system.gradient_program, last, params.temperature, STEPS_FURTHER)
    else:
        paths = newton(system.gradient, system.curvature, last, params.temperature, STEPS_FURTHER).w
    return np.asarray(paths[0])


def _add_period(result: Result, system: System, path: FloatArray, further: FloatArray) -> bool:
    """What the path tends to, seen by following it further than was asked; False where that is no minimum."""
    place = further[-1:]
    slopes = np.abs(system.gradient(np.concatenate([path, further])))
    steepest = float(np.max(slopes[np.isfinite(slopes)], initial=0.0))
    end = orbit_end(further, float(system.gradient(place)[0]), float(system.curvature(place)[0]), steepest)
    texts = {
        "fixed point": f"the path comes to rest at W = {end.low:.8g}",
        "cycle": f"the path repeats itself between W = {end.low:.8g} and {end.high:.8g}",
        "chaotic band": f"the path wanders between W = {end.low:.6g} and {end.high:.6g} without repeating itself",
        "approaching": f"the path is still on its way at W = {float(place[0]):.6g}",
        "plateau": "the path sticks where the loss is flat, not at a minimum",
        "diverged": "the path leaves the finite numbers",
    }
    period = float(end.period) if end.period else math.nan
    text = f"{texts[end.kind]} ({end.kind}; {STEPS_FURTHER} steps further)"
    result.add_finding("period", period, text, unit="steps")
    return end.kind not in ("plateau", "diverged")


def _minima_downhill(system: System, places: FloatArray, start: float) -> list[StationaryPoint | None]:
    """The minimum of L downhill of each place, None where there is none, or none within the range searched.

    The range reaches beyond all places by `LEAST_REACH`, or thrice their typical distance from the start.
    """
    usable = np.isfinite(places) & (np.abs(places) <= FARTHEST)
    if not usable.any():
        return [None] * places.size
    inside = places[usable]
    reach = max(LEAST_REACH, 3.0 * abs(float(np.median(inside)) - start))
    points = system.stationary(float(inside.min()) - reach, float(inside.max()) + reach)
    if not points:
        return [None] * places.size
    at = np.array([point.w for point in points])
    edges = 0.5 * (at[1:] + at[:-1])
    nearest = np.searchsorted(edges, inside)
    there = np.abs(at[nearest] - inside) <= 1e-9 * np.maximum(1.0, np.abs(inside))
    slope = system.gradient(inside)
    # A positive slope leads down to the left.
    downhill = np.searchsorted(at, inside) - (slope > 0)
    known = there | ((slope != 0) & (downhill >= 0) & (downhill < at.size))
    index = np.full(places.size, -1)
    index[usable] = np.where(known, np.where(there, nearest, downhill), -1)
    wells = [*(point if point.kind == "minimum" else None for point in points), None]
    return [wells[i] for i in index]


def _add_no_convergence(result: Result, why: str) -> None:
    result.add_missing("multiplier", why)
    result.add_missing("optimal_temperature", why, unit="W²/L")
    result.add_missing("steps_to_tolerance", why, unit="steps")


def _add_convergence(result: Result, well: StationaryPoint, params: TrajectoryParams) -> None:
    """The factor per step near the minimum and the step size that makes it zero, where there are such."""
    where = f"the minimum at W = {well.w:.6g}"
    if math.isnan(well.curvature):
        why = f"{where[0].upper()}{where[1:]} is a kink: no step size settles there, there is no constant factor."
        result.add_missing("multiplier", why)
        result.add_missing("optimal_temperature", why, unit="W²/L")
        return
    flat = well.curvature == 0
    if params.method == "newton" and flat:
        why = f"The curvature vanishes at {where}: the factor of a Newton step depends on the order of the minimum."
        result.add_missing("multiplier", why)
    elif params.method == "newton":
        text = f"factor on a small distance to {where} in one Newton step, 1 - k"
        result.add_finding("multiplier", 1.0 - params.temperature, text)
    else:
        slow = (
            "; L'' vanishes there, so the distance falls more slowly than by any constant factor"
            if flat
            else ""
        )
        text = f"factor on a small distance to {where} in one step, 1 - T L''{slow}"
        result.add_finding("multiplier", multiplier(params.temperature, well.curvature), text)
    if flat:
        why = f"The curvature vanishes at {where}: no step size makes the factor per step zero."
        result.add_missing("optimal_temperature", why, unit="W²/L")
        return
    text = "1/L'' at the minimum: fewest steps to a tight tolerance; to a loose one another step size may be faster"
    result.add_finding("optimal_temperature", optimal_temperature(well.curvature), text, unit="W²/L")


def _add_steps(
    result: Result, well: float, path: FloatArray, further: FloatArray, params: TrajectoryParams
) -> None:
    """Steps until the path is near the minimum for good: it must stay when followed further than was asked."""
    near = f"within {params.tolerance:g} of W = {well:.6g}"
    came = steps_to_tolerance(path, well, params.tolerance)
    stays = steps_to_tolerance(np.concatenate([path, further[1:]]), well, params.tolerance)
    if came is None:
        why = f"The path is not {near} after {params.steps} steps."
        result.add_missing("steps_to_tolerance", why, unit="steps")
    elif stays != came:
        why = (
            f"The path is {near} at step {came} but leaves again when followed {STEPS_FURTHER} steps further."
        )
        result.add_missing("steps_to_tolerance", why, unit="steps")
    else:
        text = f"steps until the path stays within {params.tolerance:g} of the minimum"
        result.add_finding("steps_to_tolerance", came, text, unit="steps")
