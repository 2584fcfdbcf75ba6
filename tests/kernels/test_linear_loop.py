"""The linear loop: its tangent against exact fractions, the closed form, the general engine, and reference values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.linear_loop import (
    closed_response,
    eigenvalues,
    precise_difference_log,
    rate,
    response,
    worlds,
)
from tui_opt.kernels.tangents import Question, follow

GAINS = [
    1e-12,
    0.01,
    0.02,
    0.2,
    0.2499999999,
    0.25,
    0.2500000001,
    0.3,
    1 / 3,
    0.5,
    0.9,
    1.0,
    1.2,
    40.0,
    -0.1,
    -3.0,
]


def same(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Equal infinities, and finite numbers within the tolerance."""
    np.testing.assert_array_equal(np.isinf(ours), np.isinf(theirs))
    finite = np.isfinite(ours)
    np.testing.assert_allclose(ours[finite], theirs[finite], rtol=0, atol=tolerance)


@pytest.mark.parametrize("gain", GAINS)
def test_recursion_and_closed_form_agree(gain: float) -> None:
    ours, closed = response(gain, 1500), closed_response(gain, 1500)
    same(ours.log, closed.log, 1e-10)
    np.testing.assert_array_equal(ours.sign, closed.sign)


@pytest.mark.parametrize("gain", GAINS)
def test_both_are_what_exact_fractions_give(gain: float) -> None:
    k, before, now = Fraction(gain), Fraction(1), Fraction(1)
    expected, signs = [], []
    for _ in range(41):
        expected.append(math.log(abs(before)) if before else -math.inf)
        signs.append((before > 0) - (before < 0))
        before, now = now, now - k * before
    for found in (response(gain, 40), closed_response(gain, 40)):
        same(found.log, np.array(expected), 1e-12)
        np.testing.assert_array_equal(found.sign, signs)


def test_reference_values() -> None:
    steps = [0, 1, 2, 10, 100, 1000]
    expected = {
        0.01: [0, 0, -0.010050336, -0.091276661, -1.0050847695, -10.143165859],
        0.02: [0, 0, -0.020202707, -0.185218874, -2.0417526052, -20.607089919],
    }
    for gain, values in expected.items():
        np.testing.assert_allclose(response(gain, 1000).log[steps], values, rtol=0, atol=1e-9)
    assert rate(0.01) == pytest.approx(-0.0101534234, abs=1e-10)
    assert rate(0.02) == pytest.approx(-0.0206281526, abs=1e-10)


def test_comp_vanishes_where_it_must() -> None:
    """Im l^(t+1) = 0 at t = 3, 7, .. for k = 1/2, whose l is at 45 degrees, and at t = 2, 5, .. for k = 1, at 60."""
    for gain, period in ((0.5, 4), (1.0, 3)):
        zeros = np.flatnonzero(np.isinf(response(gain, 2000).log))
        np.testing.assert_array_equal(zeros, np.arange(period - 1, 2001, period))


def test_signs_change_beyond_a_quarter_and_only_there() -> None:
    for gain in GAINS:
        changes = np.any(response(gain, 2000).sign < 0)
        # at 0.2500000001 the eigenvalues turn by 2e-5 in a step, half a turn in 157,000
        assert changes == (gain > 0.2501)


@pytest.mark.parametrize("gain", GAINS)
def test_the_rate_is_that_of_the_eigenvalues(gain: float) -> None:
    l1, l2 = eigenvalues(gain)
    assert abs(l1 + l2 - 1) < 1e-14
    assert abs(l1 * l2 - gain) <= 1e-14 * max(1.0, abs(gain))
    assert rate(gain) == pytest.approx(math.log(max(abs(l1), abs(l2))), abs=1e-13)
    assert (rate(gain) < 0) == (0 < gain < 1)


@pytest.mark.parametrize("gain", [0.01, 0.2, 0.3, 1.2])
def test_the_general_engine_finds_the_same(gain: float) -> None:
    system = tape_system({"room": f"room - {gain!r}*machine", "machine": "room - 25"})
    asked = Question(np.array([35.0, 10.0]), 200, perturbed=0, held=(1,), integrator="map")
    found = follow(system, asked)
    np.testing.assert_allclose(found.log_x[:, 0] - found.log_y[:, 0], response(gain, 200).log, atol=1e-9)
    np.testing.assert_array_equal(found.sign_x[:, 0] * found.sign_y[:, 0], response(gain, 200).sign)


@pytest.mark.parametrize("gain", [0.01, 0.3, 2.0, -0.5])
@pytest.mark.parametrize("delta", [1e-6, -0.001, 7.0])
@pytest.mark.parametrize("amplitude", [0.0, 50.0])
def test_neither_delta_nor_a_sinusoid_changes_comp(gain: float, delta: float, amplitude: float) -> None:
    forcing = [amplitude * math.sin(0.1 * t) for t in range(300)]
    found = precise_difference_log(gain, 25.0, 35.0, 10.0, delta, forcing)
    same(found, closed_response(gain, 300).log, 1e-11)


def test_differences_of_doubles_are_off_by_rounding() -> None:
    """Above what rounding allows they would be wrong, and below it they would not be what doubles give."""
    exact = closed_response(0.01, 1000).log
    found = worlds(0.01, 25.0, 35.0, 10.0, 1e-3, [0.0] * 1000).difference_log()
    worst = np.max(np.abs(found - exact))
    assert 1e-9 < worst < 1e-5
    assert np.isinf(worlds(0.02, 25.0, 35.0, 10.0, 1e-6, [0.0] * 1000).difference_log()[-1])


def test_the_course_of_w() -> None:
    found = worlds(0.01, 25.0, 35.0, 10.0, 1e-3, [0.0] * 1000)
    steps = [1, 2, 10, 100, 500, 1000]
    expected = [34.9, 34.8, 34.03544349, 28.62316118, 25.06241045, 25.00038947]
    np.testing.assert_allclose(found.w_room[steps], expected, rtol=0, atol=1e-8)
    assert found.w_machine[1000] == pytest.approx(3.93440477e-4, abs=1e-11)
    np.testing.assert_array_equal(found.w_machine[1:], found.w_room[:-1] - 25.0)
