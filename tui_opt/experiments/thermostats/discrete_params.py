"""Parameters of thermostats of finitely many states. Defaults reproduce the source texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from tui_opt.experiments.thermostats.states import DUMB, SMART, Thermostat, pair_of, read_thermostat
from tui_opt.params import Matrix, OneOrMany, Params, Texts, choice, matrix, real, table
from tui_opt.problems import Problem, near_match

Named = Literal["dumb", "smart", "custom"]
OPPOSED = ((0.0, 0.0, 1 / 3), (0.0, 1 / 3, 0.0), (1 / 3, 0.0, 0.0))
"""The room cold with the heater high, warm with low, hot with off."""
DECADES = tuple(10.0**-k for k in range(1, 11))
_UNIFORM = "uniform"


def many(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """One number as a list of one."""
    return value if isinstance(value, tuple) else (value,)


def names(part: str) -> Any:
    """The states of one part, in order."""
    text = f"States of the {part} in order, for a custom table; if empty, as they appear in it."
    return Field((), description=text, json_schema_extra={"group": "thermostat"})


class ThermostatParams(Params):
    """The thermostat. Experiments derive from it and add what they ask."""

    thermostat: Named = choice(
        "dumb", group="thermostat",
        help="Follows the room (dumb), lets go just before it changes (smart), or the table below (custom).",
    )  # fmt: skip
    transitions: Texts = table(
        SMART.table(), group="thermostat",
        help="For custom: the state after each state, written machine, room; a state for every pair.",
    )  # fmt: skip
    machine_states: tuple[str, ...] = names("machine")
    room_states: tuple[str, ...] = names("room")

    def system(self) -> Thermostat | None:
        """The thermostat; nothing where a custom table cannot be read."""
        return self._read()[0]

    def _read(self) -> tuple[Thermostat | None, list[Problem]]:
        if self.thermostat == "custom":
            return read_thermostat(self.transitions, self.machine_states, self.room_states)
        return {"dumb": DUMB, "smart": SMART}[self.thermostat], []

    def unused(self) -> str:
        """A sentence where a table was written and is not used."""
        given = dict(self.transitions) != SMART.table() or self.machine_states or self.room_states
        if self.thermostat == "custom" or not given:
            return ""
        return (
            f"The transition table is not used by the {self.thermostat} thermostat; choose custom to use it."
        )


def readable_table(params: Any) -> Iterable[Problem]:
    """A custom table can be read."""
    yield from params._read()[1]


def _law_problems(name: str, weights: Iterable[float]) -> Iterable[Problem]:
    if not any(weights):
        yield Problem(name, "is zero everywhere; at least one state needs a probability above 0.", None)


def fitting_joint(params: Any) -> Iterable[Problem]:
    """The joint law has a probability for every state."""
    given = params.joint
    system = params.system()
    if system is None:
        return
    if (len(given), len(given[0])) != (len(system.machines), len(system.rooms)):
        message = (
            f"must have a row for each of {', '.join(system.machines)} and a column for each of "
            f"{', '.join(system.rooms)}: {len(system.machines)} x {len(system.rooms)} numbers, not "
            f"{len(given)} x {len(given[0])}."
        )
        yield Problem("joint", message, None)
    else:
        yield from _law_problems("joint", (p for row in given for p in row))


def fitting_marginals(params: Any) -> Iterable[Problem]:
    """A marginal has a probability for every state of its part."""
    for name, part in (("room", "rooms"), ("machine", "machines")):
        given = getattr(params, name)
        system = params.system()
        if given == _UNIFORM or system is None:
            continue
        states = getattr(system, part)
        given = many(given)
        if len(given) != len(states):
            message = (
                f"must have a probability for each of {', '.join(states)}: {len(states)}, not {len(given)}."
            )
            yield Problem(name, message, given)
        else:
            yield from _law_problems(name, given)


class DiscreteParams(ThermostatParams):
    """What decorrelating machine and room does to the next step."""

    joint: Matrix = matrix(
        OPPOSED, low=0, high=1e9, group="law",
        help="Probability of each state, a row per machine state; divided by their sum.",
    )  # fmt: skip

    rules: ClassVar = (readable_table, fitting_joint)


def marginal(part: str, symbol: str) -> Any:
    """The law of one part at t-1."""
    text = f"Probability of each state of the {part} at t-1, divided by their sum; or uniform."
    return real(_UNIFORM, low=0, high=1e9, symbol=symbol, group="law", help=text)


class AdjustedParams(ThermostatParams):
    """A start without correlation, the two steps after it, and cycles."""

    room: OneOrMany | Literal["uniform"] = marginal("room", "P^R")
    machine: OneOrMany | Literal["uniform"] = marginal("machine", "P^T")

    rules: ClassVar = (readable_table, fitting_marginals)


def known_centre(params: Any) -> Iterable[Problem]:
    """The state that is kept is one of the thermostat's."""
    system = params.system()
    if system is None or not params.centre:
        return
    if params.centre_state(system) is None:
        message = f"must be a state, one of {'; '.join(system.names()[:12])}."
        yield Problem("centre", message, params.centre, near_match(params.centre, system.names()))


class EpsilonFamilyParams(ThermostatParams):
    """Starts that are more and more certain."""

    thermostat: Named = choice(
        "smart", group="thermostat",
        help="Follows the room (dumb), lets go just before it changes (smart), or the table below (custom).",
    )  # fmt: skip
    epsilon: OneOrMany = real(
        DECADES, above=0, high=1, symbol="ε", log=True, group="law",
        help="Share of each part's probability that is not in its middle state.",
    )  # fmt: skip
    centre: str = Field(
        "", description="The state that keeps 1-ε in each part; if empty, the middle one.",
        json_schema_extra={"group": "law"},
    )  # fmt: skip

    rules: ClassVar = (readable_table, known_centre)

    def centre_state(self, system: Thermostat) -> tuple[int, int] | None:
        """Row and column of the state that keeps its probability."""
        if not self.centre:
            return (len(system.machines) - 1) // 2, (len(system.rooms) - 1) // 2
        pair = pair_of(self.centre)
        for machine, room in (pair, pair[::-1]) if pair else ():
            if machine in system.machines and room in system.rooms:
                return system.machines.index(machine), system.rooms.index(room)
        return None
