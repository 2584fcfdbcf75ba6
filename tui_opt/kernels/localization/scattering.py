"""The same amounts of brightness at random pixels: as much of a change as a square makes, without its place."""

from __future__ import annotations

from typing import TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


def scatter(images: NDArray[np.uint8], amounts: IntArray, most: int, rng: np.random.Generator) -> int:
    """Brighten pixels of each image by the amounts that belong to it, each amount at a pixel of its own.

    Larger amounts take their pixels first, among those that have room for them. Where none is left that has, what
    cannot be placed as it is goes to any pixels with room, in random order.

    Args:
        images: [image, pixel], from 0 to `most`; are changed.
        amounts: [image, amount], from 0 to `most`.
        most: the brightest value.
        rng: draws which.

    Returns: how much there was no room for in the images.
    """
    orders = rng.permuted(np.tile(np.arange(images.shape[1]), (len(images), 1)), axis=1)
    return int(_place(images, -np.sort(-amounts, axis=1), most, rng.random(amounts.shape), orders))


@nb.njit(nogil=True, cache=True)
def _place(
    images: NDArray[np.uint8], amounts: IntArray, most: int, drawn: FloatArray, orders: IntArray
) -> int:
    lost = 0
    taken, fitting = np.empty(images.shape[1], dtype=np.bool_), np.empty(images.shape[1], dtype=np.int64)
    for n in range(images.shape[0]):
        image = images[n]
        taken[:] = False
        missing = 0
        for k in range(amounts.shape[1]):
            amount = amounts[n, k]
            if amount == 0:
                break
            number = 0
            for pixel in range(image.size):
                if not taken[pixel] and most - image[pixel] >= amount:
                    fitting[number] = pixel
                    number += 1
            if number == 0:
                missing += amount
                continue
            pixel = fitting[min(int(drawn[n, k] * number), number - 1)]
            image[pixel] += amount
            taken[pixel] = True
        for pixel in orders[n]:
            if missing == 0:
                break
            more = min(missing, most - image[pixel])
            image[pixel] += more
            missing -= more
        lost += missing
    return lost
