"""Expectations: what a file may expect, and when that holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.expectations import Expectation, judge, point_problems, read_expectations
from tui_opt.result import Result
from tui_opt.scenario import Experiment, registry
from tui_opt.sweep import Sweep, SweepAxis


@pytest.fixture(scope="module")
def drop() -> Experiment:
    return registry().scenario("bouncing-ball").experiment("drop")


SWEEP = Sweep((SweepAxis("restitution", (0.5, 0.7, 0.9)), SweepAxis("bounces", (5,))))


def test_value_with_tolerances() -> None:
    absolute = Expectation(finding="x", value=2.0, tolerance=0.1)
    assert absolute.accepts(2.1 - 1e-12)
    assert not absolute.accepts(2.1 + 1e-12)
    relative = Expectation(finding="x", value=-200.0, relative=0.01)
    assert relative.accepts(-202.0)
    assert not relative.accepts(-202.1)
    exact = Expectation(finding="x", value=3.0)
    assert exact.accepts(3.0)
    assert not exact.accepts(np.nextafter(3.0, 4.0))


@pytest.mark.parametrize(
    ("value", "measured", "holds"),
    [
        (math.nan, math.nan, True), (math.nan, 1.0, False), (1.0, math.nan, False), (math.inf, math.inf, True),
        (math.inf, -math.inf, False), (math.inf, 1e308, False), (1.0, math.inf, False),
    ],
)  # fmt: skip
def test_values_that_are_not_finite_are_matched_by_themselves_only(
    value: float, measured: float, holds: bool
) -> None:
    assert Expectation(finding="x", value=value, tolerance=1e300, relative=10.0).accepts(measured) is holds


@given(st.floats(), st.none() | st.floats(-10, 10), st.none() | st.floats(-10, 10))
def test_a_range_includes_its_ends_and_never_nan(
    measured: float, low: float | None, high: float | None
) -> None:
    expected = not math.isnan(measured)
    expected = expected and (low is None or low <= measured) and (high is None or measured <= high)
    assert Expectation(finding="x", min=low, max=high).accepts(measured) is expected


def entry(**changes: Any) -> dict[str, Any]:
    return {"finding": "rest_time", "value": 1.0} | changes


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"value": 1.0}, "expect[0]"),
        (entry(array="peak"), "expect[0]"),
        ({"finding": "rest_time"}, "expect[0]"),
        (entry(min=0.0), "expect[0]"),
        (entry(finding="rest_tine"), "expect[0].finding"),
        (entry(finding=1), "expect[0].finding"),
        ({"array": "peaks", "value": 1.0}, "expect[0].array"),
        (entry(value="1"), "expect[0].value"),
        (entry(value=True), "expect[0].value"),
        (entry(value=10**400), "expect[0].value"),
        (entry(tolerance=-1.0), "expect[0].tolerance"),
        (entry(tolerance=math.nan), "expect[0].tolerance"),
        (entry(relative=math.inf), "expect[0].relative"),
        (entry(verdict="reproducd"), "expect[0].verdict"),
        (entry(verdict=["reproduced"]), "expect[0].verdict"),
        (entry(source=1), "expect[0].source"),
        (entry(claimed="half"), "expect[0].claimed"),
        ({"array": "peak", "value": 1.0, "index": 1}, "expect[0].index"),
        ({"array": "peak", "value": 1.0, "index": [1.0]}, "expect[0].index"),
        (entry(at=0.5), "expect[0].at"),
        (entry(index=[0]), "expect[0].index"),
        ({"finding": "rest_time", "min": 2.0, "max": 1.0}, "expect[0].min"),
        ({"finding": "rest_time", "min": 1.0, "max": 2.0, "tolerance": 0.1}, "expect[0].tolerance"),
        ({"finding": "rest_time", "max": 2.0, "relative": 0.1}, "expect[0].relative"),
        (entry(tolerence=0.1), "expect[0].tolerence"),
    ],
)
def test_a_wrong_entry_is_named(drop: Experiment, table: dict[str, Any], key: str) -> None:
    expectations, problems = read_expectations([table], drop, swept=False)
    assert expectations == {}
    assert [p.key for p in problems] == [key]


def test_what_makes_sense_is_accepted(drop: Experiment) -> None:
    for table in (
        {"finding": "rest_time", "min": 1.0, "max": 1.0},
        {"finding": "rest_time", "value": 1.0},
        {"array": "peak", "index": [0, 0], "value": 1.0, "tolerance": 0.1},
    ):
        assert read_expectations([table], drop, swept=False)[1] == []
    assert read_expectations([entry(index=[0])], drop, swept=True)[1] == []


def test_entries_must_be_tables(drop: Experiment) -> None:
    wrongs: tuple[Any, ...] = (1, {}, [1], "x")
    for wrong in wrongs:
        assert [p.key for p in read_expectations(wrong, drop, swept=False)[1]] == ["expect"]


def test_the_findings_of_a_sweep_itself_may_be_expected(drop: Experiment) -> None:
    assert read_expectations([entry(finding="failed_points")], drop, swept=True)[1] == []
    assert [p.key for p in read_expectations([entry(finding="failed_points")], drop, swept=False)[1]] != []


def test_a_point_must_be_on_the_sweep() -> None:
    def keys(at: dict[str, Any] | None, sweep: Sweep | None = SWEEP, finding: str = "rest_time") -> list[str]:
        return [p.key for p in point_problems({3: Expectation(finding=finding, at=at, value=1.0)}, sweep)]

    assert keys({"restitution": 0.7}) == []
    assert keys({"restitution": 0.7, "bounces": 5}) == []
    assert keys({"restitution": 0.6}) == ["expect[3].at"]
    assert keys({"restitutoin": 0.7}) == ["expect[3].at"]
    assert keys({"restitution": 0.7, "gravity": 9.81}) == ["expect[3].at"]
    assert keys({"restitution": 10**400}) == ["expect[3].at"]
    assert keys(None) == ["expect[3].at"]
    assert keys(None, finding="points") == []
    assert keys({"restitution": 0.7}, sweep=None) == ["expect[3].at"]
    assert keys(None, sweep=None) == []


@pytest.fixture
def result() -> Result:
    made = Result()
    made.add_finding("a", 2.0, "a finding", stderr=0.1)
    made.add_finding("hole", math.nan)
    made.add_array("t", np.array([0.0, 0.5, 1.0]), ("t",))
    made.add_array("curve", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), ("series", "t"))
    made.add_array("curve_stderr", np.full((2, 3), 0.25), ("series", "t"))
    made.add_array("scalar", np.array(7.0), ())
    return made


def outcome(result: Result, sweep: Sweep | None = None, **fields: Any) -> Any:
    (one,) = judge([Expectation(**fields)], result, sweep)
    return one


def test_a_finding_is_measured_with_its_standard_error(result: Result) -> None:
    one = outcome(result, finding="a", value=2.0)
    assert (one.measured, one.stderr, one.holds) == (2.0, 0.1, True)
    assert outcome(result, finding="hole", value=math.nan).holds


def test_an_element_is_picked_by_index_or_by_the_coordinates_of_its_dims(result: Result) -> None:
    one = outcome(result, array="curve", index=(1, 2), value=6.0)
    assert (one.measured, one.stderr) == (6.0, 0.25)
    assert outcome(result, array="curve", at={"series": 1, "t": 0.5}, value=5.0).holds
    assert outcome(result, array="curve", at={"t": 0.5}, index=(1,), value=5.0).holds
    assert outcome(result, array="curve", index=(-1, -1), value=6.0).holds
    assert outcome(result, array="scalar", index=(), value=7.0).holds


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"finding": "aa"}, "no finding 'aa'"),
        ({"array": "curv"}, "Did you mean 'curve'"),
        ({"array": "curve", "index": (5, 0)}, "no element"),
        ({"array": "curve", "index": (10**30, 0)}, "no element"),
        ({"array": "curve", "index": (0,)}, "2 indices"),
        ({"array": "curve", "at": {"t": 0.5}}, "series"),
        ({"array": "curve", "at": {"t": 0.4}, "index": (0,)}, "t = 0.4"),
        ({"array": "curve", "at": {"u": 0.5}}, "no dim 'u'"),
        ({"array": "curve", "at": {"t": 0.5, "series": 0}, "index": (0,)}, "2 dims"),
    ],
)
def test_what_cannot_be_measured_does_not_hold_and_says_why(result: Result, fields: Any, words: str) -> None:
    one = outcome(result, value=1.0, **fields)
    assert not one.holds
    assert one.measured is None
    assert words in one.why


def test_points_of_a_sweep_are_picked_by_their_values() -> None:
    swept = Result()
    swept.add_array("restitution", np.array([0.5, 0.7, 0.9]), ("restitution",))
    swept.add_array("rest_time", np.array([[1.0], [2.0], [3.0]]), ("restitution", "bounces"))
    swept.add_array("bounce", np.array([0.0, 1.0]), ("bounce",))
    swept.add_array("peak", np.arange(6.0).reshape(3, 1, 2), ("restitution", "bounces", "bounce"))
    swept.add_finding("points", 3)
    assert outcome(swept, SWEEP, finding="rest_time", at={"restitution": 0.7}, value=2.0).holds
    assert outcome(swept, SWEEP, finding="points", value=3.0).holds
    assert (
        outcome(swept, SWEEP, array="peak", at={"restitution": 0.9}, index=(1,), value=4.0).measured is None
    )
    assert outcome(swept, SWEEP, array="peak", at={"restitution": 0.9}, index=(0, 1), value=5.0).holds
    assert outcome(
        swept, SWEEP, array="peak", at={"restitution": 0.9, "bounces": 5, "bounce": 1.0}, value=5.0
    ).holds
    assert outcome(swept, SWEEP, array="peak", index=(2, 0, 1), value=5.0).holds


def test_text_axes_are_picked_by_their_text() -> None:
    sweep = Sweep((SweepAxis("method", ("exact", "sampled")),))
    swept = Result()
    swept.add_array("x", np.array([1.0, 2.0]), ("method",))
    assert outcome(swept, sweep, finding="x", at={"method": "sampled"}, value=2.0).holds


def test_plain_says_only_what_was_said_and_reads_back(drop: Experiment) -> None:
    table = {
        "finding": "rest_time", "value": 0.0, "tolerance": 0.1, "verdict": "corrected", "claimed": 0.0, "source": "S",
        "claim": "C", "at": {"restitution": 0.5},
    }  # fmt: skip
    expectations, problems = read_expectations([table], drop, swept=True)
    assert problems == []
    assert expectations[0].plain() == table
