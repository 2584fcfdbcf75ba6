"""adjusted: the five laws of both thermostats in fractions, their entropies in closed form, cycles and transients."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import tui_opt
from tui_opt.experiments.thermostats.states import DUMB, SMART
from tui_opt.result import Result
from tui_opt.scenario_file import ScenarioFileError

LOG3, LOG5, LOG7 = math.log2(3), math.log2(5), math.log2(7)


def adjusted(**params: object) -> Result:
    return tui_opt.run("thermostats", "adjusted", **params)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def law(result: Result, name: str) -> list[Fraction]:
    table = result.tables["exact"]
    return [Fraction(str(row[table.columns.index(name)])) for row in table.rows]


def over(below: int, *above: int) -> list[Fraction]:
    return [Fraction(n, below) for n in above]


def test_the_dumb_thermostat() -> None:
    result = adjusted()
    assert law(result, "before") == law(result, "now_decorrelated") == over(9, *[1] * 9)
    assert law(result, "now") == law(result, "next_decorrelated") == over(9, 0, 1, 2, 1, 1, 1, 2, 1, 0)
    assert law(result, "next") == over(9, 0, 2, 1, 1, 1, 1, 1, 2, 0)
    assert value(result, "entropy_before") == pytest.approx(2 * LOG3, abs=1e-15)
    for name in ("now", "next", "next_decorrelated"):
        assert value(result, f"entropy_{name}") == pytest.approx(2 * LOG3 - 4 / 9, abs=1e-15)
    assert value(result, "optimizing") == 0.0
    assert value(result, "mutual_information") == 4 / 9
    assert value(result, "adjusted_optimizing") == -4 / 9


def test_the_smart_thermostat() -> None:
    result = adjusted(thermostat="smart")
    assert law(result, "now") == over(9, 0, 0, 2, 1, 3, 1, 2, 0, 0)
    assert law(result, "next") == over(9, 0, 0, 1, 0, 7, 0, 1, 0, 0)
    assert law(result, "now_decorrelated") == over(27, 2, 2, 2, 5, 5, 5, 2, 2, 2)
    assert law(result, "next_decorrelated") == over(27, 0, 0, 7, 2, 9, 2, 7, 0, 0)
    expected = {
        "entropy_now": 5 / 3 * LOG3 - 4 / 9,
        "entropy_next": 2 * LOG3 - 7 / 9 * LOG7,
        "entropy_now_decorrelated": 3 * LOG3 - 5 / 9 * LOG5 - 4 / 9,
        "entropy_next_decorrelated": 7 / 3 * LOG3 - 14 / 27 * LOG7 - 4 / 27,
        "adjusted_optimizing": 7 / 27 * LOG7 + 5 / 9 * LOG5 - LOG3 - 4 / 27,
    }
    for name, number in expected.items():
        assert value(result, name) == pytest.approx(number, abs=1e-14)
    reference = {"optimizing": 1.108005, "mutual_information": 0.823323, "adjusted_optimizing": 0.284682}
    for name, number in reference.items():
        assert value(result, name) == pytest.approx(number, abs=1e-6)


def test_cycles_and_transients() -> None:
    dumb, smart = adjusted(), adjusted(thermostat="smart")
    rows = dumb.tables["cycles"].rows
    around = "high, warm > low, hot > off, hot > off, warm > low, cold > high, cold > high, warm"
    assert rows == ((0, "cycle", 6, around, 8, 1), (1, "fixed point", 1, "low, warm > low, warm", 1, 0))
    transient = [row[0] for row in dumb.tables["states"].rows if row[3] == 1]
    assert transient == ["high, hot", "off, cold"]
    assert smart.tables["cycles"].rows == ((0, "fixed point", 1, "low, warm > low, warm", 9, 3),)
    assert value(smart, "longest_transient") == 3
    assert (value(dumb, "cycles"), value(dumb, "recurrent_states"), value(dumb, "longest_cycle")) == (2, 7, 6)


def test_cycles_run_clockwise_and_transients_inwards() -> None:
    for thermostat, system in (("dumb", DUMB), ("smart", SMART)):
        result = adjusted(thermostat=thermostat)
        x, y = result.arrays["graph_x"].values, result.arrays["graph_y"].values
        steps = {row[0]: row[3] for row in result.tables["states"].rows}
        cycle = [s for s in range(9) if steps[system.name(s)] == 0 and system.target[s] != s]
        if cycle:
            middle = x[cycle].mean() + 1j * y[cycle].mean()
            for s in cycle:
                turn = np.angle(
                    (x[system.target[s]] + 1j * y[system.target[s]] - middle) / (x[s] + 1j * y[s] - middle)
                )
                assert -np.pi < turn < 0
            centre = middle
        else:
            centre = complex(x[4], y[4])
        for s in range(9):
            if steps[system.name(s)] > 0:
                after = system.target[s]
                assert abs(complex(x[after], y[after]) - centre) < abs(complex(x[s], y[s]) - centre)
        assert len({(round(a, 9), round(b, 9)) for a, b in zip(x, y, strict=True)}) == 9


@pytest.mark.parametrize("thermostat", ["dumb", "smart"])
def test_marginals_that_are_given(thermostat: str) -> None:
    room, machine = [0.5, 0.3, 0.2], [0.1, 0.2, 0.7]
    result = adjusted(thermostat=thermostat, room=room, machine=machine)
    np.testing.assert_allclose(result.arrays["before"].values, np.outer(machine, room), atol=1e-16)
    assert law(result, "before")[0] == Fraction(1, 20)
    table = {"dumb": DUMB, "smart": SMART}[thermostat]
    state = np.zeros((9, 9))
    state[table.target, range(9)] = 1.0
    now = state @ np.outer(machine, room).ravel()
    apart = np.outer(now.reshape(3, 3).sum(axis=1), now.reshape(3, 3).sum(axis=0)).ravel()

    def bits(p: np.ndarray) -> float:
        return float(-(p[p > 0] * np.log2(p[p > 0])).sum())

    expected = bits(state @ apart) + bits(now) - bits(state @ now) - bits(apart)
    assert value(result, "adjusted_optimizing") == pytest.approx(expected, abs=1e-13)
    assert value(result, "double_error") < 1e-14


def test_a_certain_start_has_no_entropy_at_all() -> None:
    result = adjusted(room=[0, 0, 1], machine=[1, 0, 0])
    for name in ("before", "now", "next", "now_decorrelated", "next_decorrelated"):
        assert value(result, f"entropy_{name}") == 0.0
    assert value(result, "adjusted_optimizing") == 0.0


def test_entropy_against_time_is_drawn() -> None:
    result = adjusted(thermostat="smart")
    assert result.figures[0].name == "entropies"
    np.testing.assert_array_equal(result.arrays["t"].values, [-1, 0, 1])
    assert result.arrays["entropy"].values[2] == value(result, "entropy_next")
    assert np.isnan(result.arrays["entropy_decorrelated"].values[0])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"room": [0.5, 0.5]}, "probability for each of hot, warm, cold: 3, not 2"),
        ({"machine": [0, 0, 0]}, "zero everywhere"),
        ({"machine": [1, -1, 1]}, "at least 0"),
        ({"room": "unifrom"}, r"Did you mean 'uniform'\?"),
        ({"room": 1.0}, "3, not 1"),
    ],
)
def test_what_is_wrong_is_a_sentence(params: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioFileError, match=words):
        adjusted(**params)


def test_weights_are_divided_by_their_sum() -> None:
    result = adjusted(room=[1, 1, 1], machine=[2, 2, 2])
    assert [w.split(" add")[0] for w in result.warnings] == [
        "The probabilities in machine", "The probabilities in room",
    ]  # fmt: skip
    assert value(result, "adjusted_optimizing") == -4 / 9
