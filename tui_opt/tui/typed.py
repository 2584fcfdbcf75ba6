"""Values as they are typed: from text to value and back, exactly, for every kind of parameter; and as they are shown.

Needs no terminal library, and judges the form of a text only: whether a value is allowed is for its declaration.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tui_opt.param_spec import ParamSpec
from tui_opt.param_values import SIGN, Table
from tui_opt.problems import near_match
from tui_opt.render.numbers import THIN_SPACE, format_number, group_thousands
from tui_opt.tui.ranges import MOST_VALUES, Range, as_range

_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_SPACES = " _\u2009\u202f\u00a0"
_NUMBER = re.compile(
    rf"([+-]?)(\d{{1,3}}(?:[{_SPACES}]\d{{3}})+|\d+(?:_\d+)*|(?=\.\d))(\.\d*)?(e[+-]?\d{{1,5}})?",
    re.IGNORECASE,
)
_MOST_SHOWN = 300  # characters of a list beyond which nobody wants to see all of it
_LONGEST_QUOTE = 24


class UnreadableError(ValueError):
    """A text that is no value of its parameter; the message is a short sentence."""


# --- from text ----------------------------------------------------------------------------------------------


def read_value(spec: ParamSpec, text: str) -> Any:
    """The value that a text stands for; lists are tuples, and no value is None.

    Raises:
        UnreadableError: it stands for none.
    """
    if spec.optional and not text.strip():
        return None
    if spec.is_pair:
        return _read_pair(spec, text)
    if spec.kind == "text" and not spec.many:
        return text
    stripped = text.strip()
    if spec.many and spec.kind != "expression":
        return _read_one_or_many(spec, stripped)
    return _read_one(spec, stripped)


def _read_pair(spec: ParamSpec, text: str) -> tuple[str, Any]:
    name, sign, value = text.partition(SIGN)
    if not sign or not name.strip():
        raise UnreadableError(f"A name, then {SIGN} and its value are needed.")
    return name.strip(), read_value(spec.of_pair(), value.strip())


def _read_one_or_many(spec: ParamSpec, text: str) -> Any:
    numeric = spec.kind in ("real", "integer")
    span = text.strip("[] ").replace("…", "..")
    if numeric and ".." in span:
        return _read_range(spec, span)
    bracketed = text.startswith("[")
    if bracketed and not text.endswith("]"):
        raise UnreadableError("The closing bracket ] is missing.")
    if not bracketed and spec.one and (not numeric or "," not in text):
        return _read_one(spec, json.loads(text) if _is_quoted(text) else text)
    inner = text[1:-1] if bracketed else text
    entries = inner.split(",") if numeric else list(_split_texts(inner))
    entries = [entry.strip() if numeric else entry for entry in entries]
    if numeric and entries and not entries[-1]:
        entries.pop()  # what follows the last comma
    if len(entries) > MOST_VALUES:
        raise UnreadableError(f"A list has at most {MOST_VALUES:,} values.")
    for entry in entries:
        if numeric and re.fullmatch(r"[+-]?0\d+", entry):
            raise UnreadableError(f"Commas separate the values of a list, and {_quoted(entry)} is not one.")
    return tuple(_read_one(spec, entry) for entry in entries)


def _read_one(spec: ParamSpec, text: str) -> Any:
    if text in spec.words or spec.kind in ("choice", "text", "expression"):
        return text
    if not text:
        raise UnreadableError(f"A value is needed: {spec.of_entry().allowed}.")
    if spec.kind == "flag":
        if text.lower() not in _YES + _NO:
            raise UnreadableError(f"{_quoted(text)} is neither true nor false.")
        return text.lower() in _YES
    if spec.is_run and _NUMBER.fullmatch(text.replace("−", "-")) is None:
        return text
    number = _read_number(text, words=spec.words)
    return _whole(number, text) if spec.kind == "integer" else _float(number)


def _read_number(text: str, *, words: tuple[str, ...] = ()) -> Decimal:
    match = _NUMBER.fullmatch(text.replace("−", "-"))
    if match is None:
        hint = near_match(text, words)
        if not hint and "," in text:
            hint = "Only one value is allowed here, and digits are grouped by spaces."
        elif not hint and words:
            hint = f"Write a number, or {' or '.join(words)}."
        raise UnreadableError(f"{_quoted(text)} is not a number. {hint}".rstrip())
    sign, digits, fraction, exponent = (part or "" for part in match.groups())
    return Decimal(sign + re.sub(f"[{_SPACES}]", "", digits) + fraction + exponent)


def _float(number: Decimal) -> float:
    if math.isinf(value := float(number)):
        raise UnreadableError("This is too large for a 64-bit number.")
    return value


def _whole(number: Decimal, text: str) -> int:
    if number.adjusted() > 18:
        raise UnreadableError("This is too large for a 64-bit whole number.")
    if number != number.to_integral_value():
        raise UnreadableError(f"{_quoted(text)} is not a whole number.")
    return int(number)


def _read_range(spec: ParamSpec, text: str) -> tuple[float, ...]:
    match = re.fullmatch(r"(.+?)\.\.(.+?)(?:/(.+?))?(\slog)?", text)
    if match is None or match[3] is None:
        raise UnreadableError("A range is written from .. to / number of values, such as 0.01 .. 0.025 / 16.")
    low, high = (_float(_read_number(part.strip())) for part in match.group(1, 2))
    num = _whole(_read_number(match[3].strip()), match[3].strip())
    if not 1 <= num <= MOST_VALUES:
        raise UnreadableError(f"A range has from 1 to {MOST_VALUES:,} values.")
    if max(abs(low), abs(high)) > 1e300:
        raise UnreadableError("The ends of a range are at most 1e300.")
    if match[4] and (low <= 0 or high <= 0):
        raise UnreadableError("A logarithmic range needs both ends above 0.")
    return Range(low, high, num, bool(match[4])).values(whole=spec.kind == "integer")


def _split_texts(text: str) -> Iterator[str]:
    """Texts between commas, without the spaces around them; one in double quotes may hold anything."""
    decoder = json.JSONDecoder()
    place = 0
    while place < len(text):
        place += len(text) - place - len(text[place:].lstrip())
        if text[place : place + 1] == '"':
            try:
                entry, place = decoder.raw_decode(text, place)
            except json.JSONDecodeError:
                raise UnreadableError('The closing quotation mark " is missing.') from None
            rest = text.find(",", place)
            if text[place : rest if rest >= 0 else None].strip():
                raise UnreadableError("A comma is missing after a text in quotation marks.")
            yield entry
        else:
            rest = text.find(",", place)
            entry = text[place : rest if rest >= 0 else None].strip()
            if entry or rest >= 0:
                yield entry
        place = rest + 1 if rest >= 0 else len(text)


def _is_quoted(text: str) -> bool:
    try:
        return text.startswith('"') and isinstance(json.loads(text), str)
    except json.JSONDecodeError:
        return False


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…")


# --- to text ------------------------------------------------------------------------------------------------


def write_value(spec: ParamSpec, value: Any) -> str:
    """The text to edit: it reads back as exactly the same value."""
    if value is None:
        return ""
    if spec.is_pair:
        return f"{value[0]} {SIGN} {write_value(spec.of_pair(), value[1])}"
    if isinstance(value, tuple | list):
        return _write_list(spec, tuple(value))
    if isinstance(value, str) and spec.many and spec.kind in ("choice", "text"):
        plain = value == value.strip() and not value.startswith(("[", '"'))
        return value if plain and (value or not spec.optional) else json.dumps(value, ensure_ascii=False)
    return _write_one(value)


def _write_list(spec: ParamSpec, values: tuple[Any, ...]) -> str:
    if spec.kind in ("real", "integer"):
        span = as_range(values) if all(not isinstance(v, str) for v in values) else None
        if span is not None:
            ends = f"{_write_one(values[0])} .. {_write_one(values[-1])} / {span.num}"
            return f"{ends} log" if span.log else ends
        text = ", ".join(map(_write_one, values))
        return f"[{text}]" if (spec.one and len(values) == 1) or not values else text
    plain = all(v == v.strip() and v and not re.search(r'[",\[\]\x00-\x1f]', v) for v in values)
    text = ", ".join(v if plain else json.dumps(v, ensure_ascii=False) for v in values)
    return f"[{text}]" if spec.one or not values else text


def _write_one(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else write_number(value)


def write_number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(value).removesuffix(".0").replace("e+", "e")


# --- to show ------------------------------------------------------------------------------------------------


def show_value(spec: ParamSpec, value: Any, width: int) -> str:
    """A value as a row of `width` columns shows it: in full if it fits, else in brief; never cut inside a number."""
    if value is None:
        return "none"
    if spec.is_pair and isinstance(value, tuple):
        head = f"{value[0]} {SIGN} "
        return clip(head + show_value(spec.of_pair(), value[1], max(width - len(head), 1)), width)
    if isinstance(value, Table):
        return _first_that_fits(_list_shown(tuple(f"{n} {SIGN} {v}" for n, v in value)), width)
    if isinstance(value, tuple | list):
        return _first_that_fits(_list_shown(tuple(value)), width)
    if isinstance(value, bool | str):
        return clip(_write_one(value), width)
    return _first_that_fits(_number_shown(value), width)


def clip(text: str, width: int) -> str:
    """A text cut to a width, with an ellipsis where something was cut."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"[:width]


def _first_that_fits(texts: Iterator[str], width: int) -> str:
    text = ""
    for text in texts:
        if len(text) <= width:
            return text
    return clip(text, width)


def _number_shown(value: float) -> Iterator[str]:
    text = write_number(value)
    yield text if "e" in text else group_thousands(text)
    for digits in (12, 8, 6, 4, 3, 2, 1):
        yield format_number(value, digits)


def show_number(value: float) -> str:
    """Every digit of a number, thousands apart."""
    return next(_number_shown(value))


def _list_shown(values: tuple[Any, ...]) -> Iterator[str]:
    """From all of a list to its number of values."""
    if len(values) == 1 and isinstance(values[0], int | float):
        yield from _number_shown(values[0])
        return
    texts = [show_number(v) if isinstance(v, int | float) else str(v) for v in values[:_MOST_SHOWN]]
    if len(values) <= _MOST_SHOWN and sum(map(len, texts)) <= _MOST_SHOWN:
        yield ", ".join(texts) or "(empty)"
    if len(values) > 1:
        number = f"({len(values):,})".replace(",", THIN_SPACE)
        if all(isinstance(v, int | float) for v in values):
            span = as_range(values)
            low, high = _aligned(values[0], values[-1])
            if span is not None:
                yield f"{low} … {high} ({span.num}{' log' if span.log else ''})"
            yield f"{low}…{high} {number}"
            yield f"{show_number(values[0])}…{show_number(values[-1])} {number}"
            yield f"{low}…{high}"
        else:
            yield f"{texts[0]}, … {number}"
        yield f"{number[:-1]} values)"
        yield number


def _aligned(low: float, high: float) -> tuple[str, str]:
    """Two ends with the same number of decimals: 0.010 and 0.025."""
    texts = write_number(low), write_number(high)
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    first, last = (group_thousands(format(Decimal(text), f".{decimals}f")) for text in texts)
    return first, last
