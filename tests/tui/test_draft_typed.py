"""Values as they are typed: exact in both directions, readable in every common spelling, shown without a cut number."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.param_spec import ParamSpec
from tui_opt.tui.ranges import Range, as_range
from tui_opt.tui.typed import UnreadableError, clip, read_value, show_value, write_value


def spec(kind: Any = "real", **declared: Any) -> ParamSpec:
    return ParamSpec("x", kind, None, "A value.", **declared)


REAL, WHOLE = spec(), spec("integer")
REALS = spec(one=False, many=True)
ONE_OR_MANY = spec(many=True)
WHOLES = spec("integer", many=True)
WORD = spec(words=("auto", "minimum"))
OPTIONAL = spec(optional=True)
TEXTS = spec("text", one=False, many=True)

floats = st.floats(allow_nan=False, allow_infinity=False)
wholes = st.integers(-(10**18), 10**18)


@given(floats)
def test_no_digit_of_a_number_is_lost(value: float) -> None:
    for declared in (REAL, ONE_OR_MANY, WORD, OPTIONAL):
        back = read_value(declared, write_value(declared, value))
        assert math.copysign(1, back) == math.copysign(1, value)
        assert back == value


@given(wholes)
def test_no_digit_of_a_whole_number_is_lost(value: int) -> None:
    back = read_value(WHOLE, write_value(WHOLE, value))
    assert back == value
    assert type(back) is int


@given(st.lists(floats, max_size=12).map(tuple))
def test_no_digit_of_a_list_is_lost(values: tuple[float, ...]) -> None:
    for declared in (REALS, ONE_OR_MANY):
        assert read_value(declared, write_value(declared, values)) == values


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(1, 40), st.booleans(), st.booleans())
def test_a_range_is_written_as_one_and_comes_back(
    low: float, high: float, num: int, log: bool, whole: bool
) -> None:
    if log:
        low, high = abs(low) + 1e-3, abs(high) + 1e-3
    values = Range(low, high, num, log).values(whole=whole)
    declared = WHOLES if whole else REALS
    text = write_value(declared, values)
    back = read_value(declared, text)
    assert back == values
    assert [type(v) for v in back] == [type(v) for v in values]


@given(st.lists(wholes, max_size=12).map(tuple))
def test_no_digit_of_a_list_of_whole_numbers_is_lost(values: tuple[int, ...]) -> None:
    assert read_value(WHOLES, write_value(WHOLES, values)) == values


@given(st.lists(st.text(max_size=8), max_size=5).map(tuple))
def test_texts_come_back_whatever_is_in_them(values: tuple[str, ...]) -> None:
    for declared in (TEXTS, spec("text", many=True)):
        assert read_value(declared, write_value(declared, values)) == values
    for value in values:
        for declared in (spec("text"), spec("text", many=True)):
            assert read_value(declared, write_value(declared, value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10000", 10_000), ("1e4", 10_000), ("10 000", 10_000), ("10_000", 10_000), ("1\u202f000\u2009000", 1_000_000),
        (" 12 ", 12), ("+5", 5), ("−5", -5), ("2.0", 2),
    ],
)  # fmt: skip
def test_whole_numbers_are_read_in_every_common_spelling(text: str, value: int) -> None:
    assert read_value(WHOLE, text) == value
    assert read_value(REAL, text) == float(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.01, 0.02,0.03", (0.01, 0.02, 0.03)),
        ("[0.01, 0.02]", (0.01, 0.02)),
        ("0.01,", (0.01,)),
        ("[0.5]", (0.5,)),
        ("[]", ()),
        ("1 000, 2 000", (1000.0, 2000.0)),
        ("0.01 .. 0.013 / 4", (0.01, 0.011, 0.012, 0.013)),
        ("0.01..0.02/3", (0.01, 0.015, 0.02)),
        ("[1 .. 1000 / 4 log]", (1.0, 10.0, 100.0, 1000.0)),
        ("3 .. 1 / 3", (3.0, 2.0, 1.0)),
    ],
)
def test_lists_and_ranges(text: str, values: tuple[float, ...]) -> None:
    assert read_value(ONE_OR_MANY, text) == values


def test_a_range_of_whole_numbers_is_rounded_and_has_no_repeats() -> None:
    assert read_value(WHOLES, "1 .. 4 / 7") == (1, 2, 3, 4)
    assert read_value(WHOLES, "1 .. 100 / 3 log") == (1, 10, 100)


@pytest.mark.parametrize(
    ("declared", "text", "said"),
    [
        (REAL, "", "A value is needed"),
        (REAL, "1e", "'1e' is not a number."),
        (REAL, "nan", "'nan' is not a number."),
        (REAL, "1e999", "too large"),
        (REAL, "1 0", "not a number"),
        (REAL, "10,000", "digits are grouped by spaces"),
        (WHOLES, "10,000", "Commas separate the values"),
        (WHOLE, "0.5", "not a whole number"),
        (WHOLE, "1e30", "too large"),
        (WORD, "mininum", "Did you mean 'minimum'?"),
        (WORD, "x", "Write a number, or auto or minimum."),
        (REALS, "[1, 2", "closing bracket"),
        (REALS, "1, , 2", "A value is needed"),
        (REALS, "1 .. 2", "number of values"),
        (REALS, "1 .. 2 / 0", "from 1 to 100,000"),
        (REALS, "1 .. 2 / 1e6", "from 1 to 100,000"),
        (REALS, "0 .. 2 / 3 log", "both ends above 0"),
        (REALS, "1, 2 .. 3 / 4", "not a number"),
        (spec("flag"), "2", "neither true nor false"),
        (TEXTS, 'a, "b', "quotation mark"),
        (TEXTS, '"a" b', "A comma is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_a_sentence(declared: ParamSpec, text: str, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_value(declared, text)
    assert said in str(caught.value)


def test_words_flags_and_no_value() -> None:
    assert read_value(WORD, " auto ") == "auto"
    assert read_value(OPTIONAL, "  ") is None
    assert write_value(OPTIONAL, None) == ""
    assert [read_value(spec("flag"), text) for text in ("true", "No", "on")] == [True, False, True]
    assert write_value(spec("flag"), True) == "true"


def test_ranges_are_recognised_by_their_values_alone() -> None:
    assert as_range((0.01, 0.011, 0.012, 0.013)) == Range(0.01, 0.013, 4)
    assert as_range((1.0, 10.0, 100.0, 1000.0)) == Range(1.0, 1000.0, 4, log=True)
    assert as_range((0.01, 0.011, 0.012, math.nextafter(0.013, 1))) != Range(0.01, 0.013, 4)
    assert as_range((1.0, 2.0, 3.0)) is None
    assert as_range((1.0, 2.0, 3.0, 5.0)) is None


def test_lists_are_shown_as_briefly_as_the_width_asks() -> None:
    even = Range(0.01, 0.025, 16).values()
    assert show_value(REALS, even, 20) == "0.010 … 0.025 (16)"
    assert show_value(REALS, even, 11) == "0.010…0.025"
    assert show_value(REALS, even, 10) == "(16)"
    assert show_value(WHOLES, (100, 1000, 10_000), 30) == "100, 1\u202f000, 10\u202f000"
    assert show_value(WHOLES, (100, 1000, 10_000), 16) == "100…10\u202f000 (3)"
    assert show_value(WHOLES, (1, 10, 100, 1000, 10_000), 18) == "1 … 10\u202f000 (5 log)"


@given(st.one_of(floats, wholes.map(float), st.lists(floats, max_size=6).map(tuple)), st.integers(9, 30))
def test_what_is_shown_fits_and_never_ends_inside_a_number(value: Any, width: int) -> None:
    text = show_value(ONE_OR_MANY, value, width)
    assert len(text) <= width
    assert not text.endswith("…")


def test_numbers_are_shown_with_every_digit_there_is_room_for() -> None:
    assert show_value(WHOLE, 20_000, 12) == "20\u202f000"
    assert show_value(REAL, 1.1959612345678, 20) == "1.1959612345678"
    assert show_value(REAL, 1.1959612345678, 8) == "1.19596"
    assert show_value(OPTIONAL, None, 8) == "none"
    assert clip("monte-carlo", 6) == "monte…"
