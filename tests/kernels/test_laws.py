"""Laws of W: closed forms of the truncated normal, laws on cells, distances, sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.conftest import examples
from tui_opt.kernels.laws import (
    TruncatedNormal,
    cdf_on_cells,
    kolmogorov_smirnov,
    masses_of,
    moments,
    uniforms,
    wasserstein,
    wasserstein_to_samples,
)

INITIAL = TruncatedNormal(0.5, 0.175, 0.0)


def peer(law):
    return stats.truncnorm((law.least - law.mean) / law.sd, np.inf, law.mean, law.sd)


@pytest.mark.parametrize("cut", [-np.inf, -3.0, 0.0, 2.0, 8.0])
def test_moments_and_distribution_function(cut):
    law = TruncatedNormal(1.0, 0.5, 1.0 + 0.5 * cut)
    assert law.moments == pytest.approx((peer(law).mean(), peer(law).std()), rel=1e-9)
    w = np.linspace(-1, 6, 50)
    np.testing.assert_allclose(law.cdf(w), peer(law).cdf(w), atol=1e-12)
    p = np.array([1e-6, 0.3, 0.999])
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, rtol=1e-9, atol=1e-12)


def test_far_in_the_tail_the_law_is_exponential():
    for cut in (29.9, 30.1, 300.0):
        law = TruncatedNormal(0.0, 1.0, cut)
        mean, sd = law.moments
        # Mean and spread of the density exp(-cut x - x^2 / 2), to the second order in 1 / cut^2.
        assert mean - cut == pytest.approx((1 - 2 / cut**2 + 10 / cut**4) / cut, rel=3e-7)
        assert sd == pytest.approx((1 - 3 / cut**2) / cut, rel=5e-5)
        assert law.sample(1, 0, 1000).min() >= cut
    assert INITIAL.moments == pytest.approx((0.501180991620659, 0.173300633145013), abs=1e-13)


@pytest.mark.parametrize("cut", [0.5, 5.0, 29.0, 31.0, 60.0, 1e3, 1e8, 1e15])
def test_a_cut_above_the_mean_is_a_law_like_any_other(cut):
    # Exact: in y = (W - least) cut / sd the density is exp(-y - y² / (2 cut²)), near 1 of y whatever the cut.
    law = TruncatedNormal(-cut * 0.25, 0.25, 0.0)
    scale = 0.25 / cut
    y = np.linspace(0, 60, 600_001)
    density = np.exp(-y - y**2 / (2 * cut**2))
    density[[0, -1]] /= 2
    density /= density.sum()
    mean, sd = law.moments
    assert mean / scale == pytest.approx(y @ density, rel=2e-8)
    assert sd / scale == pytest.approx(np.sqrt(y**2 @ density - (y @ density) ** 2), rel=1e-4)
    places = scale * np.array([0.0, 0.1, 1.0, 5.0])
    exact = np.interp(places, scale * y, np.cumsum(density) - 0.5 * density)
    np.testing.assert_allclose(law.cdf(places)[1:], exact[1:], rtol=1e-7)
    assert law.cdf(places)[0] == 0
    p = np.array([1e-6, 0.3, 0.999])
    # Below a far cut small probabilities keep their digits too.
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, rtol=1e-9, atol=1e-12 if cut < 30 else 0)
    assert (law.sample(1, 0, 1000) > 0).all()
    low, high = law.interval()
    assert low == 0
    assert law.cdf(np.array([high]))[0] == pytest.approx(1, abs=1e-12)
    # Cells that resolve it, and cells far wider than it.
    edges = np.linspace(-scale, 40 * scale, 2001)
    masses, added = masses_of(law, edges)
    assert added == 0
    found = moments(edges, masses)
    assert found == pytest.approx((mean, sd), rel=1e-6)
    # Where the law begins within a cell, no farther off than what that cell holds.
    np.testing.assert_allclose(np.cumsum(masses), law.cdf(edges[1:]), atol=1.01 * masses.max())
    masses, added = masses_of(law, np.linspace(-60 * scale, 260 * scale, 9))
    assert moments(np.linspace(-60, 260, 9), masses)[0] == pytest.approx(mean / scale, rel=1e-6)
    assert added > 0


@settings(max_examples=examples(40))
@given(st.integers(8, 900), st.floats(0.1, 0.6), st.floats(0.05, 0.3), st.floats(0, 0.3), st.booleans())
def test_cells_keep_mean_and_variance(cells, mean, sd, least, equal):
    law = TruncatedNormal(mean, sd, least)
    widths = np.ones(cells) if equal else np.random.default_rng(cells).uniform(1, 3, cells)
    edges = -0.5 + 5.0 * np.append(0, np.cumsum(widths)) / widths.sum()
    masses, added = masses_of(law, edges)
    assert masses.min() >= 0
    assert masses.sum() == pytest.approx(1, abs=1e-14)
    found_mean, found_sd = moments(edges, masses)
    exact_mean, exact_sd = law.moments
    assert found_mean == pytest.approx(exact_mean, abs=1e-13)
    assert found_sd**2 - added == pytest.approx(exact_sd**2, abs=1e-13)
    if np.diff(edges).max() < 0.5 * exact_sd:
        assert added == 0
    # No farther from the law than its cells are wide.
    assert np.abs(np.cumsum(masses) - law.cdf(edges[1:])) @ np.diff(edges) < np.diff(edges).max()


def test_many_cells_show_the_density():
    edges = np.linspace(0, 2, 801)
    masses, _ = masses_of(INITIAL, edges)
    exact = np.diff(INITIAL.cdf(edges))
    np.testing.assert_allclose(masses[4:600], exact[4:600], rtol=2e-3)


def test_a_point_sits_between_two_centres():
    edges = np.linspace(0, 1, 11)
    masses, added = masses_of(TruncatedNormal(0.32, 0.0), edges)
    assert masses[[2, 3]] == pytest.approx([0.3, 0.7])
    assert added == pytest.approx(0.01 * (0.3 * 0.7 + 1 / 12))
    masses, _ = masses_of(TruncatedNormal(1.0, 0.0), edges)
    assert masses[9] == 1


def test_a_law_outside_the_cells_is_refused():
    with pytest.raises(ValueError, match="of the initial law with mean"):
        masses_of(INITIAL, np.linspace(5, 6, 11))
    with pytest.raises(ValueError, match="sd is -1"):
        TruncatedNormal(0.0, -1.0)
    with pytest.raises(ValueError, match="least is"):
        TruncatedNormal(0.0, 0.0, 1.0)


def test_a_law_far_narrower_than_doubles_resolve_is_a_point():
    edges = np.linspace(0, 1, 11)
    for sd in (1e-20, 1e-200):
        masses, _ = masses_of(TruncatedNormal(0.32, sd), edges)
        assert masses[[2, 3]] == pytest.approx([0.3, 0.7])


def test_moments_and_distribution_of_nothing_are_not_a_number():
    edges, nothing = np.linspace(0, 1, 9), np.zeros(8)
    assert np.isnan(moments(edges, nothing)).all()
    assert np.isnan(cdf_on_cells(edges, nothing, edges)).all()


def test_distances_between_laws_on_cells():
    edges = np.linspace(0, 4, 41)
    first, second = np.zeros(40), np.zeros(40)
    first[3:7], second[13:17] = 0.25, 0.25
    other = cdf_on_cells(edges, second, edges)
    assert wasserstein(edges, first, other) == pytest.approx(1.0, rel=1e-14)
    assert kolmogorov_smirnov(edges, first, other) == 1
    # Uniform on [0, 1] against uniform on [0, 2]: the integral of |F - G| is 1/2, its maximum 1/2.
    first, second = np.zeros(40), np.zeros(40)
    first[:10], second[:20] = 0.1, 0.05
    other = cdf_on_cells(edges, second, edges)
    assert wasserstein(edges, first, other) == pytest.approx(0.5, rel=1e-14)
    assert kolmogorov_smirnov(edges, first, other) == pytest.approx(0.5)
    # Crossing lines: uniform on [0, 4] against all in the middle cell pair.
    flat, middle = np.full(40, 1 / 40), np.zeros(40)
    middle[19:21] = 0.5
    fine = np.linspace(0, 4, 400_001)
    difference = cdf_on_cells(edges, flat, fine) - cdf_on_cells(edges, middle, fine)
    brute = np.abs(difference[1:] + difference[:-1]).sum() / 2 * 1e-5
    assert wasserstein(edges, flat, cdf_on_cells(edges, middle, edges)) == pytest.approx(brute, rel=1e-9)


def test_distance_to_samples():
    edges = np.linspace(0, 1, 11)
    uniform = np.full(10, 0.1)
    # One sample at a: integral of |x - 1{x >= a}| = (a^2 + (1 - a)^2) / 2.
    for a in (0.0, 0.3, 0.77):
        exact = (a**2 + (1 - a) ** 2) / 2
        assert wasserstein_to_samples(edges, uniform, np.array([a])) == pytest.approx(exact, rel=1e-13)
    assert wasserstein_to_samples(edges, uniform, np.array([-1.0, 2.0])) == pytest.approx(1.25)
    w = INITIAL.sample(3, 0, 100_000)
    edges = np.linspace(0, 2, 501)
    assert wasserstein_to_samples(edges, masses_of(INITIAL, edges)[0], w) < 2e-3


def test_walkers_get_their_own_place_whoever_asks():
    all_of_them = INITIAL.sample(7, 0, 3000)
    np.testing.assert_array_equal(INITIAL.sample(7, 1500, 100), all_of_them[1500:1600])
    assert not np.any(INITIAL.sample(8, 0, 3000) == all_of_them)
    assert INITIAL.sample(7, 0, 3) == pytest.approx(INITIAL.quantile(1 - uniforms(7, 0, 3)), rel=1e-12)
    u = uniforms(7, 0, 100_000)
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert u.min() > 0
    assert u.max() < 1
    np.testing.assert_array_equal(TruncatedNormal(0.3, 0.0).sample(7, 0, 4), 0.3)
