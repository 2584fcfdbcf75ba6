"""What a user is editing: one experiment's parameters, seed and device, valid or not yet, and the file they came from.

A draft does not change; every edit makes a new one, so that undoing is going back to the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from tui_opt.expressions import ExpressionError, parse
from tui_opt.param_spec import ParamSpec
from tui_opt.param_values import SIGN, Table, as_lists, as_table, as_tuples
from tui_opt.params import Params
from tui_opt.problems import ParameterErrors, Problem, shown
from tui_opt.scenario import Experiment, Scenario
from tui_opt.scenario_file import ScenarioFile, ScenarioFileError, check_document
from tui_opt.sweep import Sweep
from tui_opt.tui.typed import UnreadableError, read_value, show_value, write_value

SEED, DEVICE = "seed", "device"
SWEEP = "sweep."  # before the name of a swept parameter, as in the keys of problems
_SEED_SPEC = ParamSpec(
    SEED, "integer", 0, "The same seed gives the same random numbers.", low=0, high=2**63 - 1
)
_DEVICE_HELP = "Where the run computes; `auto` takes what is fastest for this experiment."


@dataclass(frozen=True)
class Unread:
    """A text that is no value of its parameter yet, and why."""

    text: str
    sentence: str


@dataclass(frozen=True)
class Feedback:
    """What is wrong with a text, a short sentence; and in which columns of it (half-open), where that can be said."""

    sentence: str
    start: int | None = None
    end: int | None = None


@cache
def specs_of(params: type[Params], devices: tuple[str, ...]) -> Mapping[str, ParamSpec]:
    """Everything a draft has a value of, in the order of a form: the parameters, then seed and device."""
    choices = ("auto", *sorted({"cpu", *devices}))
    device = ParamSpec(DEVICE, "choice", "auto", _DEVICE_HELP, choices=choices)
    return {**params.specs(), SEED: _SEED_SPEC, DEVICE: device}


@cache
def _defaults(params: type[Params], devices: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: _normal(spec, spec.default) for name, spec in specs_of(params, devices).items()}


def _normal(spec: ParamSpec, value: Any) -> Any:
    """A value as a draft holds it: tuples for lists, and a real number is a float however it was written."""
    value = as_table(value) if spec.form == "pairs" else as_tuples(value)
    if isinstance(value, tuple):
        if spec.is_pair:
            return (value[0], _normal(spec.of_pair(), value[1]))
        entries = (_normal(spec.of_entry(), entry) for entry in value)
        return Table(entries) if spec.form == "pairs" else tuple(entries)
    return float(value) if spec.kind == "real" and type(value) is int else value


@dataclass(frozen=True)
class Draft:
    """One experiment's values by name, `seed` and `device` among them.

    Args:
        scenario: the system.
        experiment: the question.
        values: a value for every parameter; `Unread` where the text typed is none, and possibly not an allowed one.
        sweep: parameters with the values they take in turn.
        title: what the user calls it.
        origin: the file it came from. Its title and its expectations hold as long as nothing they speak of is changed.
    """

    scenario: Scenario
    experiment: Experiment
    values: Mapping[str, Any]
    sweep: Sweep | None = None
    title: str = ""
    origin: ScenarioFile | None = None

    @classmethod
    def from_defaults(cls, scenario: Scenario, experiment: Experiment) -> Draft:
        """A draft with every default."""
        return cls(scenario, experiment, dict(_defaults(experiment.params, experiment.devices)))

    @classmethod
    def from_file(cls, file: ScenarioFile) -> Draft:
        """A draft of what a preset, or the scenario file of a run, says."""
        values = {**dict(file.params), SEED: file.seed, DEVICE: file.device}
        return cls(file.scenario, file.experiment, values, file.sweep, file.title, file)

    # --- reading -------------------------------------------------------------------------------------------

    @property
    def specs(self) -> Mapping[str, ParamSpec]:
        """The declaration of everything there is a value of, in the order of a form."""
        return specs_of(self.experiment.params, self.experiment.devices)

    def spec(self, name: str, entry: int | None = None) -> ParamSpec:
        """The declaration of a value, or of one entry of a list."""
        spec = self.specs[name]
        if entry is None:
            return spec
        return spec.of_entry().among(self._names(name)) if spec.form == "pairs" else spec.of_entry()

    def has_entries(self, name: str) -> bool:
        """Whether the entries of a value are edited each by itself."""
        return self.specs[name].has_entries

    def _names(self, name: str) -> list[str]:
        """The names in a table, of those pairs that can be read."""
        return [pair[0] for pair in self.values[name] if not isinstance(pair, Unread)]

    def value(self, name: str, entry: int | None = None) -> Any:
        """A value, or one entry of it."""
        return self.values[name] if entry is None else self.values[name][entry]

    def text(self, name: str, entry: int | None = None) -> str:
        """The text to edit; typed unchanged it gives the same draft."""
        value = self.value(name, entry)
        return value.text if isinstance(value, Unread) else write_value(self.spec(name, entry), value)

    def shown(self, name: str, width: int, entry: int | None = None) -> str:
        """The value as a row of `width` columns shows it."""
        value = self.value(name, entry)
        value = value.text if isinstance(value, Unread) else value
        return show_value(self.spec(name, entry), value, width)

    def is_default(self, name: str, entry: int | None = None) -> bool:
        """Whether a value is the declared default."""
        default = _defaults(self.experiment.params, self.experiment.devices)[name]
        if entry is not None:
            return entry < len(default) and bool(self.values[name][entry] == default[entry])
        return bool(self.values[name] == default)

    def changed_from(self, file: ScenarioFile) -> tuple[str, ...]:
        """The names of what differs from a file of the same experiment; `sweep` for its sweep."""
        other = Draft.from_file(file)
        names = [name for name in self.specs if self.values[name] != other.values[name]]
        return (*names, "sweep") if self.sweep != file.sweep else tuple(names)

    @property
    def is_as_loaded(self) -> bool:
        """Whether parameters, seed and sweep are those of the file the draft came from."""
        return self.origin is not None and set(self.changed_from(self.origin)) <= {DEVICE}

    # --- editing -------------------------------------------------------------------------------------------

    def put(self, name: str, value: Any, entry: int | None = None) -> Draft:
        """The draft with another value."""
        if entry is not None:
            entries = self.values[name]
            value = (*entries[:entry], value, *entries[entry + 1 :])
        value = _normal(self.specs[name], value)
        return replace(self, values={**self.values, name: value})

    def typed(self, name: str, text: str, entry: int | None = None) -> Draft:
        """The draft with the value that a text stands for, or with the text where it stands for none."""
        value: Any
        try:
            value = read_value(self.spec(name, entry), text)
        except UnreadableError as error:
            value = Unread(text, str(error))
        return self.put(name, value, entry)

    def add_entry(self, name: str, entry: int, text: str = "") -> Draft:
        """The draft with a further entry before the one at `entry`."""
        entries = self.values[name]
        longer = self.put(name, (*entries[:entry], Unread(text, ""), *entries[entry:]))
        return longer.typed(name, text, entry)

    def remove_entry(self, name: str, entry: int) -> Draft:
        """The draft without an entry; the same draft where fewer are not allowed."""
        entries = self.values[name]
        if len(entries) <= self.specs[name].least:
            return self
        return self.put(name, (*entries[:entry], *entries[entry + 1 :]))

    def drop_axis(self, name: str) -> Draft:
        """The draft that sweeps over this parameter no longer."""
        axes = tuple(axis for axis in self.sweep.axes if axis.name != name) if self.sweep else ()
        return replace(self, sweep=Sweep(axes) if axes else None)

    def reset(self) -> Draft:
        """The draft with every default, without sweep or title."""
        return Draft.from_defaults(self.scenario, self.experiment)

    def reset_value(self, name: str, entry: int | None = None) -> Draft:
        """The draft with the default of one value; the same draft where an entry has none."""
        default = _defaults(self.experiment.params, self.experiment.devices)[name]
        if entry is None:
            return self.put(name, default)
        return self.put(name, default[entry], entry) if entry < len(default) else self

    # --- checking ------------------------------------------------------------------------------------------

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is wrong, with keys such as `steps`, `losses[1]` and `sweep.steps[3]`."""
        return self._checked[1]

    def check(self) -> ScenarioFile:
        """The scenario file that the draft describes, every parameter resolved.

        Raises:
            ParameterErrors: with everything that is wrong.
        """
        file, problems = self._checked
        if file is None:
            raise ParameterErrors(problems)
        return file

    def to_toml(self) -> str:
        """The text of the scenario file; errors as for `check`."""
        return self.check().to_toml()

    @cached_property
    def _checked(self) -> tuple[ScenarioFile | None, tuple[Problem, ...]]:
        unread = [
            Problem(f"{name}[{i}]", entry.sentence, entry.text)
            for name in filter(self.has_entries, self.specs)
            for i, entry in enumerate(self.values[name])
            if isinstance(entry, Unread)
        ]
        twice = [p for name, spec in self.specs.items() if spec.form == "pairs" for p in self._twice(name)]
        try:
            file = check_document(self._document(), "form")
        except ScenarioFileError as error:
            found = [self._as_typed(problem) for problem in error.problems]
            said = {problem.key for problem in (*unread, *twice)}
            return None, (*unread, *twice, *(problem for problem in found if problem.key not in said))
        if unread or twice:
            return None, (*unread, *twice)
        if self.origin is not None and self.is_as_loaded:
            file = replace(
                file,
                description=self.origin.description,
                expectations=self.origin.expectations,
                source=self.origin.source,
            )
        return file, ()

    def _document(self) -> dict[str, Any]:
        plain = {n: _plain(v) for n, v in self.values.items()}
        seed, device = plain.pop(SEED), plain.pop(DEVICE)
        document: dict[str, Any] = {
            "scenario": self.scenario.name,
            "experiment": self.experiment.name,
            "seed": seed,
            "device": device,
            "params": {name: value for name, value in plain.items() if value is not None},
        }
        if self.origin is not None:
            document["size"] = self.origin.size
        if self.title and (self.is_as_loaded or self.origin is None or self.title != self.origin.title):
            document["title"] = self.title
        if self.sweep is not None:
            document["sweep"] = self.sweep.plain()
        return document

    def _as_typed(self, problem: Problem) -> Problem:
        """A problem under the name the form has for the value; what cannot be read is said in the reader's words."""
        name = problem.key.removeprefix("params.")
        table, dot, inside = name.partition(".")
        if dot and table in self.specs and self.specs[table].form == "pairs":
            pairs = enumerate(self.values[table])
            entry = next((i for i, pair in pairs if not isinstance(pair, Unread) and pair[0] == inside), None)
            return replace(problem, key=table if entry is None else f"{table}[{entry}]")
        value = self.values.get(name)
        if isinstance(value, Unread):
            return Problem(name, value.sentence, value.text)
        return replace(problem, key=name)

    def _twice(self, name: str) -> list[Problem]:
        """Names of a table that are given more than once."""
        found, seen = [], set[str]()
        for i, pair in enumerate(self.values[name]):
            if isinstance(pair, Unread):
                continue
            if pair[0] in seen:
                found.append(Problem(f"{name}[{i}]", f"the name {shown(pair[0])} is there twice.", pair[0]))
            seen.add(pair[0])
        return found

    # --- what to say ---------------------------------------------------------------------------------------

    def has_problem(self, name: str, entry: int | None = None) -> bool:
        """Whether anything is wrong with a value; with a list of entries as such, where no entry is named."""
        return self._problem(name, entry) is not None

    def complaint(self, name: str, entry: int | None = None) -> Feedback | None:
        """What is wrong with a value as it stands."""
        problem = self._problem(name, entry)
        if problem is None:
            return None
        own = None
        if name in self.values and not (entry is None and self.has_entries(name)):
            own = self._own_feedback(name, self.text(name, entry), entry)
        return own or Feedback(_sentence(problem))

    def feedback(self, name: str, text: str, entry: int | None = None) -> Feedback | None:
        """What would be wrong if this text were the value, whether by itself or together with the other values."""
        own = self._own_feedback(name, text, entry)
        if own is not None:
            return own
        before = {problem.key for problem in replace(self, sweep=None).problems}
        key = name if entry is None else f"{name}[{entry}]"
        for problem in replace(self.typed(name, text, entry), sweep=None).problems:
            if problem.key in (name, key):
                return Feedback(_sentence(problem))
            if problem.key not in before:
                return Feedback(f"{problem.key} {_first_line(problem)}")
        return None

    def _problem(self, name: str, entry: int | None) -> Problem | None:
        key = name if entry is None else f"{name}[{entry}]"
        inside = () if entry is not None or (name in self.specs and self.has_entries(name)) else (f"{key}[",)
        return next((p for p in self.problems if p.key == key or p.key.startswith(inside)), None)

    def _own_feedback(self, name: str, text: str, entry: int | None) -> Feedback | None:
        """What is wrong with a text, whatever the other values are."""
        spec = self.spec(name, entry)
        try:
            value = read_value(spec, text)
        except UnreadableError as error:
            return Feedback(str(error))
        if spec.is_pair:
            return self._pair_feedback(name, entry, text, value)
        if spec.kind == "expression":
            return _expression_feedback(spec, value)
        for one in value if isinstance(value, tuple) else (value,):
            if spec.of_entry().problems(name, one):
                subject = f"{shown(one)} must" if isinstance(value, tuple) else "Must"
                return Feedback(f"{subject} be {spec.bounds_text()}.")
        if name in (SEED, DEVICE):
            return next(
                (Feedback(_sentence(p)) for p in self.put(name, value).problems if p.key == name), None
            )
        given = (value,) if entry is not None and spec.form == "values" and not spec.many else value
        if entry is not None and spec.many:  # one row of several
            given = (value,)
        found = self.experiment.params.value_problems(name, given, name) if given is not None else ()
        return next((Feedback(_sentence(p)) for p in found), None)

    def _pair_feedback(
        self, name: str, entry: int | None, text: str, pair: tuple[str, Any]
    ) -> Feedback | None:
        """What is wrong with a pair; the place of an error is one in the whole text."""
        others = [n for i, n in enumerate(self.values[name]) if i != entry and not isinstance(n, Unread)]
        spec = self.specs[name].of_entry().among([pair[0], *(n for n, _ in others)])
        if pair[0] in dict(others):
            return Feedback(f"The name {shown(pair[0])} is there twice.")
        found = spec.problems(name, pair)
        own = _expression_feedback(spec.of_pair(), pair[1]) if spec.kind == "expression" else None
        if own is not None and (not found or found[0].given != pair[0]):
            before = len(text) - len(text.partition(SIGN)[2].lstrip())
            start, end = (None if place is None else place + before for place in (own.start, own.end))
            return Feedback(own.sentence, start, end)
        return Feedback(_sentence(found[0])) if found else None

    def note(self, name: str, text: str, entry: int | None = None) -> str:
        """What a text that nothing is wrong with is understood as."""
        spec = self.spec(name, entry)
        if spec.kind != "expression":
            return f"ok: {spec.allowed}"
        if not spec.is_pair:
            return expression_note(spec, text)
        try:
            own, value = read_value(spec, text)
        except UnreadableError:
            return ""
        return expression_note(spec.among([own, *self._names(name)]).of_pair(), value)


def _plain(value: Any) -> Any:
    """A value as a document has it; of what cannot be read its text, and of a table what can be read."""
    if isinstance(value, Unread):
        return value.text
    if isinstance(value, Table):
        return as_lists(Table(pair for pair in value if not isinstance(pair, Unread)))
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value


def _expression_feedback(spec: ParamSpec, text: str) -> Feedback | None:
    try:
        parse(text, spec.variables)
    except ExpressionError as error:
        sentence, listing, names = error.message.partition(" Functions:")
        known = "" if "Did you mean" in sentence else listing + names
        return Feedback(sentence + known, error.start, error.end)
    return None


def expression_note(spec: ParamSpec, text: str) -> str:
    """A sign that an expression is understood: the variables it has, and its slope where that is short."""
    try:
        expression = parse(text, spec.variables)
    except ExpressionError:
        return ""
    used = [
        v for v in expression.variables if any(n.op == "variable" and n.leaf == v for n in expression.nodes)
    ]
    note = f"ok, in {', '.join(used)}" if used else "ok, a constant"
    if len(used) == 1 and len(expression.nodes) <= _SHORT:
        note += f"; d/d{used[0]} = {expression.derivative(used[0])}"
    return note


_SHORT = 40  # operations and operands


def _first_line(problem: Problem) -> str:
    return " ".join(part for part in (problem.message.partition("\n")[0], problem.hint) if part)


def _sentence(problem: Problem) -> str:
    text = _first_line(problem)
    return text[:1].upper() + text[1:]
