"""What paths says: energies at images, between them and certified, angles, outputs, and the width of the basin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.minima_params import PathsParams
from tui_opt.experiments.landscape_5x5.task import Task
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


@dataclass(frozen=True)
class Found:
    """A path, its certificate, and the bound of the other start (NaN without one)."""

    path: FloatArray
    certificate: Certificate
    other: float


def report(params: PathsParams, task: Task, done: list[Found]) -> Result:
    """The result of the paths that are done."""
    result = Result()
    paths = np.stack([one.path for one in done])  # [path, image, parameter]
    energy = loss(task.layout, paths, task.x, task.y)
    fine, places = _between(params, task, paths)
    steps = np.diff(paths, axis=1)
    sizes = np.sqrt(np.square(steps).sum(axis=2))
    distance = np.concatenate([np.zeros((len(paths), 1)), np.cumsum(sizes, axis=1)], axis=1)
    length = np.repeat(sizes / (params.fine + 1), params.fine + 1, axis=1)
    distance_fine = np.concatenate([np.zeros((len(paths), 1)), np.cumsum(length, axis=1)], axis=1)
    cosine = (steps[:, 1:] * steps[:, :-1]).sum(axis=2) / np.maximum(sizes[:, 1:] * sizes[:, :-1], 1e-300)
    bounds = np.array([one.certificate.bound for one in done])
    angle = np.arccos(np.clip(cosine, -1, 1))
    images, points = ("path", "image"), ("path", "point")
    result.add_array("energy", energy, images, text="loss at the images; the built network first")
    result.add_array("energy_fine", fine, points, text="loss at the images and between them")
    result.add_array("distance", distance, images, text="distance along the path from the built network")
    result.add_array("distance_fine", distance_fine, points, text="the same between images")
    text = "angle between successive differences, radians"
    result.add_array("angle", angle, ("path", "inner_image"), text=text)
    result.add_array("energy_certified", bounds, ("path",), text="no loss on the path is larger")
    _add_barriers(result, params, done, energy, fine)
    _add_basin(result, params, task, done, fine, places, paths)
    _add_outputs(result, task, paths[0], distance[0])
    _add_figures(result, len(done))
    result.headline = ["barrier_certified_median", "excess_median", "image_gap", "basin_radius_median"]
    return result


def _between(params: PathsParams, task: Task, paths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Loss at all images and `fine` points between neighbours, [path, point]; and the networks there, path by path."""
    t = np.arange(params.fine + 1) / (params.fine + 1)
    inner = paths[:, :-1, None] + np.diff(paths, axis=1)[:, :, None] * t[:, None]
    networks = np.concatenate([inner.reshape(len(paths), -1, paths.shape[2]), paths[:, -1:]], axis=1)
    return loss(task.layout, networks, task.x, task.y), networks


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
    highest = np.array([one.certificate.sampled for one in done])
    ends = np.maximum(energy[:, 0], energy[:, -1])
    _median(result, "barrier_median", at_images, "Largest loss at a path's images, median over paths.")
    _median(result, "barrier_fine_median", between, f"The same with {params.fine} points between images.")
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
    other = np.array([f.other for f in done])
    text = (
        "Relative difference of the barriers of two independent starts, median: barriers depend on the start."
    )
    _median(result, "start_difference_median", (other - bounds) / bounds, text, "accuracy")


def _add_basin(
    result: Result,
    params: PathsParams,
    task: Task,
    done: list[Found],
    fine: FloatArray,
    networks: FloatArray,
    paths: FloatArray,
) -> None:
    """How far from the built network the loss first reaches that of the minimum, straight and along the path."""
    radius = np.full(len(done), np.nan)
    for i in range(len(done)):
        above = np.flatnonzero(fine[i] > EDGE * fine[i, -1])
        if above.size:
            radius[i] = float(np.linalg.norm(networks[i, above[0]] - paths[i, 0]))
    result.add_array(
        "basin_radius", radius, ("path",), text="distance from the built network to the basin's edge"
    )
    text = f"Distance from the built network at which the loss first exceeds {EDGE:g} of that at the minimum."
    _median(result, "basin_radius_median", radius, text)
    apart = np.sqrt(np.square(paths[:, -1] - paths[:, 0]).sum(axis=1))
    result.add_array("end_distance", apart, ("path",), text="distance from the built network to the minimum")
    _median(result, "end_distance_median", apart, "Straight distance from the built network to a minimum.")
    size = task.layout.size
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = size * np.log10(radius / apart)
    text = (
        f"Logarithm to base 10 of (radius / distance)^{size}: what a random walk at that distance has to hit."
    )
    _median(result, "volume_log10", volume, text)


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
