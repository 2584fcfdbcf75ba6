"""Courses of images on a device of PyTorch, which networks learn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.localization.network import OUTPUTS
from tui_opt.kernels.localization.pixels import Pixels

IntArray: TypeAlias = NDArray[np.int64]
Tensor: TypeAlias = torch.Tensor


@dataclass(frozen=True)
class Course:
    """What a network learns, one image after the other.

    Args:
        pixels: the images.
        samples: [step], the image of each step.
        classes: [step], the class its update is counted under, from 0.
        targets: [step], the output that should be 1.
    """

    pixels: Pixels
    samples: IntArray
    classes: IntArray
    targets: IntArray


class Courses:
    """Courses on a device, which networks take together. They may differ in images and in length.

    Args:
        courses: one or more, whose images have the same number of pixels.
        device: one of torch's.
        dtype: precision; float64 unless something is to be compared.

    Raises:
        ValueError: there is no course, or images differ in size.
        torch.OutOfMemoryError: the device has no room for the images.
    """

    def __init__(self, courses: Sequence[Course], device: str = "cpu", dtype: Any = torch.float64) -> None:
        if len({course.pixels.size for course in courses}) != 1:
            raise ValueError(
                "Courses that are taken together need images of one size, and there must be one."
            )
        # The longest first: those that are still learning are then the first so many.
        self.order = sorted(range(len(courses)), key=lambda i: -courses[i].samples.size)
        self.courses = [courses[i] for i in self.order]
        self.lengths = [course.samples.size for course in self.courses]
        self.pixels = courses[0].pixels.size
        self.device, self.dtype = torch.device(device), dtype
        longest = self.lengths[0]
        targets = np.zeros((len(courses), longest), dtype=np.int64)
        samples = np.zeros((len(courses), longest), dtype=np.int64)
        tables: list[Tensor] = []
        begins = 0
        for pixels in {id(course.pixels): course.pixels for course in self.courses}.values():
            takers = [i for i, course in enumerate(self.courses) if course.pixels is pixels]
            used = np.unique(np.concatenate([self.courses[i].samples for i in takers]))
            for i in takers:
                places = np.searchsorted(used, self.courses[i].samples)
                samples[i, : self.lengths[i]] = begins + places
                targets[i, : self.lengths[i]] = self.courses[i].targets
            tables.append(_inputs(pixels, used, self.device, dtype))
            begins += used.size
        self.inputs = torch.cat(tables) if len(tables) > 1 else tables[0]
        self.samples = torch.as_tensor(samples, device=self.device)
        wanted = np.eye(OUTPUTS)[targets]
        self.wanted = torch.as_tensor(wanted, dtype=dtype, device=self.device)


def _inputs(pixels: Pixels, used: IntArray, device: torch.device, dtype: Any) -> Tensor:
    """Some of the images with all their pixels, [image, pixel]."""
    counts = pixels.starts[used + 1] - pixels.starts[used]
    rows = np.repeat(np.arange(used.size), counts)
    before = np.cumsum(counts) - counts
    places = np.arange(rows.size) + np.repeat(pixels.starts[used] - before, counts)
    table = torch.full((used.size * pixels.size,), pixels.constant, dtype=dtype, device=device)
    drawn = torch.as_tensor(rows * pixels.size + pixels.columns[places], device=device)
    values = torch.as_tensor(pixels.constant + pixels.values[places], dtype=dtype, device=device)
    table[drawn] = values
    return table.view(used.size, pixels.size)
