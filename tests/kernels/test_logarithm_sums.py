"""Sums of logarithms: zero exactly when they are, and right where their terms cancel."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest

from tui_opt.kernels.logarithm_sums import LOG_2, LogarithmSum, coprime_base, prime_factors, quotient


def log(number: int, coefficient: Fraction | int = 1) -> LogarithmSum:
    return LogarithmSum.of([(number, Fraction(coefficient))])


def by_mpmath(total: LogarithmSum, digits: int = 400) -> mpmath.mpf:
    with mpmath.workdps(digits):
        terms = (mpmath.mpf(c.numerator) / c.denominator * mpmath.log(n) for n, c in total.terms.items())
        return mpmath.fsum(terms) + mpmath.mpf(total.constant.numerator) / total.constant.denominator


def test_zeros_are_found_whatever_they_are_written_in() -> None:
    assert (log(6) - log(2) - log(3)).is_zero()
    assert (log(8, Fraction(1, 3)) - log(2)).value() == 0
    assert (log(12) + log(18) - log(6, 3)).is_zero()
    huge = 3**200 * 5**100
    assert (log(huge) - log(3, 200) - log(5, 100)).is_zero()
    assert not (log(huge) - log(huge - 1)).is_zero()
    assert log(1).is_zero()
    assert LogarithmSum({}).value() == 0


def test_a_value_keeps_its_digits_where_terms_cancel() -> None:
    """The terms agree in all but the last of hundreds of digits."""
    for digits in (1, 20, 60, 250):
        number = 10**digits
        total = log(number + 1) - log(number)
        exact = by_mpmath(total, 4 * digits + 60)
        assert abs(mpmath.mpf(str(total.value())) / exact - 1) < 1e-23
    # 3^n is close to a power of 2 again and again: a sum that is small and not zero.
    near = log(3, 15601) - log(2, 24727)
    assert float(near.value()) == pytest.approx(float(by_mpmath(near)), rel=1e-15)
    assert 0 < abs(near.in_bits()) < 1e-4


def test_a_rational_part_counts() -> None:
    """e is close to 2721/1001, and ln of the one to 1, but no rational number is a sum of logarithms."""
    close = LogarithmSum.log(Fraction(2721, 1001)) - LogarithmSum({}, Fraction(1))
    assert not close.is_zero()
    assert 0 < abs(close.in_nats()) < 1e-6
    assert close.in_nats() == pytest.approx(float(by_mpmath(close)), rel=1e-15)
    assert (close + close.times(Fraction(-1))).is_zero()
    assert close.bits_in_words() == ""
    assert LogarithmSum({}, Fraction(1, 3)).in_nats() == 1 / 3


def test_bits_and_nats() -> None:
    assert log(3).in_bits() == pytest.approx(math.log2(3), rel=1e-15)
    assert log(3).in_nats() == pytest.approx(math.log(3), rel=1e-15)
    assert log(2, Fraction(-4, 9)).in_bits() == -4 / 9
    assert quotient(log(4).value(), LOG_2.value()) == 2


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (LogarithmSum({}), "0"),
        (log(4) - log(2, 2), "0"),
        (log(9) - log(2, Fraction(4, 9)), "2 log2(3) - 4/9"),
        (log(2, Fraction(-4, 9)), "-4/9"),
        (log(3) + log(2), "log2(3) + 1"),
        (log(7, Fraction(-7, 9)) + log(3, 2), "-7/9 log2(7) + 2 log2(3)"),
        (log(10**9 + 7), ""),
        (log(3 * 5 * 7 * 11 * 13), ""),
    ],
)
def test_a_number_in_words_is_written_where_it_is_short(total: LogarithmSum, words: str) -> None:
    assert total.bits_in_words() == words


@pytest.mark.parametrize(
    "numbers", [[6, 10, 15], [4, 8, 64], [7, 11], [2**5 * 3, 2 * 3**4, 5**2 * 2], [1, 1]]
)
def test_a_coprime_base_generates_its_numbers(numbers: list[int]) -> None:
    base = list(coprime_base(numbers))
    assert all(math.gcd(a, b) == 1 for i, a in enumerate(base) for b in base[:i])
    for number in numbers:
        for factor in base:
            while number % factor == 0:
                number //= factor
        assert number == 1


def test_prime_factors() -> None:
    for number in (1, 2, 97, 360, 9973**2, 2**20):
        found = prime_factors(number)
        assert math.prod(p**k for p, k in found.items()) == number
        assert all(p % q for p in found for q in range(2, min(p, 100)))
