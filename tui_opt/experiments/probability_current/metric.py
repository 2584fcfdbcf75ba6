"""metric: the coordinate in which the gradient variance is 1, its effective potential, and where it ceases to exist."""

from __future__ import annotations

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import System
from tui_opt.experiments.probability_current.metric_report import Answer, Basin, report
from tui_opt.experiments.probability_current.params import MetricParams
from tui_opt.experiments.probability_current.setting import Setting, system_of
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.fokker_planck_laws import stationary_law
from tui_opt.kernels.lamperti import Law, coordinate, deviation, diverges_at, law_of_potential
from tui_opt.kernels.lamperti_ends import Valid, valid_interval
from tui_opt.kernels.lamperti_ways import poles_of, sound_deviation
from tui_opt.kernels.refinement import coarsened, refined_edges
from tui_opt.kernels.stationary import StationaryPoint, stationary_points
from tui_opt.result import Result
from tui_opt.runner.context import Context

LOOKED_AT = 4001
"""Places among which an origin is looked for."""
NEAR_A_POLE = 0.01
"""Distance to a pole, as a part of the interval, within which no origin is chosen."""
REFINEMENTS = 20
"""Halvings of a cell for the law, at most."""
PEAK = 1.001
"""S at a maximum, in units of its least value, from which it is more than rounding."""


def compute(params: MetricParams, ctx: Context) -> Result:
    """Quadrature from the origin to both ends of what is valid; the law it predicts against Ito's equation."""
    system = system_of(params.losses, params.gradients)
    ctx.progress(0, 4, "zeros of G and S²")
    zeros = stationary_points(system.gradient, system.curvature, params.w_min, params.w_max, check=ctx.check)
    origin = _origin(params, system, zeros)
    valid = valid_interval(system.gradients, system.curvatures, origin, params.w_min, params.w_max, ctx.check)
    if not valid.low.w < valid.high.w:
        raise ExperimentError(
            f"The coordinate ends where it begins, at W = {origin:g}: on both sides S² fades away at once, or is no "
            "finite number. Set origin to a place with noise around it."
        )
    ctx.progress(1, 4, "coordinate and potential")
    edges = np.linspace(valid.low.w, valid.high.w, params.cells + 1)
    w = 0.5 * (edges[1:] + edges[:-1])
    found = coordinate(system.gradients, params.temperature, origin, w, ctx.check)
    ctx.progress(2, 4, "law in the basin")
    basin = _basin(params, system, zeros, origin, valid, ctx)
    ctx.progress(3, 4, "checks")
    return report(Answer(params, system, zeros, origin, valid, w, found, basin), ctx)


def _origin(params: MetricParams, system: System, zeros: list[StationaryPoint]) -> float:
    """The asked origin, or the stable zero of G with the largest variance, or a maximum of the variance, or between."""
    w = np.linspace(params.w_min, params.w_max, LOOKED_AT)
    noise = sound_deviation(system.gradients, w)
    for pole in poles_of(system.gradients, params.w_min, params.w_max):
        noise[np.abs(w - pole) < NEAR_A_POLE * (params.w_max - params.w_min)] = np.nan
    useful = np.flatnonzero(noise > 0)
    if not useful.size:
        raise ExperimentError(
            f"From W = {params.w_min:g} to {params.w_max:g} no two datapoints have different gradients that double "
            "precision can tell apart: S² is 0 or not finite, and no coordinate makes it 1. Give datapoints that "
            "differ, or another interval."
        )
    peaks = np.flatnonzero((noise[1:-1] > noise[:-2]) & (noise[1:-1] > noise[2:])) + 1
    peaks = peaks[noise[peaks] > PEAK * noise[useful].min()]
    best = peaks[np.argmax(noise[peaks])] if peaks.size else useful[useful.size // 2]
    if params.origin != "auto":
        return _asked_origin(params, system, float(params.origin), float(w[best]))
    wells = np.array([zero.w for zero in zeros if zero.kind == "minimum"])
    at_wells = np.nan_to_num(sound_deviation(system.gradients, wells)) if wells.size else np.zeros(1)
    well = int(np.argmax(at_wells))
    return float(wells[well]) if at_wells[well] > 0 else float(w[best])


def _asked_origin(params: MetricParams, system: System, origin: float, other: float) -> float:
    if not params.w_min <= origin <= params.w_max:
        raise ExperimentError(
            f"The origin {origin:g} lies outside w_min = {params.w_min:g} to w_max = {params.w_max:g}. "
            "Choose it between them, or `auto`."
        )
    noise = float(deviation(system.gradients, np.array([origin]))[0])
    if not (np.isfinite(noise) and noise > 0):
        what = "0" if noise == 0 else "not finite"
        raise ExperimentError(
            f"S² is {what} at the origin W = {origin:g}: the coordinate has no unit there. "
            f"Choose a place with noise, such as {other:.6g}, or `auto`."
        )
    return origin


def _basin(
    params: MetricParams,
    system: System,
    zeros: list[StationaryPoint],
    origin: float,
    valid: Valid,
    ctx: Context,
) -> Basin:
    """The law between the unstable zeros of G on both sides of the origin."""
    tops = [zero.w for zero in zeros if zero.kind == "maximum"]
    low = max([valid.low.w, *(top for top in tops if top < origin)])
    high = min([valid.high.w, *(top for top in tops if top > origin)])
    edges = np.linspace(low, high, params.cells + 1)
    open_ends = [False, False]
    for i, (end, wall) in enumerate(((valid.low, low), (valid.high, high))):
        if end.reason in ("zero", "pole") and end.w == wall:
            if diverges_at(system.gradients, params.temperature, origin, wall, ctx.check):
                return Basin(edges, drain=wall)
            open_ends[i] = True
    equation = Setting(system, params.temperature, check=ctx.check).equation("ito")
    fine = refined_edges(edges, equation, REFINEMENTS)
    try:
        law = law_of_potential(
            system.gradients, params.temperature, origin, fine, (open_ends[0], open_ends[1]), ctx.check
        )
    except ValueError:  # the potential is beyond what doubles hold
        return Basin(edges)
    mass = coarsened(law.mass, fine, edges)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            ito = coarsened(stationary_law(generator_on_edges(equation, fine)), fine, edges)
    except ValueError:  # drift or noise too large for doubles in some cell
        ito = None
    return Basin(edges, Law(mass, law.mean, law.sd, law.wall), ito)
