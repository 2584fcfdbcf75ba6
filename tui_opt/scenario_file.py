"""Scenario files: a TOML file that names an experiment, its parameters, a sweep, and what to expect."""

from __future__ import annotations

import numbers
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from tui_opt.errors import UsageError
from tui_opt.expectations import Expectation, point_problems, read_expectations
from tui_opt.input_files import with_located_files
from tui_opt.param_values import as_lists
from tui_opt.params import Params
from tui_opt.problems import MOST_HINTS, ParameterErrors, Problem, near_match, shown
from tui_opt.scenario import Experiment, Scenario, registry
from tui_opt.sweep import Sweep, read_sweep

KEYS = (
    "scenario",
    "experiment",
    "title",
    "description",
    "seed",
    "device",
    "size",
    "params",
    "sweep",
    "expect",
)
_MOST_DIGITS = 4
SIZES = ("laptop", "gpu")
MOST_BYTES = 10_000_000
#: how much a run's label says.
MOST_IN_LABEL = 3
LONGEST_IN_LABEL = 20


class ScenarioFileError(UsageError):
    """A scenario file cannot be used; the text lists everything that is wrong with it, a line each."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = list(problems)
        lines = [f"{source} cannot be used:"]
        lines += ["  " + str(problem).replace("\n", "\n    ") for problem in problems[:MOST_HINTS]]
        if len(problems) > MOST_HINTS:
            lines.append(f"  … and {len(problems) - MOST_HINTS:,} more problems.")
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class ScenarioFile:
    """A checked scenario file. `source` is where it came from, for messages."""

    scenario: Scenario
    experiment: Experiment
    params: Params
    title: str = ""
    description: str = ""
    seed: int = 0
    device: str = "auto"
    size: str = "laptop"
    sweep: Sweep | None = None
    expectations: tuple[Expectation, ...] = ()
    source: str = field(default="", compare=False)

    def plain(self) -> dict[str, Any]:
        """As TOML takes it, every parameter resolved: running it again reproduces the run."""
        out: dict[str, Any] = {"scenario": self.scenario.name, "experiment": self.experiment.name}
        out |= {key: text for key, text in (("title", self.title), ("description", self.description)) if text}
        out |= {"seed": self.seed, "device": self.device, "size": self.size, "params": self.params.plain()}
        if self.sweep is not None:
            out["sweep"] = self.sweep.plain()
        if self.expectations:
            out["expect"] = [e.plain() for e in self.expectations]
        return out

    def to_toml(self) -> str:
        """The text of an equal scenario file."""
        return tomli_w.dumps(self.plain())

    @property
    def label(self) -> str:
        """What tells a run of this file from others in a list: its title, or else the values that are no defaults."""
        return self.title or ", ".join([*self._swept(), *self._changed()][:MOST_IN_LABEL])

    def _swept(self) -> list[str]:
        return [f"{axis.name} × {len(axis.values)}" for axis in self.sweep.axes] if self.sweep else []

    def _changed(self) -> list[str]:
        found = []
        for name, spec in self.experiment.params.specs().items():
            value = as_lists(getattr(self.params, name))
            if value == spec.default or value is None:
                continue
            text = shown(value) if isinstance(value, int | float) else str(value)
            if isinstance(value, list | dict):
                alone = isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list)
                text = shown(value[0]) if alone else f"× {len(value)}"
            found.append(f"{spec.symbol or name} {text[:LONGEST_IN_LABEL]}")
        return found + ([f"seed {self.seed}"] if self.seed else [])

    def at_point(self, values: Mapping[str, Any]) -> ScenarioFile:
        """The same question at one point of its sweep, as a file of its own.

        Raises:
            ParameterErrors: the values do not make allowed parameters.
        """
        values = dict(values)
        seed = values.pop("seed", self.seed)
        params = self.experiment.params.check({**self.params.plain(), **values})
        return replace(self, params=params, seed=seed, sweep=None, expectations=())


def read_file(path: Path, overrides: Iterable[str] = ()) -> ScenarioFile:
    """Read and check a scenario file.

    Args:
        path: the TOML file.
        overrides: texts `key.path=value` that replace or add values, as after `--set`.

    Raises:
        ScenarioFileError: with everything that is wrong.
    """
    source = str(path)
    try:
        with open(
            path, "rb"
        ) as file:  # its size is not asked for: it may be a pipe, or a device that never ends
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ScenarioFileError(
                source, [Problem("file", "is larger than 10 MB, which no scenario file is.")]
            )
        text = data.decode("utf-8-sig")  # some editors put a mark before the text
    except UnicodeDecodeError as error:
        raise ScenarioFileError(
            source, [Problem("file", f"is not UTF-8 text (byte {error.start}).")]
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioFileError(source, [Problem("file", f"cannot be read: {reason}.")]) from None
    return read_text(text, source, overrides)


def read_text(text: str, source: str = "scenario file", overrides: Iterable[str] = ()) -> ScenarioFile:
    """Check the text of a scenario file; arguments and errors as for `read_file`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioFileError(source, [Problem("TOML", f"{error}.")]) from None
    except (RecursionError, ValueError) as error:  # tomllib on deep nesting and absurd numbers
        raise ScenarioFileError(source, [Problem("TOML", f"cannot be parsed: {error}.")]) from None
    problems = [p for override in overrides for p in apply_override(document, override)]
    try:
        return check_document(document, source, problems)
    except RecursionError:
        raise ScenarioFileError(source, [Problem("TOML", "nests tables or lists too deeply.")]) from None


def apply_override(document: dict[str, Any], override: str) -> list[Problem]:
    """Set one `key.path=value` in a document; the value is read as TOML, or as a text where it is not TOML."""
    if not _is_text(override):
        return [Problem("--set", f"is not UTF-8 text: {override!r}.")]
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not all(part for part in key.split(".")):
        return [Problem("--set", f"takes key=value, such as params.temperature=0.02, not {override!r}.")]
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        parsed = {}
    value = parsed["value"] if len(parsed) == 1 else text.strip()  # more than one is a text of several lines
    *path, last = key.split(".")
    table = document
    for part in path:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return [Problem(f"--set {key}", f"{part!r} is not a table.")]
        table = inner
    table[last] = value
    return []


def _is_text(given: str) -> bool:
    """Whether a command line's word is text; bytes that are not arrive as lone surrogates."""
    try:
        given.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_document(document: Mapping[str, Any], source: str, earlier: Sequence[Problem] = ()) -> ScenarioFile:
    """Check a parsed scenario file; errors as for `read_file`."""
    problems = list(earlier)
    for key, value in document.items():
        if key not in KEYS:
            hint = ""
            if len(problems) < MOST_HINTS:
                hint = _belongs_in_params(key, document) or near_match(key, KEYS)
            problems.append(Problem(key, f"there is no such key; there are {', '.join(KEYS)}.", value, hint))
    problems += _head_problems(document)
    scenario, experiment, found = _experiment(document)
    problems += found
    params: Params | None = None
    sweep: Sweep | None = None
    sweep_problems: list[Problem] = []
    expectations: list[Expectation] = []
    if experiment is not None:
        document = with_located_files(document, experiment.params.specs(), Path(source))
        given = document.get("params", {})
        if not isinstance(given, dict):
            problems.append(
                Problem("params", "must be a table: write [params] before the parameters.", given)
            )
        else:
            try:
                params = experiment.params.check(given)
            except ParameterErrors as errors:
                problems += errors.problems
        if "sweep" in document:
            sweep, sweep_problems = read_sweep(document["sweep"], experiment.params.specs())
            if sweep is not None:
                sweep_problems += _value_problems(experiment, sweep)
            problems += sweep_problems
        if "expect" in document:
            entries, found = read_expectations(document["expect"], experiment, swept="sweep" in document)
            expectations = list(entries.values())
            problems += found
            if not sweep_problems:
                problems += point_problems(entries, sweep)
    if problems or scenario is None or experiment is None or params is None:
        raise ScenarioFileError(source, problems)
    return ScenarioFile(
        scenario=scenario,
        experiment=experiment,
        params=params,
        title=document.get("title", ""),
        description=document.get("description", ""),
        seed=int(document.get("seed", 0)),
        device=document.get("device", "auto"),
        size=document.get("size", "laptop"),
        sweep=sweep,
        expectations=tuple(expectations),
        source=source,
    )


def _belongs_in_params(key: str, document: Mapping[str, Any]) -> str:
    try:
        experiment = registry().scenario(document["scenario"]).experiment(document["experiment"])
    except (UsageError, KeyError, TypeError):
        return ""
    return "It is a parameter: put it under [params]." if key in experiment.params.specs() else ""


def _head_problems(document: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(key, "must be a text.", document[key])
        for key in ("title", "description", "device", "size")
        if key in document and not isinstance(document[key], str)
    ]
    seed = document.get("seed", 0)
    if not _is_seed(seed):
        problems.append(Problem("seed", "must be a whole number from 0 to 2^63 - 1.", seed))
    size = document.get("size", "laptop")
    if isinstance(size, str) and size not in SIZES:
        problems.append(
            Problem(
                "size", f"must be one of {', '.join(SIZES)}, not {size!r}.", size, near_match(size, SIZES)
            )
        )
    device = document.get("device", "auto")
    if isinstance(device, str) and not is_device_name(device):
        allowed = "must be auto, cpu, cuda, or cuda:N with N the number of a device"
        problems.append(
            Problem(
                "device",
                f"{allowed}, not {shown(device)}.",
                device,
                near_match(device, ("auto", "cpu", "cuda")),
            )
        )
    return problems


def is_device_name(text: str) -> bool:
    """Whether a text can name a device: `auto`, `cpu`, `cuda`, `cuda:N`."""
    kind, colon, number = text.partition(":")
    return text in ("auto", "cpu", "cuda") or (
        kind == "cuda"
        and bool(colon)
        and number.isascii()
        and number.isdigit()
        and len(number) <= _MOST_DIGITS
    )


def _experiment(document: Mapping[str, Any]) -> tuple[Scenario | None, Experiment | None, list[Problem]]:
    problems = []
    known = registry()
    for key, example in (("scenario", ", ".join(known.scenarios)), ("experiment", "its name")):
        if key not in document:
            problems.append(Problem(key, f"is missing; give {example}."))
        elif not isinstance(document[key], str):
            problems.append(Problem(key, "must be a text.", document[key]))
    if problems:
        return None, None, problems
    try:
        scenario = known.scenario(document["scenario"])
    except UsageError as error:
        return None, None, [Problem("scenario", str(error), document["scenario"])]
    try:
        return scenario, scenario.experiment(document["experiment"]), []
    except UsageError as error:
        return scenario, None, [Problem("experiment", str(error), document["experiment"])]


def _value_problems(experiment: Experiment, sweep: Sweep) -> list[Problem]:
    """Every value of every axis must be allowed by itself; rules between parameters are checked at each point."""
    problems: list[Problem] = []
    specs = experiment.params.specs()
    for axis in sweep.axes:
        found: list[Problem] = []
        allowed: set[str] = set()
        for i, value in enumerate(axis.values):
            key = f"sweep.{axis.name}[{i}]"
            if axis.name == "seed":
                if not _is_seed(value):
                    found.append(Problem(key, "must be a whole number from 0 to 2^63 - 1.", value))
            elif not specs[axis.name].is_plain_number(value) and (text := _text_of(value)) not in allowed:
                wrong = experiment.params.value_problems(axis.name, value, key)
                found += wrong
                if not wrong:
                    allowed.add(text)
            if len(found) > MOST_HINTS:
                break  # no message shows more
        problems += found
    return problems


def _text_of(value: Any) -> str:
    """A text that tells values apart. Whole numbers too long for Python to write are never allowed ones."""
    try:
        return repr(value)
    except ValueError:
        return ""


def _is_seed(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Integral) and 0 <= int(value) < 2**63
