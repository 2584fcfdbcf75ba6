"""From the user's text to an Expression: Python's own grammar, read against a whitelist.

The text is never evaluated: `ast.parse` gives a tree, and only sums, products, quotients, powers, signs,
calls of known functions, known names and numbers are read from it.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from tui_opt.expressions.errors import ExpressionError
from tui_opt.expressions.expression import Expression
from tui_opt.expressions.functions import CONSTANTS, FUNCTIONS, Function
from tui_opt.expressions.graph import Graph
from tui_opt.expressions.scan import ALLOWED, MAX_DEPTH, Translation, scan

MAX_NODES: Final = 2_000

_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
}


def parse(text: str, variables: Sequence[str]) -> Expression:
    """Read `text` as an expression in `variables`.

    Args:
        text: at most 10,000 characters, 2,000 nodes and 200 levels; `^` and `**` are both power and bind
            as Python's `**` does, so -W^2 is -(W^2) and 2^3^2 is 2^9.
        variables: the names allowed; one of them that is also a constant (pi, e, tau) hides it.

    Raises:
        ExpressionError: the text is not such an expression, or a variable is not a usable name.
    """
    names = _declared(variables)
    translation = scan(text)
    try:
        tree = ast.parse(translation.python, mode="eval")
        return _Reader(text, translation, names).read(tree.body)
    except ExpressionError:
        raise
    except SyntaxError as error:
        raise _syntax_error(text, translation, error) from None
    except (RecursionError, MemoryError):
        message = f"The expression is nested too deeply; at most {MAX_DEPTH} levels are allowed. {_GROUP}"
        raise ExpressionError(message, text, 0, len(text)) from None
    except ValueError:
        raise ExpressionError(f"This cannot be read; {ALLOWED}.", text, 0, len(text)) from None


_GROUP: Final = "Group a long sum as (a+b+…)+(c+d+…)."


def _declared(variables: Sequence[str]) -> dict[str, str]:
    """The variables by the normal form under which Python's parser reports names."""
    if isinstance(variables, str):
        raise ExpressionError(
            "Variables are a sequence of names, not one text.", variables, 0, len(variables)
        )
    names: dict[str, str] = {}
    for name in variables:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ExpressionError(f"'{name}' cannot be the name of a variable.", name, 0, len(name))
        normal = unicodedata.normalize("NFKC", name)
        if normal in names:
            raise ExpressionError(f"The variable '{name}' is declared twice.", name, 0, len(name))
        names[normal] = name
    return names


def _syntax_error(text: str, translation: Translation, error: SyntaxError) -> ExpressionError:
    offset = max(0, (error.offset or 1) - 1)  # characters, 1-based
    reached = len(translation.python[:offset].encode())
    start = translation.columns[min(reached, len(translation.columns) - 1)]
    return ExpressionError(f"The grammar breaks here; {ALLOWED}.", text, start, start + 1)


class _Reader:
    """Reads a syntax tree into a graph, counting nodes and levels."""

    def __init__(self, text: str, translation: Translation, names: dict[str, str]) -> None:
        self.text = text
        self.columns = translation.columns
        self.names = names
        self.graph = Graph()
        self.count = 0

    def read(self, tree: ast.expr) -> Expression:
        root = self._node(tree, 1)
        nodes, _ = self.graph.extract(root)
        return Expression(nodes, tuple(self.names.values()), self.text)

    def _node(self, tree: ast.expr, depth: int) -> int:
        self.count += 1
        if self.count > MAX_NODES:
            raise self._error(f"The expression has more than {MAX_NODES} operations and operands.", tree)
        if depth > MAX_DEPTH:
            raise self._error(f"The expression is nested more than {MAX_DEPTH} deep. {_GROUP}", tree)
        match tree:
            case ast.Constant(value=int() | float() as value):
                return self.graph.constant(float(value))
            case ast.Name():
                return self._name(tree)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._node(operand, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.graph.apply("neg", self._node(operand, depth + 1))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                first = self._node(left, depth + 1)
                return self.graph.apply(_OPERATORS[type(op)], first, self._node(right, depth + 1))
            case ast.Call():
                return self._call(tree, depth)
            case ast.Tuple(elts=[]):
                raise self._error("These brackets are empty; write what belongs inside.", tree)
            case ast.Tuple():
                message = "A comma separates arguments of a function only; write a decimal as 0.5."
                raise self._error(message, tree)
        raise self._error(f"This is not allowed in an expression; {ALLOWED}.", tree)

    def _name(self, tree: ast.Name) -> int:
        name = tree.id
        if name in self.names:
            return self.graph.variable(self.names[name])
        if name in CONSTANTS:
            return self.graph.constant(CONSTANTS[name])
        if name in FUNCTIONS:
            raise self._error(f"'{name}' is a function; write {name}(…) with its argument.", tree)
        known = [*self.names, *CONSTANTS]
        message = f"The name '{_brief(name)}' is not known here; {self._variables()}."
        raise self._error(message + _near(name, known), tree)

    def _call(self, tree: ast.Call, depth: int) -> int:
        if not isinstance(tree.func, ast.Name):
            raise self._error("An operator is missing before this bracket; for a product write *.", tree)
        name = tree.func.id
        if name in self.names or name in CONSTANTS:
            if name not in FUNCTIONS:
                message = f"'{_brief(name)}' is not a function; for a product write {_brief(name)}*(…)."
                raise self._error(message, tree.func)
        elif name not in FUNCTIONS:
            message = f"The function '{_brief(name)}' is not known."
            raise self._error(message + _near(name, FUNCTIONS) + _listing(FUNCTIONS), tree.func)
        function = FUNCTIONS[name]
        starred = [argument for argument in tree.args if isinstance(argument, ast.Starred)]
        if tree.keywords or starred:
            raise self._error(f"The function {name} takes plain arguments, such as {name}(x).", tree)
        if not _accepts(function, len(tree.args)):
            raise self._error(f"The function {name} takes {_arity(function)}; {len(tree.args)} given.", tree)
        arguments = [self._node(argument, depth + 1) for argument in tree.args]
        result = arguments[0]
        if function.most == 1:
            return self.graph.apply(function.op, result)
        for argument in arguments[1:]:
            result = self.graph.apply(function.op, result, argument)
        return result

    def _variables(self) -> str:
        names = ", ".join(self.names.values())
        listed = {0: "there are no variables", 1: f"the variable is {names}"}
        return listed.get(len(self.names), f"the variables are {names}") + " (constants: pi, e, tau)"

    def _error(self, message: str, tree: ast.expr) -> ExpressionError:
        last = len(self.columns) - 1
        start = self.columns[min(tree.col_offset, last)]
        end = self.columns[min(max(tree.end_col_offset or 1, 1) - 1, last)] + 1
        return ExpressionError(message, self.text, start, max(end, start + 1))


def _accepts(function: Function, given: int) -> bool:
    return given >= function.fewest and (function.most is None or given <= function.most)


def _arity(function: Function) -> str:
    if function.most is None:
        return f"{function.fewest} or more arguments"
    return "1 argument" if function.most == 1 else f"{function.most} arguments"


def _near(name: str, known: Iterable[str]) -> str:
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name[:64].casefold(), by_folded, n=1, cutoff=0.6)
    return f" Did you mean '{by_folded[matches[0]]}'?" if matches else ""


def _listing(functions: Iterable[str]) -> str:
    return " Functions: " + " ".join(sorted(functions)) + "."


def _brief(name: str) -> str:
    return name if len(name) <= 40 else name[:36] + "…"
