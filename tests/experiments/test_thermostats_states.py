"""Transition tables that users write: what is understood, and what is said about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_opt.experiments.thermostats.states import (
    DUMB,
    SMART,
    Thermostat,
    pair_of,
    read_thermostat,
)

names = st.text("abcdefghij_0123456789", min_size=1, max_size=4)


@st.composite
def thermostats(draw: st.DrawFn) -> Thermostat:
    machines = draw(st.lists(names.map(lambda n: f"m{n}"), min_size=1, max_size=4, unique=True))
    rooms = draw(st.lists(names.map(lambda n: f"r{n}"), min_size=1, max_size=4, unique=True))
    states = len(machines) * len(rooms)
    target = draw(st.lists(st.integers(0, states - 1), min_size=states, max_size=states))
    return Thermostat(tuple(machines), tuple(rooms), tuple(target))


@given(thermostats())
@settings(max_examples=50)
def test_a_table_that_is_written_out_is_read_again(system: Thermostat) -> None:
    assert read_thermostat(system.table().items()) == (system, [])


@given(thermostats(), st.randoms())
@settings(max_examples=50)
def test_order_and_spelling_of_states_do_not_matter_where_names_are_listed(
    system: Thermostat, random: object
) -> None:
    chance = random
    assert hasattr(chance, "choice")

    def spelt(text: str) -> str:
        machine, room = text.split(", ")
        first, second = chance.choice([(machine, room), (room, machine)])
        return chance.choice(["{}, {}", "({},{})", "{} / {}", "{} {}", "  {} | {} "]).format(first, second)

    pairs = [(spelt(a), spelt(b)) for a, b in system.table().items()]
    chance.shuffle(pairs)
    assert read_thermostat(pairs, system.machines, system.rooms) == (system, [])


def test_names_that_both_parts_use_are_read_machine_first() -> None:
    table = {"0, 0": "1, 0", "1, 0": "0, 1", "0, 1": "0, 0", "1, 1": "1, 1"}
    system, problems = read_thermostat(table.items())
    assert not problems
    assert system == Thermostat(("0", "1"), ("0", "1"), (2, 0, 1, 3))


def test_the_source_s_order_of_rows_and_columns_is_kept() -> None:
    shuffled = dict(reversed(SMART.table().items()))
    assert read_thermostat(shuffled.items()) == (SMART, [])
    system, _ = read_thermostat(DUMB.table().items(), ("off", "low", "high"), ("cold", "warm", "hot"))
    assert system is not None
    assert (system.machines, system.rooms) == (("off", "low", "high"), ("cold", "warm", "hot"))
    assert sorted(system.table().items()) == sorted(DUMB.table().items())


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("high, hot", ("high", "hot")),
        ("(hot , off)", ("hot", "off")),
        ("a/b", ("a", "b")),
        ("very cold, low", ("very cold", "low")),
        ("one two three", None),
        ("high,", None),
        ("a, b, c", None),
        ("", None),
    ],
)
def test_pairs(text: str, pair: tuple[str, str] | None) -> None:
    assert pair_of(text) == pair


def test_every_problem_is_found_at_once() -> None:
    table = {**DUMB.table(), "high, hot": "high", "low, cold": "lo, cold", "off, warm": "off, wamr"}
    system, problems = read_thermostat(table.items(), ("high", "low", "off"), ("hot", "warm", "cold"))
    assert system is None
    assert [p.key for p in problems] == [f"transitions.{s}" for s in ("high, hot", "low, cold", "off, warm")]
    assert [p.hint for p in problems] == ["", "Did you mean 'low'?", "Did you mean 'warm'?"]


def test_states_that_are_missing_are_named() -> None:
    table = DUMB.table()
    for state in ("low, warm", "off, cold"):
        del table[state]
    system, (problem,) = read_thermostat(table.items())
    assert system is None
    assert "no next state for 'low, warm', 'off, cold'; every state" in problem.message
    _, (problem,) = read_thermostat({"on, a": "on, b"}.items(), ("on", "off"), ("a", "b", "c"))
    assert "'on, b', 'on, c', 'off, a', 'off, b' and 1 more" in problem.message
