"""The memory that steps of two parameters work in: two states, and which blocks of their cells hold something.

It is kept from one call to the next: to get so much fresh memory from the system takes as long as several steps.
"""

from __future__ import annotations

import numba
import numpy as np

from tui_opt.kernels.plane_cells import LANES, MOMENTS, RIM, SLOTS, FlagArray, FloatArray


def stride_of(columns: int) -> int:
    """Columns of a state with its rim, filled up to whole blocks."""
    return -(-(columns + 2 * RIM) // LANES) * LANES


class Workspace:
    """Two accumulators for each of two states, of now and after a step, all zero until a law is loaded.

    Attributes:
        rows, columns, stride: of the box, and columns with the rim and filled up.
        states: [2, 2, size], states as sums of two accumulators; a cell takes SLOTS numbers.
        flags: [2, 2, (rows + 2 RIM) blocks], whether a block of LANES cells may hold something.
        effort: [2, rows + 2 RIM], how much work each row was in the step that made the state.
        now: which state holds the law, 0 or 1; the other one is empty.
    """

    def __init__(self, cells: tuple[int, int]) -> None:
        self.rows, self.columns = cells
        self.stride = stride_of(self.columns)
        full = self.rows + 2 * RIM
        size = full * self.stride
        self.states = _lines(4, size * SLOTS).reshape(2, 2, -1)
        self.flags = np.zeros((2, 2, size // LANES), np.uint8)
        self.effort = np.ones((2, full))
        self.now = 0

    def load(self, moments: FloatArray, effort: FloatArray | None) -> None:
        """Put a law of moments[row, column, 6] here, and `effort` of the step that made it where one is known."""
        self.now = 0
        self.effort[0] = 1.0 if effort is None else effort
        _load(moments, self.states[0, 0], self.flags[0, 0])

    def unload(self, moments: FloatArray) -> float:
        """Take the law out again, into moments[row, column, 6]. Returns: mass outside the box."""
        moments[...] = 0.0
        return float(_unload(moments, self.states[self.now], self.flags[self.now]))


@numba.njit("void(float64[:, :, ::1], float64[::1], uint8[::1])", nogil=True, cache=True)
def _load(moments: FloatArray, half: FloatArray, flags: FlagArray) -> None:
    rows, columns = moments.shape[:2]
    blocks = flags.size // (rows + 2 * RIM)
    for row in range(rows):
        for column in range(columns):
            if moments[row, column, 0] > 0.0:
                cell = (row + RIM) * blocks * LANES + column + RIM
                flags[cell // LANES] = 1
                for k in range(MOMENTS):
                    half[cell * SLOTS + k] = moments[row, column, k]


@numba.njit("float64(float64[:, :, ::1], float64[:, ::1], uint8[:, ::1])", nogil=True, cache=True)
def _unload(moments: FloatArray, halves: FloatArray, flags: FlagArray) -> float:
    rows, columns = moments.shape[:2]
    blocks = flags.shape[1] // (rows + 2 * RIM)
    outside = 0.0
    for half in range(2):
        for block in range(flags.shape[1]):
            if flags[half, block] == 0:
                continue
            flags[half, block] = 0
            row = block // blocks - RIM
            for lane in range(LANES):
                column = block % blocks * LANES + lane - RIM
                first = (block * LANES + lane) * SLOTS
                if 0 <= row < rows and 0 <= column < columns:
                    for k in range(MOMENTS):
                        moments[row, column, k] += halves[half, first + k]
                else:
                    outside += halves[half, first]
                for k in range(SLOTS):
                    halves[half, first + k] = 0.0
    return outside


def _lines(number: int, size: int) -> FloatArray:
    """[number, size], zeros that begin where a line of the cache does."""
    memory = np.zeros(number * size + SLOTS)
    first = -(memory.ctypes.data // memory.itemsize) % SLOTS
    return memory[first : first + number * size].reshape(number, size)
