"""Gradient descent on the mean loss of compiled gradients: the steps of `tui_opt.kernels.descent`, to the last bit."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import FloatArray, require_temperature
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import PROGRAM_TYPES, Program, execute, workspace

IntArray = NDArray[np.int64]


def descend(program: Program, start: FloatArray, temperature: float, steps: int) -> FloatArray:
    """Descend W <- W - T mean_j g_j(W) from several starts at once.

    Args:
        program: of one variable W, outputs g_j.
        start: starting places, [s].
        temperature: T, the step size, positive.
        steps: number of steps, 0 or more.

    Returns: w[s, steps + 1], the start included; a path that leaves the numbers continues as inf or NaN.
    Raises: ValueError for a program of other variables, or fewer steps.
    """
    if program.n_variables != 1:
        raise ValueError(
            f"The gradients have {program.n_variables} variables; descent in one dimension has one."
        )
    if steps < 0:
        raise ValueError(f"steps is {steps}; it must be 0 or more.")
    start = np.ascontiguousarray(start, dtype=np.float64)
    path = np.empty((start.size, steps + 1))
    _descend(*program.arrays, start, path, require_temperature(temperature))
    return path


@numba.njit(
    f"void({PROGRAM_TYPES}, float64[::1], float64[:, ::1], float64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _descend(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    start: FloatArray,
    path: FloatArray,
    temperature: float,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    x = operands[0]
    for first in range(0, start.size, LANES):
        width = min(LANES, start.size - first)
        for i in range(width):
            x[i] = start[first + i]
            path[first + i, 0] = x[i]
        for s in range(1, path.shape[1]):
            execute(code, operands)
            for i in range(width):
                total = operands[outputs[0], i]
                for j in range(1, outputs.size):
                    total += operands[outputs[j], i]
                path[first + i, s] = x[i] - temperature * (total / outputs.size)
            for i in range(width):
                x[i] = path[first + i, s]
