"""What a parameter is, as a form, a table or a template sees it."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tui_opt.expressions import ExpressionError, parse
from tui_opt.problems import Problem, shown

ParamKind = Literal["real", "integer", "flag", "choice", "text", "expression"]


def as_lists(value: Any) -> Any:
    """A value with its tuples as the lists that TOML and JSON have."""
    if isinstance(value, tuple | list):
        return [as_lists(v) for v in value]
    return value


class NonEmpty:
    """Marks the type of a list that has at least one entry."""


@dataclass(frozen=True)
class ParamSpec:
    """A parameter as a form sees it.

    `one` and `many` say whether a single value and a list are allowed; `words` are texts allowed in place of a number
    (such as `auto`); bounds hold for every entry of a list, which has at least `least` of them.
    """

    name: str
    kind: ParamKind
    default: Any
    help: str
    one: bool = True
    many: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    unit: str = ""
    symbol: str = ""
    log: bool = False
    group: str = ""
    variables: tuple[str, ...] = ()
    least: int = 0

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            base = "one of " + ", ".join(map(repr, self.choices))
        elif self.kind == "expression":
            base = "an expression in " + ", ".join(self.variables)
        elif self.kind == "flag":
            base = "true or false"
        elif self.kind == "text":
            base = "a text"
        else:
            base = "a whole number" if self.kind == "integer" else "a number"
            bounds = self.bounds_text()
            base += f" {bounds}" if bounds else ""
        if self.many:
            entries = (
                base.removeprefix("one of ")
                if self.kind == "choice"
                else base.split(" ", 1)[1]
                .replace("number", "numbers")
                .replace("expression", "expressions")
                .replace("text", "texts")
            )
            lists = f"a list of {entries}"
            base = f"{base}, or {lists}" if self.one else lists
        for word in self.words:
            base += f", or {word!r}"
        return base

    @property
    def too_few(self) -> str:
        """What is said of a list that is too short."""
        noun = {"expression": "expression", "choice": "choice"}.get(self.kind, "value")
        return f"needs at least {self.least} {noun}{'s' if self.least > 1 else ''}."

    @property
    def allowed_sentence(self) -> str:
        """`allowed` as a sentence of its own."""
        return f"{self.allowed[0].upper()}{self.allowed[1:]}."

    def bounds_text(self) -> str:
        """The bounds in words, empty where there are none."""
        parts = []
        for value, words in (
            (self.above, "above"),
            (self.low, "at least"),
            (self.below, "below"),
            (self.high, "at most"),
        ):
            if value is not None:
                parts.append(f"{words} {shown(value)}")
        return " and ".join(parts)

    def of_entry(self) -> ParamSpec:
        """The declaration as it holds for one entry of a list."""
        return replace(self, one=True, many=False, least=0)

    def problems(self, key: str, value: Any) -> list[Problem]:
        """What the declaration's bounds and expressions have against a single value of the right type."""
        if self.kind == "expression" and isinstance(value, str):
            try:
                parse(value, self.variables)
            except ExpressionError as error:
                return [Problem(key, error.explain(), value)]
        elif self._outside(value):
            return [Problem(key, f"must be {self.allowed}, not {shown(value)}.", value)]
        return []

    def is_plain_number(self, value: Any) -> bool:
        """Whether a value is a number that is certainly allowed by itself: a quick look, for long lists of them."""
        if self.kind not in ("real", "integer") or not self.one or type(value) not in (int, float):
            return False
        if not -(2.0**62) < value < 2.0**62 or self._outside(value):
            return False
        return self.kind == "real" or value == math.floor(value)

    def _outside(self, entry: Any) -> bool:
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            return False
        return (
            (self.low is not None and entry < self.low)
            or (self.high is not None and entry > self.high)
            or (self.above is not None and entry <= self.above)
            or (self.below is not None and entry >= self.below)
        )


def _flatten(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without `Annotated` wrappers."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _flatten(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [leaf for arg in get_args(annotation) for leaf in _flatten(arg)]
    return [annotation]


def _least(annotation: Any, metadata: Iterable[Any]) -> int:
    """The fewest entries that a list may have by its type."""
    if any(isinstance(part, NonEmpty) for part in metadata):
        return 1
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _least(parts[0], parts[1:])
    return max((_least(part, ()) for part in parts), default=0) if origin in (Union, types.UnionType) else 0


def read_spec(name: str, info: FieldInfo) -> ParamSpec:
    """What a declared field says of its parameter."""
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    leaves = _flatten(info.annotation)
    optional = type(None) in leaves
    singles = [x for x in leaves if x is not type(None) and get_origin(x) is not tuple]
    lists = [x for x in leaves if get_origin(x) is tuple]
    scalars = singles + [leaf for x in lists for leaf in _flatten(get_args(x)[0])]
    words = tuple(w for x in scalars if get_origin(x) is Literal for w in get_args(x))
    kinds = [x for x in scalars if get_origin(x) is not Literal]
    kind: ParamKind
    if "variables" in extra:
        kind = "expression"
    elif bool in kinds:
        kind = "flag"
    elif float in kinds:
        kind = "real"
    elif int in kinds:
        kind = "integer"
    elif str in kinds:
        kind = "text"
    else:
        kind = "choice"
    bounds = extra.get("bounds", {})
    return ParamSpec(
        name=name,
        kind=kind,
        default=as_lists(info.get_default()),
        help=info.description or "",
        one=bool(singles),
        many=bool(lists),
        optional=optional,
        choices=words if kind == "choice" else (),
        words=() if kind == "choice" else words,
        low=bounds.get("ge"),
        high=bounds.get("le"),
        above=bounds.get("gt"),
        below=bounds.get("lt"),
        unit=extra.get("unit", ""),
        symbol=extra.get("symbol", ""),
        log=extra.get("log", False),
        group=extra.get("group", ""),
        variables=tuple(extra.get("variables", ())),
        least=extra.get("least", _least(info.annotation, info.metadata)),
    )
