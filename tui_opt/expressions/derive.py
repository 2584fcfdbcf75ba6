"""Exact derivatives on the graph, by forward accumulation.

One pass adds a bounded number of nodes per node, so repeated derivatives grow in proportion to the
expression, never exponentially. At kinks: abs'(0) = 0, relu'(0) = 0, sign' = step' = 0 everywhere; where
the two sides of max are equal its derivative is that of the last, of min that of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tui_opt.expressions.algebra import Algebra
from tui_opt.expressions.graph import Nodes


def derivative(nodes: Nodes, variable: str) -> Nodes:
    """The graph of the derivative of `nodes[-1]` with respect to `variable`."""
    algebra = Algebra()
    places = algebra.absorb(nodes)
    zero, one = algebra.constant(0.0), algebra.constant(1.0)
    slopes: list[int] = []
    for node, place in zip(nodes, places, strict=True):
        if not node.arguments:
            slopes.append(one if node.op == "variable" and node.leaf == variable else zero)
            continue
        inner = [slopes[argument] for argument in node.arguments]
        if all(slope == zero for slope in inner):
            slopes.append(zero)
        elif len(inner) == 1:
            outer = _UNARY[node.op](algebra, places[node.arguments[0]], place)
            slopes.append(_chain(algebra, node.op, places[node.arguments[0]], outer, inner[0]))
        else:
            a, b = (places[argument] for argument in node.arguments)
            slopes.append(_BINARY[node.op](algebra, a, b, inner[0], inner[1], place))
    root = slopes[-1]
    extracted, _ = algebra.extract(root)
    return extracted


def _chain(g: Algebra, op: str, u: int, outer: int, inner: int) -> int:
    if op == "relu":  # a gate, not a product: 0 * inf must not appear where relu is flat
        return g.apply("gate", u, inner)
    if g.nodes[outer].op == "div" and g.value_of(g.nodes[outer].arguments[0]) == 1.0:
        return g.div(inner, g.nodes[outer].arguments[1])
    return g.mul(outer, inner)


# The derivative of f(u) with respect to u; `y` is f(u) itself.
_Unary = Callable[[Algebra, int, int], int]


def _reciprocal(g: Algebra, denominator: int) -> int:
    return g.div(g.constant(1.0), denominator)


def _one_minus_square(g: Algebra, u: int) -> int:
    return g.sub(g.constant(1.0), g.square(u))


def _one_plus_square(g: Algebra, u: int) -> int:
    return g.add(g.constant(1.0), g.square(u))


def _gaussian(g: Algebra, u: int) -> int:
    return g.mul(g.constant(2.0 / math.sqrt(math.pi)), g.apply("exp", g.neg(g.square(u))))


def _acosh_root(g: Algebra, u: int) -> int:
    one = g.constant(1.0)  # sqrt(u - 1) sqrt(u + 1), accurate next to u = 1
    return g.mul(g.apply("sqrt", g.sub(u, one)), g.apply("sqrt", g.add(u, one)))


_UNARY: dict[str, _Unary] = {
    "neg": lambda g, u, y: g.constant(-1.0),
    "abs": lambda g, u, y: g.apply("sign", u),
    "sign": lambda g, u, y: g.constant(0.0),
    "step": lambda g, u, y: g.constant(0.0),
    "relu": lambda g, u, y: g.apply("step", u),
    "exp": lambda g, u, y: y,
    "expm1": lambda g, u, y: g.apply("exp", u),
    "log": lambda g, u, y: _reciprocal(g, u),
    "log2": lambda g, u, y: _reciprocal(g, g.mul(g.constant(math.log(2.0)), u)),
    "log10": lambda g, u, y: _reciprocal(g, g.mul(g.constant(math.log(10.0)), u)),
    "log1p": lambda g, u, y: _reciprocal(g, g.add(g.constant(1.0), u)),
    "sqrt": lambda g, u, y: _reciprocal(g, g.mul(g.constant(2.0), y)),
    "cbrt": lambda g, u, y: _reciprocal(g, g.mul(g.constant(3.0), g.square(y))),
    "sin": lambda g, u, y: g.apply("cos", u),
    "cos": lambda g, u, y: g.neg(g.apply("sin", u)),
    "tan": lambda g, u, y: _one_plus_square(g, y),
    "asin": lambda g, u, y: _reciprocal(g, g.apply("sqrt", _one_minus_square(g, u))),
    "acos": lambda g, u, y: g.neg(_reciprocal(g, g.apply("sqrt", _one_minus_square(g, u)))),
    "atan": lambda g, u, y: _reciprocal(g, _one_plus_square(g, u)),
    "sinh": lambda g, u, y: g.apply("cosh", u),
    "cosh": lambda g, u, y: g.apply("sinh", u),
    "tanh": lambda g, u, y: _one_minus_square(g, y),
    "asinh": lambda g, u, y: _reciprocal(g, g.apply("hypot", g.constant(1.0), u)),
    "acosh": lambda g, u, y: _reciprocal(g, _acosh_root(g, u)),
    "atanh": lambda g, u, y: _reciprocal(g, _one_minus_square(g, u)),
    "erf": lambda g, u, y: _gaussian(g, u),
    "sigmoid": lambda g, u, y: g.mul(y, g.apply("sigmoid", g.neg(u))),
    "softplus": lambda g, u, y: g.apply("sigmoid", u),
}

# The derivative of f(a, b) along the slopes da, db; `y` is f(a, b) itself.
_Binary = Callable[[Algebra, int, int, int, int, int], int]


def _divide(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    return g.div(g.sub(da, g.mul(y, db)), b)


def _power(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    exponent = g.value_of(b)
    if exponent is not None:
        return g.mul(g.mul(b, g.power(a, g.constant(exponent - 1.0))), da)
    along_exponent = g.mul(g.mul(y, g.apply("log", a)), db)
    if g.value_of(da) == 0.0:
        return along_exponent
    along_base = g.mul(g.mul(b, g.power(a, g.sub(b, g.constant(1.0)))), da)
    return along_base if g.value_of(db) == 0.0 else g.add(along_base, along_exponent)


def _larger(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    first = g.apply("step", g.apply("sub", a, b))
    return g.add(g.gate(first, da), g.gate(g.apply("sub", g.constant(1.0), first), db))


def _smaller(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    return _larger(g, a, b, db, da, y)


def _atan2(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    return g.div(g.sub(g.mul(b, da), g.mul(a, db)), g.add(g.square(a), g.square(b)))


def _hypot(g: Algebra, a: int, b: int, da: int, db: int, y: int) -> int:
    return g.add(g.mul(g.div(a, y), da), g.mul(g.div(b, y), db))


_BINARY: dict[str, _Binary] = {
    "add": lambda g, a, b, da, db, y: g.add(da, db),
    "sub": lambda g, a, b, da, db, y: g.sub(da, db),
    "mul": lambda g, a, b, da, db, y: g.add(g.mul(da, b), g.mul(a, db)),
    "div": _divide,
    "pow": _power,
    "max": _larger,
    "min": _smaller,
    "atan2": _atan2,
    "hypot": _hypot,
    "gate": lambda g, a, b, da, db, y: g.gate(a, db),
}
