"""Expressions as a register tape: the plain data from which fast kernels are loaded.

An operand is a number: first come the variables, then the constants, then the registers, so with V
variables and C constants operand V + C + r is register r. Registers are reused as soon as their last
reader is done, so that a block of lanes of all of them stays in the first-level cache.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from tui_opt.expressions.arithmetic import SCALAR
from tui_opt.expressions.functions import UNARY
from tui_opt.expressions.graph import Graph, Nodes

_MOST_MULTIPLIED: Final = 64  # |n| up to which x^n is written as repeated squaring


class Formula(Protocol):
    """What a tape is made of: an `Expression`, as far as that needs to be known here."""

    @property
    def nodes(self) -> Nodes:
        """The graph in evaluation order; the last node is the formula."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The declared names, in order."""


class Instruction(NamedTuple):
    """target <- op(a, b); all three are operand numbers, and b repeats a where op takes one argument."""

    op: str
    target: int
    a: int
    b: int


@dataclass(frozen=True)
class Tape:
    """A straight-line program with several outputs.

    Attributes:
        variables: names of the inputs, in order.
        constants: finite floats.
        instructions: in order of execution; a target is a register that differs from both operands.
        outputs: the operand that holds each output, in order.
        registers: how many registers are needed.
    """

    variables: tuple[str, ...]
    constants: tuple[float, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    registers: int

    def digest(self) -> str:
        """A hash of the content, equal across processes and machines."""
        constants = tuple(constant.hex() for constant in self.constants)
        instructions = tuple(map(tuple, self.instructions))
        content = (self.variables, constants, instructions, self.outputs, self.registers)
        return hashlib.sha256(repr(content).encode()).hexdigest()


def assemble(expressions: Sequence[Formula]) -> Tape:
    """One tape with an output per expression, common subexpressions computed once.

    Raises ValueError where there is no expression or the expressions do not share their variables.
    """
    if not expressions:
        raise ValueError("A tape needs at least one expression.")
    variables = expressions[0].variables
    if any(expression.variables != variables for expression in expressions):
        raise ValueError("All expressions of one tape must declare the same variables in the same order.")
    return _assemble(variables, tuple(expression.nodes for expression in expressions))


def run(tape: Tape, inputs: Sequence[float]) -> list[float]:
    """The outputs for one set of inputs, in plain Python floats."""
    operands = [*inputs, *tape.constants, *([0.0] * tape.registers)]
    for op, target, a, b in tape.instructions:
        function = SCALAR[op]
        operands[target] = function(operands[a]) if op in UNARY else function(operands[a], operands[b])
    return [operands[output] for output in tape.outputs]


@lru_cache(maxsize=256)
def _assemble(variables: tuple[str, ...], graphs: tuple[Nodes, ...]) -> Tape:
    graph = Graph()
    roots = [_lower(graph, nodes) for nodes in graphs]
    nodes, outputs = graph.extract(*roots)
    return _allocate(variables, nodes, outputs)


def _lower(graph: Graph, nodes: Nodes) -> int:
    """Copy `nodes` into `graph` with constant powers as products; returns where the last one is."""
    places: list[int] = []
    for node in nodes:
        arguments = tuple(places[argument] for argument in node.arguments)
        if node.op == "pow":
            places.append(_lower_power(graph, *arguments))
        elif node.arguments:
            places.append(graph.apply(node.op, *arguments))
        else:
            (place,) = graph.absorb([node])
            places.append(place)
    return places[-1]


def _lower_power(graph: Graph, base: int, exponent: int) -> int:
    n = graph.value_of(exponent)
    if n == 0.5:
        return graph.apply("sqrt", base)
    if n is None or n != int(n) or abs(n) > _MOST_MULTIPLIED or graph.value_of(base) is not None:
        return graph.apply("pow", base, exponent)
    if n == 0.0:
        return graph.constant(1.0)
    product: int | None = None
    square, left = base, abs(int(n))
    while left:
        if left & 1:
            product = square if product is None else graph.apply("mul", product, square)
        left >>= 1
        if left:
            square = graph.apply("mul", square, square)
    assert product is not None
    return product if n > 0.0 else graph.apply("div", graph.constant(1.0), product)


def _allocate(variables: tuple[str, ...], nodes: Nodes, outputs: tuple[int, ...]) -> Tape:
    """Give each node an operand number by a linear scan over last uses."""
    constants = tuple(node.leaf for node in nodes if isinstance(node.leaf, float))
    last_use = dict.fromkeys(range(len(nodes)), -1)
    for position, node in enumerate(nodes):
        for argument in node.arguments:
            last_use[argument] = position
    for output in outputs:
        last_use[output] = len(nodes)
    first_register = len(variables) + len(constants)
    free: list[int] = []
    registers = met_constants = 0
    operand: list[int] = []
    instructions: list[Instruction] = []
    for position, node in enumerate(nodes):
        if isinstance(node.leaf, str):
            operand.append(variables.index(node.leaf))
            continue
        if isinstance(node.leaf, float):
            operand.append(len(variables) + met_constants)
            met_constants += 1
            continue
        # The target is taken before dead operands are released: a kernel that writes over what it
        # reads would fail the compiler's overlap check and fall back to one lane at a time.
        if not free:
            heapq.heappush(free, first_register + registers)
            registers += 1
        target = heapq.heappop(free)
        operand.append(target)
        a, b = operand[node.arguments[0]], operand[node.arguments[-1]]
        instructions.append(Instruction(node.op, target, a, b))
        for argument in set(node.arguments):
            if last_use[argument] == position and operand[argument] >= first_register:
                heapq.heappush(free, operand[argument])
    places = tuple(operand[output] for output in outputs)
    return Tape(variables, constants, tuple(instructions), places, registers)
