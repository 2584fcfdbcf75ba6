"""Systems that are written down: nodes with an update expression each, as the tangent engine takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tui_opt.expressions import Expression, assemble, parse
from tui_opt.kernels.tangents.system import TapeSystem
from tui_opt.kernels.tape import Program

CLOCK = "t"


def parsed(updates: Mapping[str, str], inputs: Sequence[str] = ()) -> dict[str, Expression]:
    """Expressions in the names of all nodes, `t` and the inputs, by node.

    Args:
        updates: the next value of each node (a map), or its derivative in time (a flow), by the name of the node.
        inputs: names of what comes from outside, the same in all worlds.

    Raises: ExpressionError where a text is not such an expression, ValueError where a node is called `t`.
    """
    if CLOCK in updates:
        raise ValueError(f"A node cannot be called {CLOCK!r}, which is the time; choose another name.")
    return {node: parse(text, (*updates, CLOCK, *inputs)) for node, text in updates.items()}


def tape_system(updates: Mapping[str, str], inputs: Sequence[str] = ()) -> TapeSystem:
    """The system with the exact derivatives of its expressions.

    Args:
        updates, inputs: as in `parsed`, in the order of the nodes.

    Raises: as there.
    """
    expressions = parsed(updates, inputs)
    nodes = list(expressions)
    values = list(expressions.values())
    entries: list[Expression] = []
    rows, columns = [], []
    for i, expression in enumerate(values):
        read = {node.leaf for node in expression.nodes if node.op == "variable"}
        for j, name in enumerate(nodes):
            if name not in read:
                continue
            slope = expression.derivative(name)
            if slope.nodes[-1].leaf == 0.0:
                continue
            entries.append(slope)
            rows.append(i)
            columns.append(j)
    return TapeSystem(
        Program(assemble([*values, *entries])),
        Program(assemble(values)),
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
        len(inputs),
    )
