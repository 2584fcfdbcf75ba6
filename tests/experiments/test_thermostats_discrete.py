"""discrete: the source's two thermostats in fractions, tables of one's own, and what is wrong with a table."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest

import tui_opt
from tui_opt.experiments.thermostats.states import DUMB, MACHINES, ROOMS, SMART, read_thermostat
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.scenario_file import ScenarioFileError

LOG3 = math.log2(3)
#: the source's tables, room first as it writes states.
SOURCE = {
    "dumb": """
        high (hot,off) (hot,low) (warm,high)
        low (hot,off) (warm,low) (cold,high)
        off (warm,off) (cold,low) (cold,high)""",
    "smart": """
        high (hot,off) (hot,low) (warm,low)
        low (hot,off) (warm,low) (cold,high)
        off (warm,low) (cold,low) (cold,high)""",
}


def discrete(**params: object) -> Result:
    return tui_opt.run("thermostats", "discrete", **params)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def source_table(name: str) -> dict[str, str]:
    table = {}
    for line in SOURCE[name].split("\n")[1:]:
        machine, *cells = line.split()
        table.update({f"{machine},{room}": cell for room, cell in zip(ROOMS, cells, strict=True)})
    return table


def exact(result: Result, law: str) -> list[list[Fraction]]:
    table = result.tables["exact"]
    column = table.columns.index(law)
    flat = [Fraction(str(row[column])) for row in table.rows]
    columns = len(result.tables[law].columns) - 1
    return [flat[i : i + columns] for i in range(0, len(flat), columns)]


def ninths(*rows: tuple[int, ...]) -> list[list[Fraction]]:
    return [[Fraction(n, 9) for n in row] for row in rows]


def test_rules_give_the_source_s_tables() -> None:
    for name, system in (("dumb", DUMB), ("smart", SMART)):
        read, problems = read_thermostat(source_table(name).items())
        assert not problems
        assert read == system
        assert (system.machines, system.rooms) == (MACHINES, ROOMS)


def test_the_dumb_thermostat() -> None:
    result = discrete()
    assert exact(result, "next") == ninths((0, 3, 0), (0, 3, 0), (0, 3, 0))
    assert exact(result, "next_decorrelated") == ninths((0, 1, 2), (1, 1, 1), (2, 1, 0))
    assert value(result, "entropy_next") == pytest.approx(LOG3, abs=1e-15)
    assert value(result, "entropy_next_decorrelated") == pytest.approx(2 * LOG3 - 4 / 9, abs=1e-15)
    assert value(result, "optimizing_strength") == pytest.approx(LOG3 - 4 / 9, abs=1e-15)
    assert value(result, "mutual_information") == pytest.approx(LOG3, abs=1e-15)
    assert value(result, "adjusted_strength") == -4 / 9
    assert result.headline == [] or set(result.headline) <= set(result.findings)


def test_the_smart_thermostat() -> None:
    result = discrete(thermostat="smart")
    assert exact(result, "next") == ninths((0, 0, 0), (0, 9, 0), (0, 0, 0))
    assert exact(result, "next_decorrelated") == ninths((0, 0, 2), (1, 3, 1), (2, 0, 0))
    assert value(result, "entropy_next") == 0.0
    assert value(result, "entropy_next_decorrelated") == pytest.approx(2.197159723424149, abs=1e-12)
    assert value(result, "optimizing_strength") == value(result, "entropy_next_decorrelated")
    assert value(result, "adjusted_strength") == pytest.approx(0.612197222702993, abs=1e-12)
    dumb = discrete()
    ratio = value(result, "optimizing_strength") / value(dumb, "optimizing_strength")
    assert ratio == pytest.approx(1.926458, abs=1e-6)


@pytest.mark.parametrize(("name", "entry"), [("dumb", "low, warm"), ("smart", "off, warm")])
def test_the_printed_tables_of_part_one_give_one_answer_for_both(name: str, entry: str) -> None:
    """With the entries for (off, hot) as printed the two thermostats would be equally strong."""
    result = discrete(thermostat="custom", transitions={**source_table(name), "off,hot": entry})
    assert value(result, "entropy_next") == pytest.approx(0.918295834054490, abs=1e-12)
    assert value(result, "entropy_next_decorrelated") == pytest.approx(2.503258334775646, abs=1e-12)
    assert value(result, "optimizing_strength") == pytest.approx(LOG3, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "printed", "now", "later"),
    [
        (
            "dumb",
            "low, warm",
            ninths((0, 3, 0), (0, 3, 0), (0, 3, 0)),
            ninths((0, 1, 2), (1, 1, 1), (2, 1, 0)),
        ),
        (
            "smart",
            "off, warm",
            ninths((0, 0, 0), (0, 9, 0), (0, 0, 0)),
            ninths((0, 0, 2), (1, 3, 1), (2, 0, 0)),
        ),
    ],
)
def test_one_entry_alone_repairs_a_printed_table(
    name: str, printed: str, now: list[list[Fraction]], later: list[list[Fraction]]
) -> None:
    """Of all tables that differ from the printed one in one entry: those with the source's printed results.

    For the dumb one there are two, of which the other breaks the rules in two entries: the warm room and the thermostat
    at low would turn it off.
    """
    table = {**source_table(name), "off,hot": printed}
    states = [f"{machine},{room}" for machine, room in itertools.product(MACHINES, ROOMS)]
    repairs = []
    for state, after in itertools.product(states, states):
        system, problems = read_thermostat({**table, state: after}.items())
        assert system is not None
        assert not problems
        third, ninth = Fraction(1, 3), Fraction(1, 9)
        joint = {2: third, 4: third, 6: third}
        laws = [[Fraction(0)] * 9, [Fraction(0)] * 9]
        for start in range(9):
            laws[0][system.target[start]] += joint.get(start, Fraction(0))
            laws[1][system.target[start]] += ninth
        if [[law[i : i + 3] for i in (0, 3, 6)] for law in laws] == [now, later]:
            repairs.append(system)
    rules = {"dumb": DUMB, "smart": SMART}[name]
    wrong = [sum(a != b for a, b in zip(system.target, rules.target, strict=True)) for system in repairs]
    assert sorted(wrong) == {"dumb": [0, 2], "smart": [0]}[name]


def test_a_table_of_one_s_own_is_the_same_in_either_order() -> None:
    room_first = {f"({k.split(',')[1]}, {k.split(',')[0]})": v for k, v in source_table("dumb").items()}
    for table in (source_table("dumb"), room_first, DUMB.table()):
        result = discrete(thermostat="custom", transitions=table)
        assert result.tables["transitions"] == discrete().tables["transitions"]
        assert value(result, "adjusted_strength") == -4 / 9


def test_tables_of_any_size_against_stepping_in_doubles() -> None:
    chance = random.Random(3)
    for rows, columns in ((1, 1), (1, 4), (2, 3), (4, 2), (5, 5)):
        machines, rooms = [f"m{i}" for i in range(rows)], [f"r{i}" for i in range(columns)]
        states = list(itertools.product(machines, rooms))
        target = {state: chance.choice(states) for state in states}
        joint = np.array([[chance.random() + 0.01 for _ in rooms] for _ in machines])
        table = {", ".join(k): ", ".join(v) for k, v in target.items()}
        result = discrete(thermostat="custom", transitions=table, joint=joint.tolist())
        joint /= joint.sum()
        apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        for law, name in ((joint, "next"), (apart, "next_decorrelated")):
            expected = np.zeros_like(law)
            for (m, r), (m2, r2) in target.items():
                expected[machines.index(m2), rooms.index(r2)] += law[machines.index(m), rooms.index(r)]
            np.testing.assert_allclose(result.arrays[name].values, expected, atol=1e-15)
            inside = expected[expected > 0]
            assert value(result, f"entropy_{name}") == pytest.approx(
                float(-(inside * np.log2(inside)).sum()), abs=1e-13
            )
        information = float((joint * np.log2(joint / apart)).sum())
        assert value(result, "mutual_information") == pytest.approx(information, abs=1e-13)


def test_weights_are_divided_by_their_sum_and_a_warning_says_so() -> None:
    result = discrete(joint=[[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert "The probabilities in joint add up to 3; they were divided by that." in result.warnings
    assert value(result, "entropy_next") == value(discrete(), "entropy_next")
    rounded = discrete(joint=[[0, 0, 0.333333333333], [0, 0.333333333333, 0], [0.333333333333, 0, 0]])
    assert rounded.warnings == []
    assert value(rounded, "entropy_next") == pytest.approx(LOG3, abs=1e-15)


def test_a_table_that_is_not_used_is_said() -> None:
    (warning,) = discrete(transitions={**SMART.table(), "off, hot": "off, hot"}).warnings
    assert "not used by the dumb thermostat" in warning
    assert discrete(thermostat="smart").warnings == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"transitions": {**SMART.table(), "off, hot": "of, hot"}}, r"no state 'of'.*Did you mean 'off'\?"),
        ({"transitions": {**SMART.table(), "off, hot": "hot"}}, "must name a state of machine and room"),
        (
            {"transitions": {"on, hot": "on, hot", "off, cold": "on, hot"}},
            "no next state for 'on, cold', 'off, hot'",
        ),
        ({"transitions": {**SMART.table(), "hot, off": "off, hot"}}, "has a next state already"),
        ({"transitions": {"on, hot": "off, hot", "off, hot": "on, hot"}}, "2 x 1 numbers, not 3 x 3"),
        ({"transitions": {}}, "needs at least 1 name"),
        ({"machine_states": ["high", "low"]}, r"the machine has no state 'off'"),
        ({"machine_states": ["high", "high"]}, "has 'high' more than once"),
        ({"thermostat": "dumb", "joint": [[0, 0, 0]] * 3}, "zero everywhere"),
        ({"thermostat": "dumb", "joint": [[0.5, -0.5, 0]] * 3}, "at least 0"),
        ({"thermostat": "dumb", "joint": [[1, 0]]}, "3 x 3 numbers, not 1 x 2"),
        ({"thermostat": "clever"}, "must be one of 'dumb', 'smart', 'custom'"),
    ],
)
def test_what_is_wrong_is_a_sentence(params: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioFileError, match=words):
        discrete(**{"thermostat": "custom", **params})


def test_a_misspelt_state_in_a_key_is_named() -> None:
    table = SMART.table()
    table["hgih, hot"] = table.pop("high, hot")
    with pytest.raises(ScenarioFileError, match=r"no next state for 'high, hot'.*Did you mean 'high'\?"):
        discrete(thermostat="custom", transitions=table)


def test_too_many_states_are_refused() -> None:
    table = {f"m{i}, r{j}": "m0, r0" for i in range(21) for j in range(21)}
    with pytest.raises(ScenarioFileError, match="21 x 21 states; at most 400"):
        discrete(thermostat="custom", transitions=table)


def test_figures_draw_what_is_there() -> None:
    result = discrete()
    assert [figure.name for figure in result.figures] == [
        "next", "next-decorrelated", "cycles", "joint", "decorrelated",
    ]  # fmt: skip
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind == "heatmap":
                assert resolve(layer.z, result.values()).shape == (3, 3)
            elif layer.kind in ("path", "scatter"):
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape
