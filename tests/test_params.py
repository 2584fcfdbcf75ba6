"""Parameters: every problem at once, in the order of declaration, with the key as the user wrote it."""

from __future__ import annotations

import fractions
import math
from collections.abc import Iterable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.params import Many, OneOrMany, Params, Real, Whole, choice, expressions, real, whole
from tui_opt.problems import ParameterErrors, Problem, near_match


class Sample(Params):
    """One of every kind."""

    losses: tuple[str, ...] = expressions(("W^2",), variables=("W",), help="Losses.")
    temperature: OneOrMany = real(0.5, above=0, high=10, unit="K", symbol="T", log=True, help="Step size.")
    start: Real | Literal["minimum"] = real("minimum", low=-1, high=1, help="Start.")
    steps: Whole = whole(10, low=1, high=1_000_000, help="Steps.")
    points: Many = real((0.0, 1.0), help="Points.")
    method: Literal["exact", "sampled"] = choice("exact", help="Method.")
    verbose: bool = choice(False, help="Say more.")
    held_until: Real | None = real(None, low=0, help="May be left out.")


def ends_after_start(params: Sample) -> Iterable[Problem]:
    if params.points[0] > params.points[-1]:
        yield Problem("points", "must rise.", params.points, "Swap them.")


Sample.rules = (ends_after_start,)


def problems(**given_values: Any) -> list[Problem]:
    with pytest.raises(ParameterErrors) as caught:
        Sample.check(given_values)
    return caught.value.problems


def test_defaults_are_allowed_values() -> None:
    assert Sample.check({}) == Sample()


def test_values_take_the_types_that_toml_gives() -> None:
    made = Sample.check({"temperature": [1, 2.5], "steps": 1e4, "points": [0, 1], "start": 1})
    assert made.temperature == (1.0, 2.5)
    assert made.steps == 10_000
    assert isinstance(made.steps, int)
    assert [type(x) for x in made.points] == [float, float]
    assert made.start == 1.0


def test_plain_values_make_equal_parameters_and_leave_out_what_is_not_set() -> None:
    made = Sample.check({"temperature": [1.0], "losses": ["W", "W^3"]})
    assert "held_until" not in made.plain()
    assert Sample.check(made.plain()) == made


def test_every_problem_is_reported_in_the_order_of_declaration() -> None:
    found = problems(
        held_until=-1.0, verbose=1, method="exakt", points=[], steps=0, start="minimun", temperature=[1.0, 0.0],
        losses=["W^^2"], temprature=1.0,
    )  # fmt: skip
    assert [p.key for p in found] == [
        "params.temprature", "params.losses[0]", "params.temperature[1]", "params.start", "params.steps",
        "params.points", "params.method", "params.verbose", "params.held_until",
    ]  # fmt: skip
    hints = {p.key: p.hint for p in found}
    assert "'temperature'" in hints["params.temprature"]
    assert "'minimum'" in hints["params.start"]
    assert "'exact'" in hints["params.method"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temperature", 0.0, "above 0 and at most 10"),
        ("temperature", 10.5, "at most 10, or a list of numbers"),
        ("temperature", math.nan, "finite"),
        ("temperature", [1.0, math.inf], "finite"),
        ("temperature", "hot", "a number above 0"),
        ("temperature", True, "a number above 0"),
        ("temperature", [], "empty"),
        ("temperature", {"a": 1}, "a number above 0"),
        ("temperature", 10**400, "too large"),
        ("start", 1.5, "at least -1 and at most 1, or 'minimum'"),
        ("steps", 2.5, "a whole number"),
        pytest.param("steps", 10**4400, "too large", id="more digits than Python writes"),
        ("steps", -(10**19), "too large"),
        ("steps", True, "a whole number"),
        ("points", 1.0, "a list of numbers"),
        ("points", ["a"], "must be a number, not 'a'"),
        ("points", [[1.0]], "must be a number, not [1.0]"),
        ("temperature", [20.0], "must be a number above 0 and at most 10, not 20"),
        ("method", 1, "one of 'exact', 'sampled'"),
        ("verbose", "yes", "true or false"),
        ("losses", "W^2", "a list of expressions in W"),
        ("losses", [], "at least 1"),
        ("losses", [1.0], "must be an expression in W, not 1"),
        ("losses", ["V"], "'V'"),
        ("held_until", [1.0], "a number at least 0"),
    ],
)
def test_a_wrong_value_names_its_key_and_what_is_allowed(name: str, value: Any, words: str) -> None:
    (problem,) = problems(**{name: value})
    assert problem.key.startswith(f"params.{name}")
    assert words in problem.message


def test_a_bad_entry_of_a_list_is_named_by_its_place() -> None:
    assert [p.key for p in problems(temperature=[1.0, "x", 2.0])] == ["params.temperature[1]"]
    assert [p.key for p in problems(points=[0.0, math.nan])] == ["params.points[1]"]


def test_every_bad_entry_is_reported_whatever_is_wrong_with_it() -> None:
    found = problems(temperature=[1.0, "x", 20.0, math.nan, 2.0], losses=["W^^2", 3, "W", "V"])
    assert [p.key for p in found] == [
        "params.losses[0]", "params.losses[1]", "params.losses[3]",
        "params.temperature[1]", "params.temperature[2]", "params.temperature[3]",
    ]  # fmt: skip
    assert all("a list of" not in p.message for p in found)
    assert len(problems(points=["x"] * 100_000)) < 100


def test_numbers_and_arrays_of_numpy_are_taken_as_the_values_they_hold() -> None:
    np = pytest.importorskip("numpy")
    made = Sample.check(
        {
            "temperature": np.float64(0.02),
            "steps": np.int64(7),
            "points": np.array([0, 1]),
            "verbose": np.bool_(True),
        }
    )
    assert made == Sample.check({"temperature": 0.02, "steps": 7, "points": [0.0, 1.0], "verbose": True})
    assert [type(v) for v in (made.temperature, made.steps, made.points[0])] == [float, int, float]
    assert Sample.check({"temperature": np.array([0.1, 0.2])}).temperature == (0.1, 0.2)
    assert Sample.check({"temperature": [np.float32(0.5)]}).temperature == (0.5,)
    assert Sample.check({"steps": np.float64(1e4)}).steps == 10_000
    assert Sample.check({"temperature": fractions.Fraction(1, 4)}).temperature == 0.25
    assert [p.key for p in problems(steps=np.bool_(True))] == ["params.steps"]
    assert [p.key for p in problems(points=np.array([[1.0]]))] == ["params.points[0]"]


def test_an_expression_is_quoted_with_the_place_marked() -> None:
    (problem,) = problems(losses=["W^2", "exp(W"])
    lines = str(problem).splitlines()
    assert "exp(W" in lines[1]
    assert "^" in lines[2]


def test_rules_are_checked_once_the_values_they_need_are_right() -> None:
    (problem,) = problems(points=[2.0, 1.0])
    assert str(problem) == "params.points: must rise. Swap them."
    assert [p.key for p in problems(points=[2.0, 1.0], steps=0)] == ["params.steps", "params.points"]
    assert [p.key for p in problems(points=[2.0, "x"])] == ["params.points[1]"]
    assert [p.key for p in problems(points=[2.0, 1.0], stebs=0)] == ["params.stebs", "params.points"]
    assert Sample.value_problems("points", [2.0, 1.0], "sweep.points") == []
    assert [p.key for p in Sample.value_problems("points", [2.0, "x"], "sweep.points")] == ["sweep.points[1]"]


def test_messages_are_safe_and_short_whatever_the_value() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    for value in (deep, "x" * 10**6, int("f" * 5000, 16), ["y" * 10**6]):
        (problem,) = problems(steps=value)
        assert problem.key == "params.steps"
        assert len(str(problem)) < 500
    text = str(problems(**{"\x1b[2J\n": 1})[0])
    assert text.isprintable()
    assert len(str(problems(**{"n" * 10**6: 1})[0])) < 1000


def test_a_bound_is_not_rounded_away_in_its_message() -> None:
    assert "not 10.0000001" in problems(temperature=10.0000001)[0].message


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_bounds_hold_for_exactly_the_numbers_inside_them(value: float) -> None:
    inside = math.isfinite(value) and 0 < value <= 10 if isinstance(value, float) else 0 < value <= 10
    try:
        Sample.check({"temperature": value})
    except ParameterErrors:
        assert not inside
    else:
        assert inside


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Sample.model_fields, "steps2", "", "a b"]), JUNK, max_size=4))
def test_junk_is_refused_or_accepted_but_never_crashes(values: dict[str, Any]) -> None:
    try:
        made = Sample.check(values)
    except ParameterErrors as errors:
        keys = [problem.key.removeprefix("params.").partition("[")[0] for problem in errors.problems]
    else:
        keys = list(values)
        assert Sample.check(made.plain()) == made
    assert set(keys) <= set(values)
    assert bool(keys) == bool(values)


def test_specs_tell_a_form_what_it_needs() -> None:
    specs = Sample.specs()
    assert list(specs) == list(Sample.model_fields)
    assert [s.kind for s in specs.values()] == [
        "expression", "real", "real", "integer", "real", "choice", "flag", "real",
    ]  # fmt: skip
    temperature = specs["temperature"]
    assert (temperature.one, temperature.many, temperature.log, temperature.unit) == (True, True, True, "K")
    assert (temperature.above, temperature.low, temperature.high) == (0, None, 10)
    assert (specs["points"].one, specs["points"].many) == (False, True)
    assert specs["start"].words == ("minimum",)
    assert specs["method"].choices == ("exact", "sampled")
    assert specs["held_until"].optional
    assert specs["held_until"].default is None
    assert specs["losses"].variables == ("W",)
    assert specs["losses"].allowed == "a list of expressions in W"


def test_near_match_is_silent_where_nothing_is_near() -> None:
    assert near_match("temprature", ["temperature", "steps"]) == "Did you mean 'temperature'?"
    assert near_match("xyz", ["temperature", "steps"]) == ""
