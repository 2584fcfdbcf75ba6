"""Lamperti's coordinate: closed forms, Ito's laws, the same motion in another parameter, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from tests.kernels.fokker_planck_systems import PIT, pair_curvatures, pair_gradients
from tui_opt.kernels.lamperti import (
    coordinate,
    deviation,
    diverges_at,
    law_of_potential,
    noise_seen_in,
)
from tui_opt.kernels.lamperti_ends import FADED, valid_interval
from tui_opt.kernels.lamperti_lengths import lengths

TOP = 1.1743101790722745


def pair_of(mean, noise):
    """Two datapoints with a given mean and deviation, and their derivatives by central differences."""

    def gradients(w):
        with np.errstate(all="ignore"):
            return np.stack([mean(w) + noise(w), mean(w) - noise(w)])

    def curvatures(w):
        step = 1e-6 * np.maximum(1.0, np.abs(w))
        with np.errstate(all="ignore"):
            return (gradients(w + step) - gradients(w - step)) / (2 * step)

    return gradients, curvatures


def affine(m, c, a, b):
    return pair_of(lambda w: m * w + c, lambda w: a * w + b)


# --- coordinate and potential ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("m", "c", "a", "b"), [(1.0, -2.0, 0.2, 0.0), (-0.7, 0.3, 1.5, 4.0), (2.0, 0.0, -0.3, 2.0)]
)
def test_affine_gradients(m, c, a, b):
    """S = aW + b: y = ln(S / S0) / a, and m W + c = (m/a) S + (c - m b / a)."""
    temperature, origin = 0.3, 1.1
    w = np.linspace(0.5, 3.0, 11)
    found = coordinate(affine(m, c, a, b)[0], temperature, origin, w)
    s, s0 = a * w + b, a * origin + b
    np.testing.assert_allclose(found.y, np.log(s / s0) / a, rtol=1e-11, atol=1e-13)
    push = m / a**2 * np.log(s / s0) - (c - m * b / a) / a * (1 / s - 1 / s0)
    expected = push + 0.5 * temperature * np.log(s / s0)
    np.testing.assert_allclose(found.potential, expected, rtol=1e-10, atol=1e-12)
    assert found.y_error < 1e-9


def test_constant_noise_only_rescales():
    gradients, _ = pair_of(lambda w: w**3 - w, lambda w: 2.0 + 0 * w)
    w = np.linspace(-2.0, 3.0, 9)
    found = coordinate(gradients, 0.1, 0.5, w)
    np.testing.assert_allclose(found.y, (w - 0.5) / 2, atol=1e-13)
    loss = w**4 / 4 - w**2 / 2
    np.testing.assert_allclose(found.potential, (loss - (0.5**4 / 4 - 0.5**2 / 2)) / 4, atol=1e-12)


@pytest.mark.parametrize(
    ("noise", "y"),
    [
        (lambda w: 1 + w * w, np.arctan),
        (np.exp, lambda w: -np.exp(-w)),
        (lambda w: 1 / np.cosh(w), np.sinh),
        (lambda w: 1 / (2 + np.cos(w)), lambda w: 2 * w + np.sin(w)),
    ],
)
def test_exact_inverse_functions(noise, y):
    gradients, _ = pair_of(lambda w: 0.3 * w, noise)
    w = np.linspace(-3.0, 4.0, 15)
    np.testing.assert_allclose(coordinate(gradients, 0.1, -1.0, w).y, y(w) - y(-1.0), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("temperature", [0.02, 0.5])
def test_the_same_motion_in_another_parameter_has_the_same_coordinate_and_potential(temperature):
    """V = W + W³: by Ito's rule G becomes V' G - T V'' S² / 2, and S becomes V' S."""

    def mean(w):
        return np.sin(w) + 0.5 * w

    def noise(w):
        return 1.2 + np.cos(2 * w)

    def place(v):
        w = np.cbrt(v)
        for _ in range(60):
            w -= (w + w**3 - v) / (1 + 3 * w * w)
        return w

    moved, _ = pair_of(
        lambda v: (
            (1 + 3 * place(v) ** 2) * mean(place(v)) - 0.5 * temperature * 6 * place(v) * noise(place(v)) ** 2
        ),
        lambda v: (1 + 3 * place(v) ** 2) * noise(place(v)),
    )
    w = np.linspace(-1.5, 2.0, 12)
    one = coordinate(pair_of(mean, noise)[0], temperature, 0.4, w)
    two = coordinate(moved, temperature, 0.4 + 0.4**3, w + w**3)
    np.testing.assert_allclose(two.y, one.y, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(two.potential, one.potential, rtol=1e-9, atol=1e-10)


def test_the_pit_of_the_original_system():
    """By mpmath with 30 digits. The 0.074027 that is quoted elsewhere starts at 1.00745, rounded."""
    found = coordinate(pair_gradients, 0.005, PIT, np.array([TOP]))
    assert found.y[0] == pytest.approx(0.0740226367119342, abs=1e-13)
    assert coordinate(pair_gradients, 0.005, 1.00745, np.array([TOP])).y[0] == pytest.approx(
        0.074027, abs=5e-7
    )


def test_tiny_steps_of_any_number_of_datapoints_have_variance_one():
    def three(w):
        return np.stack([w, 2 * w + np.sin(w), w * w])

    w = np.linspace(0.5, 3.0, 20)
    np.testing.assert_allclose(noise_seen_in(three, w), 1.0, atol=1e-5)
    # S² itself, in W, is something else.
    assert np.abs(deviation(three, w) ** 2 - 1).max() > 0.5


# --- the law --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0])
def test_law_is_itos_by_another_quadrature(temperature):
    def mean(w):
        return w + 0.6 * np.sin(3 * w)

    def noise(w):
        return 1 + 0.5 * np.sin(2 * w + 1)

    edges = np.linspace(-2.0, 2.5, 1201)
    law = law_of_potential(pair_of(mean, noise)[0], temperature, 0.3, edges, (False, False))
    places = np.linspace(-2.0, 2.5, 20_001)
    pace = 2 * mean(places) / (temperature * noise(places) ** 2)
    push = integrate.cumulative_simpson(pace, x=places, initial=0.0)
    log_density = -2 * np.log(noise(places)) - push
    density = np.exp(log_density - log_density.max())
    total = integrate.simpson(density, x=places)
    first = integrate.simpson(density * places, x=places) / total
    second = integrate.simpson(density * (places - first) ** 2, x=places) / total
    assert law.mean == pytest.approx(first, abs=1e-7)
    assert law.sd == pytest.approx(np.sqrt(second), rel=1e-7)
    cumulative = integrate.cumulative_simpson(density, x=places, initial=0.0) / total
    np.testing.assert_allclose(np.cumsum(law.mass), np.interp(edges[1:], places, cumulative), atol=1e-6)
    assert law.wall == pytest.approx(max(density[0], density[-1]), rel=0.05)


@pytest.mark.parametrize(("m", "s", "temperature"), [(1.0, 0.2, 0.5), (0.5, 0.4, 0.2), (1.0, 1.0, 1.0)])
def test_proportional_noise_has_an_inverse_gamma_law(m, s, temperature):
    """G = m (W - 2), S = s W: exponent a = 1 + 2m/(T s²), scale 4m/(T s²); mean b / (a - 1) = 2."""
    a, b = 1 + 2 * m / (temperature * s**2), 4 * m / (temperature * s**2)
    edges = np.geomspace(0.05, 60.0, 3001)
    law = law_of_potential(affine(m, -2 * m, s, 0.0)[0], temperature, 2.0, edges, (False, False))
    exact = stats.invgamma(a, scale=b)
    np.testing.assert_allclose(law.mass, np.diff(exact.cdf(edges)), atol=1e-4)
    if a > 10:
        assert law.mean == pytest.approx(2.0, abs=1e-9)
        assert law.sd == pytest.approx(exact.std(), rel=1e-9)


@pytest.mark.parametrize(("temperature", "s"), [(0.5, 0.6), (2.0, 0.3)])
@pytest.mark.parametrize("zero", [0.0, 0.7])
def test_where_the_law_cannot_be_normalised(temperature, s, zero):
    """G = k x, S = s x, x the distance from the zero: P ~ x^(-2 - 2k/(T s²)), an integral for k < -T s²/2 only."""
    limit = -0.5 * temperature * s**2
    for share, expected in ((1.05, False), (0.95, True), (0.0, True), (-3.0, True)):
        gradients, _ = pair_of(lambda w, k=share * limit: k * (w - zero), lambda w: s * (w - zero))
        for origin in (zero + 1.3, zero - 0.4):
            assert diverges_at(gradients, temperature, origin, zero) is expected


def test_a_current_through_a_zero_of_the_noise_is_a_wall_on_one_side_and_a_drain_on_the_other():
    assert not diverges_at(pair_gradients, 0.005, PIT, 1.0)
    assert diverges_at(pair_gradients, 0.005, 0.95, 1.0)


# --- where it ends --------------------------------------------------------------------------------------------------


def test_ends_on_the_original_system():
    valid = valid_interval(pair_gradients, pair_curvatures, PIT, -1.0, 4.0)
    assert valid.low.w == pytest.approx(1.0, abs=1e-12)
    assert (valid.low.reason, valid.high.reason) == ("zero", "faded")
    assert valid.low.length == np.inf

    def stretched(w):
        length = integrate.quad(lambda x: 1 / deviation(pair_gradients, np.array([x]))[0], PIT, w, limit=500)[
            0
        ]
        return length * np.sqrt(50 / np.e) - FADED * (w - PIT)

    # The largest S is that of 4001 nodes, which is up to 2e-5 too small.
    assert valid.high.w == pytest.approx(optimize.brentq(stretched, 1.3, 1.4), abs=2e-6)


def test_noise_that_fades_exponentially():
    """S = exp(-W) from 0: e^W - 1 = 1000 W."""
    gradients, curvatures = pair_of(lambda w: 0 * w, lambda w: np.exp(-w))
    valid = valid_interval(gradients, curvatures, 0.0, -3.0, 20.0)
    expected = optimize.brentq(lambda w: np.expm1(w) - FADED * w, 5.0, 15.0)
    assert valid.high.w == pytest.approx(expected, abs=1e-8)
    assert valid.high.length == pytest.approx(FADED * expected, rel=1e-8)
    assert (valid.low.w, valid.low.reason) == (-3.0, "end")
    assert valid.low.length == pytest.approx(1 - np.exp(-3.0), rel=1e-9)


@pytest.mark.parametrize("power", [0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("zero", [0.0, 0.3])
def test_zeros_of_any_power(power, zero):
    """S = x^p: the length to the zero is x^(1-p) / (1-p) for p < 1, and infinite from there on."""
    gradients, curvatures = pair_of(
        lambda w: 1 + 0 * w, lambda w: np.sign(w - zero) * np.abs(w - zero) ** power
    )
    valid = valid_interval(gradients, curvatures, zero + 1.5, zero - 1.0, zero + 2.0)
    # Nearer than this the two gradients, 1 ± S, are the same doubles.
    assert valid.low.w == pytest.approx(zero, abs=max(1e-14 ** (1 / power), 1e-12))
    assert valid.low.reason == "zero"
    assert valid.high.reason == "end"
    expected = 1.5 ** (1 - power) / (1 - power) if power < 1 else np.inf
    assert valid.low.length == pytest.approx(expected, rel=1e-5)


def test_poles_and_ends_of_the_domain():
    pole = pair_of(lambda w: 0 * w, lambda w: 1 / w)
    valid = valid_interval(*pole, 1.0, -2.0, 3.0)
    assert (valid.low.w, valid.low.reason) == (pytest.approx(0.0, abs=1e-9), "pole")
    assert valid.low.length == pytest.approx(0.5, rel=1e-6)  # y = W²/2
    root = pair_of(lambda w: 0 * w, lambda w: 1 + np.sqrt(w - 0.2))
    valid = valid_interval(*root, 1.0, -2.0, 3.0)
    assert (valid.low.w, valid.low.reason) == (pytest.approx(0.2, abs=1e-12), "undefined")
    root_of = np.sqrt(0.8)
    assert valid.low.length == pytest.approx(2 * (root_of - np.log1p(root_of)), rel=1e-6)


def test_differences_that_are_rounding_are_no_noise():
    gradients, curvatures = pair_of(lambda w: 1e9 * w, lambda w: 1e-5 + 0 * w)
    valid = valid_interval(gradients, curvatures, 0.0, -1.0, 1.0)
    assert (valid.low.reason, valid.high.reason) == ("rounding", "rounding")
    assert 0 < valid.high.w < 0.011


@pytest.mark.parametrize("origin", [0.5, 1.0, -0.7])
def test_a_jump_through_zero_is_no_zero(origin):
    """|W| against 2|W|: S is 1/2 on both sides of the place where neither has a derivative."""
    gradients, curvatures = pair_of(lambda w: 1.5 * np.sign(w), lambda w: 0.5 * np.sign(w))
    valid = valid_interval(gradients, curvatures, origin, -1.0, 1.0)
    assert (valid.low.w, valid.low.reason, valid.high.w, valid.high.reason) == (-1.0, "end", 1.0, "end")
    assert valid.low.length + valid.high.length == pytest.approx(4.0, rel=1e-9)
    np.testing.assert_allclose(
        lengths(gradients, curvatures, origin, np.array([-1.0, 1.0])),
        [-2 - 2 * origin, 2 - 2 * origin],
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("origin", [1.0, 9.0])
def test_origins_without_noise_or_outside_are_refused(origin):
    with pytest.raises(ValueError, match="origin"):
        valid_interval(pair_gradients, pair_curvatures, origin, -1.0, 4.0)


def test_lengths_of_ways_far_beyond_use():
    """By mpmath with 30 digits, for the noise alone: the shared gradient would hide it in its rounding."""

    def gradients(w):
        return np.stack([0 * w, 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])

    def curvatures(w):
        return np.stack([0 * w, 200 * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2)])

    places = np.array([1.8, 1.3, TOP, 1.5, 1.0, 0.5])
    y = lengths(gradients, curvatures, TOP, places)
    expected = [4.94982046298726e23, 5.13842005309787, 0.0, 15029754.4816563, -np.inf, -np.inf]
    np.testing.assert_allclose(y, expected, rtol=1e-9)
    shared = lengths(pair_gradients, pair_curvatures, TOP, np.array([1.3, 1.5, 1.8]))
    np.testing.assert_allclose(shared[:2], [5.13842005309787, 15029754.4816563], rtol=1e-7)
    assert np.isnan(shared[2])


def test_lengths_end_at_zeros_that_are_reached():
    gradients, curvatures = pair_of(lambda w: 0 * w, lambda w: np.sign(w) * np.sqrt(np.abs(w)))
    y = lengths(gradients, curvatures, 1.0, np.array([0.25, 4.0, -1.0]))
    np.testing.assert_allclose(y[:2], [-1.0, 2.0], rtol=1e-9)
    assert np.isnan(y[2])
