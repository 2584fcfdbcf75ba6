"""What is learnt: which images, in which order, and what counts as which class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.datasets import Dataset, load
from tui_opt.errors import ExperimentError
from tui_opt.experiments.ocr_localization.costs import HELD_OUT
from tui_opt.experiments.ocr_localization.params import LessonParams
from tui_opt.kernels.localization.pixels import Pixels, among, dense, sparse

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Sequence:
    """Images in the order in which they are learnt.

    Args:
        samples: [step], the image.
        classes: [step], the place of its digit among `Lesson.digits`.
        targets: [step], 0 for the first group and 1 for the second.
    """

    samples: IntArray
    classes: IntArray
    targets: IntArray

    def part(self, first: int, last: int | None = None) -> Sequence:
        """The steps from `first` to `last`."""
        return Sequence(self.samples[first:last], self.classes[first:last], self.targets[first:last])


@dataclass(frozen=True)
class Lesson:
    """A data set with the digits of two groups, and the two phases.

    Args:
        data: the images.
        digits: the first group's digits, then the second's.
        group: how many are in the first.
        phase_one_images: phase one takes the digits from the first so many images, the forks from the rest.
        epochs: passes in each phase.
    """

    data: Dataset
    digits: tuple[int, ...]
    group: int
    phase_one_images: int
    epochs: int

    @classmethod
    def of(cls, params: LessonParams) -> Lesson:
        """The lesson that parameters describe.

        Raises:
            DataError: the data set is not here.
            ExperimentError: some digit does not occur in one of the phases.
        """
        data = load(params.dataset)
        digits = (*params.group_a, *params.group_b)
        lesson = cls(data, digits, len(params.group_a), params.phase_one_images, params.passes)
        parts = [("the images of phase one", data.labels[: lesson.phase_one_images])]
        if params.rest:
            parts.append((params.rest, data.labels[lesson.phase_one_images :]))
        for name, labels in parts:
            missing = [str(digit) for digit in digits if not np.any(labels == digit)]
            if missing:
                change = (
                    "Change phase_one, which divides" if params.rest else "Raise phase_one, which is part of"
                )
                raise ExperimentError(
                    f"There is no {' and no '.join(missing)} among {name}. {change} the {len(data.labels):,} images "
                    f"of {data.name}."
                )
        return lesson

    @cached_property
    def pixels(self) -> Pixels:
        """Images without their zeros; those of other digits are blank."""
        chosen = np.isin(self.data.labels, self.digits)
        return among(sparse(self.data.images[chosen], self.data.levels), chosen)

    @cached_property
    def place(self) -> IntArray:
        """The place of each digit from 0 to 9 among `digits`, -1 where it is none of them."""
        place = np.full(10, -1)
        place[list(self.digits)] = np.arange(len(self.digits))
        return place

    @cached_property
    def phase_one(self) -> Sequence:
        """Phase one, all of it."""
        return self._sequence(np.arange(self.phase_one_images), self.digits)

    def tally_begins(self, tally: str) -> int:
        """The step of phase one from which updates are counted."""
        return self.phase_one.samples.size // 2 if tally == "second-half" else 0

    @cached_property
    def forks(self) -> list[Sequence]:
        """What each fork learns: its own digit and the whole other group, [digit in the order of `digits`]."""
        images = np.arange(self.phase_one_images, self.data.labels.size)
        first, second = self.digits[: self.group], self.digits[self.group :]
        return [
            self._sequence(images, (digit, *(second if place < self.group else first)))
            for place, digit in enumerate(self.digits)
        ]

    @cached_property
    def held_out(self) -> Sequence:
        """Images after phase one that nothing is learnt from: at most `HELD_OUT` are looked at."""
        last = min(self.phase_one_images + HELD_OUT, self.data.labels.size)
        images = np.arange(self.phase_one_images, last)
        chosen = images[np.isin(self.data.labels[images], self.digits)]
        classes = self.place[self.data.labels[chosen]]
        return Sequence(chosen, classes, (classes >= self.group).astype(np.int64))

    def sums_by_digit(self, sequence: Sequence) -> tuple[IntArray, IntArray]:
        """Whole grey values, from 0, summed over the images of each digit: [digit, pixel], and images [digit]."""
        chosen = [sequence.samples[sequence.classes == place] for place in range(len(self.digits))]
        sums = [self.data.images[samples].sum(axis=0, dtype=np.int64) for samples in chosen]
        return np.stack(sums), np.array([samples.size for samples in chosen])

    @cached_property
    def later_sums_by_digit(self) -> tuple[IntArray, IntArray]:
        """The same of the images of the forks, each once."""
        images = np.arange(self.phase_one_images, self.data.labels.size)
        classes = self.place[self.data.labels[images]]
        return self.sums_by_digit(Sequence(images, classes, (classes >= self.group).astype(np.int64)))

    def inputs(self, sequence: Sequence) -> FloatArray:
        """The inputs of a sequence, [step, pixel]."""
        return dense(self.data.images[sequence.samples], self.data.levels)

    @cached_property
    def constant_pixels(self) -> NDArray[np.bool_]:
        """Pixels that nothing was drawn on in any image of either phase, [pixel]."""
        chosen = np.isin(self.data.labels, self.digits)
        return np.asarray(self.data.images[chosen].max(axis=0) == 0)

    def _sequence(self, images: IntArray, digits: tuple[int, ...]) -> Sequence:
        chosen = images[np.isin(self.data.labels[images], digits)]
        samples = np.tile(chosen, self.epochs)
        classes = self.place[self.data.labels[samples]]
        return Sequence(samples, classes, (classes >= self.group).astype(np.int64))
