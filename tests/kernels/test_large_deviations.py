"""Exponents and stability: quadrature and root finding by other means, closed forms, infinite cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from tests.conftest import examples
from tui_opt.kernels.large_deviations import (
    barrier_exponent,
    fit_line,
    kramers_exponent,
    noise_free_place,
    quasipotential,
    stability_temperature,
    tilting_root,
)

PIT, MAXIMUM = 1.0074533029460346, 1.1743101790722745


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def root_by_brent(w):
    g = pair_gradients(np.array([w]))[:, 0]
    return brentq(lambda p: np.logaddexp(-p * g[0], -p * g[1]) - np.log(2), 1e-7, 10.0, xtol=1e-15)


def test_exponents_of_the_pair():
    found = barrier_exponent(pair_gradients, PIT, MAXIMUM)
    assert found.value == pytest.approx(0.132359, abs=1e-6)
    assert found.error < 1e-9
    by_quad = quad(root_by_brent, PIT + 1e-6, MAXIMUM - 1e-6, epsabs=1e-11, limit=200)[0]
    assert found.value == pytest.approx(by_quad, abs=1e-9)
    assert kramers_exponent(pair_gradients, PIT, MAXIMUM).value == pytest.approx(0.0786413, abs=5e-8)


def test_exponents_do_not_depend_on_the_direction_of_the_exit():
    def mirrored(w):
        return -pair_gradients(-w)

    for exponent in (barrier_exponent, kramers_exponent):
        a, b = exponent(pair_gradients, PIT, MAXIMUM).value, exponent(mirrored, -PIT, -MAXIMUM).value
        assert a == pytest.approx(b, rel=1e-12)


@settings(max_examples=examples(200))
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=7))
def test_root_satisfies_its_equation(values):
    g = np.where(np.abs(values) < 1e-6, 0.0, values)
    p = float(tilting_root(lambda w: g[:, None] + 0 * w, np.array([0.0]))[0])
    if g.min() >= 0 or g.max() <= 0:
        assert np.isinf(p) or np.isnan(p) or g.mean() == 0
    elif abs(g.mean()) > 1e-6:
        assert np.sign(p) == np.sign(g.mean())
        assert p != 0
        exponents = -p * g
        log_mean = np.log(np.mean(np.exp(exponents - exponents.max()))) + exponents.max()
        assert log_mean == pytest.approx(0, abs=1e-12 * max(1.0, abs(exponents).max()))


def test_two_point_noise_has_a_closed_form():
    # g = a with probability 2/3 (two datapoints), -2b else; for a = b = 1: x^3 + ... e^{2p} 1/3 + e^{-p} 2/3 = 1.
    # With y = e^p: y^3 - 3 y + 2 = (y - 1)^2 (y + 2): only the double root, since the mean is zero.
    zero = tilting_root(lambda w: np.stack([1 + 0 * w, 1 + 0 * w, -2 + 0 * w]), np.array([0.0]))[0]
    assert zero == 0
    # g = 1, 1, -1: y^2 - 3 y + 2 = 0, y = 2.
    found = tilting_root(lambda w: np.stack([1 + 0 * w, 1 + 0 * w, -1 + 0 * w]), np.array([0.0]))[0]
    assert found == pytest.approx(np.log(2), abs=1e-14)


def test_gaussian_like_noise_makes_both_exponents_equal():
    # Many datapoints with normal quantiles as noise, weak against their spread: p -> 2 G / S^2.
    from scipy.stats import norm

    noise = norm.ppf((np.arange(400) + 0.5) / 400)

    def gradients(w):
        return 0.02 * (w - w**3)[None, :] * -1 + noise[:, None]

    large, diffusion = (f(gradients, -1.0, 0.0) for f in (barrier_exponent, kramers_exponent))
    assert large.value == pytest.approx(diffusion.value, rel=2e-4)
    # 2 * 0.02 * (height 1/4 of the quartic) / variance.
    assert diffusion.value == pytest.approx(0.04 * 0.25 / noise.var(), rel=1e-10)


def test_infinite_exponents_say_why():
    no_help = barrier_exponent(lambda w: np.stack([w, 2 * w]), 0.0, 1.0)
    assert no_help.value == np.inf
    assert "no datapoint pushes outward" in no_help.reason
    no_noise = kramers_exponent(lambda w: np.stack([w, w]), 0.0, 1.0)
    assert no_noise.value == np.inf
    assert "noise vanishes" in no_noise.reason
    assert np.isnan(barrier_exponent(lambda w: np.stack([w, np.nan * w]), 0.0, 1.0).value)
    single = barrier_exponent(lambda w: w[None, :], 0.0, 1.0)
    assert single.value == np.inf


def test_noise_that_vanishes_on_the_way_is_infinite_for_both():
    # S^2 = 0 at W = 0.5 where G is not: the walker cannot pass by small steps.
    def gradients(w):
        return np.stack([0.2 + (w - 0.5), 0.2 - (w - 0.5)])

    assert barrier_exponent(gradients, 0.0, 1.0).value == np.inf
    assert kramers_exponent(gradients, 0.0, 1.0).value == np.inf


def test_quasipotential_ends_at_the_exponent():
    w = np.linspace(PIT, MAXIMUM, 2001)
    phi = quasipotential(pair_gradients, w)
    assert phi.min() == 0
    assert phi[-1] - phi[0] == pytest.approx(0.1323587, abs=1e-7)


def test_stability_temperatures():
    # At W = 1 all datapoints agree; curvatures there are -2/e and 200 - 2/e.
    place = noise_free_place(pair_gradients, 0.9, 1.1, near=1.0)
    assert place == pytest.approx(1.0, abs=1e-12)
    c = -2 * np.exp(-1)
    found = stability_temperature(np.array([c, c + 200]))
    assert found == pytest.approx(0.0100003, abs=2e-7)
    assert 0.5 * np.log(abs(1 - found * c)) + 0.5 * np.log(abs(1 - found * (c + 200))) == pytest.approx(
        0, abs=1e-12
    )
    # One datapoint, or L itself: 2 / L''.
    assert stability_temperature(np.array([97.61656])) == pytest.approx(0.0204883, abs=1e-7)
    assert stability_temperature(np.array([198.4504])) == pytest.approx(0.0100781, abs=1e-7)
    assert np.isnan(stability_temperature(np.array([-1.0, 0.5])))


def test_no_noise_free_place():
    assert noise_free_place(lambda w: np.stack([1 + 0 * w, 2 + 0 * w]), 0.0, 1.0, 0.5) is None
    # Two of three datapoints agree there, the third does not.
    assert noise_free_place(lambda w: np.stack([w, -w, w + 1]), -1.0, 1.0, 0.0) is None


def test_the_nearest_of_many_noise_free_places():
    # l = (W^2 - 1)^2 / 4 +- 0.3 sin(8 W): the noise vanishes where cos(8 W) = 0.
    def gradients(w):
        return np.stack([w * (w**2 - 1) + sign * 2.4 * np.cos(8 * w) for sign in (1, -1)])

    place = noise_free_place(gradients, -2.0, 0.0, near=-1.0)
    assert place == pytest.approx(-5 * np.pi / 16, abs=1e-12)
    assert noise_free_place(gradients, -2.0, 0.0, near=-1.8) == pytest.approx(-9 * np.pi / 16, abs=1e-12)
    c = 3 * place**2 - 1 - 19.2 * np.sin(8 * place) * np.array([1, -1])
    found = stability_temperature(c)
    assert found == pytest.approx(0.06902, abs=5e-6)
    # |(1 - T a)(1 - T b)| = 1 in closed form, b < 0 < a.
    a, b = max(c), min(c)
    assert found == pytest.approx(((a + b) - np.sqrt((a + b) ** 2 - 8 * a * b)) / (2 * a * b), rel=1e-12)


def test_noise_free_place_on_a_grid_node_is_found_among_others():
    # The noise W (W^2 - 1) is zero at W = 0, the middle node, and at -1 and 1.
    def gradients(w):
        return np.stack([w + w * (w - 1) * (w + 1), w - w * (w - 1) * (w + 1)])

    assert noise_free_place(gradients, -1.5, 1.5, near=0.1) == pytest.approx(0.0, abs=1e-15)
    assert noise_free_place(gradients, -1.5, 1.5, near=0.9) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("large", [10.0, 1e3, 1e6])
def test_stability_where_single_datapoints_are_far_sharper_than_their_mean(large):
    a, b = large, 2 - large
    found = stability_temperature(np.array([a, b]))
    expected = ((a + b) - np.sqrt((a + b) ** 2 - 8 * a * b)) / (2 * a * b)
    assert found == pytest.approx(expected, rel=1e-9)


def test_line_fit():
    x = np.array([1.0, 2.0, 3.0, np.nan, 5.0])
    exact = fit_line(x, 3 - 2 * x)
    assert (exact.slope, exact.intercept, exact.r2, exact.rms) == pytest.approx((-2, 3, 1, 0), abs=1e-14)
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 50)
    y = x + 0.1 * rng.normal(size=50)
    found = fit_line(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), rel=1e-12)
    assert found.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-12)
    assert found.rms == pytest.approx(np.sqrt(np.mean((y - slope * x - intercept) ** 2)), rel=1e-12)
    assert np.isnan(fit_line(np.array([1.0]), np.array([2.0])).slope)
