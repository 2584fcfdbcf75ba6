"""Expansions of entropies in a rare share against exact entropies at shares so small that the rest does not matter."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from tui_opt.kernels import finite_maps, rare_states
from tui_opt.kernels.entropies import exact_entropy
from tui_opt.kernels.rare_states import Expansion, PowerLaw, concentrated, expanded_entropy, log_inverse

SMALL = (Fraction(1, 10**4), Fraction(1, 10**8), Fraction(1, 10**40))


def at(law: PowerLaw, epsilon: Fraction) -> tuple[Fraction, ...]:
    return tuple(c0 + c1 * epsilon + c2 * epsilon**2 for c0, c1, c2 in law)


def left_over(expansion: Expansion, law: PowerLaw, epsilon: Fraction) -> float:
    """What two terms leave of the entropy, in units of ε³ L."""
    log = log_inverse(epsilon)
    value = float(exact_entropy(at(law, epsilon)).value())
    terms = float(epsilon) * expansion.first_term(log) + float(epsilon) ** 2 * expansion.second_term(log)
    return (value - terms) / (float(epsilon) ** 3 * log)


@pytest.mark.parametrize("seed", range(6))
def test_two_terms_leave_the_third_order(seed: int) -> None:
    """Three- and four-fold products cut after ε² are still laws: what is cut off adds up to zero."""
    chance = random.Random(seed)
    rows, columns = chance.choice([(2, 2), (3, 3), (2, 4)])
    target = [chance.randrange(rows * columns) for _ in range(rows * columns)]
    start = rare_states.product(
        concentrated(rows, chance.randrange(rows)), concentrated(columns, chance.randrange(columns))
    )
    for law in (start, rare_states.pushed(start, target)):
        expansion = expanded_entropy(law)
        epsilon = Fraction(1, 1000)
        assert sum(at(law, epsilon)) == 1
        assert abs(left_over(expansion, law, epsilon)) < 10.0
        log = log_inverse(SMALL[2])
        exact = float(exact_entropy(at(law, SMALL[2])).value())
        assert exact == pytest.approx(float(SMALL[2]) * expansion.first_term(log), rel=1e-14, abs=1e-300)


def test_laws_of_powers_are_laws_of_numbers() -> None:
    """Product, step and decorrelation of powers are those of the numbers, up to the powers that are cut off."""
    chance = random.Random(1)
    target = [chance.randrange(9) for _ in range(9)]
    epsilon = Fraction(1, 10**6)
    powers = rare_states.product(concentrated(3, 1), concentrated(3, 1))
    numbers = finite_maps.product(at(concentrated(3, 1), epsilon), at(concentrated(3, 1), epsilon))
    for _ in range(3):
        for a, b in zip(at(powers, epsilon), numbers, strict=True):
            assert abs(a - b) < 100 * epsilon**3
        powers, numbers = rare_states.pushed(powers, target), finite_maps.pushed(numbers, target)
        powers, numbers = rare_states.decorrelated(powers, 3), finite_maps.decorrelated(numbers, 3)


def test_a_known_series() -> None:
    """Of (ε/2, 1-ε, ε/2): ε (L + 1 + ln 2) - ε²/2."""
    expansion = expanded_entropy(concentrated(3, 1))
    assert (expansion.first_log, expansion.second_log) == (1, 0)
    assert expansion.first_term(0.0) == pytest.approx(1 + math.log(2), rel=1e-15)
    assert expansion.second_term(7.0) == -0.5


def test_constants_are_zero_only_if_they_are() -> None:
    expansion = expanded_entropy(concentrated(3, 1))
    assert not expansion.first.is_zero()
    assert expansion.plus(expansion, Fraction(-1)).first.is_zero()


def test_a_law_on_several_states_is_refused() -> None:
    half = (Fraction(1, 2), Fraction(0), Fraction(0))
    with pytest.raises(ValueError, match="single state"):
        expanded_entropy((half, half))
