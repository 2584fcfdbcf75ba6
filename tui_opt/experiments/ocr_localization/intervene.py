"""intervene: the same networks trained on changed data, against a random change of equal size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.experiments.ocr_localization.intervene_report import Extent, report
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.one_seed import Report
from tui_opt.experiments.ocr_localization.together import Size, groups, once
from tui_opt.experiments.ocr_localization.work import Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.pixels import Pixels, sparse
from tui_opt.kernels.localization.scattering import scatter
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

if TYPE_CHECKING:
    from tui_opt.kernels.localization.courses import Courses

AT_ONCE: Final = 50
"""Images that are changed between two looks at whether to stop."""

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Taught:
    """Images as they are learnt: `images` [image, pixel] without their zeros, `targets` [image], `order` [step]."""

    images: Pixels
    targets: IntArray
    order: IntArray


@linear_algebra_on_one_thread
def compute(params: InterveneParams, ctx: Context) -> Result:
    """Every initial network on the data, on the changed data, on its control, and on random halves of the data."""
    lesson = Lesson.of(params)
    chosen = np.unique(lesson.phase_one.samples)
    images = lesson.data.images[chosen]
    classes = lesson.place[lesson.data.labels[chosen]]
    targets = (classes >= lesson.group).astype(np.int64)
    picked = _picked(params, classes == lesson.place[params.digit])
    order = np.tile(np.arange(chosen.size), lesson.epochs)
    plain = Taught(sparse(images, lesson.data.levels, ctx.check), targets, order)
    rng = ctx.rng("control")
    others = np.sort(rng.choice(len(images), picked.size, replace=False))
    if params.change == "patch":
        brighter = _patched(params, lesson, images, picked)
        changed = replace(plain, images=sparse(brighter, lesson.data.levels, ctx.check))
        brighter = _scattered(params, lesson, images, picked, others, rng, ctx)
        control = replace(plain, images=sparse(brighter, lesson.data.levels, ctx.check))
    else:
        changed, control = (_taught_otherwise(params, plain, which) for which in (picked, others))
    halves = [
        Taught(
            plain.images,
            targets,
            np.tile(np.sort(rng.permutation(chosen.size)[: chosen.size // 2]), lesson.epochs),
        )
        for _ in range(params.resamples)
    ]
    tasks = (plain, changed, control, *halves)

    steps = sum(taught.order.size for taught in tasks)
    work = Work(ctx, params.seeds, steps)
    school = _School(params, tasks, ctx)

    def initial(number: int) -> Network:
        return random_network(plain.images.size, params.hidden, ctx.rng("network", number))

    def together(numbers: list[int]) -> dict[int, list[Network]]:
        new = [number for number in numbers if ctx.checkpoint.get(str(number)) is None]
        if not new:
            return {}
        learning = work.learning(len(new))
        ends = school.learn([initial(number) for number in new], learning.report)
        learning.end()
        return dict(zip(new, ends, strict=True))

    def of(number: int, ready: dict[int, list[Network]]) -> FloatArray:
        kept = ctx.checkpoint.get(str(number))
        if kept is not None:
            work.learnt()
            return kept
        start, ends = initial(number), ready.pop(number, None)
        if ends is None:
            learning = work.learning()
            ends = [_learn(params, start, taught, ctx, learning.report) for taught in tasks]
            learning.end()
        kept = np.stack([_flat(start), *map(_flat, ends)])
        ctx.checkpoint.put(str(number), kept)
        return kept

    added = (
        float(taught.images.sums.sum() - plain.images.sums.sum()) / picked.size
        for taught in (changed, control)
    )
    extent = Extent(picked.size, *added)
    found: list[FloatArray] = []
    for numbers, ready in groups(range(params.seeds), together, lambda: school.size, ctx):
        for ends in ctx.map(partial(of, ready=ready), numbers):
            found.append(ends)
            if 1 < len(found) < params.seeds:
                ctx.partial(lambda: report(params, lesson, found, extent, ctx.check))
    answering = work.answering(params.seeds)
    result = report(params, lesson, found, extent, ctx.check, answering.report)
    answering.end()
    return result


def _learn(params: InterveneParams, start: Network, taught: Taught, ctx: Context, report: Report) -> Network:
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
        report=report,
    )
    return network


class _School:
    """All data sets at once, for many initial networks, on a GPU."""

    def __init__(self, params: InterveneParams, tasks: tuple[Taught, ...], ctx: Context) -> None:
        self._params, self._tasks, self._ctx = params, tasks, ctx
        self._courses: Courses | None = None
        self._say = once(ctx.message)

    @property
    def size(self) -> Size:
        """What one initial network takes."""
        from tui_opt.kernels.localization.batched import bytes_on_device

        pixels, hidden, sets = self._tasks[0].images.size, self._params.hidden, len(self._tasks)
        return Size(bytes_on_device(sets, pixels, hidden), 24 * sets * pixels * hidden)

    def learn(self, networks: list[Network], report: Report) -> list[list[Network]]:
        """Each of the networks after each of the data sets, [network][data set]."""
        from tui_opt.kernels.localization import batched, courses

        if self._courses is None:
            taken = []
            for taught in self._tasks:
                targets = taught.targets[taught.order]
                taken.append(courses.Course(taught.images, taught.order, targets, targets))
            self._courses = courses.Courses(taken, self._ctx.device)
        outcome = batched.train_together(
            self._courses,
            [networks] * len(self._tasks),
            activation=self._params.activation,
            output=self._params.output,
            rates=np.full(len(networks), self._params.learning_rate),
            check=self._ctx.check,
            report=report,
            say=self._say,
        )
        return [list(ends) for ends in zip(*outcome.networks, strict=True)]


def _flat(network: Network) -> FloatArray:
    """The hidden layer's parameters: weights by pixel and unit, then biases; NaN of a network that diverged."""
    flat = np.concatenate([network.weights.ravel(), network.biases])
    return flat if network.is_sound else np.full_like(flat, np.nan)


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


def _patched(
    params: InterveneParams, lesson: Lesson, images: NDArray[np.uint8], picked: IntArray
) -> NDArray[np.uint8]:
    """The images with a bright square on those that were picked."""
    images = images.copy()
    images[np.ix_(picked, _patch(params))] = lesson.data.levels - 1
    return images


def _scattered(
    params: InterveneParams,
    lesson: Lesson,
    images: NDArray[np.uint8],
    picked: IntArray,
    others: IntArray,
    rng: np.random.Generator,
    ctx: Context,
) -> NDArray[np.uint8]:
    """As much of a change without structure: random pixels of others, drawn for each of them, are brightened.

    A bright pixel changes an image by as much as it was dark before. What each pixel of the square adds to one image is
    added to some pixel of another.
    """
    most = lesson.data.levels - 1
    amounts = most - images[np.ix_(picked, _patch(params))].astype(np.int64)
    images = images.copy()
    for first in range(0, others.size, AT_ONCE):
        ctx.check()
        part = slice(first, first + AT_ONCE)
        brighter = images[others[part]]
        scatter(brighter, amounts[part], most, rng)
        images[others[part]] = brighter
    return images


def _taught_otherwise(params: InterveneParams, plain: Taught, which: IntArray) -> Taught:
    """Some images with the other label, or without them."""
    if params.change == "relabel":
        targets = plain.targets.copy()
        targets[which] = 1 - targets[which]
        return replace(plain, targets=targets)
    return replace(plain, order=plain.order[~np.isin(plain.order, which)])
