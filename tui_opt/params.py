"""Parameters of an experiment: one declaration from which form, TOML, command line, documentation and schema follow.

    class EscapeParams(Params):
        temperature: OneOrMany = real(0.02, above=0, unit="W²/L", symbol="T", log=True, help="SGD step size.")

Reading and checking parameters is cheap: nothing here imports an array library.
"""

from __future__ import annotations

import math
import numbers
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tui_opt.param_spec import NonEmpty, ParamSpec, read_spec
from tui_opt.param_values import Table, as_lists, as_table, as_tuples
from tui_opt.problems import MOST_HINTS, ParameterErrors, Problem, near_match, shown

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


def whole_or_run(
    default: int, *, low: int, high: int, symbol: str = "", log: bool = False, group: str = "", help: str
) -> Any:
    """A whole number, or in its place an earlier run by its id or the place of its directory; arguments as in `real`.

    The annotation is `Whole | str`; `tui_opt.runner.earlier.earlier_run` reads the run.
    """
    extra = _extra(symbol=symbol, log=log, group=group, is_run=True, bounds={"ge": low, "le": high})
    return Field(default, description=help, json_schema_extra=extra)


def choice(default: Any, *, least: int = 0, group: str = "", help: str) -> Any:
    """A parameter with named choices, or a list of at least `least` of them; the annotation is or has a `Literal`."""
    return Field(default, description=help, json_schema_extra=_extra(group=group, least=least or None))


def expressions(
    default: Sequence[str], *, variables: Sequence[str], least: int = 1, group: str = "", help: str
) -> Any:
    """A list of user-written expressions in the named variables."""
    extra = _extra(group=group, variables=list(variables), least=least)
    return Field(tuple(default), description=help, json_schema_extra=extra)


def table(
    default: Mapping[str, Any],
    *,
    variables: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    least: int = 1,
    unit: str = "",
    group: str = "",
    help: str,
) -> Any:
    """Names with a value each, such as `nodes = {room = "room - gain*heat", heat = "room - 25"}`; a `Table`.

    Args:
        default: its default.
        variables: the values are expressions in all the names of the table, and in these.
        low: smallest allowed value, where the values are numbers.
        high: largest allowed value.
        least: the fewest names.
        unit: unit of the values.
        group: heading it stands under.
        help: a sentence.
    """
    bounds = {k: v for k, v in {"ge": low, "le": high}.items() if v is not None}
    extra = _extra(unit=unit, group=group, bounds=bounds) | {"form": "pairs", "least": least}
    if variables is not None:
        extra["variables"] = list(variables)
    return Field(as_table(default), description=help, json_schema_extra=extra)


def matrix(
    default: Sequence[Sequence[float]],
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    group: str = "",
    help: str,
) -> Any:
    """Rows of numbers, all of one length; arguments as in `real`."""
    bounds = {k: v for k, v in {"ge": low, "le": high}.items() if v is not None}
    extra = _extra(unit=unit, group=group, bounds=bounds) | {"form": "rows", "least": 1}
    return Field(as_tuples(default), description=help, json_schema_extra=extra)


def _float(value: Any) -> Any:
    """Whole numbers are numbers, of whatever library; truth values and texts are not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
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
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError("must be a whole number")
    if not isinstance(value, numbers.Integral) and not (math.isfinite(value) and value == math.floor(value)):
        raise ValueError("must be a whole number")
    value = math.floor(value)
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


Many = Annotated[tuple[Real, ...], AfterValidator(_distinct_nonempty), NonEmpty()]
ManyWhole = Annotated[tuple[Whole, ...], AfterValidator(_distinct_nonempty), NonEmpty()]


def _is_table(value: Any) -> Any:
    if not isinstance(value, Table):
        raise ValueError("must be a table")
    return value


def _equal_rows(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"has rows of different lengths ({', '.join(str(len(row)) for row in rows)})")
    return rows


#: Names with a text each, or with an expression each; declared by `table`.
Texts = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_is_table), AfterValidator(Table)]
#: Names with a number each; declared by `table`.
Numbers = Annotated[tuple[tuple[str, Real], ...], BeforeValidator(_is_table), AfterValidator(Table)]
#: Rows of numbers; declared by `matrix`.
Matrix = Annotated[tuple[Many, ...], AfterValidator(_distinct_nonempty), AfterValidator(_equal_rows)]
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
        return {name: read_spec(name, info) for name, info in cls.model_fields.items()}

    @classmethod
    def check(cls, given: Mapping[str, Any], prefix: str = "params.") -> Self:
        """Parameters from plain values.

        Args:
            given: values by name, as TOML gives them; what is left out takes its default.
            prefix: what stands before a name in messages.

        Raises:
            ParameterErrors: with every problem found, in the order of declaration.
        """
        made, problems, broken = cls._made(given, prefix)
        problems.extend(
            Problem(prefix + p.key, p.message, p.given, p.hint)
            for rule in cls.rules
            for p in (_rule_problems(rule, made, broken) if broken else rule(made))
        )
        if problems:
            raise ParameterErrors(problems)
        return made

    @classmethod
    def value_problems(cls, name: str, value: Any, key: str) -> list[Problem]:
        """What is wrong with one parameter's value by itself, whatever the others are; `key` is for the messages."""
        _, problems, _ = cls._made({name: value}, "")
        return [Problem(key + p.key.removeprefix(name), p.message, p.given, p.hint) for p in problems]

    @classmethod
    def _made(cls, given: Mapping[str, Any], prefix: str) -> tuple[Self, list[Problem], frozenset[str]]:
        """The parameters before any rule is applied, the problems of each value by itself, and which have any.

        A parameter that has problems has its default in what is made.
        """
        problems: list[Problem] = []
        specs = cls.specs()
        for name in given:
            if name not in specs:
                text = f"there is no such parameter; there are {', '.join(specs)}."
                hint = near_match(name, specs) if len(problems) < MOST_HINTS else ""
                problems.append(Problem(f"{prefix}{name}", text, given[name], hint))
        values = {
            name: as_table(given[name]) if spec.form == "pairs" else as_tuples(given[name])
            for name, spec in specs.items()
            if name in given
        }
        made: Self | None = None
        complaints: dict[Any, list[Any]] = {}
        try:
            made = cls.model_validate(values)
        except ValidationError as error:
            for complaint in error.errors(include_url=False):
                complaints.setdefault(complaint["loc"][0], []).append(complaint)
        broken = set()
        for name, spec in specs.items():
            if name not in values:
                continue
            found = _worded(f"{prefix}{name}", spec, values[name], complaints.get(name, ()))
            if found:
                broken.add(name)
                problems.extend(found)
        if made is None:
            made = cls.model_validate({name: v for name, v in values.items() if name not in broken})
        return made, problems, frozenset(broken)

    def plain(self) -> dict[str, Any]:
        """The values as TOML takes them; parameters without a value are left out."""
        return {name: as_lists(value) for name, value in self if value is not None}


class _BrokenError(Exception):
    """A rule asked for a parameter that has no allowed value."""


class _Sound:
    """Parameters of which only those with an allowed value can be read, also by their own methods and properties."""

    def __init__(self, made: Params, broken: frozenset[str]) -> None:
        self._made = made
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        if name in self._broken:
            raise _BrokenError
        declared = getattr(type(self._made), name, None)
        if isinstance(declared, property) and declared.fget is not None:
            return declared.fget(self)
        if isinstance(declared, types.FunctionType):
            return types.MethodType(declared, self)
        return getattr(self._made, name)


def _rule_problems(
    rule: Callable[[Any], Iterable[Problem]], made: Params, broken: frozenset[str]
) -> list[Problem]:
    """What a rule finds where some parameters have no allowed value: nothing more once it asks for one of those."""
    found = []
    try:
        for problem in rule(_Sound(made, broken)):
            found.append(problem)  # noqa: PERF402 - what was found before the rule stops is kept
    except _BrokenError:
        pass
    return found


def _worded(key: str, spec: ParamSpec, given: Any, complaints: Sequence[Any]) -> list[Problem]:
    """What is wrong with a value: a sentence for every bad entry of a list, and otherwise one for the whole.

    Args:
        key: the place, for messages.
        spec: the declaration.
        given: the value, with tuples for lists.
        complaints: what the types have against it; a union of types gives several about one value.
    """
    if not isinstance(given, tuple) or not spec.many:
        return [_sentence(key, spec, given, complaints)] if complaints else spec.problems(key, given)
    if spec.form == "pairs" and not isinstance(given, Table):
        return [_sentence(key, spec, given, complaints)]
    by_entry: dict[int, list[Any]] = {}
    for complaint in complaints:
        entry = next((part for part in complaint["loc"][1:] if isinstance(part, int)), None)
        if entry is not None:
            by_entry.setdefault(entry, []).append(complaint)
    if complaints and not by_entry:
        return [_sentence(key, spec, given, complaints)]
    one = spec.among(given.names()).of_entry() if isinstance(given, Table) else spec.of_entry()
    found = []
    for i, value in enumerate(given):
        place = f"{key}.{value[0]}" if isinstance(given, Table) else f"{key}[{i}]"
        if i in by_entry:
            wrong, of = (value[1], one.of_pair()) if isinstance(given, Table) else (value, one)
            found.append(_sentence(place, of, wrong, by_entry[i]))
        else:
            found.extend(one.problems(place, value))
        if len(found) > MOST_HINTS:
            break  # no message shows more, and a list may have many entries
    if len(given) < spec.least:
        found.append(Problem(key, spec.too_few, given))
    return found


def _sentence(key: str, spec: ParamSpec, given: Any, complaints: Sequence[Any]) -> Problem:
    """One sentence from the several complaints that a union of types gives about one value."""
    hint = ""
    if isinstance(given, str) and (spec.choices or spec.words):
        hint = near_match(given, spec.choices + spec.words)
    own = [str(e["ctx"]["error"]) for e in complaints if e["type"] == "value_error" and "ctx" in e]
    special = [text for text in own if not text.startswith(("must be a number", "must be a whole number"))]
    if special:
        return Problem(key, f"{special[0]}; it must be {spec.allowed}.", given, hint)
    return Problem(key, f"must be {spec.allowed}, not {shown(as_lists(given))}.", given, hint)
