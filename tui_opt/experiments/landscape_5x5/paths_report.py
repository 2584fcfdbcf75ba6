"""What paths says: energies at images, between them and certified, angles, outputs, and the width of the basin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.minima_params import PathsParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.words import counted
from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Ref
from tui_opt.kernels.networks.certificate import Certificate
from tui_opt.kernels.networks.plain import loss, outputs
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

CONVERGED: Final = 1.05
"""Largest certified loss over the largest at images, up to which a path counts as converged."""
EDGE: Final = 0.9
"""The basin's edge: where the loss first exceeds this part of that at the other end."""
MOST_LINES: Final = 8
MOST_COLUMNS: Final = 200


NEAR: Final = 0.1
"""The part of a path next to the built network whose angles are compared with those of its middle."""


@dataclass(frozen=True)
class Found:
    """A path and what is known of it.

    Args:
        path: [image, parameter], the built network first.
        certificate: of its largest loss.
        other: bound of the path from the other start, which was not kept; NaN without one.
        fine: loss at the images and between them, [point].
        radius: distance from the built network to where the loss first exceeds EDGE of that at the other end.
        half: change of the output from the minimum to the middle of the path, as a part of the whole change.
    """

    path: FloatArray
    certificate: Certificate
    other: float
    fine: FloatArray
    radius: float
    half: float

    @classmethod
    def of(cls, fine: int, task: Task, path: FloatArray, certificate: Certificate, other: float) -> Found:
        """Look at `fine` points between neighbouring images."""
        t = np.arange(fine + 1) / (fine + 1)
        inner = (path[:-1, None] + np.diff(path, axis=0)[:, None] * t[:, None]).reshape(-1, path.shape[1])
        networks = np.concatenate([inner, path[-1:]])
        losses = loss(task.layout, networks, task.x, task.y)
        above = np.flatnonzero(losses > EDGE * losses[-1])
        radius = float(np.linalg.norm(networks[above[0]] - path[0])) if above.size else float("nan")
        return cls(path, certificate, other, losses, radius, _change_at_half(task, path))


def _change_at_half(task: Task, path: FloatArray) -> float:
    """Root mean square of the change of output over the half next to the minimum, over that of the whole path."""
    along = _along(np.sqrt(np.square(np.diff(path, axis=0)).sum(axis=1))[None])[0]
    middle = int(np.argmin(np.abs(along - along[-1] / 2)))
    built, there, end = outputs(task.layout, path[[0, middle, -1]], task.x)
    whole = float(np.square(built - end).mean())
    return float(np.sqrt(np.square(there - end).mean() / whole)) if whole > 0 else float("nan")


def report(params: PathsParams, task: Task, done: list[Found]) -> Result:
    """The result of the paths that are done."""
    result = Result()
    paths = np.stack([one.path for one in done])  # [path, image, parameter]
    fine = np.stack([one.fine for one in done])
    energy = fine[:, :: params.fine + 1]
    steps = np.diff(paths, axis=1)
    sizes = np.sqrt(np.square(steps).sum(axis=2))
    distance = _along(sizes)
    angle = _angles(steps, sizes)
    images, points = ("path", "image"), ("path", "point")
    result.add_array("energy", energy, images, text="loss at the images; the built network first")
    result.add_array("energy_fine", fine, points, text="loss at the images and between them")
    result.add_array("distance", distance, images, text="distance along the path from the built network")
    distance_fine = _along(np.repeat(sizes / (params.fine + 1), params.fine + 1, axis=1))
    result.add_array("distance_fine", distance_fine, points, text="the same between images")
    text = "angle between successive differences, radians"
    result.add_array("angle", angle, ("path", "inner_image"), text=text)
    apart = np.sqrt(np.square(paths[:, -1] - paths[:, 0]).sum(axis=1))
    _add_barriers(result, params, done, energy, fine)
    _add_shape(result, fine, angle, distance, apart)
    text = "Change of output over the half of a path next to the minimum, over the whole change, median."
    _median(result, "output_half_median", np.array([one.half for one in done]), text)
    _add_basin(result, params, task, done, apart)
    _add_table(result, done, energy, apart)
    _add_outputs(result, task, paths[0], distance[0])
    _add_figures(result, len(done))
    result.headline = ["barrier_certified_median", "excess_median", "image_gap", "basin_radius_median"]
    return result


def _along(sizes: FloatArray) -> FloatArray:
    """Distance to every point of paths from the sizes of their steps, [path, point]."""
    return np.concatenate([np.zeros((len(sizes), 1)), np.cumsum(sizes, axis=1)], axis=1)


def _angles(steps: FloatArray, sizes: FloatArray) -> FloatArray:
    """Angles between successive steps, [path, inner image]."""
    cosine = (steps[:, 1:] * steps[:, :-1]).sum(axis=2) / np.maximum(sizes[:, 1:] * sizes[:, :-1], 1e-300)
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)))


def _median(result: Result, name: str, values: FloatArray, text: str, kind: str = "finding") -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        result.add_missing(name, f"{text} No path has one.")
        return
    result.add_finding(
        name, float(np.median(known)), text, kind="accuracy" if kind == "accuracy" else "finding"
    )


def _add_barriers(
    result: Result, params: PathsParams, done: list[Found], energy: FloatArray, fine: FloatArray
) -> None:
    at_images, between = energy.max(axis=1), fine.max(axis=1)
    bounds = np.array([one.certificate.bound for one in done])
    others = np.array([one.other for one in done])
    result.add_array("energy_certified", bounds, ("path",), text="no loss on the path is larger")
    result.add_array(
        "energy_certified_other", others, ("path",), text="the same of the path from the other start"
    )
    highest = np.array([one.certificate.sampled for one in done])
    ends = np.maximum(energy[:, 0], energy[:, -1])
    _median(result, "barrier_median", at_images, "Largest loss at a path's images, median over paths.")
    _median(
        result,
        "barrier_fine_median",
        between,
        f"The same with {counted(params.fine, 'point')} between images.",
    )
    text = "The same for all points, a bound that is proven: no path need be higher, and others may be lower."
    _median(result, "barrier_certified_median", bounds, text)
    _median(
        result,
        "excess_median",
        bounds - ends,
        "Certified barrier above the higher end: no path can be below that end.",
    )
    _median(result, "end_energy_median", ends, "Loss at the higher end, which is the minimum.")
    gaps = highest / at_images
    text = "Largest loss found anywhere on a path over that at its images; far above 1 the images say little."
    _median(result, "image_gap", gaps, text)
    result.add_finding(
        "converged_fraction", float(np.mean(gaps <= CONVERGED)), f"Paths whose gap is at most {CONVERGED:g}."
    )
    loose = max(
        (f.certificate.bound / f.certificate.sampled - 1 for f in done if f.certificate.sampled > 0),
        default=0.0,
    )
    text = "How far certified bounds lie above the largest loss found, relatively, at most."
    result.add_finding("certificate_slack", float(loose), text, kind="accuracy")
    unresolved = sum(f.certificate.unresolved for f in done)
    result.add_finding("unresolved", unresolved, "Cells that no bound could settle.", kind="accuracy")
    text = (
        "Relative difference of the barriers of two independent starts, median: barriers depend on the start."
    )
    _median(result, "start_difference_median", (others - bounds) / bounds, text, "accuracy")


def _add_shape(
    result: Result, fine: FloatArray, angle: FloatArray, distance: FloatArray, apart: FloatArray
) -> None:
    """How straight and how smooth paths are, and whether they twist near the built network."""
    text = "Length of a path over the straight distance of its ends, median."
    _median(result, "length_ratio_median", distance[:, -1] / np.maximum(apart, 1e-300), text)
    rises = np.maximum(np.diff(fine, axis=1), 0.0).sum(axis=1) / np.maximum(fine.max(axis=1), 1e-300)
    text = "All rises of the loss along a path over its largest loss, median: 1 where it goes up once."
    _median(result, "rises_median", rises, text)
    near = max(1, round(NEAR * angle.shape[1]))
    middle = angle[:, angle.shape[1] // 3 : max(2 * angle.shape[1] // 3, angle.shape[1] // 3 + 1)]
    text = (
        f"Median angle between successive steps over the {NEAR:.0%} of the images next to the built network."
    )
    result.add_finding("angle_near_median", float(np.median(angle[:, :near])), text, unit="rad")
    text = "The same over the middle third of the images."
    result.add_finding("angle_middle_median", float(np.median(middle)), text, unit="rad")


def _add_basin(result: Result, params: PathsParams, task: Task, done: list[Found], apart: FloatArray) -> None:
    """How far from the built network the loss first reaches that of the minimum, straight, not along the path."""
    radius = np.array([one.radius for one in done])
    result.add_array(
        "basin_radius", radius, ("path",), text="distance from the built network to the basin's edge"
    )
    text = f"Distance from the built network at which the loss first exceeds {EDGE:g} of that at the minimum."
    if params.method == "minimax":
        text += " A path lowered only where it is highest says little of it: see string or neb, and basin."
    _median(result, "basin_radius_median", radius, text)
    result.add_array("end_distance", apart, ("path",), text="distance from the built network to the minimum")
    _median(result, "end_distance_median", apart, "Straight distance from the built network to a minimum.")
    size = task.layout.size
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = size * np.log10(radius / apart)
    text = (
        f"Logarithm to base 10 of (radius / distance)^{size}: what a random walk at that distance has to hit."
    )
    _median(result, "volume_log10", volume, text)


def _add_table(result: Result, done: list[Found], energy: FloatArray, apart: FloatArray) -> None:
    """A row for every path: its higher end beside the bounds from both starts."""
    columns = ("path", "end", "at_images", "certified", "other_start", "excess", "gap", "radius", "distance")
    rows: list[tuple[str | int | float, ...]] = []
    for number, (one, at, far) in enumerate(zip(done, energy, apart, strict=True), 1):
        end, highest, bound = float(max(at[0], at[-1])), float(at.max()), one.certificate.bound
        gap = one.certificate.sampled / highest if highest > 0 else float("nan")
        rows.append((number, end, highest, bound, one.other, bound - end, gap, one.radius, float(far)))
    result.add_table("paths", columns, rows, title="Barriers are upper bounds, and depend on the start")


def _add_outputs(result: Result, task: Task, path: FloatArray, distance: FloatArray) -> None:
    """What the networks along the first path answer, at most MOST_COLUMNS of them."""
    step = max(1, -(-len(path) // MOST_COLUMNS))
    x = np.linspace(task.x[0], task.x[-1], MOST_COLUMNS)
    result.add_array(
        "output", outputs(task.layout, path[::step], x), ("output_image", "output_x"), text="first path"
    )
    result.add_array(
        "output_image", distance[::step], ("output_image",), text="distance from the built network"
    )
    result.add_array("output_x", x, ("output_x",), text="input")


def _add_figures(result: Result, number: int) -> None:
    shown = range(min(number, MOST_LINES))
    energy: tuple[Layer, ...] = tuple(
        Line(
            x=Ref(array="distance_fine", index=(i,)),
            y=Ref(array="energy_fine", index=(i,)),
            label=f"path {i + 1}",
        )
        for i in shown
    )
    along = Axis(label="distance from the built network")
    result.add_figure(
        Figure(
            name="energy",
            title="Loss along the paths, between images too",
            x=along,
            y=Axis(label="loss"),
            layers=energy,
        )
    )
    result.add_figure(
        Figure(
            name="output",
            title="Outputs along the first path",
            x=Axis(label="x"),
            y=along,
            layers=(Heatmap(x=Ref(array="output_x"), y=Ref(array="output_image"), z=Ref(array="output")),),
        )
    )
    middle = result.arrays["distance"].values[:, 1:-1]
    result.add_array("angle_distance", middle, ("path", "inner_image"), text="distance of the inner images")
    angles: tuple[Layer, ...] = tuple(
        Line(
            x=Ref(array="angle_distance", index=(i,)), y=Ref(array="angle", index=(i,)), label=f"path {i + 1}"
        )
        for i in shown
    )
    result.add_figure(
        Figure(
            name="angle",
            title="Angle between successive differences",
            x=along,
            y=Axis(label="angle", unit="rad"),
            layers=angles,
        )
    )
