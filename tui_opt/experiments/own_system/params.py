"""Parameters of own-system: nodes with an update expression each, and what is asked about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field

from tui_opt.param_values import Table, as_tuples
from tui_opt.params import Numbers, Params, Real, Texts, Whole, choice, real, table, whole
from tui_opt.problems import ParameterErrors, Problem, near_match

CLOCK = "t"
MOST_NODES = 64
MOST_STEPS = 10_000_000
MOST_OUTPUTS = 1_000_000
MOST_DELTAS = 16
#: entries of the largest array.
MOST_NUMBERS = 50_000_000
THERMOSTAT = {"room": "room - 0.01*machine", "machine": "room - 25"}


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_one(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


#: names of nodes; a single one may be given without brackets.
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
#: one node; a list of one is taken too.
OneName = Annotated[str, BeforeValidator(_as_one)]


def names(default: tuple[str, ...], help: str) -> Any:
    """A list of names of nodes."""
    return Field(default, description=help, json_schema_extra={"group": "question"})


class OpParams(Params):
    """A system of nodes, and Op of a held set for a change of one node's initial value."""

    nodes: Texts = table(
        THERMOSTAT, variables=(CLOCK,), group="system",
        help="Each node's next value (a map, with steps) or its derivative in time (a flow, with dt and duration).",
    )  # fmt: skip
    initial: Numbers = table(
        {"room": 35.0, "machine": 10.0}, low=-1e100, high=1e100, group="system",
        help="Initial value of each node; or a list in the order of the nodes.",
    )  # fmt: skip
    noise: Numbers = table(
        {}, low=0, high=1e100, least=0, group="system",
        help="Standard deviation of noise added to a node in each step (in a flow per square root of time), "
        "the same in W, X and Y.",
    )  # fmt: skip
    held: Names = names(("machine",), "Nodes that keep their values of W in Y; may be empty.")
    perturbed: OneName = Field(
        "room",
        description="The node whose initial value is changed.",
        json_schema_extra={"group": "question"},
    )
    measured: Names = names((), "Nodes that are looked at; if empty, all that are not held.")
    held_until: Real | None = real(
        None, low=0, high=1e15, group="question",
        help="Time (in a map, step) up to which the nodes are held; if left out, always.",
    )  # fmt: skip
    steps: Whole | None = whole(
        1000, low=1, high=MOST_STEPS, log=True, group="time", help="Steps, for a map."
    )
    dt: Real | None = real(
        None, above=0, high=1e6, log=True, group="time", help="Time of a step, for a flow."
    )
    duration: Real | None = real(
        None, above=0, high=1e12, log=True, group="time", help="Time that is followed, for a flow."
    )
    integrator: Literal["rk4", "euler"] = choice("rk4", group="time", help="How a flow is stepped.")
    output_every: Whole = whole(
        1, low=1, high=MOST_STEPS, log=True, group="time", help="Steps between two outputs."
    )
    deltas: tuple[Real, ...] = real(
        (1e-3, 1e-6), low=-1e100, high=1e100, group="checks",
        help="Sizes of the changes for finite differences beside the tangents; may be empty.",
    )  # fmt: skip

    @classmethod
    def check(cls, given: Mapping[str, Any], prefix: str = "params.") -> Self:
        """As for all parameters, but initial values may be a list in the order of nodes, and a time makes a flow."""
        values = dict(given)
        flow = values.get("dt") is not None or values.get("duration") is not None
        if flow and "steps" not in values:
            values["steps"] = None
        nodes, initial = values.get("nodes", THERMOSTAT), as_tuples(values.get("initial"))
        if not isinstance(nodes, Mapping) or not isinstance(initial, tuple) or isinstance(initial, Table):
            return super().check(values, prefix)
        values["initial"] = dict(zip(nodes, initial, strict=False))
        if len(initial) == len(nodes):
            return super().check(values, prefix)
        text = f"has {len(initial)} values for {len(nodes)} nodes; give one for each, in the order {', '.join(nodes)}."
        problems = [Problem(f"{prefix}initial", text, initial)]
        try:
            super().check({**values, "initial": dict.fromkeys(nodes, 1.0)}, prefix)
        except ParameterErrors as error:
            problems += error.problems
        raise ParameterErrors(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes, in order."""
        return tuple(name for name, _ in self.nodes)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The measured nodes."""
        return self.measured or tuple(name for name in self.names if name not in self.held)

    @property
    def is_map(self) -> bool:
        """Whether there are steps without a time."""
        return self.steps is not None

    @property
    def stepping(self) -> Literal["map", "rk4", "euler"]:
        """How a step is made."""
        return "map" if self.is_map else self.integrator

    @property
    def step_time(self) -> float:
        """Time of a step; 1 for a map."""
        return 1.0 if self.dt is None or self.is_map else self.dt

    @property
    def count(self) -> int:
        """Number of steps; a step that ends with the duration but for rounding counts."""
        if self.steps is not None:
            return self.steps
        if self.duration is None or self.dt is None:
            return 0
        return int(self.duration / self.dt * (1 + 1e-12) + 1e-9)

    def _named(self: Any) -> Iterable[Problem]:
        """Every name that is used is a node's."""
        nodes = self.names
        if CLOCK in nodes:
            text = f"a node cannot be called {CLOCK!r}, which is the time; choose another name."
            yield Problem(f"nodes.{CLOCK}", text, dict(self.nodes)[CLOCK])
        if len(nodes) > MOST_NODES:
            yield Problem("nodes", f"has {len(nodes)} nodes; at most {MOST_NODES} are allowed.", None)
        for key in ("initial", "noise"):
            for name, value in getattr(self, key):
                if name not in nodes:
                    yield _unknown(f"{key}.{name}", name, nodes, value)
        for key, used in (("held", self.held), ("measured", self.measured), ("perturbed", (self.perturbed,))):
            for name in used:
                if name not in nodes:
                    yield _unknown(key, name, nodes, name)
            for name in sorted({name for name in used if used.count(name) > 1}):
                yield Problem(key, f"has {name!r} more than once.", used)

    def _complete(self: Any) -> Iterable[Problem]:
        """Every node begins somewhere."""
        given = dict(self.initial)
        missing = [name for name in self.names if name not in given]
        if missing:
            text = f"needs a value for every node; there is none for {', '.join(missing)}."
            yield Problem("initial", text, None)

    def _free(self: Any) -> Iterable[Problem]:
        """The change can begin, and there is something to look at."""
        if self.perturbed in self.held:
            text = f"{self.perturbed!r} is also held, so that its change cannot begin; free it, or change another node."
            yield Problem("perturbed", text, self.perturbed)
        if not self.measured and not set(self.names) - set(self.held):
            yield Problem("held", "holds every node, and nothing is left to look at; free one.", self.held)

    def _timed(self: Any) -> Iterable[Problem]:
        """Either steps, or dt and duration."""
        steps, dt, duration = self.steps, self.dt, self.duration
        if steps is not None and (dt is not None or duration is not None):
            other = "duration" if duration is not None else "dt"
            text = f"is given together with {other}: keep steps for a map, or dt and duration for a flow."
            yield Problem("steps", text, steps)
        elif steps is None and dt is None and duration is None:
            yield Problem("steps", "is needed for a map, or dt and duration for a flow; none is given.", None)
        elif steps is None and duration is None:
            yield Problem("duration", f"is needed beside dt = {dt:g} for a flow.", None)
        elif steps is None and dt is None:
            text = f"is needed beside duration = {duration:g} for a flow, such as {duration / 1000:.3g}."
            yield Problem("dt", text, None)
        elif self.count < 1:
            yield Problem("duration", f"must be at least one step dt = {dt:g}.", duration)
        elif self.count > MOST_STEPS:
            text = f"takes {self.count:,} steps of dt = {dt:g}; at most {MOST_STEPS:,} are allowed."
            yield Problem("duration", text, duration)

    def _fits(self: Any) -> Iterable[Problem]:
        """The answer has a size that can be kept."""
        outputs = self.count // self.output_every + 1
        if outputs > MOST_OUTPUTS:
            least = -(-self.count // MOST_OUTPUTS)
            text = (
                f"keeps {outputs:,} outputs; at most {MOST_OUTPUTS:,} are allowed: set it to {least} or more."
            )
            yield Problem("output_every", text, self.output_every)
        elif outputs * len(self.nodes) * max(1, len(self.deltas)) > MOST_NUMBERS:
            text = (
                f"keeps {outputs:,} outputs of {len(self.nodes)} nodes and {len(self.deltas)} deltas, more than "
                f"{MOST_NUMBERS:,} numbers: raise it, or compare fewer deltas."
            )
            yield Problem("output_every", text, self.output_every)
        if self.count * len(self.noise) > MOST_NUMBERS:
            text = f"takes {self.count * len(self.noise):,} random numbers; at most {MOST_NUMBERS:,} are allowed."
            yield Problem("noise", text, None)

    def _compared(self: Any) -> Iterable[Problem]:
        """A finite difference changes something, also in double precision."""
        if len(self.deltas) > MOST_DELTAS:
            yield Problem("deltas", f"has {len(self.deltas)} sizes; at most {MOST_DELTAS} are allowed.", None)
        start = dict(self.initial).get(self.perturbed, 0.0)
        for i, delta in enumerate(self.deltas):
            if delta == 0.0:
                yield Problem(f"deltas[{i}]", "must not be 0: nothing would change.", delta)
            elif start + delta == start:
                text = f"is lost in rounding beside the initial value {start:g} of {self.perturbed!r}."
                yield Problem(f"deltas[{i}]", text, delta)
        if len(set(self.deltas)) < len(self.deltas):
            yield Problem("deltas", "has a size more than once.", self.deltas)

    rules: ClassVar = (_named, _complete, _free, _timed, _fits, _compared)


def _unknown(key: str, name: str, nodes: tuple[str, ...], given: Any) -> Problem:
    text = f"there is no node {name!r}; there are {', '.join(nodes)}."
    return Problem(key, text, given, near_match(name, nodes))
