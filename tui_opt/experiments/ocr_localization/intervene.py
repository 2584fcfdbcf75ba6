"""intervene: the same networks trained on changed data, against a random change of equal size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.experiments.ocr_localization.intervene_report import report
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.pixels import Pixels, sparse
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Taught:
    """Images as they are learnt: `images` [image, pixel] without their zeros, `targets` [image], `order` [step]."""

    images: Pixels
    targets: IntArray
    order: IntArray


def compute(params: InterveneParams, ctx: Context) -> Result:
    """Every initial network on the data, on the changed data, on its control, and on random halves of the data."""
    lesson = Lesson.of(params)
    chosen = np.unique(lesson.phase_one.samples)
    images = lesson.data.images[chosen]
    classes = lesson.place[lesson.data.labels[chosen]]
    targets = (classes >= lesson.group).astype(np.int64)
    picked = _picked(params, classes == lesson.place[params.digit])
    order = np.tile(np.arange(chosen.size), lesson.epochs)
    plain = Taught(sparse(images, lesson.data.levels), targets, order)
    rng = ctx.rng("control")
    changed = _changed(params, lesson, images, targets, order, picked)
    control = _control(params, lesson, images, targets, order, picked, rng)
    halves = [
        Taught(
            plain.images,
            targets,
            np.tile(np.sort(rng.permutation(chosen.size)[: chosen.size // 2]), lesson.epochs),
        )
        for _ in range(params.resamples)
    ]
    tasks = (plain, changed, control, *halves)

    def of(number: int) -> FloatArray:
        kept = ctx.checkpoint.get(str(number))
        if kept is None:
            start = random_network(lesson.pixels.size, params.hidden, ctx.rng("network", number))
            kept = np.stack([_flat(start), *(_flat(_learn(params, start, taught, ctx)) for taught in tasks)])
            ctx.checkpoint.put(str(number), kept)
        return kept

    found: list[FloatArray] = []
    ctx.progress(0, params.seeds, "networks")
    for ends in ctx.map(of, range(params.seeds)):
        found.append(ends)
        ctx.progress(len(found), params.seeds, "networks")
        if 1 < len(found) < params.seeds:
            ctx.partial(lambda: report(params, lesson, np.stack(found), picked.size))
    return report(params, lesson, np.stack(found), picked.size)


def _learn(params: InterveneParams, start: Network, taught: Taught, ctx: Context) -> Network:
    network, targets = start.copy(), taught.targets[taught.order]
    train(
        network,
        taught.images,
        taught.order,
        targets,
        targets,
        activation=params.activation,
        output=params.output,
        rate=params.learning_rate,
        check=ctx.check,
    )
    return network


def _flat(network: Network) -> FloatArray:
    """The hidden layer's parameters: weights by pixel and unit, then biases."""
    return np.concatenate([network.weights.ravel(), network.biases])


def _picked(params: InterveneParams, of_digit: NDArray[np.bool_]) -> IntArray:
    """The images that are changed."""
    places = np.flatnonzero(of_digit)
    number = round(params.part * places.size)
    if number == 0:
        raise ExperimentError(
            f"part = {params.part:g} of the {places.size} images of {params.digit} is none at all. Give a larger part."
        )
    return np.asarray(places[:number])


def _patch(params: InterveneParams) -> IntArray:
    """The pixels of the square."""
    rows, columns = (
        np.arange(params.patch_size) + params.patch_row,
        np.arange(params.patch_size) + params.patch_col,
    )
    return np.asarray((rows[:, None] * params.side + columns).ravel())


def _changed(
    params: InterveneParams,
    lesson: Lesson,
    images: NDArray[np.uint8],
    targets: IntArray,
    order: IntArray,
    picked: IntArray,
) -> Taught:
    if params.change == "patch":
        images = images.copy()
        images[np.ix_(picked, _patch(params))] = lesson.data.levels - 1
    return _with(params, lesson, images, targets, order, picked)


def _control(
    params: InterveneParams,
    lesson: Lesson,
    images: NDArray[np.uint8],
    targets: IntArray,
    order: IntArray,
    picked: IntArray,
    rng: np.random.Generator,
) -> Taught:
    """As much of a change without structure: other images, drawn at random; for a patch pixels drawn for each of them.

    A bright pixel changes an image by as much as it was dark before, so those of the control are chosen among the dark.
    """
    others = np.sort(rng.choice(len(images), picked.size, replace=False))
    if params.change == "patch":
        images = images.copy()
        number = params.patch_size**2
        for image in others:
            dark = np.flatnonzero(images[image] == 0)
            where = rng.choice(dark if dark.size >= number else images.shape[1], number, replace=False)
            images[image, where] = lesson.data.levels - 1
    return _with(params, lesson, images, targets, order, others)


def _with(
    params: InterveneParams,
    lesson: Lesson,
    images: NDArray[np.uint8],
    targets: IntArray,
    order: IntArray,
    picked: IntArray,
) -> Taught:
    if params.change == "relabel":
        targets = targets.copy()
        targets[picked] = 1 - targets[picked]
    if params.change == "remove":
        order = order[~np.isin(order, picked)]
    return Taught(sparse(images, lesson.data.levels), targets, order)
