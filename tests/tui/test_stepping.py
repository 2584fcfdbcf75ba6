"""Steps of values: on a fixed grid, inside the bounds, exactly reversible, as short decimals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tui_opt.param_spec import ParamSpec
from tui_opt.tui.stepping import can_step, step


def spec(kind: Any = "real", default: Any = 1.0, **declared: Any) -> ParamSpec:
    return ParamSpec("x", kind, default, "A value.", **declared)


TEMPERATURE = spec(log=True, above=0, high=1e6)
WALKERS = spec("integer", 20_000, log=True, low=1, high=100_000_000)
INTERVAL = spec(default=-10.0, low=-1e6, high=1e6)
SHARE = spec(default=0.9, low=0, high=1)
TERM = spec("integer", 0, low=0, high=25)
START = spec(default="minimum", words=("minimum", "datapoint-minimum"), low=-1e6, high=1e6)

SPECS = (
    TEMPERATURE,
    WALKERS,
    INTERVAL,
    SHARE,
    TERM,
    spec(default=0.25),
    spec("integer", -3, log=True, low=-40),
)
specs = st.sampled_from(SPECS)


def walk(declared: ParamSpec, value: Any, steps: int, *, up: bool = True, coarse: bool = False) -> list[Any]:
    values = [value]
    for _ in range(steps):
        values.append(step(declared, values[-1], up, coarse=coarse))
    return values


@st.composite
def allowed(draw: st.DrawFn, declared: ParamSpec) -> Any:
    low = declared.low if declared.low is not None else declared.above if declared.above is not None else -1e9
    high = declared.high if declared.high is not None else 1e9
    if declared.kind == "integer":
        return draw(st.integers(int(low), int(high)))
    return draw(st.floats(low, high, exclude_min=declared.above is not None))


def test_logarithmic_numbers_go_through_the_decade() -> None:
    assert walk(TEMPERATURE, 0.01, 7) == [0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15]
    assert walk(TEMPERATURE, 2.0, 5, up=False) == [2.0, 1.5, 1.0, 0.7, 0.5, 0.3]
    assert walk(TEMPERATURE, 0.015, 3, coarse=True) == [0.015, 0.15, 1.5, 15.0]


def test_whole_logarithmic_numbers_skip_what_is_not_whole() -> None:
    assert walk(WALKERS, 1, 7) == [1, 2, 3, 5, 7, 10, 15, 20]
    assert walk(WALKERS, 3, 4, up=False) == [3, 2, 1, 1, 1]
    assert walk(WALKERS, 20_000, 1, up=False, coarse=True) == [20_000, 2_000]
    assert all(type(v) is int for v in walk(WALKERS, 1, 20))


def test_linear_numbers_step_through_zero_in_a_grain_of_their_default() -> None:
    assert walk(spec(default=-1.0), -0.2, 4) == [-0.2, -0.1, 0.0, 0.1, 0.2]
    assert walk(INTERVAL, -10.0, 2) == [-10.0, -9.0, -8.0]
    assert walk(INTERVAL, 98.0, 4) == [98.0, 99.0, 100.0, 102.0, 104.0]
    assert walk(INTERVAL, 102.0, 2, up=False) == [102.0, 100.0, 99.0]
    assert walk(INTERVAL, 3.0, 3, coarse=True) == [3.0, 10.0, 20.0, 30.0]


def test_narrow_bounds_make_the_grain_fine() -> None:
    assert walk(SHARE, 0.97, 4) == [0.97, 0.98, 0.99, 1.0, 1.0]


def test_whole_numbers_step_by_one_and_by_ten() -> None:
    assert walk(TERM, 0, 3) == [0, 1, 2, 3]
    assert walk(TERM, 0, 4, coarse=True) == [0, 10, 20, 25, 25]
    assert step(TERM, 0, False) == 0


def test_a_step_leaves_no_rest_of_binary_fractions() -> None:
    assert all(len(repr(v)) <= 5 for v in walk(spec(default=0.2), -3.0, 200))


@given(st.data(), specs, st.booleans(), st.booleans())
def test_steps_go_the_right_way_and_stay_inside_the_bounds(
    data: st.DataObject, declared: ParamSpec, up: bool, coarse: bool
) -> None:
    value = data.draw(allowed(declared))
    after = step(declared, value, up, coarse=coarse)
    assert declared.problems("x", after) == []
    assert after >= value if up else after <= value
    assert type(after) is type(value)


@given(st.data(), specs, st.booleans(), st.booleans())
def test_a_step_and_the_step_back_undo_each_other(
    data: st.DataObject, declared: ParamSpec, up: bool, coarse: bool
) -> None:
    start = data.draw(allowed(declared))
    value = step(declared, start, up, coarse=coarse)  # from anywhere onto the grid
    assume(
        value not in (declared.low, declared.high, 0)
    )  # a bound need not lie on it, nor zero on a logarithmic one
    after = step(declared, value, up, coarse=coarse)
    if declared.kind != "integer" or after not in (declared.low, declared.high) or not coarse:
        assume(after != value)
        assert step(declared, after, not up, coarse=coarse) == value


@pytest.mark.parametrize("start", [1.0890514171915129, 0.010890514171915129, 3.0000000000000004])
def test_decades_of_numbers_with_all_their_digits_undo_each_other(start: float) -> None:
    declared = spec(default=1.0, above=0.0, high=1e6, log=True)
    value = step(declared, start, False, coarse=True)
    assert step(declared, step(declared, value, False, coarse=True), True, coarse=True) == value


@given(st.floats(1e-300, 1e300))
def test_a_logarithmic_step_is_between_a_seventh_and_a_half_or_a_shift_of_the_point(value: float) -> None:
    free = spec(log=True, above=0)
    assert value < step(free, value, True) <= value * 2.0000001
    # Fifteen digits are kept.
    assert math.isclose(step(free, value, True, coarse=True), value * 10, rel_tol=5e-15)


def test_choices_and_flags_go_round() -> None:
    method = spec("choice", "both", choices=("operator", "monte-carlo", "both"))
    assert walk(method, "operator", 3) == ["operator", "monte-carlo", "both", "operator"]
    assert walk(method, "operator", 1, up=False) == ["operator", "both"]
    assert walk(spec("flag", False), False, 2) == [False, True, False]


def test_words_come_before_the_numbers() -> None:
    assert walk(START, "minimum", 3) == ["minimum", "datapoint-minimum", 0.0, 0.1]
    assert walk(START, "datapoint-minimum", 2, up=False) == ["datapoint-minimum", "minimum", "minimum"]
    assert step(spec(default=None, optional=True, above=0), None, True) == 1.0


def test_a_list_of_one_number_steps_and_longer_ones_do_not() -> None:
    many = spec(default=(0.5,), many=True, log=True, above=0)
    assert step(many, (0.5,), True) == (0.7,)
    assert step(many, (0.5, 0.7), True) == (0.5, 0.7)
    assert not can_step(many, (0.5, 0.7))


@pytest.mark.parametrize("kind", ["text", "expression"])
def test_texts_do_not_step(kind: str) -> None:
    assert not can_step(spec(kind, "W^2"), "W^2")
    assert step(spec(kind, "W^2"), "W^2", True) == "W^2"
