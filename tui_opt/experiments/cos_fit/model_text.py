"""A model as the user writes it: a name, or an equation such as `y = A*cos(a*x1+p)+exp(b*x2)`.

Which names are columns and which are parameters is decided here, by what columns there are. Needs no array library.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tui_opt.expressions import ExpressionError
from tui_opt.expressions.functions import CONSTANTS
from tui_opt.expressions.names import free_names
from tui_opt.param_spec import is_name
from tui_opt.problems import Problem, near_match

TARGET = "y"
#: the columns of samples that are drawn.
DRAWN = ("x1", "x2")
#: models by name; their parameters are `a` and `b`.
NAMED = {
    "cos+exp": "cos(a*x1) + exp(b*x2)",
    "cos": "cos(a*x1)",
    "exp": "exp(b*x2)",
    "exp+exp": "exp(a*x1) + exp(b*x2)",
    "sqrt+exp": "sqrt(a*x1) + exp(b*x2)",
}
#: names that nobody gives to a parameter.
_COLUMN_LIKE = re.compile(r"(?:[xt]_?\d*|time)", flags=re.IGNORECASE)


@dataclass(frozen=True)
class ModelText:
    """A model before it is known what its names are.

    Attributes:
        target: name of the column that the model describes.
        right: the right-hand side.
        names: the names in it, in order.
        named: its short name, empty for a user's own.
    """

    target: str
    right: str
    names: tuple[str, ...]
    named: str = ""


def read_model(text: str) -> ModelText:
    """A model by its name, or from its text: an equation, or the right-hand side alone.

    Raises:
        ExpressionError: it is neither.
    """
    short = text.strip()
    if short in NAMED:
        return ModelText(TARGET, NAMED[short], free_names(NAMED[short]), short)
    left, equals, right = text.partition("=")
    target = unicodedata.normalize("NFKC", left.strip()) if equals else TARGET
    if not equals:
        right = text
    if not is_name(target):
        message = "The left-hand side is the name of the column that is fitted, as in y = cos(a*x1)."
        raise ExpressionError(message, text, 0, max(1, len(left)))
    try:
        return ModelText(target, right.strip(), free_names(right))
    except ExpressionError as error:
        if equals:  # point into the whole of what was written
            shift = len(left) + 1
            raise ExpressionError(error.message, text, error.start + shift, error.end + shift) from None
        near = near_match(short, NAMED)
        raise error if not near else ExpressionError(f"{error.message} {near}", text, 0, len(text)) from None


@dataclass(frozen=True)
class Roles:
    """What the names of a model are: `columns` and `parameters`, each in the order they appear."""

    columns: tuple[str, ...]
    parameters: tuple[str, ...]


def roles(model: ModelText, columns: Collection[str], declared: Sequence[str] = ()) -> Roles:
    """Which names are columns and which are parameters; call `role_problems` first.

    Args:
        model: the model.
        columns: the columns there are.
        declared: the parameters, where the user has listed them.
    """
    is_parameter = set(declared) if declared else set(model.names) - set(columns) - set(CONSTANTS)
    if model.named:
        is_parameter = set(model.names) & {"a", "b"}
    return Roles(
        tuple(
            name
            for name in model.names
            if name not in is_parameter and (name in columns or name not in CONSTANTS)
        ),
        tuple(name for name in model.names if name in is_parameter),
    )


def role_problems(
    model: ModelText, columns: Collection[str], declared: Sequence[str], source: str
) -> Iterator[Problem]:
    """Why the names of a model do not fit the columns there are.

    Args:
        model: the model.
        columns: the columns there are.
        declared: the parameters, where the user has listed them.
        source: what has the columns, such as `data.csv`.
    """
    listed = ", ".join(columns) or "none"
    if model.target in model.names:
        text = f"{model.target!r} is what the model describes, so it cannot stand on its right-hand side."
        yield Problem("model", text, model.right)
    yield from _both(model, columns, declared, source)
    if declared:
        unused = [name for name in declared if name not in model.names]
        if unused:
            text = f"{unused[0]!r} does not occur in the model {model.right}."
            yield Problem("parameters", text, tuple(declared), near_match(unused[0], model.names))
    wanted = roles(model, columns, declared)
    told = False
    for name in wanted.columns:
        if name not in columns and name != model.target:
            also = (
                ""
                if not declared or model.named
                else " If it is a parameter, list it under `parameters` too."
            )
            told = True
            yield _no_column(name, columns, listed, source, also)
    for name in wanted.parameters:
        if not declared and _COLUMN_LIKE.fullmatch(name):
            also = " If it is a parameter, list all parameters under `parameters`."
            told = True
            yield _no_column(name, columns, listed, source, also)
    if not told and not set(model.names) & set(columns):
        yield Problem("model", f"uses no column; {source} has {listed}.", model.right)
    if not wanted.parameters:
        text = f"has no parameter to fit: all its names are columns of {source} ({listed})."
        yield Problem("model", text, model.right)


def _both(
    model: ModelText, columns: Collection[str], declared: Sequence[str], source: str
) -> Iterator[Problem]:
    for name in ("a", "b") if model.named else declared:
        if name in columns and name in model.names:
            text = f"{name!r} is a column of {source} and also a parameter of the model."
            yield Problem("model", text, model.right, "Rename one of them.")


def _no_column(name: str, columns: Iterable[str], listed: str, source: str, also: str) -> Problem:
    near = near_match(name, columns)
    return Problem("model", f"there is no column {name!r} in {source}; it has {listed}.{also}", name, near)
