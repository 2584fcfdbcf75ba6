"""From a graph back to text that parses to the same graph."""

from __future__ import annotations

from typing import Final

from tui_opt.expressions.graph import Node, Nodes

LONGEST: Final = 10_000

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_INFIX: Final = {  # symbol, own binding, least binding of the left and of the right operand
    "add": (" + ", _SUM, _SUM, _PRODUCT),
    "sub": (" - ", _SUM, _SUM, _PRODUCT),
    "mul": ("*", _PRODUCT, _PRODUCT, _SIGN),
    "div": ("/", _PRODUCT, _PRODUCT, _SIGN),
    "pow": ("^", _POWER, _ATOM, _SIGN),
}


def write(nodes: Nodes) -> str | None:
    """The text of `nodes[-1]`, or None where it would be longer than what `parse` reads back.

    Shared subexpressions are written out each time, so a graph of n nodes can stand for 2^n characters;
    the length is therefore bounded before each text is put together.
    """
    texts: list[str | None] = []
    bindings: list[int] = []
    for node in nodes:
        inner = [texts[argument] for argument in node.arguments]
        parts = [part for part in inner if part is not None]
        if len(parts) < len(inner) or sum(map(len, parts)) > LONGEST:
            texts.append(None)
            bindings.append(_ATOM)
            continue
        text, binding = _written(node, parts, [bindings[argument] for argument in node.arguments])
        texts.append(text if len(text) <= LONGEST else None)
        bindings.append(binding)
    return texts[-1]


def number(value: float) -> str:
    """The shortest decimal that reads back as `value`, without a trailing `.0`."""
    return repr(value).removesuffix(".0")


def _written(node: Node, parts: list[str], bindings: list[int]) -> tuple[str, int]:
    if node.op == "constant" and isinstance(node.leaf, float):
        return number(node.leaf), _SIGN if node.leaf < 0.0 else _ATOM
    if node.op == "variable":
        return str(node.leaf), _ATOM
    if node.op == "neg":
        return "-" + _bracketed(parts[0], bindings[0], _SIGN), _SIGN
    if node.op in _INFIX:
        symbol, own, left, right = _INFIX[node.op]
        first = _bracketed(parts[0], bindings[0], left)
        return first + symbol + _bracketed(parts[1], bindings[1], right), own
    return f"{node.op}({', '.join(parts)})", _ATOM


def _bracketed(text: str, binding: int, least: int) -> str:
    return text if binding >= least else f"({text})"
