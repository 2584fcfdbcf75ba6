"""Sweeps: the product of parameter values, cut into points in file order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tui_opt.param_spec import ParamSpec
from tui_opt.problems import Problem, near_match

MOST_POINTS = 1_000_000
_RANGE_KEYS = ("from", "to", "num", "log")


@dataclass(frozen=True)
class SweepAxis:
    """A parameter and the values it takes in turn."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Sweep:
    """Axes in file order; the first varies slowest. Point k has the mixed-radix digits of k as its index."""

    axes: tuple[SweepAxis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    def index(self, point: int) -> tuple[int, ...]:
        """The multi-index of a point."""
        digits = []
        for n in reversed(self.shape):
            point, digit = divmod(point, n)
            digits.append(digit)
        return tuple(reversed(digits))

    def values(self, point: int) -> dict[str, Any]:
        """The swept parameters' values at a point."""
        return {axis.name: axis.values[i] for axis, i in zip(self.axes, self.index(point), strict=True)}

    def points(self) -> Iterator[dict[str, Any]]:
        """All points in order."""
        return (self.values(k) for k in range(self.size))

    def find(self, at: Mapping[str, Any]) -> int | None:
        """The point with these values, or None. Numbers match to 12 digits. Axes of one value need not be named."""
        index = []
        for axis in self.axes:
            if axis.name not in at and len(axis.values) > 1:
                return None
            wanted = at.get(axis.name, axis.values[0])
            matches = [i for i, value in enumerate(axis.values) if same_value(value, wanted)]
            if not matches:
                return None
            index.append(matches[0])
        point = 0
        for i, n in zip(index, self.shape, strict=True):
            point = point * n + i
        return point

    def plain(self) -> dict[str, list[Any]]:
        """As TOML takes it."""
        return {axis.name: list(axis.values) for axis in self.axes}


def same_value(a: Any, b: Any) -> bool:
    """Whether two parameter values are the same; numbers to 12 digits."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        try:
            return math.isclose(a, b, rel_tol=1e-12, abs_tol=0.0)
        except OverflowError:  # a whole number beyond every float
            return a == b
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def read_sweep(given: Any, specs: Mapping[str, ParamSpec]) -> tuple[Sweep | None, list[Problem]]:
    """A sweep from the `[sweep]` table of a scenario file, with every problem found."""
    if not isinstance(given, dict):
        return None, [
            Problem("sweep", "must be a table: name = [values] or {from=, to=, num=, log=}.", given)
        ]
    if not given:
        return None, [Problem("sweep", "is empty: name a parameter and its values, or leave [sweep] out.")]
    axes: list[SweepAxis] = []
    problems: list[Problem] = []
    for name, entry in given.items():
        key = f"sweep.{name}"
        if name not in specs and name != "seed":
            known = ", ".join(specs)
            problems.append(
                Problem(
                    key, f"there is no such parameter; there are {known}.", entry, near_match(name, specs)
                )
            )
            continue
        whole = name == "seed" or specs[name].kind == "integer"
        values, found = _axis_values(key, entry, whole=whole)
        problems += found
        if values:
            axes.append(SweepAxis(name, tuple(values)))
        points = math.prod(len(a.values) for a in axes)
        if points > MOST_POINTS:  # and further axes only make it worse
            text = f"has at least {points:,} points; at most {MOST_POINTS:,} are allowed. Use fewer values."
            problems.append(Problem("sweep", text))
            break
    if problems or not axes:
        return None, problems
    return Sweep(tuple(axes)), []


def _axis_values(key: str, entry: Any, *, whole: bool) -> tuple[list[Any], list[Problem]]:
    if isinstance(entry, list):
        if not entry:
            return [], [Problem(key, "must not be an empty list.", entry)]
        return entry, []
    if not isinstance(entry, dict):
        return [], [Problem(key, "must be a list of values or a table {from=, to=, num=, log=}.", entry)]
    problems = [
        Problem(
            f"{key}.{k}",
            f"there is no such key; there are {', '.join(_RANGE_KEYS)}.",
            v,
            near_match(k, _RANGE_KEYS),
        )
        for k, v in entry.items()
        if k not in _RANGE_KEYS
    ]
    low: Any = entry.get("from")
    high: Any = entry.get("to")
    num: Any = entry.get("num")
    log: Any = entry.get("log", False)
    for name, value in (("from", low), ("to", high)):
        if not _is_finite_number(value):
            problems.append(Problem(f"{key}.{name}", "must be a finite number.", value))
    if isinstance(num, bool) or not isinstance(num, int) or not 1 <= num <= MOST_POINTS:
        problems.append(Problem(f"{key}.num", f"must be a whole number from 1 to {MOST_POINTS:,}.", num))
    if not isinstance(log, bool):
        problems.append(Problem(f"{key}.log", "must be true or false.", log))
    if problems:
        return [], problems
    if log and (low <= 0 or high <= 0):
        return [], [Problem(key, "a logarithmic range needs `from` and `to` above 0.", entry)]
    return _spaced(float(low), float(high), num, log, whole=whole), []


def _is_finite_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _spaced(low: float, high: float, num: int, log: bool, *, whole: bool) -> list[Any]:
    """Evenly spaced values with exact ends; whole parameters are rounded and repeats dropped."""
    if num == 1:
        values = [low]
    elif log:
        # The quotient of the ends may overflow, the difference of their logarithms cannot.
        start, width = math.log(low), math.log(high) - math.log(low)
        values = [low] + [math.exp(start + width * i / (num - 1)) for i in range(1, num - 1)] + [high]
    else:
        # The difference of the ends may overflow, their weighted mean cannot.
        shares = (i / (num - 1) for i in range(num - 1))
        least, most = sorted((low, high))
        values = [min(max(low * (1 - t) + high * t, least), most) for t in shares] + [high]
    if whole:
        return list(dict.fromkeys(round(v) for v in values))
    return values
