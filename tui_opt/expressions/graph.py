"""Expressions as directed acyclic graphs, written down as tuples of nodes in evaluation order.

A graph is never walked by recursion and equal subexpressions are one node (hash-consing), so the cost of
every pass is the number of *distinct* subexpressions, also for derivatives of derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tui_opt.expressions.arithmetic import SCALAR


class Node(NamedTuple):
    """One operation. `arguments` are positions of earlier nodes; `leaf` is a constant or a variable name."""

    op: str
    arguments: tuple[int, ...] = ()
    leaf: float | str | None = None


Nodes = tuple[Node, ...]


class Graph:
    """A growing graph in which each distinct node exists once; the methods return node positions."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._positions: dict[Node, int] = {}

    def variable(self, name: str) -> int:
        return self._place(Node("variable", leaf=name))

    def constant(self, value: float) -> int:
        """A finite constant. Minus zero is written neg(0), so that equal constants are equal nodes."""
        if value == 0.0 and math.copysign(1.0, value) < 0.0:
            return self._place(Node("neg", (self.constant(0.0),)))
        return self._place(Node("constant", leaf=value))

    def apply(self, op: str, *arguments: int) -> int:
        """`op` of earlier nodes, folded to a constant where every argument and the result are finite."""
        values = [self.value_of(argument) for argument in arguments]
        if all(value is not None for value in values):
            folded = SCALAR[op](*values)
            if math.isfinite(folded) and (folded != 0.0 or math.copysign(1.0, folded) > 0.0):
                return self.constant(folded)
        return self._place(Node(op, arguments))

    def value_of(self, position: int) -> float | None:
        """The constant at `position`, or None where the node is not a constant."""
        node = self.nodes[position]
        return node.leaf if node.op == "constant" and isinstance(node.leaf, float) else None

    def absorb(self, nodes: Sequence[Node]) -> list[int]:
        """Copy a graph into this one; returns where each of its nodes is now."""
        places: list[int] = []
        for node in nodes:
            places.append(self._place(node._replace(arguments=tuple(places[a] for a in node.arguments))))
        return places

    def extract(self, *roots: int) -> tuple[Nodes, tuple[int, ...]]:
        """The part that `roots` need, in depth-first order, and where the roots are in it.

        The order depends on the structure alone, so equal expressions give equal tuples.
        """
        order: dict[int, int] = {}
        taken: list[Node] = []
        stack = [(root, False) for root in reversed(roots)]
        while stack:
            position, arguments_done = stack.pop()
            if position in order:
                continue
            node = self.nodes[position]
            if arguments_done or not node.arguments:
                order[position] = len(taken)
                taken.append(node._replace(arguments=tuple(order[a] for a in node.arguments)))
                continue
            stack.append((position, True))
            stack.extend((argument, False) for argument in reversed(node.arguments))
        return tuple(taken), tuple(order[root] for root in roots)

    def _place(self, node: Node) -> int:
        position = self._positions.get(node)
        if position is None:
            position = self._positions[node] = len(self.nodes)
            self.nodes.append(node)
        return position
