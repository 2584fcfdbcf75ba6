"""From the user's text to Python's grammar: a scan of the characters, with advice for common slips.

Only names, numbers, `+ - * / ^ ( ) ,` and blanks leave this module, so what Python's parser is given is a
tiny language whose words are all known to be harmless; `^` leaves it as `**`.
"""

from __future__ import annotations

import itertools
import keyword
import math
import re
from typing import Final, NamedTuple

from tui_opt.expressions.errors import ExpressionError
from tui_opt.expressions.functions import FUNCTIONS

MAX_LENGTH: Final = 10_000
MAX_DEPTH: Final = 200

_NUMBER = re.compile(r"(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_OPERATORS: Final = ("**", "^", "*", "/", "+", "-", "(", ")", ",")
_SUPERSCRIPTS: Final = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))
_ADVICE: Final = {
    "|": "'|' is not an operator here; write the absolute value as abs(x)",
    "×": "'×' is not an operator here; write '*' for a product",
    "·": "'·' is not an operator here; write '*' for a product",
    "⋅": "'⋅' is not an operator here; write '*' for a product",
    "÷": "'÷' is not an operator here; write '/' for a quotient",
    "−": "this is the typographic minus sign; write the '-' of the keyboard",
    "–": "this is a dash; write the '-' of the keyboard",
    "√": "'√' is not an operator here; write sqrt(x)",
    "∞": "infinity is not a value here; every constant must be a finite number",
    "!": "'!' is not an operator here; there is no factorial",
    "%": "'%' is not an operator here; there is no remainder, and a percentage is written as a fraction",
    "=": "'=' is not allowed here; write the expression alone, without a name or an equation",
    "<": "comparisons are not allowed; use step(x), which is 1 where x > 0",
    ">": "comparisons are not allowed; use step(x), which is 1 where x > 0",
    "[": "square brackets are not allowed; group with round brackets ( )",
    "]": "square brackets are not allowed; group with round brackets ( )",
    "{": "curly brackets are not allowed; group with round brackets ( )",
    "}": "curly brackets are not allowed; group with round brackets ( )",
    "'": "quoted text is not allowed; an expression holds numbers and names only",
    '"': "quoted text is not allowed; an expression holds numbers and names only",
    ".": "attributes are not allowed; a point stands inside a number only, as in 0.5",
}
ALLOWED: Final = "allowed are numbers, names, + - * / ^ and round brackets"


class Token(NamedTuple):
    """A word of the text and its half-open range of columns there. kind: name, number or operator."""

    kind: str
    text: str
    start: int
    end: int


class Translation(NamedTuple):
    """Text for Python's parser; `columns[i]` is the user's column of its i-th UTF-8 byte."""

    python: str
    columns: list[int]


def scan(source: str) -> Translation:
    """Translate `source`, refusing everything outside the small alphabet with a mark on the spot."""
    if len(source) > MAX_LENGTH:
        message = f"The expression has {len(source)} characters; at most {MAX_LENGTH} are allowed."
        raise ExpressionError(message, source, MAX_LENGTH, len(source))
    tokens = _tokens(source)
    if not tokens:
        raise ExpressionError("The expression is empty; write for example (W-2)^2.", source, 0, len(source))
    _check_neighbours(source, tokens)
    _check_brackets(source, tokens)
    _check_operands(source, tokens)
    python: list[str] = []
    columns: list[int] = []
    for token in tokens:
        text = "**" if token.text == "^" else token.text
        python.append(text + " ")
        for offset, character in enumerate(text):
            column = min(token.start + offset, token.end - 1)
            columns.extend([column] * len(character.encode()))
        columns.append(token.end)
    columns.append(len(source))
    return Translation("".join(python), columns)


def _tokens(source: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        if source[position].isspace():
            position += 1
            continue
        token = _token(source, position)
        tokens.append(token)
        position = token.end
    return tokens


def _token(source: str, start: int) -> Token:
    number = _NUMBER.match(source, start)
    if number:
        _check_number(source, start, number.end())
        return Token("number", number.group(), start, number.end())
    if source[start].isidentifier():
        end = start + 1
        while end < len(source) and ("a" + source[end]).isidentifier():
            end += 1
        _check_word(source, start, end)
        return Token("name", source[start:end], start, end)
    if source.startswith("//", start):
        message = "'//' (floor division) is not allowed; write '/' for a quotient."
        raise ExpressionError(message, source, start, start + 2)
    operator = next((text for text in _OPERATORS if source.startswith(text, start)), None)
    if operator is None:
        raise _refused_character(source, start)
    return Token("operator", operator, start, start + len(operator))


def _check_number(source: str, start: int, end: int) -> None:
    text = source[start:end]
    mantissa = re.split("[eE]", text.replace("_", ""))[0]
    if len(mantissa) > 1 and mantissa[0] == "0" and mantissa.isdigit() and "e" not in text.lower():
        message = f"The number {_brief(text)} starts with a zero; write it without leading zeros."
        raise ExpressionError(message, source, start, end)
    value = float(text)
    if math.isinf(value):
        message = f"The number {_brief(text)} is too large for a float; the largest is about 1.8e308."
        raise ExpressionError(message, source, start, end)
    if value == 0.0 and mantissa.strip("0."):
        message = f"The number {_brief(text)} is too small for a float; it would become 0."
        raise ExpressionError(message, source, start, end)


def _check_word(source: str, start: int, end: int) -> None:
    word = source[start:end]
    if keyword.iskeyword(word):
        message = f"'{word}' is a reserved word of the grammar and not allowed here; {ALLOWED}."
        raise ExpressionError(message, source, start, end)
    if word == "__debug__":
        raise ExpressionError(f"'{word}' is not allowed here; {ALLOWED}.", source, start, end)


def _refused_character(source: str, start: int) -> ExpressionError:
    character = source[start]
    end = start + 1
    if character in _SUPERSCRIPTS:
        while end < len(source) and source[end] in _SUPERSCRIPTS:
            end += 1
        power = "".join(_SUPERSCRIPTS[digit] for digit in source[start:end])
        message = f"Superscripts are not read as powers; write ^{_brief(power)} instead."
        return ExpressionError(message, source, start, end)
    advice = _ADVICE.get(character)
    if advice:
        return ExpressionError(advice[0].upper() + advice[1:] + ".", source, start, end)
    shown = f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"
    return ExpressionError(f"The character {shown} is not allowed; {ALLOWED}.", source, start, end)


def _check_neighbours(source: str, tokens: list[Token]) -> None:
    """Two operands side by side: a missing '*', or a function without its brackets."""
    for left, right in itertools.pairwise(tokens):
        opens = right.text == "("
        ends_operand = left.kind != "operator" or left.text == ")"
        starts_operand = right.kind != "operator" or (opens and left.kind != "name")
        if not (ends_operand and starts_operand):
            continue
        if left.text in FUNCTIONS:
            message = f"A function needs brackets; write {left.text}({_brief(right.text)}…)."
            raise ExpressionError(message, source, left.start, right.end)
        if left.kind == "number" and right.text in ("j", "J"):
            raise ExpressionError("Complex numbers are not allowed.", source, left.start, right.end)
        first = "(…)" if left.text == ")" else _brief(left.text)
        second = "(…)" if opens else _brief(right.text)
        message = f"An operator is missing; for a product write {first}*{second}."
        raise ExpressionError(message, source, left.start, right.end)


def _check_brackets(source: str, tokens: list[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.text == "(":
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                message = f"Brackets are nested more than {MAX_DEPTH} deep."
                raise ExpressionError(message, source, token.start, token.end)
        elif token.text == ")":
            if not opened:
                message = "This bracket closes nothing; remove it or open one before."
                raise ExpressionError(message, source, token.start, token.end)
            opened.pop()
    if opened:
        message = "This bracket is never closed; add a ')'."
        raise ExpressionError(message, source, opened[-1].start, opened[-1].end)


def _check_operands(source: str, tokens: list[Token]) -> None:
    """Every operator, comma and bracket has an operand where it needs one."""
    before: Token | None = None
    for token in tokens:
        wants_operand = before is None or (before.kind == "operator" and before.text != ")")
        if wants_operand and token.kind == "operator" and token.text not in ("(", "+", "-"):
            empty = before is not None and before.text == "(" and token.text == ")"
            if not empty:
                message = f"An operand is missing before '{token.text}'."
                raise ExpressionError(message, source, token.start, token.end)
        before = token
    last = tokens[-1]
    if last.kind == "operator" and last.text != ")":
        message = f"The expression ends too early; an operand is missing after '{last.text}'."
        raise ExpressionError(message, source, last.start, last.end)


def _brief(text: str) -> str:
    return text if len(text) <= 24 else text[:20] + "…"
