"""An immutable expression: value, exact derivative, normal text."""

from __future__ import annotations

from dataclasses import dataclass, field

from tui_opt.expressions.derive import derivative
from tui_opt.expressions.graph import Nodes
from tui_opt.expressions.tape import assemble, run
from tui_opt.expressions.write import write


@dataclass(frozen=True)
class Expression:
    """An expression in declared variables, made by `parse` or by `derivative`.

    Two expressions are equal when they have the same structure and the same variables, however they were
    typed. `str()` is a normalised text that parses back to an equal expression; a derivative whose text
    would exceed what `parse` reads is described instead of written.

    Attributes:
        nodes: the graph in evaluation order; the last node is the expression.
        variables: the declared names, in order, whether they occur or not.
        source: the text as it was typed; None for a derivative.
    """

    nodes: Nodes
    variables: tuple[str, ...]
    source: str | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The text as it was typed, or the normal text of a derivative."""
        return str(self) if self.source is None else self.source

    def __str__(self) -> str:
        written = write(self.nodes)
        if written is None:
            return f"<expression of {len(self.nodes)} operations in {', '.join(self.variables)}>"
        return written

    def derivative(self, variable: str) -> Expression:
        """The exact derivative with respect to `variable`.

        At kinks abs and relu have slope 0, max takes the slope of its last and min that of its first
        argument. Raises ValueError where `variable` is not one of `variables`.
        """
        if variable not in self.variables:
            raise ValueError(f"'{variable}' is not a variable of this expression; {self.variables} are.")
        return Expression(derivative(self.nodes, variable), self.variables)

    def value(self, **variables: float) -> float:
        """The value in IEEE double precision: never an exception, but inf or NaN, for any number.

        Raises TypeError where a declared variable is missing or another one is given.
        """
        if variables.keys() != set(self.variables):
            raise TypeError(f"value() takes exactly the variables {self.variables}, not {tuple(variables)}.")
        inputs = [float(variables[name]) for name in self.variables]
        return run(assemble((self,)), inputs)[0]
