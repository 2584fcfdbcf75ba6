"""continuous-square: a square of starts at t-1, t and t+1, with and without decorrelating at t."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tui_opt.experiments.thermostats.square_figures import add_figures
from tui_opt.experiments.thermostats.square_params import ContinuousSquareParams
from tui_opt.kernels.entropies import as_written
from tui_opt.kernels.linear_boxes import (
    Pair,
    Square,
    area,
    box,
    box_covariance,
    carried,
    determinant,
    mapped,
    trapezoid_entropy,
    uncorrelated,
    widths,
)
from tui_opt.kernels.logarithm_sums import LogarithmSum
from tui_opt.result import Cell, Result
from tui_opt.runner.context import Context

STAGES = {
    "before": "at t-1",
    "now": "at t",
    "next": "at t+1",
    "now_decorrelated": "at t, decorrelated",
    "next_decorrelated": "at t+1 after decorrelating at t",
}
_COARSE = 1e-3
_SINGULAR = "k = 0 does not map the plane onto itself: at t machine and room are the same number."
_FLAT = "With k = 0 the laws at t and t+1 lie on lines, where the determinant of the covariance is zero."


@dataclass(frozen=True)
class Stages:
    """The laws, exactly.

    Args:
        matrix: one step of (room, machine).
        corners: about the centre of each stage: of the body the law is uniform on, or of its support.
        centres: where they are.
        covariances: of each stage.
        entropies: in nats; nothing where minus infinity.
    """

    matrix: Square
    corners: dict[str, tuple[Pair, ...]]
    centres: dict[str, Pair]
    covariances: dict[str, Square]
    entropies: dict[str, LogarithmSum | None]


def stages(gain: Fraction, sides: Pair, centre: Pair) -> Stages:
    """Follow the box for two steps, and decorrelated from t on."""
    matrix = ((Fraction(1), -gain), (Fraction(1), Fraction(0)))
    corners: dict[str, tuple[Pair, ...]] = {"before": box(sides)}
    corners["now"] = mapped(corners["before"], matrix)
    corners["next"] = mapped(corners["now"], matrix)
    of_parts = [widths(row, sides) for row in matrix]
    corners["now_decorrelated"] = box((of_parts[0][0] + of_parts[0][1], of_parts[1][0] + of_parts[1][1]))
    corners["next_decorrelated"] = mapped(corners["now_decorrelated"], matrix)
    covariances = {"before": box_covariance(sides)}
    covariances["now"] = carried(covariances["before"], matrix)
    covariances["next"] = carried(covariances["now"], matrix)
    covariances["now_decorrelated"] = uncorrelated(covariances["now"])
    covariances["next_decorrelated"] = carried(covariances["now_decorrelated"], matrix)
    now, after = mapped([centre], matrix)[0], mapped(mapped([centre], matrix), matrix)[0]
    centres = {
        "before": centre,
        "now": now,
        "next": after,
        "now_decorrelated": now,
        "next_decorrelated": after,
    }
    # A law is uniform on its body at first, so its entropy is the logarithm of the area.
    entropies = {name: _log(area(corners[name])) for name in ("before", "now", "next")}
    parts = [trapezoid_entropy(of) for of in of_parts]
    apart = None if parts[0] is None or parts[1] is None else parts[0] + parts[1]
    # A step changes the area of every body alike, and the entropy of any law by the logarithm of that.
    change = _log(area(corners["next_decorrelated"]) / area(corners["now_decorrelated"]))
    entropies["now_decorrelated"] = apart
    entropies["next_decorrelated"] = None if apart is None or change is None else apart + change
    return Stages(matrix, corners, centres, covariances, entropies)


def _log(number: Fraction) -> LogarithmSum | None:
    return LogarithmSum.log(number) if number else None


def compute(params: ContinuousSquareParams, ctx: Context) -> Result:
    """Corners, closed entropies and covariances of every stage, and what is zero whatever the map."""
    gain = as_written(params.gain)
    sides = (as_written(params.sides[0]), as_written(params.sides[1]))
    centre = (as_written(params.middle[0]), as_written(params.middle[1]))
    found = stages(gain, sides, centre)
    ctx.check()
    result = Result()
    _add_corners(result, found)
    _add_entropies(result, found)
    _add_measures(result, found)
    _add_rotation(result, float(params.gain))
    _add_sides(result)
    _add_moments(result, found)
    ctx.check()
    add_figures(result, list(STAGES.items()), widths(found.matrix[0], sides), float(params.gain))
    if params.gain == 0:
        result.warn(_SINGULAR)
    return result


def _add_corners(result: Result, found: Stages) -> None:
    for name, when in STAGES.items():
        middle = found.centres[name]
        exact = [(x + middle[0], y + middle[1]) for x, y in found.corners[name]]
        values = np.array([[float(x), float(y)] for x, y in exact])
        text = f"corners (+,+), (+,-), (-,+), (-,-) {when}, room and machine"
        result.add_array(f"corners_{name}", values, ("corner", "axis"), text=text)
        shape = np.array([[float(x), float(y)] for x, y in found.corners[name]])
        result.add_array(
            f"shape_{name}", shape, ("corner", "axis"), text=f"the same {when}, about the centre"
        )
        centre = np.array([float(middle[0]), float(middle[1])])
        result.add_array(f"centre_{name}", centre, ("axis",), text=f"the centre {when}")
    coarse = max(
        float(np.spacing(np.abs(result.arrays[f"corners_{name}"].values)).max())
        / max(float(np.ptp(result.arrays[f"shape_{name}"].values, axis=0).max()), math.ulp(0.0))
        for name in STAGES
    )
    if coarse > _COARSE:
        result.warn(
            "The sides are hardly larger than the rounding of the corners: corners_… are coarse, shape_… (about the "
            "centre) and entropies are not."
        )


def _add_sides(result: Result) -> None:
    """How far the body at t is from a rhombus, whose sides would be equal."""
    first, second, third, _ = result.arrays["shape_now"].values
    sides = sorted([float(np.hypot(*(first - second))), float(np.hypot(*(first - third)))])
    text = "longer over shorter side of the body at t: 1 for a rhombus"
    result.add_finding("side_ratio_now", sides[1] / sides[0] if sides[0] else math.inf, text)


def _add_entropies(result: Result, found: Stages) -> None:
    for name, when in STAGES.items():
        value = found.entropies[name]
        text = f"entropy of the law {when}"
        if value is None:
            result.add_finding(f"entropy_{name}", -math.inf, f"{text}: it lies on a line", unit="nats")
        else:
            result.add_finding(f"entropy_{name}", value.in_nats(), text, unit="nats")
    room = trapezoid_entropy(widths(found.matrix[0], _sides(found)))
    assert room is not None  # the room keeps its own spread
    result.add_finding("entropy_room_now", room.in_nats(), "entropy of the room at t by itself", unit="nats")
    now, after, apart, later = (
        found.entropies[name] for name in ("now", "next", "now_decorrelated", "next_decorrelated")
    )
    assert apart is not None  # both parts have spread at t
    if now is None or after is None or later is None:
        text = "mutual information of machine and room at t: infinite, as one number tells the other"
        result.add_finding("mutual_information", math.inf, text, unit="nats")
        for name in ("optimizing", "adjusted_optimizing"):
            result.add_missing(name, f"{_SINGULAR} Both entropies at t+1 are minus infinity.", unit="nats")
    else:
        information, optimizing = apart - now, later - after
        text = "mutual information of machine and room at t"
        result.add_finding("mutual_information", information.in_nats(), text, unit="nats")
        text = "entropy that the correlation at t takes from t+1"
        result.add_finding("optimizing", optimizing.in_nats(), text, unit="nats")
        text = "optimizing minus mutual information: zero for every invertible linear map"
        result.add_finding("adjusted_optimizing", (optimizing - information).in_nats(), text, unit="nats")
    rows = [(name, result.findings[f"entropy_{name}"].value, when) for name, when in STAGES.items()]
    result.add_table("entropies", ("stage", "nats", "when"), rows, title="Differential entropies")


def _sides(found: Stages) -> Pair:
    (x, y), *_ = found.corners["before"]
    return 2 * x, 2 * y


def _add_measures(result: Result, found: Stages) -> None:
    """The source's logarithms of variances, for three readings of the variance V of two numbers."""
    sizes = {
        "generalised_variance": ("the determinant of the covariance", determinant),
        "trace": ("the sum of both variances", lambda c: c[0][0] + c[1][1]),
        "variance_room": ("the variance of the room", lambda c: c[0][0]),
        "variance_machine": ("the variance of the machine", lambda c: c[1][1]),
    }
    for name, (words, size) in sizes.items():
        of = {stage: size(covariance) for stage, covariance in found.covariances.items()}
        if not all(of.values()):
            result.add_missing(f"optimizing_{name}", _FLAT)
            result.add_missing(f"adjusted_{name}", _FLAT)
            continue
        optimizing = LogarithmSum.log(of["next_decorrelated"] / of["next"])
        information = LogarithmSum.log(of["now_decorrelated"] / of["now"])
        text = f"ln V'(t+1) - ln V(t+1) where V is {words}"
        result.add_finding(f"optimizing_{name}", optimizing.in_nats(), text)
        text = f"that minus ln V'(t) - ln V(t), where V is {words}"
        result.add_finding(f"adjusted_{name}", (optimizing - information).in_nats(), text)


def _add_rotation(result: Result, gain: float) -> None:
    """The multipliers (1 ± sqrt(1 - 4k))/2 of one step."""
    root = np.sqrt(complex(1 - 4 * gain))
    largest = max(abs(0.5 * (1 + root)), abs(0.5 * (1 - root)))
    turns = gain > 0.25
    text = "largest multiplier of a step, " + ("a pair that turns: k > 1/4" if turns else "real: k <= 1/4")
    result.add_finding("spectral_radius", float(largest), text)


def _add_moments(result: Result, found: Stages) -> None:
    rows: list[tuple[Cell, ...]] = []
    for name in STAGES:
        covariance = found.covariances[name]
        (room, both), (_, machine) = covariance
        numbers = (*found.centres[name], room, machine, both, determinant(covariance))
        rows.append((name, *map(float, numbers)))
    columns = ("stage", "room", "machine", "var_room", "var_machine", "covariance", "determinant")
    result.add_table("moments", columns, rows, title="Means and covariances")
    values = np.array([[[float(x) for x in row] for row in found.covariances[name]] for name in STAGES])
    text = "covariance of room and machine: " + ", ".join(STAGES)
    result.add_array("covariance", values, ("stage", "axis", "axis_2"), text=text)
