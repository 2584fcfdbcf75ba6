"""Values of parameters that are more than one thing: lists, tables of names with values, rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: stands between the name and the value of a pair where it is written in one line.
SIGN = "="


class Table(tuple[tuple[str, Any], ...]):
    """Names with their values, in the order given: `dict(table)` looks them up.

    A tuple of pairs rather than a mapping: it has an order that counts, and does not change.
    """

    __slots__ = ()

    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(name for name, _ in self)


def as_table(value: Any) -> Any:
    """A mapping of names as a table; anything else as it is."""
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return Table((name, as_tuples(entry)) for name, entry in value.items())
    return value


def as_lists(value: Any) -> Any:
    """A value as TOML and JSON have it: lists for tuples, mappings for tables."""
    if isinstance(value, Table):
        return {name: as_lists(v) for name, v in value}
    if isinstance(value, tuple | list):
        return [as_lists(v) for v in value]
    return value


def as_tuples(value: Any) -> Any:
    """Tuples for lists; arrays and scalars of array libraries become the plain values they hold."""
    if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
        value = value.tolist()
    if isinstance(value, Table):
        return value
    return tuple(as_tuples(v) for v in value) if isinstance(value, list | tuple) else value
