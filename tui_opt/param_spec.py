"""What a parameter is, as a form, a table or a template sees it."""

from __future__ import annotations

import keyword
import math
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tui_opt.expressions import ExpressionError, parse
from tui_opt.expressions.functions import FUNCTIONS
from tui_opt.param_values import SIGN, as_lists
from tui_opt.problems import Problem, shown

ParamKind = Literal["real", "integer", "flag", "choice", "text", "expression"]
#: what the entries of a list are: single values, names with a value each, or lists themselves.
ParamForm = Literal["values", "pairs", "rows"]


#: the last characters of a run's id, which may be digits, name it.
_SHORTEST_ID = 6


class NonEmpty:
    """Marks the type of a list that has at least one entry."""


@dataclass(frozen=True)
class ParamSpec:
    """A parameter as a form sees it.

    `one` and `many` say whether a single value and a list are allowed; `words` are texts allowed in place of a number
    (such as `auto`); bounds hold for every entry of a list, which has at least `least` of them. `form` says what the
    entries are; with `is_pair` the value is a name with a value of this kind; with `is_path` it is the place of a file.
    With `is_run` an earlier run, by its id or the place of its directory, may stand in place of a number.
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
    form: ParamForm = "values"
    is_pair: bool = False
    is_path: bool = False
    is_run: bool = False

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.form == "pairs":
            value = self.of_entry().of_pair()
            if self.kind == "expression":
                value = replace(value, variables=("the names", *self.variables))
            return f"a table of names, each with {value.allowed}"
        if self.form == "rows":
            entries = self.of_entry().allowed.removeprefix("a list of ")
            return f"a list of rows of equal length, each a list of {entries}"
        if self.is_pair:
            return f"a name {SIGN} {self.of_pair().allowed.removeprefix('a ').removeprefix('an ')}"
        if self.kind == "choice":
            base = "one of " + ", ".join(map(repr, self.choices))
        elif self.kind == "expression":
            base = f"an expression in {', '.join(self.variables)}" if self.variables else "an expression"
        elif self.kind == "flag":
            base = "true or false"
        elif self.kind == "text":
            base = "the place of a file" if self.is_path else "a text"
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
        return f"{base}, or the id of a run" if self.is_run else base

    @property
    def has_entries(self) -> bool:
        """Whether the entries are edited each by itself, a line an entry."""
        return self.many and (self.kind == "expression" or self.form != "values")

    @property
    def entry_noun(self) -> str:
        """What an entry is called."""
        if self.form != "values":
            return {"pairs": "name", "rows": "row"}[self.form]
        return {"expression": "expression", "choice": "choice"}.get(self.kind, "value")

    @property
    def too_few(self) -> str:
        """What is said of a list that is too short."""
        noun = self.entry_noun
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
        if self.form == "pairs":
            return replace(self, form="values", one=True, many=False, least=0, is_pair=True)
        if self.form == "rows":
            return replace(self, form="values", one=False, many=True, least=1)
        return replace(self, one=True, many=False, least=0)

    def of_pair(self) -> ParamSpec:
        """The declaration as it holds for the value of a pair."""
        return replace(self, is_pair=False)

    def among(self, names: Iterable[str]) -> ParamSpec:
        """The declaration where the names of a table of expressions are variables of each of them."""
        if self.kind != "expression" or not (self.form == "pairs" or self.is_pair):
            return self
        return replace(self, variables=tuple(dict.fromkeys([*filter(is_name, names), *self.variables])))

    def problems(self, key: str, value: Any) -> list[Problem]:
        """What the declaration's bounds and expressions have against a single value of the right type."""
        if self.is_pair:
            return self._name_problems(key, value[0]) or self.of_pair().problems(key, value[1])
        if self.many and isinstance(value, tuple):
            return [p for entry in value for p in self.of_entry().problems(key, entry)][:1]
        if self.kind == "expression" and isinstance(value, str):
            try:
                parse(value, self.variables)
            except ExpressionError as error:
                return [Problem(key, error.explain(), value)]
        elif self._outside(value) or (self.is_run and _is_no_run(value)):
            return [Problem(key, f"must be {self.allowed}, not {shown(value)}.", value)]
        return []

    def _name_problems(self, key: str, name: str) -> list[Problem]:
        if self.kind == "expression":
            if is_name(name):
                return []
            what = "is a function" if name in FUNCTIONS else "cannot be a name in expressions"
            text = f"{shown(name)} {what}; a name has letters, digits and _, and begins with a letter."
            return [Problem(key, text, name)]
        if not name.strip() or SIGN in name:
            return [Problem(key, f"a name is not empty and has no {SIGN}, unlike {shown(name)}.", name)]
        return []

    def is_plain_number(self, value: Any) -> bool:
        """Whether a value is a number that is certainly allowed by itself: a quick look, for long lists of them."""
        if (
            self.kind not in ("real", "integer")
            or not self.one
            or self.is_pair
            or type(value) not in (int, float)
        ):
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


def is_name(text: str) -> bool:
    """Whether a text can be the name of a variable in expressions; constants such as `e` may be hidden by one."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in FUNCTIONS


def _is_no_run(value: Any) -> bool:
    """Whether a text in place of a run can be neither its id nor a place: empty, or a short number in quotes."""
    return isinstance(value, str) and (not value.strip() or (len(value) < _SHORTEST_ID and value.isdigit()))


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
    form: ParamForm = extra.get("form", "values")
    scalars = singles + [leaf for x in lists for leaf in _flatten(_entry_type(x, form))]
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
        form=form,
        is_path=extra.get("is_path", False),
        is_run=extra.get("is_run", False),
    )


def _entry_type(annotation: Any, form: ParamForm) -> Any:
    """The type of the values in a list: of its entries, in its pairs, or in its rows."""
    entry = get_args(annotation)[0]
    if form == "values":
        return entry
    return get_args(_flatten(entry)[0])[1 if form == "pairs" else 0]
