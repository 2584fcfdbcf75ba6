"""Parameters of an experiment: one declaration from which form, TOML, command line, documentation and schema follow.

    class EscapeParams(Params):
        temperature: OneOrMany = real(0.02, above=0, unit="W²/L", symbol="T", log=True, help="SGD step size.")

Reading and checking parameters is cheap: nothing here imports an array library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tui_opt.param_spec import ParamSpec, as_lists, read_spec
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
        return {name: as_lists(value) for name, value in self if value is not None}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


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
    return Problem(key, f"must be {spec.allowed}, not {shown(given)}.", given, hint)
