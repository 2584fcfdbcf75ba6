"""What metric found, as arrays, findings, tables and figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.probability_current.metric_figures import add_figures
from tui_opt.experiments.probability_current.params import MetricParams
from tui_opt.experiments.probability_current.setting import Setting
from tui_opt.kernels.lamperti import Coordinate, Law, coordinate, deviation, noise_seen_in
from tui_opt.kernels.lamperti_ends import FADED, End, Valid
from tui_opt.kernels.lamperti_lengths import lengths
from tui_opt.kernels.stationary import StationaryPoint
from tui_opt.result import Cell, Result
from tui_opt.runner.context import Context

CHECKED_PLACES = 200
WALL_MATTERS = 1e-3
GROWTH = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Values of S, in units of the largest, at which the table of lengths looks, also beyond the end."""
GROWTH_PLACES = 20_001
REASONS = {
    "zero": "where S² is zero",
    "pole": "where a gradient grows without bound",
    "undefined": "beyond which a gradient or S² is no finite number",
    "rounding": "where the gradients differ by rounding only",
    "faded": f"where the way has become {FADED:g} times as long as with the largest S met on it",
    "end": "an end of the interval that was searched",
}


@dataclass(frozen=True)
class Basin:
    """The interval between the unstable zeros of G around the origin, within what is valid, and the law on it.

    Attributes:
        edges: [cells + 1].
        law: by the potential; None where it cannot be normalised, or the potential is too large for doubles.
        ito: [cells], masses by Ito's equation on cells; None where that cannot be set up.
        drain: the zero of S² or the pole at which the law cannot be normalised.
    """

    edges: FloatArray
    law: Law | None = None
    ito: FloatArray | None = None
    drain: float | None = None


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        params: the question.
        system: its datapoints.
        zeros: zeros of G on the interval.
        origin: where the coordinate is 0.
        valid: where it is of use.
        w: [cells], middles of the cells of that interval.
        found: coordinate and potential there.
        basin: the law around the origin.
    """

    params: MetricParams
    system: System
    zeros: list[StationaryPoint]
    origin: float
    valid: Valid
    w: FloatArray
    found: Coordinate
    basin: Basin


def report(answer: Answer, ctx: Context) -> Result:
    """Everything that was found, as a result."""
    result = Result()
    w, found = answer.w, answer.found
    result.add_array("w", w, ("w",), unit="W", text="middles of the cells on which the coordinate is valid")
    result.add_array("y", found.y, ("w",), unit="W²/L", text="coordinate in which S² is 1")
    text = "effective potential: P in y is proportional to exp(-2 potential / T)"
    result.add_array("potential", found.potential, ("w",), unit="W²/L", text=text)
    noise = deviation(answer.system.gradients, w)
    result.add_array("S", noise, ("w",), unit="L/W", text="root of the gradient variance in W")
    _add_ends(result, answer)
    _add_law(result, answer)
    _add_checks(result, answer)
    _add_places(result, answer, ctx)
    _add_growth(result, answer, ctx)
    points = [zero for zero in answer.zeros if answer.valid.low.w < zero.w < answer.valid.high.w]
    places = np.array([zero.w for zero in points])
    at = np.zeros(0)
    if places.size:
        at = coordinate(
            answer.system.gradients, answer.params.temperature, answer.origin, places, ctx.check
        ).y
    add_figures(result, points, at)
    return result


def _add_ends(result: Result, answer: Answer) -> None:
    low, high = answer.valid.low, answer.valid.high
    for name, side, end in (("valid_from", "left", low), ("valid_to", "right", high)):
        text = f"{side} end of the interval on which the coordinate is of use: {REASONS[end.reason]}"
        result.add_finding(name, end.w, text, unit="W")
    result.add_finding("origin_w", answer.origin, "where the coordinate is 0", unit="W")
    length = low.length + high.length
    text = "length of the valid interval in the coordinate"
    result.add_finding("length", length, text + _endless(low, high), unit="W²/L")
    text = "its part below the origin"
    result.add_finding("length_below", low.length, text + _endless(low), unit="W²/L")
    text = "its part above the origin"
    result.add_finding("length_above", high.length, text + _endless(high), unit="W²/L")


def _endless(*ends: End) -> str:
    return "; infinite, as S² goes to zero at an end" if any(np.isinf(end.length) for end in ends) else ""


def _add_law(result: Result, answer: Answer) -> None:
    basin, law = answer.basin, answer.basin.law
    low, high = float(basin.edges[0]), float(basin.edges[-1])
    result.add_finding("basin_from", low, "left end of the interval of the law", unit="W")
    result.add_finding("basin_to", high, "right end of the interval of the law", unit="W")
    if law is None:
        result.warn(
            "The law around the origin is not given: the potential is too large for double precision."
            if basin.drain is None
            else "Around the origin there is no law of zero current: its density cannot be integrated up to "
            f"W = {basin.drain:g}, where all of the mass ends."
        )
        return
    where = "of W in the basin of the origin, by the potential"
    result.add_finding("mean", law.mean, f"mean {where}", unit="W")
    result.add_finding("sd", law.sd, f"standard deviation {where}", unit="W")
    w, widths = 0.5 * (basin.edges[1:] + basin.edges[:-1]), np.diff(basin.edges)
    density = law.mass / widths
    result.add_array("basin_w", w, ("basin_w",), unit="W", text="cells in the basin of the origin")
    gradients = answer.system.gradients
    y = coordinate(gradients, answer.params.temperature, answer.origin, w).y
    result.add_array("basin_y", y, ("basin_w",), unit="W²/L", text="their coordinate")
    text = "density in W by the potential, in the basin between reflecting walls"
    result.add_array("density_w", density, ("basin_w",), unit="1/W", text=text)
    in_y = density * deviation(gradients, w)
    result.add_array("density_y", in_y, ("basin_w",), unit="L/W²", text="the same in y")
    if basin.ito is not None:
        text = "Ito's stationary density in W, by its equation on cells"
        result.add_array("density_ito", basin.ito / widths, ("basin_w",), unit="1/W", text=text)
        text = "L1 distance of the potential's law to Ito's stationary law by its equation on cells"
        result.add_finding("law_error", float(np.abs(law.mass - basin.ito).sum()), text, kind="accuracy")
    text = "largest density at a wall of the basin, in units of the largest density"
    result.add_finding("wall_density", law.wall, text, kind="accuracy")
    if law.wall > WALL_MATTERS:
        result.warn(
            f"The law reaches the walls of its interval, W = {low:.6g} to {high:.6g} (density there {law.wall:.2g} "
            "of the largest): mean and sd depend on where the walls are."
        )


def _add_checks(result: Result, answer: Answer) -> None:
    places = answer.w[np.linspace(0, answer.w.size - 1, min(CHECKED_PLACES, answer.w.size)).astype(np.int64)]
    seen = noise_seen_in(answer.system.gradients, places)
    text = "largest deviation from 1 of S² in the coordinate, from tiny steps of every datapoint"
    result.add_finding("unit_variance_error", float(np.max(np.abs(seen - 1.0))), text, kind="accuracy")
    found = answer.found
    for name, words, error, values in (
        ("y_error", "y", found.y_error, found.y),
        ("potential_error", "the potential", found.potential_error, found.potential),
    ):
        share = error / max(float(np.ptp(values)), np.finfo(float).tiny)
        text = f"error of the quadrature of {words}, relative to its range"
        result.add_finding(name, share, text, kind="accuracy")
    validity = Setting(answer.system, answer.params.temperature).validity(answer.w)
    text = "T max|g'| on the valid interval: a diffusion needs it well below 1"
    result.add_finding("validity", validity, text, kind="accuracy")


def _add_places(result: Result, answer: Answer, ctx: Context) -> None:
    """The coordinate at the places that were asked for, however far away."""
    if not answer.params.places:
        return
    w = np.array(answer.params.places)
    system = answer.system
    y = lengths(system.gradients, system.curvatures, answer.origin, w, check=ctx.check)
    result.add_array("place", w, ("place",), unit="W", text="places that were asked for")
    text = "coordinate there: infinite beyond a zero of S² that it never reaches, NaN beyond any other end"
    result.add_array("place_y", y, ("place",), unit="W²/L", text=text)
    result.add_array("place_S", deviation(system.gradients, w), ("place",), unit="L/W", text="S there")
    missing = int(np.count_nonzero(np.isnan(y)))
    if missing:
        result.warn(
            f"{missing} of {w.size} places cannot be reached: on the way S² is zero, not finite, or no more than the "
            "rounding of the gradients."
        )


def _add_growth(result: Result, answer: Answer, ctx: Context) -> None:
    """How the way grows where the noise fades: the first places with S so many times below the largest."""
    params, system, valid = answer.params, answer.system, answer.valid
    w = np.linspace(params.w_min, params.w_max, GROWTH_PLACES)
    noise = deviation(system.gradients, w)
    largest = max(valid.low.largest, valid.high.largest)
    places: list[float] = []
    for side, end in ((-1, valid.low), (1, valid.high)):
        beside = side * (w - answer.origin) > 0
        way, values = w[beside][::side], noise[beside][::side]
        for share in GROWTH:
            below = np.flatnonzero(values < share * largest)
            if below.size and (end.reason == "faded" or side * (way[below[0]] - end.w) < 0):
                places.append(float(way[below[0]]))
    at = np.unique(places)
    y = lengths(system.gradients, system.curvatures, answer.origin, at, 1e-6, ctx.check) if at.size else at
    values = deviation(system.gradients, at) if at.size else at
    rows: list[tuple[Cell, ...]] = [
        (float(place), float(s), float(value)) for place, s, value in zip(at, values, y, strict=True)
    ]
    result.add_table(
        "growth", ("w", "S", "y"), rows, title="Where S fades: the coordinate, also beyond its use"
    )
