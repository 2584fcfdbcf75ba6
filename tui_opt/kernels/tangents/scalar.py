"""The interpreter of register tapes for one point at a time: what a trajectory that cannot be cut into lanes needs.

The operations, and so the bits, are those of `tui_opt.kernels.tape`.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels import lanes


@numba.njit("void(int64[:, ::1], float64[::1])", nogil=True, cache=True, error_model="numpy")
def execute_one(code: NDArray[np.int64], operands: NDArray[np.float64]) -> None:
    """Run all instructions once over operands[operand]."""
    for line in range(code.shape[0]):
        op, t = code[line, 0], code[line, 1]
        x, y = operands[code[line, 2]], operands[code[line, 3]]
        if op == 0:
            operands[t] = x + y
        elif op == 1:
            operands[t] = x - y
        elif op == 2:
            operands[t] = x * y
        elif op == 3:
            operands[t] = x / y
        elif op == 4:
            operands[t] = lanes.minimum(x, y)
        elif op == 5:
            operands[t] = lanes.maximum(x, y)
        elif op == 6:
            operands[t] = lanes.gate(x, y)
        elif op == 7:
            operands[t] = lanes.power(x, y)
        elif op == 8:
            operands[t] = math.atan2(x, y)
        elif op == 9:
            operands[t] = math.hypot(x, y)
        elif op == 10:
            operands[t] = -x
        elif op == 11:
            operands[t] = abs(x)
        elif op == 12:
            operands[t] = math.sqrt(x)
        elif op == 13:
            operands[t] = lanes.exp(x)
        elif op == 14:
            operands[t] = lanes.log(x)
        elif op == 15:
            operands[t] = lanes.sign(x)
        elif op == 16:
            operands[t] = lanes.step(x)
        elif op == 17:
            operands[t] = lanes.relu(x)
        elif op == 18:
            operands[t] = lanes.sigmoid(x)
        elif op == 19:
            operands[t] = lanes.softplus(x)
        elif op == 20:
            operands[t] = lanes.cbrt(x)
        elif op == 21:
            operands[t] = math.expm1(x)
        elif op == 22:
            operands[t] = math.log1p(x)
        elif op == 23:
            operands[t] = math.log2(x)
        elif op == 24:
            operands[t] = math.log10(x)
        elif op == 25:
            operands[t] = math.sin(x)
        elif op == 26:
            operands[t] = math.cos(x)
        elif op == 27:
            operands[t] = math.tan(x)
        elif op == 28:
            operands[t] = math.asin(x)
        elif op == 29:
            operands[t] = math.acos(x)
        elif op == 30:
            operands[t] = math.atan(x)
        elif op == 31:
            operands[t] = math.sinh(x)
        elif op == 32:
            operands[t] = math.cosh(x)
        elif op == 33:
            operands[t] = math.tanh(x)
        elif op == 34:
            operands[t] = math.asinh(x)
        elif op == 35:
            operands[t] = math.acosh(x)
        elif op == 36:
            operands[t] = math.atanh(x)
        elif op == 37:
            operands[t] = math.erf(x)
