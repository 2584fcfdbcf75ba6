"""Expectations: what a source says a result should be, and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

from tui_opt.params import Problem, near_match
from tui_opt.scenario import Experiment
from tui_opt.sweep import Sweep, same_value

if TYPE_CHECKING:
    from tui_opt.result import Array, Result

VERDICTS = ("reproduced", "corrected", "not-reproduced")
_KEYS = (
    "finding", "array", "index", "at", "value", "tolerance", "relative", "min", "max",
    "verdict", "claimed", "source", "claim", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    """A finding's or an array element's value according to a source.

    Exactly one of `finding` and `array` is set. The value must lie within `tolerance` (absolute) or `relative` of
    `value`, or between `min` and `max`. `at` picks a sweep point, or an element by the coordinates of its dims.
    `claimed` is the source's own number where it differs from `value`.
    """

    finding: str | None = None
    array: str | None = None
    index: tuple[int, ...] = ()
    at: Mapping[str, Any] | None = None
    value: float | None = None
    tolerance: float = 0.0
    relative: float = 0.0
    min: float | None = None
    max: float | None = None
    verdict: str = "reproduced"
    claimed: float | None = None
    source: str = ""
    claim: str = ""
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """As TOML takes it: only what was said."""
        out = {}
        for key, value in asdict(self).items():
            if value is None or value in ("", ()) or (key in ("tolerance", "relative") and value == 0.0):
                continue
            out[key] = list(value) if isinstance(value, tuple) else value
        return out

    @property
    def target(self) -> str:
        """What is expected, such as `finding escape_probability` or `escape_operator[3,1]`."""
        name = self.finding or f"{self.array}[{','.join(map(str, self.index))}]"
        if self.at:
            name += " at " + ", ".join(f"{k}={v}" for k, v in self.at.items())
        return name

    def accepts(self, measured: float) -> bool:
        """Whether a measured number is what is expected. NaN is expected only by `value = nan`."""
        if self.value is not None:
            if math.isnan(self.value) or math.isnan(measured):
                return math.isnan(self.value) and math.isnan(measured)
            if math.isinf(self.value) or math.isinf(measured):
                return self.value == measured
            return abs(measured - self.value) <= max(self.tolerance, self.relative * abs(self.value))
        if math.isnan(measured):
            return False
        return (self.min is None or measured >= self.min) and (self.max is None or measured <= self.max)


@dataclass(frozen=True)
class Outcome:
    """An expectation with what was measured; `measured` is None where there was nothing to measure, and `why` says so."""

    expectation: Expectation
    measured: float | None
    stderr: float | None
    holds: bool
    why: str = ""


def read_expectations(given: Any, experiment: Experiment, sweep: Sweep | None) -> tuple[list[Expectation], list[Problem]]:
    """Expectations from the `[[expect]]` tables of a scenario file, with every problem found."""
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        return [], [Problem("expect", "must be an array of tables: write [[expect]] before each.", given)]
    expectations: list[Expectation] = []
    problems: list[Problem] = []
    for i, entry in enumerate(given):
        key = f"expect[{i}]"
        found = _entry_problems(key, entry, experiment, sweep)
        problems += found
        if not found:
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
            for name in ("value", "tolerance", "relative", "min", "max", "claimed"):
                if name in values:
                    values[name] = float(values[name])
            expectations.append(Expectation(**values))
    return expectations, problems


def _entry_problems(key: str, entry: Mapping[str, Any], experiment: Experiment, sweep: Sweep | None) -> list[Problem]:
    problems = [
        Problem(f"{key}.{k}", f"there is no such key; there are {', '.join(_KEYS)}.", v, near_match(k, _KEYS))
        for k, v in entry.items()
        if k not in _KEYS
    ]

    def wrong(name: str, message: str, hint: str = "") -> None:
        problems.append(Problem(f"{key}.{name}" if name else key, message, entry.get(name), hint))

    if ("finding" in entry) == ("array" in entry):
        wrong("", "needs exactly one of `finding` and `array`.")
    for name, known in (("finding", experiment.findings), ("array", experiment.arrays)):
        value = entry.get(name)
        if name in entry and not isinstance(value, str):
            wrong(name, "must be a name.")
        elif isinstance(value, str) and known and value not in known and sweep is None:
            wrong(name, f"{experiment.name} has no {name} of that name; it has {', '.join(known)}.", near_match(value, known))
    for name in ("value", "tolerance", "relative", "min", "max", "claimed"):
        value = entry.get(name)
        if name in entry and (isinstance(value, bool) or not isinstance(value, int | float)):
            wrong(name, "must be a number.")
        elif name in ("tolerance", "relative") and name in entry and not (0 <= value < math.inf):  # type: ignore[operator]
            wrong(name, "must be a finite number of at least 0.")
    if "value" in entry and ("min" in entry or "max" in entry):
        wrong("", "has both `value` and a range; give one of them.")
    if not {"value", "min", "max"} & set(entry):
        wrong("", "says nothing to hold: give `value` with `tolerance`, or `min` and `max`.")
    if "verdict" in entry and entry["verdict"] not in VERDICTS:
        hint = near_match(entry["verdict"], VERDICTS) if isinstance(entry["verdict"], str) else ""
        wrong("verdict", f"must be one of {', '.join(VERDICTS)}.", hint)
    for name in ("source", "claim", "note"):
        if name in entry and not isinstance(entry[name], str):
            wrong(name, "must be a text.")
    index = entry.get("index", [])
    if not isinstance(index, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in index):
        wrong("index", "must be a list of whole numbers, one per dim.")
    at = entry.get("at")
    if at is not None and not isinstance(at, dict):
        wrong("at", "must be a table such as {temperature = 0.02}.")
    elif at is not None and sweep is not None and sweep.find(at) is None and "array" not in entry:
        axes = ", ".join(f"{a.name} ({len(a.values)} values)" for a in sweep.axes)
        wrong("at", f"is not a point of the sweep over {axes}.")
    elif at is not None and sweep is None and "array" not in entry:
        wrong("at", "picks a point of a sweep, and this file has no [sweep].")
    return problems


def judge(expectations: Iterable[Expectation], result: Result, sweep: Sweep | None = None) -> list[Outcome]:
    """Compare a result with what is expected of it, in order."""
    return [_judge_one(e, result, sweep) for e in expectations]


def _judge_one(expectation: Expectation, result: Result, sweep: Sweep | None) -> Outcome:
    try:
        measured, stderr = _measure(expectation, result, sweep)
    except LookupError as error:
        return Outcome(expectation, None, None, False, str(error.args[0]))
    return Outcome(expectation, measured, stderr, expectation.accepts(measured))


def _measure(expectation: Expectation, result: Result, sweep: Sweep | None) -> tuple[float, float | None]:
    if expectation.finding is not None and sweep is None:
        if expectation.finding not in result.findings:
            hint = near_match(expectation.finding, result.findings)
            raise LookupError(f"This result has no finding {expectation.finding!r}. {hint}".rstrip())
        finding = result.findings[expectation.finding]
        return finding.value, finding.stderr
    name = expectation.finding or expectation.array or ""
    array = _named_array(result, name)
    index = expectation.index
    at = expectation.at or {}
    if sweep is not None and (at or expectation.finding is not None):
        point = sweep.find({k: v for k, v in at.items() if any(a.name == k for a in sweep.axes)})
        if point is None:
            raise LookupError(f"{expectation.target} is not a point of the sweep.")
        index = sweep.index(point) + index
    elif at:
        index = _index_at(array, at, result, name)
    value = _element(array, index, name)
    stderr_array = result.arrays.get(f"{name}_stderr")
    stderr = None
    if stderr_array is not None and stderr_array.values.shape == array.values.shape:
        stderr = float(stderr_array.values[index])
    return value, stderr


def _named_array(result: Result, name: str) -> Array:
    if name not in result.arrays:
        raise LookupError(f"This result has no array {name!r}. {near_match(name, result.arrays)}".rstrip())
    return result.arrays[name]


def _index_at(array: Array, at: Mapping[str, Any], result: Result, name: str) -> tuple[int, ...]:
    """The element whose coordinates are the given values."""
    index = []
    for dim, n in zip(array.dims, array.values.shape, strict=True):
        if dim not in at:
            if n == 1:
                index.append(0)
                continue
            raise LookupError(f"{name} has the dim {dim!r}: say which of its {n} values with `at` or `index`.")
        coordinates = result.arrays[dim].values.tolist() if dim in result.arrays else list(range(n))
        matches = [i for i, c in enumerate(coordinates) if same_value(c, at[dim])]
        if not matches:
            raise LookupError(f"{name} has no element at {dim} = {at[dim]}.")
        index.append(matches[0])
    return tuple(index)


def _element(array: Array, index: Sequence[int], name: str) -> float:
    if len(index) != array.values.ndim:
        shape = "×".join(map(str, array.values.shape))
        raise LookupError(f"{name} is an array of {shape}, which needs {array.values.ndim} indices, not {len(index)}.")
    try:
        return float(array.values[tuple(index)])
    except IndexError:
        shape = "×".join(map(str, array.values.shape))
        raise LookupError(f"{name} is an array of {shape}; it has no element {list(index)}.") from None
