"""Expectations: what a source says a result should be, and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tui_opt.problems import Problem, near_match, shown
from tui_opt.scenario import Experiment
from tui_opt.sweep import Sweep, same_value

if TYPE_CHECKING:
    from tui_opt.result import Array, Result

_NUMBERS = ("value", "tolerance", "relative", "min", "max", "claimed")
#: findings of a sweep as a whole.
SWEEP_FINDINGS = ("points", "failed_points")
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
    """An expectation with what was measured; `measured` is None where nothing could be, and `why` says why."""

    expectation: Expectation
    measured: float | None
    stderr: float | None
    holds: bool
    why: str = ""


def read_expectations(
    given: Any, experiment: Experiment, *, swept: bool
) -> tuple[dict[int, Expectation], list[Problem]]:
    """Expectations from the `[[expect]]` tables of a scenario file, with every problem of each by itself.

    Args:
        given: the tables.
        experiment: whose findings and arrays they name.
        swept: whether the file has a sweep, which makes arrays of findings and adds findings of its own.

    Returns:
        The expectations that make sense, by their place in the file, and the problems of the others.
    """
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        return {}, [Problem("expect", "must be an array of tables: write [[expect]] before each.", given)]
    findings, arrays = experiment.findings, experiment.arrays
    if swept:
        findings, arrays = findings and (*findings, *SWEEP_FINDINGS), ()
    expectations: dict[int, Expectation] = {}
    problems: list[Problem] = []
    for i, entry in enumerate(given):
        found = _entry_problems(f"expect[{i}]", entry, findings, arrays, experiment.name, swept=swept)
        problems += found
        if not found:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
            for name in _NUMBERS:
                if name in values:
                    values[name] = float(values[name])
            expectations[i] = Expectation(**values)
    return expectations, problems


def point_problems(expectations: Mapping[int, Expectation], sweep: Sweep | None) -> list[Problem]:
    """What is wrong with the sweep points that expectations name, by their place in the file."""
    problems = []
    for i, expectation in expectations.items():
        at = expectation.at
        problem = ""
        if expectation.finding is None:
            continue  # the dims of an array are known only when it is there
        if at is None and (sweep is None or sweep.size == 1 or expectation.finding in SWEEP_FINDINGS):
            continue
        at = at or {}
        if sweep is None:
            problem = "picks a point of a sweep, and this file has no [sweep]."
        elif sweep.find(at) is None or not set(at) <= {axis.name for axis in sweep.axes}:
            axes = ", ".join(f"{a.name} ({len(a.values)} values)" for a in sweep.axes)
            problem = f"is not a point of the sweep over {axes}."
        if problem:
            problems.append(Problem(f"expect[{i}].at", problem, dict(at)))
    return problems


def _entry_problems(
    key: str,
    entry: Mapping[str, Any],
    findings: Sequence[str],
    arrays: Sequence[str],
    asked: str,
    *,
    swept: bool,
) -> list[Problem]:
    problems = [
        Problem(f"{key}.{k}", f"there is no such key; there are {', '.join(_KEYS)}.", v, near_match(k, _KEYS))
        for k, v in entry.items()
        if k not in _KEYS
    ]

    def wrong(name: str, message: str, hint: str = "") -> None:
        problems.append(Problem(f"{key}.{name}" if name else key, message, entry.get(name), hint))

    if ("finding" in entry) == ("array" in entry):
        wrong("", "needs exactly one of `finding` and `array`.")
    for name, known in (("finding", findings), ("array", arrays)):
        value = entry.get(name)
        if name in entry and not isinstance(value, str):
            wrong(name, "must be a name.")
        elif isinstance(value, str) and known and value not in known:
            wrong(
                name,
                f"{asked} has no {name} of that name; it has {', '.join(known)}.",
                near_match(value, known),
            )
    for name in _NUMBERS:
        value = entry.get(name)
        if name in entry and not _is_number(value):
            wrong(name, "must be a number.")
        elif name in ("tolerance", "relative") and name in entry and not (0 <= value < math.inf):  # type: ignore[operator]
            wrong(name, "must be a finite number of at least 0.")
    if "value" in entry and ("min" in entry or "max" in entry):
        wrong("", "has both `value` and a range; give one of them.")
    if _is_number(entry.get("min")) and _is_number(entry.get("max")) and entry["min"] > entry["max"]:
        wrong("min", f"must not be above max = {shown(entry['max'])}: nothing lies between them.")
    for name in ("tolerance", "relative"):
        if name in entry and "value" not in entry and {"min", "max"} & set(entry):
            wrong(name, "goes with `value`; a range of `min` and `max` has none.")
    if "index" in entry and "finding" in entry and not swept:
        wrong("index", "picks an element of an array, and a finding is one number. Leave it out.")
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
    return problems


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


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
    swept = sweep is not None and expectation.finding not in SWEEP_FINDINGS
    if expectation.finding is not None and not swept:
        if expectation.finding not in result.findings:
            hint = near_match(expectation.finding, result.findings)
            raise LookupError(f"This result has no finding {expectation.finding!r}. {hint}".rstrip())
        finding = result.findings[expectation.finding]
        return finding.value, finding.stderr
    name = expectation.finding or expectation.array or ""
    array = _named_array(result, name)
    index = expectation.index
    if expectation.at is not None or expectation.finding is not None:
        index = _index_at(array, expectation, result, sweep)
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


def _index_at(array: Array, expectation: Expectation, result: Result, sweep: Sweep | None) -> tuple[int, ...]:
    """The element that `at` picks by the coordinates of its dims; what dims it leaves out, `index` has entries for."""
    at = expectation.at or {}
    name = expectation.finding or expectation.array
    if unknown := [dim for dim in at if dim not in array.dims]:
        hint = near_match(unknown[0], array.dims)
        raise LookupError(
            f"{name} has no dim {unknown[0]!r}; it has {', '.join(array.dims)}. {hint}".rstrip()
        )
    coordinates = {axis.name: list(axis.values) for axis in sweep.axes} if sweep is not None else {}
    given = list(expectation.index)
    index = []
    for dim, n in zip(array.dims, array.values.shape, strict=True):
        if dim not in at:
            if given:
                index.append(given.pop(0))
            elif n == 1:
                index.append(0)
            else:
                raise LookupError(
                    f"{name} has the dim {dim!r}: say which of its {n} values with `at` or `index`."
                )
            continue
        along = coordinates.get(dim) or (
            result.arrays[dim].values.tolist() if dim in result.arrays else range(n)
        )
        matches = [i for i, c in enumerate(along) if same_value(c, at[dim])]
        if not matches:
            raise LookupError(f"{name} has no element at {dim} = {at[dim]}.")
        index.append(matches[0])
    if given:
        raise LookupError(f"{name} has {array.values.ndim} dims, fewer than `at` and `index` name together.")
    return tuple(index)


def _element(array: Array, index: Sequence[int], name: str) -> float:
    if len(index) != array.values.ndim:
        shape = "×".join(map(str, array.values.shape))
        raise LookupError(
            f"{name} is an array of {shape}, which needs {array.values.ndim} indices, not {len(index)}."
        )
    try:
        return float(array.values[tuple(index)])
    except IndexError:
        shape = "×".join(map(str, array.values.shape))
        raise LookupError(f"{name} is an array of {shape}; it has no element {list(index)}.") from None
