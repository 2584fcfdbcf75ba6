"""Parameters of an experiment: one declaration from which form, TOML, command line, documentation and schema follow.

    class EscapeParams(Params):
        temperature: OneOrMany = real(0.02, above=0, unit="W²/L", symbol="T", log=True, help="SGD step size.")

Reading and checking parameters is cheap: nothing here imports an array library.
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from tui_opt.expressions import ExpressionError, parse

ParamKind = Literal["real", "integer", "flag", "choice", "text", "expression"]


#: a problem's text is cut beyond this, so that a value of megabytes cannot bury the message.
MOST_TEXT = 2_000
_LONGEST_KEY = 200
#: looking for near matches takes time, which thousands of wrong keys are not worth.
MOST_HINTS = 50
#: words longer than this are nobody's misspelling.
_LONGEST_WORD = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what a user wrote.

    Args:
        key: dotted key as the user would write it, such as `params.temperature`.
        message: what is wrong and what is allowed, a sentence.
        given: the offending value, if there is one to show.
        hint: what to do next, such as a near match.
    """

    key: str
    message: str
    given: Any = None
    hint: str = ""

    def __str__(self) -> str:
        text = " ".join(
            part for part in (f"{printable(self.key[:_LONGEST_KEY])}: {self.message}", self.hint) if part
        )
        return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


class ParameterErrors(ValueError):
    """Everything that is wrong with a set of parameters, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def near_match(word: str, allowed: Iterable[str]) -> str:
    """A `Did you mean …?` for a misspelt word, or nothing where no allowed word is close."""
    if len(word) > _LONGEST_WORD:
        return ""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def printable(word: str) -> str:
    """A user's word as a terminal may show it, control characters escaped."""
    return word if word.isprintable() else repr(word)


# --- declaring ----------------------------------------------------------------------------------------------


def _extra(**entries: Any) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value not in ("", None, False)}


def real(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    unit: str = "",
    symbol: str = "",
    log: bool = False,
    group: str = "",
    help: str,
) -> Any:
    """A real parameter, or a list of them where the annotation says so.

    Args:
        default: its default value.
        low: smallest allowed value; `above` is the same with the bound left out.
        high: largest allowed value; `below` is the same with the bound left out.
        unit: unit.
        symbol: the symbol of the field, such as `T`.
        log: a form steps it by decades.
        group: heading it stands under.
        help: a sentence.
    """
    bounds = {"ge": low, "le": high, "gt": above, "lt": below}
    extra = _extra(
        unit=unit,
        symbol=symbol,
        log=log,
        group=group,
        bounds={k: v for k, v in bounds.items() if v is not None},
    )
    return Field(default, description=help, json_schema_extra=extra)


def whole(
    default: Any,
    *,
    low: int | None = None,
    high: int | None = None,
    unit: str = "",
    symbol: str = "",
    log: bool = False,
    group: str = "",
    help: str,
) -> Any:
    """A whole-number parameter, or a list of them; arguments as in `real`."""
    return real(default, low=low, high=high, unit=unit, symbol=symbol, log=log, group=group, help=help)


def choice(default: Any, *, group: str = "", help: str) -> Any:
    """A parameter with named choices; the annotation is a `Literal`."""
    return Field(default, description=help, json_schema_extra=_extra(group=group))


def expressions(
    default: Sequence[str], *, variables: Sequence[str], least: int = 1, group: str = "", help: str
) -> Any:
    """A list of user-written expressions in the named variables."""
    extra = _extra(group=group, variables=list(variables), least=least)
    return Field(tuple(default), description=help, json_schema_extra=extra)


def _float(value: Any) -> Any:
    """Whole numbers are numbers, truth values and texts are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is too large for a 64-bit number") from None
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _int(value: Any) -> Any:
    """`1e4` is a whole number to anybody who writes a scenario file."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a whole number")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError("must be a whole number")
        value = int(value)
    if abs(value) >= 2**63:
        raise ValueError("is too large for a 64-bit whole number")
    return value


Real = Annotated[float, BeforeValidator(_float)]
Whole = Annotated[int, BeforeValidator(_int)]


def _distinct_nonempty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("must not be an empty list")
    if len(values) > 100_000:
        raise ValueError("has more than 100,000 entries")
    return values


Many = Annotated[tuple[Real, ...], AfterValidator(_distinct_nonempty)]
ManyWhole = Annotated[tuple[Whole, ...], AfterValidator(_distinct_nonempty)]
OneOrMany = Real | Many
OneOrManyWhole = Whole | ManyWhole


# --- the base class -----------------------------------------------------------------------------------------


class Params(BaseModel):
    """Base of every experiment's parameters. Frozen; unknown names are errors; every error is reported at once."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, arbitrary_types_allowed=False
    )

    #: rules that tie several parameters together: each yields the problems it finds.
    rules: ClassVar[tuple[Callable[[Any], Iterable[Problem]], ...]] = ()

    @classmethod
    def specs(cls) -> dict[str, ParamSpec]:
        """What a form, a table or a template needs to know of each parameter, in the order of declaration."""
        return {name: _spec(name, info) for name, info in cls.model_fields.items()}

    @classmethod
    def check(cls, given: Mapping[str, Any], prefix: str = "params.") -> Self:
        """Parameters from plain values.

        Args:
            given: values by name, as TOML gives them; what is left out takes its default.
            prefix: what stands before a name in messages.

        Raises:
            ParameterErrors: with every problem found, in the order of declaration.
        """
        made, problems = cls._made(given, prefix)
        if made is not None and not problems:
            for rule in cls.rules:
                problems.extend(Problem(prefix + p.key, p.message, p.given, p.hint) for p in rule(made))
        if problems or made is None:
            raise ParameterErrors(problems)
        return made

    @classmethod
    def value_problems(cls, name: str, value: Any, key: str) -> list[Problem]:
        """What is wrong with one parameter's value by itself, whatever the others are; `key` is for the messages."""
        _, problems = cls._made({name: value}, "")
        return [Problem(key + p.key.removeprefix(name), p.message, p.given, p.hint) for p in problems]

    @classmethod
    def _made(cls, given: Mapping[str, Any], prefix: str) -> tuple[Self | None, list[Problem]]:
        """The parameters before any rule is applied, and the problems of each value by itself."""
        problems: list[Problem] = []
        specs = cls.specs()
        for name in given:
            if name not in specs:
                text = f"there is no such parameter; there are {', '.join(specs)}."
                hint = near_match(name, specs) if len(problems) < MOST_HINTS else ""
                problems.append(Problem(f"{prefix}{name}", text, given[name], hint))
        values = {name: _tuples(given[name]) for name in specs if name in given}
        made: Self | None = None
        complaints: dict[Any, list[Any]] = {}
        try:
            made = cls.model_validate(values)
        except ValidationError as error:
            for complaint in error.errors(include_url=False):
                complaints.setdefault(complaint["loc"][0], []).append(complaint)
        for name, spec in specs.items():
            if name in complaints:
                problems.append(_worded(f"{prefix}{name}", spec, given.get(name), complaints[name]))
            elif name in values:
                problems.extend(spec.problems(f"{prefix}{name}", values[name]))
        return made, problems

    def plain(self) -> dict[str, Any]:
        """The values as TOML takes them; parameters without a value are left out."""
        return {name: _lists(value) for name, value in self if value is not None}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _lists(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_lists(v) for v in value]
    return value


# --- what a parameter is ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParamSpec:
    """A parameter as a form sees it.

    `one` and `many` say whether a single value and a list are allowed; `words` are texts allowed in place of a number
    (such as `auto`); bounds hold for every entry of a list.
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
                parts.append(f"{words} {_short(value)}")
        return " and ".join(parts)

    def problems(self, key: str, value: Any) -> list[Problem]:
        """What the declaration's bounds and expressions have against a value of the right type."""
        entries = value if isinstance(value, tuple) else (value,)
        found = []
        for i, entry in enumerate(entries):
            place = f"{key}[{i}]" if isinstance(value, tuple) else key
            if self.kind == "expression" and isinstance(entry, str):
                try:
                    parse(entry, self.variables)
                except ExpressionError as error:
                    found.append(Problem(place, error.explain(), entry))
            elif self._outside(entry):
                found.append(Problem(place, f"must be {self.allowed}, not {_short(entry)}.", entry))
        if self.kind == "expression" and len(entries) < self.least:
            found.append(Problem(key, f"needs at least {self.least} expression(s).", value))
        return found

    def _outside(self, entry: Any) -> bool:
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            return False
        return (
            (self.low is not None and entry < self.low)
            or (self.high is not None and entry > self.high)
            or (self.above is not None and entry <= self.above)
            or (self.below is not None and entry >= self.below)
        )


def _short(value: Any) -> str:
    """A value as a message shows it, whatever it is."""
    if isinstance(value, float):
        rounded = f"{value:g}"
        return rounded if float(rounded) == value or math.isnan(value) else repr(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a whole number of more than 64 bits"  # it may have more digits than Python agrees to write
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return "something too deeply nested or too long to show"
    return text if len(text) <= 60 else text[:57] + "…"


def _flatten(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without `Annotated` wrappers."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _flatten(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [leaf for arg in get_args(annotation) for leaf in _flatten(arg)]
    return [annotation]


def _spec(name: str, info: FieldInfo) -> ParamSpec:
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
        default=_lists(info.get_default()),
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
        least=extra.get("least", 0),
    )


def _worded(key: str, spec: ParamSpec, given: Any, errors: Sequence[Any]) -> Problem:
    """One sentence from the several complaints that a union of types gives about one value."""
    hint = ""
    if isinstance(given, str) and (spec.choices or spec.words):
        hint = near_match(given, spec.choices + spec.words)
    own = [str(e["ctx"]["error"]) for e in errors if e["type"] == "value_error" and "ctx" in e]
    special = [text for text in own if not text.startswith(("must be a number", "must be a whole number"))]
    if isinstance(given, list | tuple) and spec.many:
        entries = [part for e in errors for part in e["loc"][1:] if isinstance(part, int)]
        if entries:
            key, given = f"{key}[{min(entries)}]", given[min(entries)]
    if special:
        return Problem(key, f"{special[0]}; it must be {spec.allowed}.", given, hint)
    return Problem(key, f"must be {spec.allowed}, not {_short(given)}.", given, hint)
