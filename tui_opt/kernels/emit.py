"""A first-passage kernel specialised to one tape, for jobs that repay a few seconds of compilation.

The source is written from a checked tape alone: operations come from a fixed table, operands become numbers,
constants become float literals, and names of variables never appear; so no text a user typed reaches the
compiler. It runs the same operations in the same order as the interpreter, and gives the same bits.

What makes it fast: nothing is decoded, and the arithmetic between two calls of exp or the like is one
vectorised loop whose intermediate values live in registers. Each such call has a loop of its own: the longer
the chain of operations on a lane, the fewer lanes a processor has under way, and one loop for everything
was measured to be slower by half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from tui_opt.kernels import lanes, philox, walkers
from tui_opt.kernels.emitted import load_module
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import UNARY_OPS, TapeLike, check
from tui_opt.kernels.walkers import FloatArray, IntArray, check_walkers

Kernel = Callable[[FloatArray, IntArray, int, int, int, float, float, int, int], None]
"""`first_passage` of `tui_opt.kernels.walkers` without its program."""

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_LANE_NAMES: Final = {"min": "minimum", "max": "maximum", "pow": "power"}
_ARITHMETIC: Final = frozenset(
    {"add", "sub", "mul", "div", "neg", "abs", "sqrt", "min", "max", "gate", "relu", "sign", "step"}
)
_IN_LANES: Final = frozenset({"exp", "log", "sign", "step", "relu", "gate", "sigmoid", "softplus", "cbrt"})

_CHEAP: Final = frozenset({"add", "sub", "mul", "neg"})
_CHEAP_LENGTH: Final = 3

_STRIDE: Final = LANES + 8
"""From row to row; a power of two would make rows compete for the same cache lines."""

_TEMPLATE: Final = '''\
"""First-passage walkers for tape {digest}, kernels {kernels}. Written by a program; edits are discarded."""

import math

import numba
import numpy as np

from tui_opt.kernels import lanes
from tui_opt.kernels.walkers import choice_of, draw, enter, is_beyond, leave, record, under_way

LANES = {lanes}
BITS = np.uint64({bits})
PER_WORD = {per_word}
PER_DRAW = {per_draw}
DATAPOINTS = np.uint64({datapoints})


@numba.njit(
    "void(float64[::1], int64[::1], int64, int64, int64, float64, float64, int64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def first_passage(w, passage_step, first_walker, first_step, steps, temperature, barrier, direction, key):
    rows = np.zeros({rows_size})
    x = rows[:LANES]
    pace, final = np.empty(LANES), np.empty(LANES)
    passed = np.empty(LANES, dtype=np.int64)
    words = np.empty((2, LANES), dtype=np.uint64)
    sense = float(direction)
    last = first_step + steps
    for start in range(0, w.size, LANES):
        group = slice(start, min(start + LANES, w.size))
        enter(w[group], passage_step[group], temperature, barrier, x, pace, final, passed)
        step = first_step
        while step < last and under_way(x, passed) > 0:
            block = step // PER_DRAW
            until = min(last, (block + 1) * PER_DRAW)
            draw(words, np.uint64(first_walker + start), np.uint64(block), key)
            for s in range(step, until):
                position = s - block * PER_DRAW
                word = words[position // PER_WORD]
                shift = np.uint64(position % PER_WORD) * BITS
                beyond = 0
{gradients}
                    y = rows[i] - pace[i] * g
                    rows[i] = y
                    beyond += lanes.select(is_beyond(y, barrier, sense), 1, 0)
                if beyond > 0:
                    record(x, pace, final, passed, barrier, sense, s + 1)
            step = until
        leave(x, final, passed, w[group], passage_step[group])
'''


def emit(tape: TapeLike) -> str:
    """The source of a module whose `first_passage` is specialised to the gradients on `tape`.

    Raises ValueError where the tape is not one that the interpreter would run, or has not one variable.
    """
    check(tape)
    if len(tape.variables) != 1:
        raise ValueError(f"The gradients have {len(tape.variables)} variables; walkers have one.")
    stages = _Stages(tape)
    datapoints = len(tape.outputs)
    bits = _bits_per_choice(datapoints)
    content = repr(
        (tape.constants, [tuple(line) for line in tape.instructions], tape.outputs, tape.registers)
    )
    return _TEMPLATE.format(
        digest=hashlib.sha256(content.encode()).hexdigest()[:16],
        kernels=_kernels_digest(),
        lanes=LANES,
        bits=bits,
        per_word=64 // bits,
        per_draw=128 // bits,
        datapoints=datapoints,
        rows_size=stages.rows * _STRIDE,
        gradients="\n".join(" " * 16 + line for line in stages.lines),
    )


def load(source: str, directory: Path) -> Kernel:
    """The compiled kernel of `source`, which `emit` wrote; compiled once per directory and processor.

    The module is kept as `walkers_<hash>.py`, as `load_module` says.
    """
    return _kernel_of(load_module(source, directory, "walkers"))


def specialise(tape: TapeLike, directory: Path) -> Kernel:
    """A compiled `first_passage` for the gradients on `tape`, cached in `directory`."""
    return load(emit(tape), directory)


class _Stages:
    """The body of one step: loops over lanes, in turn of calls and of arithmetic.

    A value's level is the number of calls on the longest way to it. The calls of a level come first, a loop
    each, then one loop with its arithmetic; the last of these goes on to select the gradient `g` and is left
    open for the template. A value that is read in another loop goes through a row of `rows`; row 0 is W.
    What takes a few additions and multiplications from W is computed again instead.
    """

    def __init__(self, tape: TapeLike) -> None:
        first_register = 1 + len(tape.constants)
        current = {0: 0} | {k: k for k in range(1, first_register)}  # operand -> the value it holds now
        self._names = {0: "w0"} | {k: _literal(c) for k, c in enumerate(tape.constants, start=1)}
        self._home: dict[int, int | None] = dict.fromkeys(range(1, first_register))  # value -> loop
        self._rows = {0: 0}
        level = dict.fromkeys(range(first_register), 0)
        operations: dict[int, tuple[str, int, int]] = {}
        for value, (op, target, a, b) in enumerate(tape.instructions, start=first_register):
            operations[value] = (op, current[a], current[b])
            level[value] = max(level[current[a]], level[current[b]]) + (op not in _ARITHMETIC)
            self._names[value] = f"v{value}"
            current[target] = value
        self._operations = operations
        self._cheap = self._computed_again()
        self._outputs = [current[output] for output in tape.outputs]
        loops: list[list[int]] = []
        for now in range(max(level.values()) + 1):
            here = [value for value in operations if level[value] == now]
            loops += [[value] for value in here if operations[value][0] not in _ARITHMETIC]
            loops.append([value for value in here if operations[value][0] in _ARITHMETIC])
        self.lines: list[str] = []
        self._give_rows(loops)
        for number, values in enumerate(loops):
            self._write_loop(number, values, is_last=number == len(loops) - 1)
        self.rows = len(self._rows)

    def _computed_again(self) -> set[int]:
        """The values that at most _CHEAP_LENGTH cheap operations make of W and constants."""
        lengths: dict[int, int] = {}
        for value, (op, a, b) in self._operations.items():
            operands = {operand for operand in (a, b) if operand in self._operations}
            if op in _CHEAP and operands <= lengths.keys():
                length = 1 + sum(lengths[operand] for operand in operands)
                if length <= _CHEAP_LENGTH:
                    lengths[value] = length
        return set(lengths)

    def _readings(self, loops: list[list[int]]) -> list[set[int]]:
        """The values each loop reads."""
        readings = [{read for value in loop for read in self._operations[value][1:]} for loop in loops]
        readings[-1] |= set(self._outputs)
        return readings

    def _give_rows(self, loops: list[list[int]]) -> None:
        self._home |= {value: number for number, loop in enumerate(loops) for value in loop}
        self._read = self._readings(loops)
        for number, loop in enumerate(loops):
            is_call = len(loop) == 1 and self._operations[loop[0]][0] == "exp"  # which takes a whole row
            for value in sorted(self._read[number]):
                if (
                    value
                    and self._home[value] not in (None, number)
                    and (is_call or value not in self._cheap)
                ):
                    self._rows.setdefault(value, len(self._rows))

    def _foreign(self, number: int) -> list[str]:
        """Lines that bring the values of other loops that a loop reads."""
        wanted = {value for value in self._read[number] if self._home.get(value) != number}
        for value in sorted(wanted, reverse=True):
            wanted |= self._operands_of_cheap(value)
        return [
            self._definition(value) if value in self._cheap else f"{self._names[value]} = {self._row(value)}"
            for value in sorted(wanted)
            if value in self._cheap or value in self._rows
        ]

    def _operands_of_cheap(self, value: int) -> set[int]:
        operands = set(self._operations[value][1:]) if value in self._cheap else set()
        return operands.union(*(self._operands_of_cheap(operand) for operand in operands))

    def _definition(self, value: int) -> str:
        op, a, b = self._operations[value]
        return f"{self._names[value]} = {_operation(op, self._names[a], self._names[b])}"

    def _write_loop(self, number: int, values: list[int], is_last: bool) -> None:
        if not values and not is_last:
            return
        if len(values) == 1 and values[0] in self._rows:
            op, source, _ = self._operations[values[0]]
            if op == "exp" and source in self._rows:
                self.lines.append(f"lanes.exp_row({self._slice(values[0])}, {self._slice(source)})")
                return
        body = self._foreign(number)
        for value in values:
            body.append(self._definition(value))
            if value in self._rows:
                body.append(f"{self._row(value)} = {self._names[value]}")
        if is_last:
            body += self._selection()
        self.lines.append("for i in range(LANES):")
        self.lines += ["    " + line for line in body]

    def _selection(self) -> list[str]:
        names = [self._names[output] for output in self._outputs]
        if len(names) == 2:  # a single bit is read fastest where it is the sign
            return [
                "second = np.int64(word[i] << (np.uint64(63) - shift)) < 0",
                f"g = lanes.select(second, {names[1]}, {names[0]})",
            ]
        lines = [f"g = {names[0]}"]
        if len(names) > 1:
            lines.append("choice = choice_of(word[i], shift, BITS, DATAPOINTS)")
        for number, name in enumerate(names[1:], start=1):
            lines.append(f"g = lanes.select(choice == np.uint64({number}), {name}, g)")
        return lines

    def _slice(self, value: int) -> str:
        start = self._rows[value] * _STRIDE
        return f"rows[{start}:{start + LANES}]"

    def _row(self, value: int) -> str:
        row = self._rows[value]
        return f"rows[{row * _STRIDE} + i]" if row else "rows[i]"


def _operation(op: str, a: str, b: str) -> str:
    if op in _INFIX:
        return f"{a} {_INFIX[op]} {b}"
    if op == "neg":
        return f"-{a}"
    if op == "abs":
        return f"abs({a})"
    module = "lanes" if op in _IN_LANES or op in _LANE_NAMES else "math"
    arguments = a if op in UNARY_OPS else f"{a}, {b}"
    return f"{module}.{_LANE_NAMES.get(op, op)}({arguments})"


def _literal(constant: float) -> str:
    """A float literal that reads back as the same bits; `check` has refused inf and NaN."""
    return f"({constant!r})" if constant < 0.0 else repr(constant)


def _bits_per_choice(datapoints: int) -> int:
    """As `tui_opt.kernels.walkers.bits_per_choice`, decided while the source is written."""
    power_of_two = datapoints & (datapoints - 1) == 0
    return max(1, datapoints.bit_length() - 1) if power_of_two else 32


def _kernels_digest() -> str:
    """Changes with the helpers a kernel inlines, so that a stale compiled kernel is never found."""
    digest = hashlib.sha256()
    for module in (lanes, philox, walkers):
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:16]


@cache
def _kernel_of(module: ModuleType) -> Kernel:
    compiled = module.first_passage

    def first_passage(
        w: FloatArray,
        passage_step: IntArray,
        first_walker: int,
        first_step: int,
        steps: int,
        temperature: float,
        barrier: float,
        direction: int,
        key: int,
    ) -> None:
        check_walkers(w, passage_step, first_walker, first_step, steps, direction)
        bits = np.uint64(key)
        compiled(w, passage_step, first_walker, first_step, steps, temperature, barrier, direction, bits)

    return first_passage
