"""The names a text uses, before anybody has said which of them are variables."""

from __future__ import annotations

import ast

from tui_opt.expressions.errors import ExpressionError
from tui_opt.expressions.functions import FUNCTIONS
from tui_opt.expressions.parse import parse
from tui_opt.expressions.scan import scan


def free_names(text: str) -> tuple[str, ...]:
    """The names in `text` that are not called, constants such as `pi` included, each once and in order.

    A name that is a function but is not called is left to `parse`, which explains it.

    Raises:
        ExpressionError: the text is no expression whatever its names mean; the message is that of `parse`.
    """
    translation = scan(text)
    try:
        tree = ast.parse(translation.python, mode="eval")
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        parse(text, ())  # says what is wrong, and where
        raise ExpressionError("This cannot be read as an expression.", text, 0, len(text)) from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    used.sort(key=lambda node: (node.lineno, node.col_offset))
    names = tuple(dict.fromkeys(node.id for node in used))
    parse(text, [name for name in names if name not in FUNCTIONS])
    return names
