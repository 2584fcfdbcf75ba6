"""Scenarios and their experiments, and the registry of those there are.

Declarations are cheap: an experiment may name the class of its parameters by text, and names its compute function so;
they are imported where they are used. A list of scenarios, and the first frame of the app, import neither.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from tui_opt.errors import UsageError

if TYPE_CHECKING:
    from tui_opt.params import Params
    from tui_opt.result import Result
    from tui_opt.runner.context import Context

ENTRY_POINT_GROUP = "optexplore.scenarios"

#: built-in scenarios in the order of the source texts, by the module that declares them.
BUILT_IN: Mapping[str, str] = {
    "toy-sgd": "tui_opt.experiments.toy_sgd:SCENARIO",
    "probability-current": "tui_opt.experiments.probability_current:SCENARIO",
    "thermostats": "tui_opt.experiments.thermostats:SCENARIO",
    "lorenz": "tui_opt.experiments.lorenz:SCENARIO",
    "own-system": "tui_opt.experiments.own_system:SCENARIO",
    "cos-fit": "tui_opt.experiments.cos_fit:SCENARIO",
    "ocr-localization": "tui_opt.experiments.ocr_localization:SCENARIO",
    "landscape-5x5": "tui_opt.experiments.landscape_5x5:SCENARIO",
}


#: libraries whose modules import one another are half there for a second thread that imports them at the same time.
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Estimate:
    """What a run will take on the reference machine: seconds on one core, and bytes of memory at its peak."""

    seconds: float
    bytes: int


class _ParamsClass:
    """The field `params` of an experiment: a class, or the text `module:class`, imported when it is first asked for."""

    def __get__(self, experiment: Experiment | None, owner: type) -> type[Params]:
        if experiment is None:
            raise AttributeError("params")  # which tells the dataclass that the field has no default
        given = experiment.__dict__["params"]
        if isinstance(given, str):
            given = experiment.__dict__["params"] = load_object(given)
        found: type[Params] = given
        return found

    def __set__(self, experiment: Experiment, given: type[Params] | str) -> None:
        experiment.__dict__["params"] = given


def later(place: str) -> type[Params]:
    """The class at `module:class`, for an experiment that imports it when it is first asked for."""
    return cast("type[Params]", place)


def _nothing(params: Any) -> str:
    return ""


@dataclass(frozen=True)
class Experiment:
    """One question asked of a scenario.

    Args:
        name: name in scenario files.
        title: the question in a few words.
        summary: what is computed and how, a sentence or two.
        params: the declaration of its parameters, a class, or its place by `later`.
        compute: `module:function` called with (params, context), returning a `Result`.
        estimate: cost of a run with the given parameters.
        findings: names of the findings it can report, for checking expectations before a run; empty if they vary.
        arrays: names of the arrays it can return, likewise.
        headline: the findings that stand under its chart.
        devices: kinds of device it can use, the fastest first.
        dtype: precision of its numbers.
        missing: what a run with the given parameters needs and this machine has not, such as a data set, in the words
            of its error; empty where nothing is missing.
        warm: parameters of a tiny run that compiles every kernel it uses, for `optexplore doctor --warm`.
    """

    name: str
    title: str
    summary: str
    if TYPE_CHECKING:
        params: type[Params]
    else:
        params: _ParamsClass = _ParamsClass()
    compute: str
    estimate: Callable[[Any], Estimate]
    findings: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    dtype: str = "float64"
    missing: Callable[[Any], str] = _nothing
    warm: Mapping[str, Any] = field(default_factory=dict)

    def load_compute(self) -> Callable[[Any, Context], Result]:
        """Import the compute function; this is where the heavy libraries come in, and kernels are compiled."""
        with _LOADING:
            function: Callable[[Any, Context], Result] = load_object(self.compute)
        return function


@dataclass(frozen=True)
class Scenario:
    """One system, with the experiments that ask about it.

    Args:
        name: name in scenario files.
        title: what it is, in a few words.
        experiments: in the order they are listed.
        theory_package: package whose `<name>.md` is the theory page.
    """

    name: str
    title: str
    experiments: tuple[Experiment, ...]
    theory_package: str = "tui_opt.theory"
    by_name: Mapping[str, Experiment] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {e.name: e for e in self.experiments})

    def experiment(self, name: str) -> Experiment:
        """The experiment of that name.

        Raises:
            UsageError: there is none; the message lists those there are.
        """
        if name not in self.by_name:
            raise UsageError(_unknown(f"{self.name} has no experiment {name!r}; it has", name, self.by_name))
        return self.by_name[name]

    def theory(self) -> str:
        """The theory page as Markdown, empty where there is none."""
        from importlib import resources

        page = resources.files(self.theory_package) / f"{self.name}.md"
        return page.read_text(encoding="utf-8") if page.is_file() else ""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used, and why."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True)
class Registry:
    """Every scenario there is, and the plugins that were skipped."""

    scenarios: Mapping[str, Scenario]
    broken: tuple[BrokenPlugin, ...]

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name.

        Raises:
            UsageError: there is none; the message lists those there are.
        """
        if name not in self.scenarios:
            raise UsageError(_unknown(f"There is no scenario {name!r}; there are", name, self.scenarios))
        return self.scenarios[name]


def load_object(path: str) -> Any:
    """The object that `module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    from tui_opt.problems import near_match

    return f"{what} {', '.join(known)}. {near_match(name, known)}".rstrip()


@cache
def built_in() -> Mapping[str, Scenario]:
    """The scenarios that ship with the package, without looking for plugins, which takes a while."""
    return {name: load_object(path) for name, path in BUILT_IN.items()}


@cache
def registry() -> Registry:
    """Built-in scenarios, then those of installed packages by entry point; a broken plugin is skipped and reported."""
    from importlib import metadata

    found: dict[str, Scenario] = dict(built_in())
    broken: list[BrokenPlugin] = []
    for entry in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (e.name, e.value)):
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a command prints is for whoever reads it
                scenario = entry.load()
        except BaseException as error:  # a plugin may fail in any way; the others must go on
            broken.append(BrokenPlugin(entry.name, entry.value, f"{type(error).__name__}: {error}"))
            continue
        reason = _unusable(entry.name, scenario, found)
        if reason:
            broken.append(BrokenPlugin(entry.name, entry.value, reason))
        else:
            found[entry.name] = scenario
    return Registry(found, tuple(broken))


def _unusable(name: str, scenario: object, found: Mapping[str, Scenario]) -> str:
    """Why an entry point's object cannot be a scenario, empty if it can."""
    if not isinstance(scenario, Scenario):
        return f"it names a {type(scenario).__name__}, not a tui_opt.scenario.Scenario."
    if scenario.name != name:
        return f"its entry point is called {name!r} but its scenario {scenario.name!r}."
    if name in found:
        return f"a scenario called {name!r} is there already."
    if not scenario.experiments:
        return "it has no experiments."
    return ""
