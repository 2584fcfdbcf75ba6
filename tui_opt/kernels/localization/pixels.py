"""Images as a network sees them: a constant that every pixel has, and the few pixels that have more.

With values v from 0 to L - 1 an input is x = (v + 1) / L, between 1/L and 1 as the source has it. So x = 1/L + x', and
x' is zero wherever nothing was drawn, which is most of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

LOOKED_AT: Final = 4_000_000
"""Pixels whose zeros are taken out between two looks at whether to stop."""


@dataclass(frozen=True)
class Pixels:
    """Images row by row without their zeros (compressed sparse rows).

    Args:
        starts: [image + 1], where each image begins in the next two.
        columns: [nonzero], int32, the pixel.
        values: [nonzero], x' of the pixel.
        sums: [image], sum of x' over the image.
        constant: 1/L, what every pixel has.
        size: pixels of an image.
    """

    starts: IntArray
    columns: NDArray[np.int32]
    values: FloatArray
    sums: FloatArray
    constant: float
    size: int


def sparse(images: NDArray[np.uint8], levels: int, check: Callable[[], None] = lambda: None) -> Pixels:
    """Images without their zeros.

    Args:
        images: [image, pixel], from 0 to levels - 1.
        levels: L, the number of grey values.
        check: called after every slice of the images.
    """
    number, pixels = images.shape
    height = max(1, LOOKED_AT // max(pixels, 1))
    slices = [slice(first, first + height) for first in range(0, number, height)]
    starts = np.zeros(number + 1, dtype=np.int64)
    for part in slices:
        np.sum(images[part] != 0, axis=1, out=starts[1:][part])
        check()
    np.cumsum(starts, out=starts)
    columns, values = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1])
    for part in slices:
        some = images[part]
        places = np.flatnonzero(some != 0)  # of booleans, and flat: many times faster than of numbers
        into = slice(starts[part.start], starts[part.start] + places.size)
        np.divide(some.reshape(-1)[places], float(levels), out=values[into])
        np.remainder(places, pixels, out=columns[into], casting="same_kind")
        check()
    sums = images.sum(axis=1, dtype=np.int64) / float(levels)
    return Pixels(starts, columns, values, sums, 1.0 / levels, pixels)


def among(drawn: Pixels, chosen: NDArray[np.bool_]) -> Pixels:
    """Some of many images, by their numbers among all: the others are blank.

    Args:
        drawn: the images that are chosen, in their order.
        chosen: [image].
    """
    counts, sums = np.zeros(chosen.size, dtype=np.int64), np.zeros(chosen.size)
    counts[chosen], sums[chosen] = np.diff(drawn.starts), drawn.sums
    return replace(drawn, starts=np.concatenate([[0], np.cumsum(counts)]), sums=sums)


def dense(images: NDArray[np.uint8], levels: int) -> FloatArray:
    """The inputs themselves, x = (v + 1) / L, [image, pixel]."""
    return (images.astype(np.float64) + 1.0) / levels
