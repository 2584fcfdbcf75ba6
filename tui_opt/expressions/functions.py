"""The vocabulary of expressions: operations of the graph, the names users may write, the constants."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

_SHAPES: Final = {"neg", "abs", "sign", "step", "relu", "sqrt", "cbrt", "erf", "sigmoid", "softplus"}
_LOGARITHMIC: Final = {"exp", "expm1", "log", "log2", "log10", "log1p"}
_CIRCULAR: Final = {"sin", "cos", "tan", "asin", "acos", "atan"}
_HYPERBOLIC: Final = {"sinh", "cosh", "tanh", "asinh", "acosh", "atanh"}

UNARY: Final = frozenset(_SHAPES | _LOGARITHMIC | _CIRCULAR | _HYPERBOLIC)
BINARY: Final = frozenset({"add", "sub", "mul", "div", "pow", "min", "max", "atan2", "hypot", "gate"})


class Function(NamedTuple):
    """A function users may call: the graph operation it stands for and how many arguments it takes."""

    op: str
    fewest: int
    most: int | None  # None: any number, folded from the left


def _functions() -> dict[str, Function]:
    table = {op: Function(op, 1, 1) for op in sorted(UNARY - {"neg"})}
    table |= {op: Function(op, 2, 2) for op in ("atan2", "hypot", "pow", "gate")}
    table |= {op: Function(op, 2, None) for op in ("min", "max")}
    aliases = {"ln": "log", "heaviside": "step", "arctan2": "atan2"}
    aliases |= {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan")}
    aliases |= {f"ar{name}": f"a{name}" for name in ("sinh", "cosh", "tanh")}
    aliases |= {f"arc{name}": f"a{name}" for name in ("sinh", "cosh", "tanh")}
    return table | {alias: table[name] for alias, name in aliases.items()}


FUNCTIONS: Final = _functions()
CONSTANTS: Final = {"pi": math.pi, "e": math.e, "tau": math.tau}
