"""Runs: an exact rational recurrence as the oracle, printed numbers, and run lengths out of the pit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.runs import mean_wait, run_length, run_probability


def exact_probability(length, draws, success):
    """Markov chain on the current run's length, in rational arithmetic."""
    state = [Fraction(1)] + [Fraction(0)] * (length - 1)
    done = Fraction(0)
    for _ in range(draws):
        done += success * state[-1]
        state = [(1 - success) * sum(state)] + [success * s for s in state[:-1]]
    return done


def pit_term(depth):
    return lambda w: (
        2 * (w - 2) * np.exp(-((w - 2) ** 2)) + 200 * depth * (w - 1) * np.exp(-100 * (w - 1) ** 2)
    )


def outer_term(w):
    return 2 * (w - 2) * np.exp(-((w - 2) ** 2))


@settings(max_examples=examples(60))
@given(st.integers(1, 8), st.integers(0, 60), st.integers(2, 5))
def test_against_rational_arithmetic(length, draws, datapoints):
    exact = float(exact_probability(length, draws, Fraction(1, datapoints)))
    assert run_probability(length, draws, 1 / datapoints) == pytest.approx(exact, rel=1e-13, abs=0)


def test_five_of_a_kind_in_a_hundred_fair_draws():
    assert run_probability(5, 100, 0.5) == pytest.approx(0.8101095992, abs=5e-11)
    exact = float(exact_probability(5, 100, Fraction(1, 2)))
    assert run_probability(5, 100, 0.5) == pytest.approx(exact, abs=1e-15)
    assert mean_wait(5, 0.5) == pytest.approx(62, abs=1e-12)


def test_mean_wait_is_the_sum_of_survivals():
    total = sum(1 - run_probability(3, m, 0.4) for m in range(2000))
    assert mean_wait(3, 0.4) == pytest.approx(total, rel=1e-12)


def test_many_draws_keep_their_digits():
    # For rare runs the survival is z^-(m+1) up to a constant, z the root of 1 - z + q p^n z^(n+1) next to 1
    # (Feller 1968, XIII.7, equation 7.11); evaluated in 60 digits.
    import decimal

    decimal.getcontext().prec = 60
    length, draws = 25, 10_000_000
    p = decimal.Decimal("0.5")
    z = decimal.Decimal(1)
    for _ in range(60):
        z = 1 + (1 - p) * p**length * z ** (length + 1)
    factor = (1 - p * z) / ((length + 1 - length * z) * (1 - p))
    survival = factor / z ** (draws + 1)
    assert run_probability(length, draws, 0.5) == pytest.approx(float(1 - survival), abs=1e-13)


def test_edges():
    assert run_probability(0, 0, 0.3) == 1.0
    assert run_probability(4, 3, 0.3) == 0.0
    assert run_probability(3, 3, 0.3) == pytest.approx(0.027, rel=1e-15)
    assert run_probability(10_000, 100_000, 0.5) == 0.0
    assert run_probability(2, 5, 1.0) == 1.0
    assert run_probability(2, 5, 0.0) == 0.0
    assert mean_wait(2000, 0.5) == np.inf
    assert mean_wait(7, 1.0) == 7
    with pytest.raises(ValueError, match="between 0 and 1"):
        run_probability(1, 1, 1.5)


def test_five_outer_steps_leave_the_pit():
    run = run_length(outer_term, 1.0036973969, 1.1959565137, 0.05)
    assert run.steps == 5
    np.testing.assert_allclose(
        run.path[1:], [1.040621, 1.078838, 1.118268, 1.158790, 1.200246], atol=1e-6, rtol=0
    )
    assert run_length(outer_term, 1.004, 1.1959565137, 0.05).end == pytest.approx(1.200595, abs=1e-6)
    assert run_length(outer_term, 1.0018434080, 1.2149222672, 0.05).steps == 6
    assert run_length(outer_term, 1.0018434080, 1.2149222672, 0.05).end == pytest.approx(1.240259, abs=1e-6)


@pytest.mark.parametrize(("temperature", "steps"), [(0.04895, 6), (0.04897, 5), (0.06141, 5), (0.06142, 4)])
def test_range_of_temperatures_with_five_steps(temperature, steps):
    assert run_length(outer_term, 1.0036973969, 1.1959565137, temperature).steps == steps


def test_number_of_steps_is_inversely_proportional_to_the_temperature():
    products = [
        t * (run_length(outer_term, 1.0036973969, 1.1959565137, t).steps or 0) for t in (1e-2, 1e-3, 1e-4)
    ]
    # Continuous descent takes the time integral of dW / |g0|.
    w = np.linspace(1.0036973969, 1.1959565137, 200_001)
    time = np.trapezoid(-1 / outer_term(w), w)
    assert products[-1] == pytest.approx(time, abs=2e-4)
    assert all(0.239 < product < 0.26 for product in products)


def test_runs_that_never_pass_say_why():
    back = run_length(pit_term(1.0), 1.02, 1.1959565137, 0.005)
    assert back.steps is None
    assert back.end == pytest.approx(1.0036973969, abs=1e-9)
    assert "rest" in back.reason
    assert "100 steps" in run_length(outer_term, 1.0, 1.9, 1e-4, limit=100).reason
    assert "not a finite" in run_length(lambda w: np.sqrt(w), 1.0, 2.0, 10.0).reason
    with pytest.raises(ValueError, match="two different finite places"):
        run_length(outer_term, 1.0, 1.0, 0.1)


def test_exit_to_the_left():
    mirrored = run_length(lambda w: -outer_term(-w), -1.0036973969, -1.1959565137, 0.05)
    assert mirrored.steps == 5
    assert mirrored.end == pytest.approx(-1.200246, abs=1e-6)
