"""Population losses against quadrature by another method, limits and samples; basins of samples against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from tui_opt.kernels.fitting.basins import Basin, sample_basin
from tui_opt.kernels.fitting.loss_curve import loss_and_slope, loss_curve
from tui_opt.kernels.fitting.population import (
    Law,
    Part,
    cosine_loss_slope,
    cosine_loss_spread,
    part_loss,
    part_mean,
    population_basin,
    ridge_estimate,
)

B = 0.583
H = {"cos": np.cos, "exp": np.exp, "sqrt": np.sqrt}
LAWS = [Law("normal", 0.7), Law("normal", 5.0), Law("uniform", 10.0), Law("uniform", 1.0, -1.0)]


def expectation(law: Law, function: object) -> float:
    """By adaptive quadrature."""
    if law.kind == "uniform":
        value = quad(function, law.low, law.high, limit=400, epsabs=1e-13, epsrel=1e-12)[0]  # type: ignore[call-overload]
        return float(value) / (law.high - law.low)

    def weighted(u: float) -> float:
        return math.exp(-0.5 * u * u) / math.sqrt(2 * math.pi) * function(law.high * u)  # type: ignore[operator]

    return float(quad(weighted, -12, 12, limit=2000, epsabs=1e-13, epsrel=1e-12)[0])


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("part", ["cos", "exp", "sqrt"])
def test_losses_and_means_are_the_integrals(part: Part, law: Law) -> None:
    if part == "sqrt" and (law.kind == "normal" or law.low < 0):
        assert np.isnan(part_loss(part, law, np.array([0.7]), B)).all()
        return
    theta = np.array([0.1, 0.5, 0.5831, 0.9]) / (law.high if part == "exp" else 1.0)
    for t, loss, mean in zip(theta, part_loss(part, law, theta, B), part_mean(part, law, theta), strict=True):
        assert loss == pytest.approx(
            expectation(law, lambda x, t=t: (H[part](t * x) - H[part](B * x)) ** 2), rel=1e-8, abs=1e-12
        )
        assert mean == pytest.approx(expectation(law, lambda x, t=t: H[part](t * x)), rel=1e-8, abs=1e-11)
    assert part_loss(part, law, np.array([B]), B)[0] == 0.0


def test_the_roots_of_negative_numbers_are_not_invented() -> None:
    law = Law("uniform", 10.0)
    assert np.isnan(part_loss("sqrt", law, np.array([-0.1]), B)[0])
    below = Law("uniform", -1.0, -3.0)
    assert part_mean("sqrt", below, np.array([-2.0]))[0] == pytest.approx(
        expectation(below, lambda x: math.sqrt(-2 * x))
    )
    assert np.isinf(part_loss("exp", Law("normal", 500.0), np.array([0.9]), B)[0])


def test_reference_values() -> None:
    """Of the closed form, computed elsewhere."""
    found = part_loss("cos", Law("normal", 5.0), np.array([0.0, 0.7, 1.25, 2.0]), B)
    np.testing.assert_allclose(found, [1.471432, 0.157273, 0.996156, 1.000000], atol=5e-7)
    np.testing.assert_allclose(
        part_loss("cos", Law("normal", 500.0), np.array([0.0, 0.7]), B), [1.5, 1.0], atol=1e-12
    )


def test_the_loss_is_accurate_next_to_the_target() -> None:
    """It is the curvature times d^2 / 2 there, 16 digits below where sums of cosines would cancel."""
    s = 5.0
    half_curvature = 0.5 * s**2 * (1 - (1 - 4 * B**2 * s**2) * math.exp(-2 * B**2 * s**2))
    for d in (1e-5, 1e-9, 1e-14):
        theta = np.array([B + d])
        assert part_loss("cos", Law("normal", s), theta, B)[0] == pytest.approx(
            half_curvature * (theta[0] - B) ** 2, rel=1e-4
        )


@pytest.mark.parametrize("law", LAWS[:3], ids=str)
def test_slopes_are_derivatives(law: Law) -> None:
    theta, h = np.linspace(0.05, 2.0, 40), 1e-5
    by_difference = (part_loss("cos", law, theta + h, B) - part_loss("cos", law, theta - h, B)) / (2 * h)
    np.testing.assert_allclose(cosine_loss_slope(law, theta, B), by_difference, atol=1e-6 * law.spread**2)


@pytest.mark.parametrize("law", LAWS[:3], ids=str)
def test_the_spread_of_a_sample_s_loss(law: Law) -> None:
    for theta in (0.0, 0.5, 0.5832, 0.7, 1.9):

        def square(x: float, t: float = theta) -> float:
            return float((math.cos(t * x) - math.cos(B * x)) ** 2)

        first, second = expectation(law, square), expectation(law, lambda x: square(x) ** 2)
        sigma = 0.3
        variance = second - first**2 + 4 * sigma**2 * first + 2 * sigma**4
        found = cosine_loss_spread(law, np.array([theta]), B, sigma)[0]
        assert found == pytest.approx(math.sqrt(variance), rel=1e-7)
        plain = cosine_loss_spread(law, np.array([theta]), B)[0]
        assert plain**2 == pytest.approx(second - first**2, rel=1e-6, abs=1e-13)


def test_a_normal_law_has_one_minimum_and_a_uniform_law_a_ridge() -> None:
    assert population_basin(Law("normal", 5.0), B) == (0.0, math.inf)
    slope = cosine_loss_slope(Law("normal", 5.0), np.linspace(1e-3, 3, 20_000), B)
    assert np.flatnonzero(np.diff(np.sign(slope)) != 0).size == 1
    low, high = population_basin(Law("uniform", 5000.0), B)
    # The first positive root of tan u = u, as far from 0 as the target is.
    assert (high - B) * 5000.0 == pytest.approx(4.493409457909064, abs=2e-3)
    assert (B - low) * 5000.0 == pytest.approx(4.493409457909064, abs=2e-3)
    low, high = population_basin(Law("uniform", 10.0), B)
    fine = np.linspace(B, 2.0, 200_001)
    losses = part_loss("cos", Law("uniform", 10.0), fine, B)
    assert high == pytest.approx(fine[np.flatnonzero(np.diff(losses) < 0)[0]], abs=2e-5)
    assert low == 0.0


# --- samples --------------------------------------------------------------------------------------------------------


def drawn(s: float, n: int = 3000, noise: float = 0.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, s, n)
    return x, np.cos(B * x) + noise * rng.standard_normal(n)


def basin(x: np.ndarray, y: np.ndarray, low: float, high: float) -> Basin:
    return sample_basin(lambda t: loss_and_slope("cos", x, y, t), float(np.abs(x).max()), B, low, high)


@pytest.mark.parametrize(("s", "count"), [(0.5, 700), (5.0, 257), (500.0, 64)])
def test_a_sample_s_curve_is_the_mean_of_its_squares(s: float, count: int) -> None:
    x, y = drawn(s, 1001, noise=0.1)
    theta = np.linspace(-0.3, 2.0, count)
    plain = np.array([(np.cos(t * x) - y) ** 2 for t in theta])
    curve = loss_curve("cos", x, y, theta)
    np.testing.assert_allclose(curve.mse, plain.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(curve.stderr, plain.std(axis=1) / math.sqrt(1000), rtol=1e-9)
    uneven = theta**2
    np.testing.assert_allclose(
        loss_curve("cos", x, y, uneven).mse, [np.mean((np.cos(t * x) - y) ** 2) for t in uneven], rtol=1e-12
    )


def test_other_parts_and_impossible_values() -> None:
    x = np.random.default_rng(0).uniform(0, 10, 500)
    theta = np.array([-0.1, 0.0, 0.3, 0.583])
    np.testing.assert_allclose(
        loss_curve("exp", x, np.exp(B * x), theta).mse,
        [np.mean((np.exp(t * x) - np.exp(B * x)) ** 2) for t in theta],
        rtol=1e-12,
        atol=1e-20,
    )
    roots = loss_curve("sqrt", x, np.sqrt(B * x), theta).mse
    assert np.isnan(roots[0])
    np.testing.assert_allclose(
        roots[1:],
        [np.mean((np.sqrt(t * x) - np.sqrt(B * x)) ** 2) for t in theta[1:]],
        rtol=1e-12,
        atol=1e-20,
    )
    far = loss_curve("cos", x, x, np.array([1e300, np.inf])).mse
    assert far[0] == pytest.approx(np.mean((np.cos(1e300 * x) - x) ** 2))
    assert np.isnan(far[1])


@pytest.mark.parametrize("part", ["cos", "exp", "sqrt"])
def test_slopes_of_samples_are_derivatives(part: str) -> None:
    x = np.random.default_rng(0).uniform(0, 3, 300)
    theta, h = np.array([0.2, 0.9]), 1e-6
    y = np.sin(x)
    loss, slope = loss_and_slope(part, x, y, theta)
    up, down = loss_and_slope(part, x, y, theta + h)[0], loss_and_slope(part, x, y, theta - h)[0]
    np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(loss, loss_curve(part, x, y, theta).mse, rtol=1e-13)


def test_the_curve_does_not_depend_on_how_it_is_cut() -> None:
    x, y = drawn(5.0, 20_000)
    theta = np.linspace(0, 2, 1500)
    pieces: list[int] = []

    def backwards(function: object, items: object) -> object:
        pieces.extend(items)  # type: ignore[arg-type]
        return reversed([function(i) for i in reversed(pieces)])  # type: ignore[operator]

    cut = loss_curve("cos", x, y, theta, mapped=backwards)  # type: ignore[arg-type]
    assert len(pieces) > 2
    np.testing.assert_array_equal(cut.mse, loss_curve("cos", x, y, theta).mse)


@pytest.mark.parametrize("s", [0.5, 5.0, 500.0])
def test_the_basin_is_where_a_fine_grid_sees_it(s: float) -> None:
    x, y = drawn(s)
    found = basin(x, y, 0.0, B + 40 / s)
    fine = np.linspace(B, B + 14 / s, 40_001)
    losses = loss_curve("cos", x, y, fine).mse
    turns = fine[1:-1][np.diff(np.sign(np.diff(losses))) != 0]
    assert found.bottom == pytest.approx(B, abs=1e-12)
    assert found.high == pytest.approx(turns[0], abs=1e-3 / s)
    if turns.size > 1:
        assert found.next_minimum == pytest.approx(turns[1], abs=1e-3 / s)
        assert found.next_loss < found.high_loss
    if s == 500.0:
        assert B - 5.5 / s < found.low < B - 2.5 / s
    else:
        assert found.low == -math.inf


def test_noise_moves_the_bottom_to_the_least_squares_estimate() -> None:
    x, y = drawn(5.0, noise=0.5)
    found = basin(x, y, 0.0, 10.0)
    assert abs(loss_and_slope("cos", x, y, np.array([found.bottom]))[1][0]) < 1e-10
    expected_error = 0.5 / math.sqrt(np.sum(x**2 * np.sin(B * x) ** 2))
    assert 0 < abs(found.bottom - B) < 4 * expected_error
    with pytest.raises(ValueError, match="does not depend"):
        basin(np.zeros(5), np.ones(5), 0.0, 10.0)


def test_ridges_of_many_draws_scatter_about_the_estimate() -> None:
    """Where noise in the slope undoes it: at 10,000 samples 3.35/s is where ridges become possible, 4/s their mean."""
    estimate = ridge_estimate(Law("normal", 500.0), 10_000) * 500.0
    assert estimate == pytest.approx(3.35, abs=0.01)
    ridges = [basin(*drawn(500.0, 10_000, seed=k), 0.0, 2.0).high for k in range(6)]
    widths = (np.array(ridges) - B) * 500.0
    assert 0.9 * estimate < widths.mean() < 1.5 * estimate
    assert math.isnan(ridge_estimate(Law("normal", 5.0), 3))


def test_a_target_of_very_many_turns_is_a_phase_of_its_own() -> None:
    """Next to it the loss is E (1 - cos d x), and its square's mean 3/2 E (1 - cos d x)^2."""
    for law in (Law("normal", 3.0), Law("uniform", 4.0)):
        for d in (1e-3, 0.05):
            theta = np.array([1e6 + d])
            d = theta[0] - 1e6
            first = expectation(law, lambda x, d=d: 1 - math.cos(d * x))
            second = 1.5 * expectation(law, lambda x, d=d: (1 - math.cos(d * x)) ** 2)
            assert part_loss("cos", law, theta, 1e6)[0] == pytest.approx(first, rel=1e-4)
            spread = cosine_loss_spread(law, theta, 1e6)[0]
            assert spread == pytest.approx(math.sqrt(second - first**2), rel=1e-4)
