"""Sweeps: axes in file order, points in mixed radix, ranges with exact ends."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.params import OneOrMany, Params, Whole, real, whole
from tui_opt.sweep import MOST_POINTS, Sweep, SweepAxis, read_sweep, same_value


class Sample(Params):
    """Two parameters to sweep over."""

    temperature: OneOrMany = real(0.5, help="Step size.")
    steps: Whole = whole(10, help="Steps.")


SPECS = Sample.specs()


def sweep_of(table: Any) -> Sweep:
    sweep, problems = read_sweep(table, SPECS)
    assert problems == []
    assert sweep is not None
    return sweep


def keys_of(table: Any) -> list[str]:
    sweep, problems = read_sweep(table, SPECS)
    assert sweep is None
    return [p.key for p in problems]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_points_are_the_product_of_the_axes_the_first_slowest(shape: list[int]) -> None:
    sweep = Sweep(tuple(SweepAxis(f"p{i}", tuple(range(n))) for i, n in enumerate(shape)))
    expected = list(itertools.product(*map(range, shape)))
    assert [sweep.index(k) for k in range(sweep.size)] == expected
    assert [tuple(p.values()) for p in sweep.points()] == expected
    assert [sweep.find(p) for p in sweep.points()] == list(range(sweep.size))


def test_linear_ranges_have_exact_ends_and_even_steps() -> None:
    (axis,) = sweep_of({"temperature": {"from": 0.01, "to": 0.025, "num": 31}}).axes
    assert (axis.values[0], axis.values[-1], len(axis.values)) == (0.01, 0.025, 31)
    steps = [b - a for a, b in itertools.pairwise(axis.values)]
    assert max(steps) - min(steps) < 1e-16


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.integers(2, 20))
def test_logarithmic_ranges_have_exact_ends_and_even_ratios(low: float, high: float, num: int) -> None:
    (axis,) = sweep_of({"temperature": {"from": low, "to": high, "num": num, "log": True}}).axes
    assert (axis.values[0], axis.values[-1]) == (low, high)
    width = (math.log(high) - math.log(low)) / (num - 1)
    for i, value in enumerate(axis.values):
        # The logarithm of a double near the ends of the range carries an error of its size times the precision.
        assert math.log(value) == pytest.approx(math.log(low) + width * i, abs=1e-12)


def test_ranges_of_whole_parameters_and_of_seeds_are_whole_without_repeats() -> None:
    sweep = sweep_of({"steps": {"from": 1, "to": 3, "num": 9}, "seed": {"from": 0, "to": 3, "num": 4}})
    assert sweep.axes[0].values == (1, 2, 3)
    assert sweep.axes[1].values == (0, 1, 2, 3)
    assert all(isinstance(v, int) for axis in sweep.axes for v in axis.values)


def test_a_range_as_wide_as_the_numbers_there_are_stays_finite() -> None:
    (axis,) = sweep_of({"temperature": {"from": -1.7e308, "to": 1.7e308, "num": 3}}).axes
    assert axis.values == (-1.7e308, 0.0, 1.7e308)


@given(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308), st.integers(2, 20))
def test_a_linear_range_stays_between_its_ends(low: float, high: float, num: int) -> None:
    (axis,) = sweep_of({"temperature": {"from": low, "to": high, "num": num}}).axes
    assert (axis.values[0], axis.values[-1]) == (low, high)
    assert all(min(low, high) <= v <= max(low, high) for v in axis.values)


def test_a_falling_range_and_a_range_of_one_are_allowed() -> None:
    assert sweep_of({"temperature": {"from": 2, "to": 1, "num": 2}}).axes[0].values == (2.0, 1.0)
    assert sweep_of({"temperature": {"from": 2, "to": 1, "num": 1}}).axes[0].values == (2.0,)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        (5, ["sweep"]),
        ({}, ["sweep"]),
        ({"temprature": [1]}, ["sweep.temprature"]),
        ({"temperature": []}, ["sweep.temperature"]),
        ({"temperature": 1.0}, ["sweep.temperature"]),
        ({"temperature": {"from": 1, "to": 2, "nun": 3}}, ["sweep.temperature.nun", "sweep.temperature.num"]),
        ({"temperature": {"from": "a", "to": math.nan, "num": 0}}, [
            "sweep.temperature.from", "sweep.temperature.to", "sweep.temperature.num",
        ]),
        ({"temperature": {"from": 10**400, "to": True, "num": 10**400}}, [
            "sweep.temperature.from", "sweep.temperature.to", "sweep.temperature.num",
        ]),
        ({"temperature": {"from": 0.0, "to": 1.0, "num": 2, "log": True}}, ["sweep.temperature"]),
        ({"temperature": {"from": 1.0, "to": 1.0, "num": 2, "log": 1}}, ["sweep.temperature.log"]),
        ({"temperature": {"from": 0, "to": 1, "num": MOST_POINTS}, "steps": [1, 2]}, ["sweep"]),
        ({"steps": 1, "temperature": "x"}, ["sweep.steps", "sweep.temperature"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_key(table: Any, keys: list[str]) -> None:
    assert keys_of(table) == keys


def test_a_sweep_of_astronomic_size_is_refused_before_it_is_built() -> None:
    huge = {"from": 0, "to": 1, "num": MOST_POINTS}
    names = [f"p{i}" for i in range(1000)]
    specs = dict.fromkeys(names, SPECS["temperature"])
    sweep, problems = read_sweep(dict.fromkeys(names, huge), specs)
    assert sweep is None
    assert [p.key for p in problems] == ["sweep"]


def test_find_needs_every_axis_of_more_than_one_value() -> None:
    sweep = sweep_of({"temperature": [0.1, 0.2], "steps": [5]})
    assert sweep.find({"temperature": 0.2}) == 1
    assert sweep.find({"temperature": 0.1 + 1e-14, "steps": 5.0}) == 0
    assert sweep.find({"steps": 5}) is None
    assert sweep.find({"temperature": 0.3}) is None
    assert sweep.find({"temperature": 10**400}) is None


def test_plain_reads_back_as_the_same_sweep() -> None:
    sweep = sweep_of({"temperature": {"from": 0.1, "to": 7.3, "num": 17, "log": True}, "seed": [3, 1]})
    assert sweep_of(sweep.plain()) == sweep


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1, 1.0, True), (0.1 + 0.2, 0.3, True), (1.0, 1.0 + 1e-9, False), (True, 1, False), (True, True, True),
        ([1, 2.0], (1.0, 2), True), ([1], [1, 2], False), ("a", "a", True), ("a", 1, False), (10**400, 10**400, True),
        (10**400, 1.0, False), (math.nan, math.nan, False), (0.0, 1e-300, False),
    ],
)  # fmt: skip
def test_same_value(a: Any, b: Any, same: bool) -> None:
    assert same_value(a, b) is same
    assert same_value(b, a) is same
