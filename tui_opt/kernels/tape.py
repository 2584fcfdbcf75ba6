"""A precompiled interpreter of register tapes: a new expression needs no compilation.

What makes it fast: one instruction is applied to a block of lanes before the next is looked at, so decoding
costs a few nanoseconds per block, each loop vectorises, and the registers stay in the first-level cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels import lanes
from tui_opt.kernels.lanes import LANES, lane

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

_BINARY: Final = ("add", "sub", "mul", "div", "min", "max", "gate", "pow", "atan2", "hypot")
_UNARY: Final = (
    "neg",
    "abs",
    "sqrt",
    "exp",
    "log",
    "sign",
    "step",
    "relu",
    "sigmoid",
    "softplus",
    "cbrt",
    "expm1",
    "log1p",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
)
_PADDING: Final = 8  # rows a power of two apart would compete for the same cache lines

OPCODES: Final = {op: code for code, op in enumerate(_BINARY + _UNARY)}
"""Operation names a tape may use, in the order of the branches of `execute`."""

UNARY_OPS: Final = frozenset(_UNARY)


class TapeLike(Protocol):
    """What is read from a tape; see `tui_opt.expressions.tape` for the meaning of operand numbers."""

    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def constants(self) -> tuple[float, ...]: ...
    @property
    def instructions(self) -> Sequence[tuple[str, int, int, int]]: ...
    @property
    def outputs(self) -> tuple[int, ...]: ...
    @property
    def registers(self) -> int: ...


class Program:
    """A checked tape in the arrays the kernels read.

    Attributes:
        code: int64[instructions, 4], rows of (opcode, target, a, b).
        constants: float64[constants].
        outputs: int64[outputs], the operand of each output.
        n_variables, n_operands: counts; operands are variables, constants, registers in this order.

    Raises ValueError for an operation, operand or constant that no checked tape has.
    """

    def __init__(self, tape: TapeLike) -> None:
        check(tape)
        self.n_variables = len(tape.variables)
        self.n_operands = self.n_variables + len(tape.constants) + tape.registers
        rows = [(OPCODES[op], target, a, b) for op, target, a, b in tape.instructions]
        self.code: IntArray = np.array(rows, dtype=np.int64).reshape(len(rows), 4)
        self.constants: FloatArray = np.array(tape.constants, dtype=np.float64)
        self.outputs: IntArray = np.array(tape.outputs, dtype=np.int64)

    @property
    def arrays(self) -> tuple[IntArray, FloatArray, IntArray, int, int]:
        """The leading arguments of the compiled kernels."""
        return self.code, self.constants, self.outputs, self.n_variables, self.n_operands


def check(tape: TapeLike) -> None:
    """Raise ValueError unless every operation is known and every operand exists and is set before use."""
    first_register = len(tape.variables) + len(tape.constants)
    operands = first_register + tape.registers
    is_set = set(range(first_register))
    for op, target, a, b in tape.instructions:
        if op not in OPCODES:
            raise ValueError(f"The tape holds an unknown operation {op!r}; known are {', '.join(OPCODES)}.")
        if not (_is_index(target) and first_register <= target < operands):
            raise ValueError(f"The tape writes operand {target!r}, which is not one of its registers.")
        if not (a in is_set and b in is_set and _is_index(a) and _is_index(b)):
            raise ValueError(f"The tape reads operand {a!r} or {b!r} before it is set.")
        if target in (a, b):
            raise ValueError(f"The tape overwrites operand {target} with a function of itself.")
        is_set.add(target)
    if not tape.outputs or not all(_is_index(output) and output in is_set for output in tape.outputs):
        raise ValueError("The tape has no outputs, or an output that is never set.")
    if not all(type(constant) is float and math.isfinite(constant) for constant in tape.constants):
        raise ValueError("The constants of a tape must be finite floats.")


def evaluate(program: Program, inputs: FloatArray) -> FloatArray:
    """Evaluate every output of a program at n points.

    Args:
        program: with V variables and M outputs.
        inputs: float64[V, n], a row per variable.

    Returns: float64[M, n], a row per output; NaN and inf as IEEE 754 has them, never an exception.
    Raises: ValueError where the shape of `inputs` does not fit the program.
    """
    inputs = np.ascontiguousarray(inputs, dtype=np.float64)
    if inputs.ndim != 2 or inputs.shape[0] != program.n_variables:
        raise ValueError(f"inputs has shape {inputs.shape}; it must be [{program.n_variables}, n].")
    values = np.empty((program.outputs.size, inputs.shape[1]))
    _evaluate(*program.arrays, inputs, values)
    return values


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


PROGRAM_TYPES: Final = "int64[:, ::1], float64[::1], int64[::1], int64, int64"


@numba.njit("void(int64[:, ::1], float64[:, ::1])", nogil=True, cache=True, error_model="numpy")
def execute(code: IntArray, operands: FloatArray) -> None:
    """Run all instructions once over operands[operand, LANES].

    The trip count is a constant, so there is no remainder loop: unused lanes compute and are ignored.
    """
    for line in range(code.shape[0]):
        op = code[line, 0]
        # Numbers of rows, not views of them: a view counts references, which costs a fifth of a plain loop.
        t, x, y = code[line, 1], code[line, 2], code[line, 3]
        if op == 0:
            for i in range(LANES):
                operands[t, i] = operands[x, i] + operands[y, i]
        elif op == 1:
            for i in range(LANES):
                operands[t, i] = operands[x, i] - operands[y, i]
        elif op == 2:
            for i in range(LANES):
                operands[t, i] = operands[x, i] * operands[y, i]
        elif op == 3:
            for i in range(LANES):
                operands[t, i] = operands[x, i] / operands[y, i]
        elif op == 4:
            for i in range(LANES):
                operands[t, i] = lanes.minimum(operands[x, i], operands[y, i])
        elif op == 5:
            for i in range(LANES):
                operands[t, i] = lanes.maximum(operands[x, i], operands[y, i])
        elif op == 6:
            for i in range(LANES):
                operands[t, i] = lanes.gate(operands[x, i], operands[y, i])
        elif op == 7:
            for i in range(LANES):
                operands[t, i] = lanes.power(operands[x, i], operands[y, i])
        elif op == 8:
            for i in range(LANES):
                operands[t, i] = math.atan2(operands[x, i], operands[y, i])
        elif op == 9:
            for i in range(LANES):
                operands[t, i] = math.hypot(operands[x, i], operands[y, i])
        elif op == 10:
            for i in range(LANES):
                operands[t, i] = -operands[x, i]
        elif op == 11:
            for i in range(LANES):
                operands[t, i] = abs(operands[x, i])
        elif op == 12:
            for i in range(LANES):
                operands[t, i] = math.sqrt(operands[x, i])
        elif op == 13:
            lanes.exp_row(operands[t], operands[x])
        elif op == 14:
            for i in range(LANES):
                operands[t, i] = lanes.log(operands[x, i])
        elif op == 15:
            for i in range(LANES):
                operands[t, i] = lanes.sign(operands[x, i])
        elif op == 16:
            for i in range(LANES):
                operands[t, i] = lanes.step(operands[x, i])
        elif op == 17:
            for i in range(LANES):
                operands[t, i] = lanes.relu(operands[x, i])
        elif op == 18:
            for i in range(LANES):
                operands[t, i] = lanes.sigmoid(operands[x, i])
        elif op == 19:
            for i in range(LANES):
                operands[t, i] = lanes.softplus(operands[x, i])
        elif op == 20:
            for i in range(LANES):
                operands[t, i] = lanes.cbrt(operands[x, i])
        elif op == 21:
            for i in range(LANES):
                operands[t, i] = math.expm1(operands[x, i])
        elif op == 22:
            for i in range(LANES):
                operands[t, i] = math.log1p(operands[x, i])
        elif op == 23:
            for i in range(LANES):
                operands[t, i] = math.log2(operands[x, i])
        elif op == 24:
            for i in range(LANES):
                operands[t, i] = math.log10(operands[x, i])
        elif op == 25:
            for i in range(LANES):
                operands[t, i] = math.sin(operands[x, i])
        elif op == 26:
            for i in range(LANES):
                operands[t, i] = math.cos(operands[x, i])
        elif op == 27:
            for i in range(LANES):
                operands[t, i] = math.tan(operands[x, i])
        elif op == 28:
            for i in range(LANES):
                operands[t, i] = math.asin(operands[x, i])
        elif op == 29:
            for i in range(LANES):
                operands[t, i] = math.acos(operands[x, i])
        elif op == 30:
            for i in range(LANES):
                operands[t, i] = math.atan(operands[x, i])
        elif op == 31:
            for i in range(LANES):
                operands[t, i] = math.sinh(operands[x, i])
        elif op == 32:
            for i in range(LANES):
                operands[t, i] = math.cosh(operands[x, i])
        elif op == 33:
            for i in range(LANES):
                operands[t, i] = math.tanh(operands[x, i])
        elif op == 34:
            for i in range(LANES):
                operands[t, i] = math.asinh(operands[x, i])
        elif op == 35:
            for i in range(LANES):
                operands[t, i] = math.acosh(operands[x, i])
        elif op == 36:
            for i in range(LANES):
                operands[t, i] = math.atanh(operands[x, i])
        elif op == 37:
            for i in range(LANES):
                operands[t, i] = math.erf(operands[x, i])


@lane
def workspace(constants: FloatArray, n_variables: int, n_operands: int) -> FloatArray:
    """operands[operand, at least LANES] with the constants filled in and everything else zero."""
    operands = np.zeros((n_operands, LANES + _PADDING))
    for k in range(constants.size):
        operands[n_variables + k, :] = constants[k]
    return operands


@numba.njit(
    f"void({PROGRAM_TYPES}, float64[:, ::1], float64[:, ::1])", nogil=True, cache=True, error_model="numpy"
)
def _evaluate(
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    inputs: FloatArray,
    values: FloatArray,
) -> None:
    operands = workspace(constants, n_variables, n_operands)
    n = inputs.shape[1]
    for start in range(0, n, LANES):
        width = min(LANES, n - start)
        for k in range(n_variables):
            x, given = operands[k], inputs[k, start : start + width]  # plain indices, so that loops vectorise
            for i in range(width):
                x[i] = given[i]
        execute(code, operands)
        for k in range(outputs.size):
            result, value = operands[outputs[k]], values[k, start : start + width]
            for i in range(width):
                value[i] = result[i]
