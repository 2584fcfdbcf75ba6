"""Numbers in words: rounding checked against exact fractions, notation against its own definition."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.render.ascii import to_ascii
from tui_opt.render.numbers import THIN_SPACE, format_number, format_uncertain

FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=1e-290, max_value=1e290)
NUMBER = re.compile(r"(-?)(\d[\d.]*)(?:\((\d[\d.]*)\))?(?:x10\^(-?\d+))?$")


def parse(text: str) -> tuple[Fraction, Fraction, Fraction]:
    """Value, uncertainty and the worth of the last digit, exactly as a reader takes the notation."""
    found = NUMBER.match(to_ascii(text))
    assert found, text
    sign, digits, error, exponent = found.groups()
    scale = Fraction(10) ** int(exponent or 0)
    decimals = len(digits.partition(".")[2])
    last = scale / Fraction(10) ** decimals
    uncertainty = Fraction(0)
    if error:
        uncertainty = Fraction(error) * (scale if "." in error or decimals == 0 else last)
    value = Fraction(digits) * scale
    return (-value if sign else value), uncertainty, last


def ulp_of_digits(value: float, digits: int) -> Fraction:
    exponent = math.floor(math.log10(abs(value))) if value else 0
    return Fraction(10) ** (exponent - digits + 1)


@given(FINITE, st.integers(1, 17))
def test_a_number_is_the_nearest_of_its_digits(value: float, digits: int) -> None:
    shown, _, _ = parse(format_number(value, digits))
    # log10 can land one decade off next to a power of ten; a wrong rounding is off by far more than that decade.
    assert abs(shown - Fraction(value)) <= ulp_of_digits(value, digits) / 2 * Fraction(1000001, 1000000)


@given(FINITE)
def test_seventeen_digits_give_the_number_back(value: float) -> None:
    assert float(parse(format_number(value, 17))[0]) == value


@given(st.integers(-(10**14), 10**14))
def test_integers_are_written_in_full_and_grouped_by_three(value: int) -> None:
    text = format_number(value)
    assert int(text.replace(THIN_SPACE, "")) == value
    first, *rest = text.lstrip("-").split(THIN_SPACE)
    assert 1 <= len(first) <= 3
    assert all(len(group) == 3 for group in rest)


@given(FINITE, POSITIVE)
def test_an_uncertainty_has_two_digits_and_the_number_ends_where_it_does(value: float, stderr: float) -> None:
    text = format_uncertain(value, stderr)
    if "±" in text:  # beyond double precision, where the concise notation would invent digits
        assert abs(value) > 1e14 * stderr
        return
    shown, uncertainty, last = parse(text)
    assert abs(uncertainty - Fraction(stderr)) <= last / 2
    assert abs(shown - Fraction(value)) <= last / 2
    assert 10 <= uncertainty / last <= 99


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.3243, 0.0015, "0.3243(15)"),
        (2520.2, 30.1, f"2{THIN_SPACE}520(30)"),
        (12345, 250, "1.234(25)×10⁴"),
        (3, 2500, "0.0(2.5)×10³"),
        (12.34, 1.5, "12.3(1.5)"),
        (0.3, 0.00996, "0.300(10)"),
        (1e-7, 2e-9, "1.000(20)×10⁻⁷"),
        (-0.0001, 0.5, "0.00(50)"),
        (0.0, 7.2e-267, "0.0(7.2)×10⁻²⁶⁷"),
        (0.5, 0.0, "0.5(0)"),
        (0.5, None, "0.5"),
        (0.5, math.nan, "0.5 ± nan"),
        (math.inf, 0.1, "inf ± 0.1"),
        (1.0, 1e-30, "1 ± 1×10⁻³⁰"),
    ],
)
def test_concise_notation(value: float, stderr: float | None, text: str) -> None:
    assert format_uncertain(value, stderr) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (2520.37, f"2{THIN_SPACE}520.37"),
        (-0.0, "0"),
        (999999.6, "1×10⁶"),
        (99999.96, f"100{THIN_SPACE}000"),
        (1.23456e-5, "1.23456×10⁻⁵"),
        (5e-324, "4.94066×10⁻³²⁴"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert format_number(value) == text


def test_more_digits_than_a_double_has_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 17"):
        format_number(1.0, 18)


@given(st.text())
def test_ascii_spelling_is_ascii(text: str) -> None:
    assert to_ascii(text).isascii()


def test_ascii_spelling_keeps_the_meaning() -> None:
    assert to_ascii("10⁻⁴ ±1 se, θ₀ ≤ 2") == "10^-4 +/-1 se, theta0 <= 2"
    assert to_ascii("½ T² f‴") == "1/2 T^2 f'''"
