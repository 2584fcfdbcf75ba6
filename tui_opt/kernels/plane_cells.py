"""What the cells of two parameters hold, and how the numbers are laid out that a step works on.

A state is [row, column, 6]: mass, mass times offset 1 and 2, and mass times the products 11, 12 and 22 of the offsets,
which are from the centre of the cell in units of its sides. While it is stepped, a cell takes SLOTS numbers, the last
of them unused: a line of the processor's cache, which is read, added to and written as one vector. A rim of RIM cells
around the box collects what leaves it; columns are filled up to a multiple of LANES.

LANES neighbouring cells of a row are worked on side by side, in the rows of a work array.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
FlagArray: TypeAlias = NDArray[np.uint8]

MOMENTS: Final = 6
SLOTS: Final = 8
RIM: Final = 2
"""Cells on every side of the box that collect what leaves it in a step."""
LANES: Final = 16
"""Neighbouring columns that are worked on at once: more leave lanes empty at the edges of a law, fewer the pipeline."""
ROW_EFFORT: Final = 4.0
CUT_EFFORT: Final = 3.0
"""The work of a row, and of a block of cells whose images are cut, over that of a block whose images are added whole;
measured, to share out rows between threads."""
FORGOTTEN: Final = 1e-18
"""A cell with at most this mass is emptied, and its mass counted as outside."""
LIGHT: Final = 1e-3
"""The image of a cell with less than this part of an even share of the mass is not cut, but added whole to the cell
that its mean lies in: all that is not cut is no more than this of the mass, and its moments are kept."""
THINNEST: Final = 1e-24
"""Variances below, in squared sides of a cell, are taken as zero."""
MOST_PIECES: Final = 32
"""An image that is longer is laid down in so many pieces per axis, each at most one cell wide."""
FARTHEST: Final = 1e15
"""Images beyond, or wider, in cells, are lost."""
OVERHANG: Final = 0.7
"""How far a piece may reach beyond the far border of its cell; what would reach farther is cut there too. Its moments
are kept all the same; cutting all that does takes twice the time, and changes no standard deviation by 1e-3."""

# Rows of the work array: what was read, the rectangle (mass, mean, covariance), its image, what is forgotten, and
# whether the cuts would not do, and for each of the four pieces its six moments.
RAW: Final = 0
MASS: Final = 6
D1: Final = 7
D2: Final = 8
V11: Final = 9
V12: Final = 10
V22: Final = 11
U1: Final = 12
U2: Final = 13
W11: Final = 14
W12: Final = 15
W22: Final = 16
GONE: Final = 17
WIDE: Final = 18
PIECES: Final = 19
WORK_ROWS: Final = 43

# Unsigned indices spare a test for negative ones, which would keep loops from being vectorised.
SLOT: Final = np.uint64(SLOTS)
BLOCK_BITS: Final = np.uint64(4)

_NEAREST: Final = 6755399441055744.0  # 1.5 * 2^52: adding and subtracting it rounds to the nearest integer

stage: Any = numba.njit(forceinline=True, error_model="numpy", fastmath={"contract"})
"""Decorates a part of a step, which becomes part of the step's own code."""


@stage
def nearest(x: float) -> Any:
    """The nearest whole number."""
    return (x + _NEAREST) - _NEAREST
