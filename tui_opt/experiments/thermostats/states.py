"""Thermostats of finitely many states: the two of the source texts, and transition tables that the user writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tui_opt.problems import MOST_HINTS, Problem, near_match, shown

MACHINES = ("high", "low", "off")
ROOMS = ("hot", "warm", "cold")
MOST_STATES = 400
_MOST_NAMED = 4


@dataclass(frozen=True)
class Thermostat:
    """A machine and a room that act on each other in steps.

    Args:
        machines: states of the machine, the rows of every table.
        rooms: states of the room, the columns.
        target: the state that follows each state, state `row * columns + column`.
    """

    machines: tuple[str, ...]
    rooms: tuple[str, ...]
    target: tuple[int, ...]

    @property
    def states(self) -> int:
        """How many states the two have together."""
        return len(self.target)

    def name(self, state: int) -> str:
        """A state as it is written in tables, such as `high, hot`."""
        row, column = divmod(state, len(self.rooms))
        return f"{self.machines[row]}, {self.rooms[column]}"

    def names(self) -> tuple[str, ...]:
        """The names of all states, row by row."""
        return tuple(self.name(state) for state in range(self.states))

    def table(self) -> dict[str, str]:
        """The transitions as a scenario file has them."""
        return {self.name(state): self.name(after) for state, after in enumerate(self.target)}


def by_rules(room_next: dict[str, dict[str, str]], machine_next: dict[str, dict[str, str]]) -> Thermostat:
    """The thermostat of the source's two lists of rules.

    Args:
        room_next: the next state of the room, by the state of the machine and by its own.
        machine_next: the next state of the machine, by the state of the room and by its own.
    """
    machines, rooms = tuple(room_next), tuple(machine_next)
    target = tuple(
        machines.index(machine_next[room][machine]) * len(rooms) + rooms.index(room_next[machine][room])
        for machine in machines
        for room in rooms
    )
    return Thermostat(machines, rooms, target)


_ROOM_RULES = {
    "high": {"hot": "hot", "warm": "hot", "cold": "warm"},
    "low": {"hot": "hot", "warm": "warm", "cold": "cold"},
    "off": {"hot": "warm", "warm": "cold", "cold": "cold"},
}
DUMB = by_rules(
    _ROOM_RULES,
    {
        "hot": {"high": "off", "low": "off", "off": "off"},
        "warm": {"high": "low", "low": "low", "off": "low"},
        "cold": {"high": "high", "low": "high", "off": "high"},
    },
)
SMART = by_rules(
    _ROOM_RULES,
    {
        "hot": {"high": "off", "low": "off", "off": "low"},
        "warm": {"high": "low", "low": "low", "off": "low"},
        "cold": {"high": "low", "low": "high", "off": "high"},
    },
)


def pair_of(text: str) -> tuple[str, str] | None:
    """The two names in `high, hot`, `(hot, high)`, `high/hot` or `high hot`; nothing if there are not two."""
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    parts = [part.strip() for part in re.split(r"[,;/|]", inner)]
    if len(parts) == 1:
        parts = parts[0].split()
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


@dataclass
class _Reader:
    """Reads transitions, and collects what is wrong with them."""

    machines: list[str]
    rooms: list[str]
    open_machines: bool
    open_rooms: bool
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, key: str, message: str, given: object, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(key, message, given, hint))

    def ordered(self, pair: tuple[str, str]) -> tuple[str, str]:
        """Machine first: pairs written the other way round are told by names that belong to one part only."""
        machines, rooms = {*self.machines}, {*self.rooms}
        if self.open_machines:
            machines |= {*MACHINES}
        if self.open_rooms:
            rooms |= {*ROOMS}
        first, second = pair
        room_first = first in rooms and first not in machines and second not in rooms
        machine_second = second in machines and second not in rooms and first not in machines
        return (second, first) if room_first or machine_second else pair

    def learn(self, keys: Iterable[str]) -> None:
        """Take the names of states that were not listed from the keys, in their order."""
        for key in keys:
            pair = pair_of(key)
            if pair is None:
                continue
            machine, room = self.ordered(pair)
            if self.open_machines and machine not in self.machines:
                self.machines.append(machine)
            if self.open_rooms and room not in self.rooms:
                self.rooms.append(room)
        if self.open_machines and {*self.machines} == {*MACHINES}:
            self.machines = list(MACHINES)
        if self.open_rooms and {*self.rooms} == {*ROOMS}:
            self.rooms = list(ROOMS)

    def state(self, key: str, text: str) -> int | None:
        """The number of a state, or nothing and a problem."""
        pair = pair_of(text)
        if pair is None:
            self.wrong(key, f"must name a state of machine and room, such as {self.example()}.", text)
            return None
        machine, room = self.ordered(pair)
        for name, known, part in ((machine, self.machines, "machine"), (room, self.rooms, "room")):
            if name not in known:
                message = f"the {part} has no state {shown(name)}; it has {', '.join(known)}."
                hint = near_match(name, known) if len(self.problems) < MOST_HINTS else ""
                self.wrong(key, message, text, hint)
                return None
        return self.machines.index(machine) * len(self.rooms) + self.rooms.index(room)

    def example(self) -> str:
        """A state as it may be written."""
        machine = self.machines[0] if self.machines else MACHINES[0]
        room = self.rooms[0] if self.rooms else ROOMS[0]
        return repr(f"{machine}, {room}")

    def missing(self, states: Sequence[int]) -> None:
        """Say which states have no next one, and which names may be misspelt."""
        columns = len(self.rooms)
        names = [f"{self.machines[s // columns]}, {self.rooms[s % columns]}" for s in states]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        named = ", ".join(map(repr, names[:_MOST_NAMED]))
        message = (
            f"has no next state for {named}{more}; every state of the machine ({', '.join(self.machines)}) needs one "
            f"with every state of the room ({', '.join(self.rooms)})."
        )
        rare = [self._rare(states, self.machines, lambda s: s // columns)]
        rare.append(self._rare(states, self.rooms, lambda s: s % columns))
        self.wrong("transitions", message, None, " ".join(filter(None, rare)))

    def _rare(self, states: Sequence[int], names: Sequence[str], part: Callable[[int], int]) -> str:
        lacks = [sum(part(s) == i for s in states) for i in range(len(names))]
        if not lacks or min(lacks) == max(lacks):
            return ""
        odd = names[lacks.index(max(lacks))]
        return near_match(odd, [name for name in names if name != odd])


def read_thermostat(
    transitions: Iterable[tuple[str, str]],
    machine_states: Sequence[str] = (),
    room_states: Sequence[str] = (),
) -> tuple[Thermostat | None, list[Problem]]:
    """A thermostat from its transition table.

    Args:
        transitions: pairs of a state and the state that follows, each written `machine, room`. The other order is
            understood where the names tell the two apart.
        machine_states: the machine's states in the order of rows; if empty, those of the table in order of appearance.
        room_states: the room's states in the order of columns, likewise.

    Returns:
        The thermostat, or nothing and what is wrong, with keys relative to the parameters.
    """
    pairs = list(transitions)
    reader = _Reader(list(machine_states), list(room_states), not machine_states, not room_states)
    for name, given in (("machine_states", machine_states), ("room_states", room_states)):
        if twice := sorted({s for s in given if list(given).count(s) > 1}):
            reader.wrong(name, f"has {shown(twice[0])} more than once.", given)
    reader.learn(state for state, _ in pairs)
    columns = len(reader.rooms)
    if len(reader.machines) * columns > MOST_STATES:
        message = f"has {len(reader.machines)} x {columns} states; at most {MOST_STATES} are allowed."
        reader.wrong("transitions", message, None)
        return None, reader.problems
    found: dict[int, int] = {}
    seen: set[int] = set()
    for text, after in pairs:
        state = reader.state(f"transitions.{text}", text)
        target = reader.state(f"transitions.{text}", after)
        if state in seen:
            reader.wrong(f"transitions.{text}", "this state has a next state already; give it one.", after)
        if state is not None:
            seen.add(state)
            if target is not None:
                found[state] = target
    states = len(reader.machines) * columns
    lacking = [state for state in range(states) if state not in seen]
    if lacking:
        reader.missing(lacking)
    elif not states and not reader.problems:
        reader.wrong(
            "transitions", f"has no states; write such as {reader.example()} = {reader.example()}.", None
        )
    if reader.problems:
        return None, reader.problems
    target_of = tuple(found[state] for state in range(states))
    return Thermostat(tuple(reader.machines), tuple(reader.rooms), target_of), []
