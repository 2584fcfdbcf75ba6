"""Entropies of finite laws, exact and from doubles, against many digits."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.kernels.entropies import as_written, entropy, exact_entropy
from tui_opt.kernels.finite_maps import decorrelated, product

EPSILONS = (0.1, 1e-2, 1e-4, 1e-8, 1e-10, 1e-12, 1e-15, 1e-16)


def by_mpmath(law: list[Fraction]) -> float:
    with mpmath.workdps(80):
        return float(
            -mpmath.fsum(
                mpmath.mpf(p.numerator) / p.denominator * mpmath.log(mpmath.mpf(p.numerator) / p.denominator)
                for p in law
                if p
            )
        )


def naive(law: np.ndarray) -> float:
    inside = law[law > 0]
    return float(-(inside * np.log(inside)).sum())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_exact_and_double_agree_with_many_digits(weights: list[int]) -> None:
    law = [Fraction(w, sum(weights)) for w in weights]
    expected = by_mpmath(law)
    assert exact_entropy(law).in_nats() == pytest.approx(expected, rel=1e-15, abs=1e-300)
    assert entropy(np.array([float(p) for p in law])) == pytest.approx(expected, rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_stable_form_keeps_all_digits_of_a_nearly_certain_law(epsilon: float) -> None:
    share = as_written(epsilon)
    law = [share / 2, 1 - share, share / 2]
    values = np.array([float(p) for p in law])
    assert entropy(values) == pytest.approx(by_mpmath(law), rel=2e-15)
    assert exact_entropy(law).in_nats() == pytest.approx(by_mpmath(law), rel=1e-15)


def test_the_naive_form_loses_them() -> None:
    """The difference of the two forms is the rounding of 1 - ε, which the stable one never sees."""
    share = Fraction(3, 10**16)
    values = np.array([float(share / 2), float(1 - share), float(share / 2)])
    expected = by_mpmath([share / 2, 1 - share, share / 2])
    assert abs(naive(values) / expected - 1) > 1e-4
    assert abs(entropy(values) / expected - 1) < 2e-15


def test_uniform_laws_and_certainty() -> None:
    assert exact_entropy([Fraction(1, 9)] * 9).bits_in_words() == "2 log2(3)"
    assert exact_entropy([Fraction(0), Fraction(1)]).is_zero()
    assert entropy(np.array([0.0, 1.0, 0.0])) == 0.0
    assert entropy(np.full((3, 3), 1 / 9)) == pytest.approx(2 * math.log(3), rel=1e-15)


def test_decorrelating_never_lowers_the_entropy() -> None:
    chance = random.Random(5)
    for _ in range(50):
        weights = [chance.choice([0, 1, 2, 5]) for _ in range(12)]
        if not any(weights):
            continue
        law = tuple(Fraction(w, sum(weights)) for w in weights)
        apart = decorrelated(law, 4)
        information = exact_entropy(apart) - exact_entropy(law)
        # The same number as Σ p ln(p/q).
        kullback = math.fsum(float(p) * math.log(p / q) for p, q in zip(law, apart, strict=True) if p)
        assert information.in_nats() == pytest.approx(kullback, abs=1e-14)
        assert information.in_nats() >= 0
        assert decorrelated(apart, 4) == apart


def test_independent_laws_add_their_entropies() -> None:
    a = (Fraction(1, 3), Fraction(2, 3))
    b = (Fraction(1, 7), Fraction(2, 7), Fraction(4, 7))
    assert (exact_entropy(product(a, b)) - exact_entropy(a) - exact_entropy(b)).is_zero()


@pytest.mark.parametrize("law", [[Fraction(1, 2)], [Fraction(3, 2), Fraction(-1, 2)]])
def test_what_is_no_law_is_refused(law: list[Fraction]) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        exact_entropy(law)
    with pytest.raises(ValueError, match="add up to 1"):
        entropy(np.array([float(p) for p in law]))


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_a_rounded_fraction_is_read_as_the_fraction(above: int, below: int) -> None:
    assert as_written(above / below) == Fraction(above, below)


@given(st.floats(-1e9, 1e9))
def test_other_doubles_are_read_as_their_shortest_decimal(number: float) -> None:
    read = as_written(number)
    assert float(read) == number
    assert read.denominator <= 10**6 or read == Fraction(repr(number))
