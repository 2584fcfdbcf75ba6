"""Light simplification while a derivative is built: what is exactly zero, one or a sign goes away."""

from __future__ import annotations

from tui_opt.expressions.graph import Graph


class Algebra(Graph):
    """A graph whose sums, products and quotients drop neutral elements and carry signs outwards.

    Used for derivatives only: `0*x` becomes 0 here, which would be wrong for a user's own `0*x` at x = inf.
    """

    def neg(self, a: int) -> int:
        return self._argument(a) if self._is("neg", a) else self.apply("neg", a)

    def add(self, a: int, b: int) -> int:
        if self.value_of(a) == 0.0:
            return b
        if self.value_of(b) == 0.0:
            return a
        if self._is("neg", b):
            return self.sub(a, self._argument(b))
        if self._is("neg", a):
            return self.sub(b, self._argument(a))
        return self.apply("add", a, b)

    def sub(self, a: int, b: int) -> int:
        if self.value_of(b) == 0.0:
            return a
        if self.value_of(a) == 0.0:
            return self.neg(b)
        if self._is("neg", b):
            return self.add(a, self._argument(b))
        return self.apply("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        if self.value_of(b) is not None:
            a, b = b, a  # a constant factor stands first
        factor = self.value_of(a)
        if factor == 0.0:
            return a
        if factor == 1.0:
            return b
        if factor == -1.0:
            return self.neg(b)
        if self._is("neg", a):
            return self.neg(self.mul(self._argument(a), b))
        if self._is("neg", b):
            return self.neg(self.mul(a, self._argument(b)))
        inner = self.nodes[b]
        if factor is not None and inner.op == "mul" and self.value_of(inner.arguments[0]) is not None:
            product = self.apply("mul", a, inner.arguments[0])
            if self.value_of(product):  # neither overflowed nor underflowed to zero
                return self.mul(product, inner.arguments[1])
        return self.apply("mul", a, b)

    def div(self, a: int, b: int) -> int:
        if self.value_of(a) == 0.0 or self.value_of(b) == 1.0:
            return a
        if self._is("neg", a):
            return self.neg(self.div(self._argument(a), b))
        return self.apply("div", a, b)

    def power(self, a: int, b: int) -> int:
        exponent = self.value_of(b)
        if exponent == 0.0:
            return self.constant(1.0)
        return a if exponent == 1.0 else self.apply("pow", a, b)

    def square(self, a: int) -> int:
        return self.power(a, self.constant(2.0))

    def gate(self, condition: int, a: int) -> int:
        return a if self.value_of(a) == 0.0 else self.apply("gate", condition, a)

    def _is(self, op: str, position: int) -> bool:
        return self.nodes[position].op == op

    def _argument(self, position: int) -> int:
        return self.nodes[position].arguments[0]
