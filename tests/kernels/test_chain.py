"""The chain on an interval: exact rows by sampling, exact moments of affine chains, bookkeeping, order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.affine import AffineMaps, affine_maps
from tui_opt.kernels.chain import (
    ABOVE,
    BELOW,
    NOWHERE,
    advance,
    chain_on_edges,
    joined_cells,
    split_cells,
    state_of_masses,
)
from tui_opt.kernels.laws import TruncatedNormal, masses_of, moments
from tui_opt.kernels.one_step import updated
from tui_opt.kernels.reach import monotone_hull, reachable

INITIAL = TruncatedNormal(0.5, 0.175, 0.0)


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def two_contractions(w):
    return np.stack([1.2 * w - 2, 0.8 * w - 2])


def plus_minus(w):
    return np.stack([1 + 0 * w, -1 + 0 * w])


def uneven(cells, low, high):
    widths = np.random.default_rng(cells).uniform(1, 2, cells)
    return low + (high - low) * np.append(0, np.cumsum(widths)) / widths.sum()


def evolved(chain, law, steps):
    state = state_of_masses(chain, masses_of(law, chain.edges)[0])
    found = []
    for n in range(steps + 1):
        found.append(moments(chain.edges, state[: chain.cells]))
        if n < steps:
            advance(chain, state, 1)
    return np.array(found).T, state


@pytest.mark.parametrize("edges", [np.linspace(0.2, 2.4, 56), uneven(45, 0.2, 2.4)])
@pytest.mark.parametrize("temperature", [0.004, 0.05, 0.4])
def test_rows_against_sampled_images(edges, temperature):
    maps = updated(pair_gradients, temperature)
    chain = chain_on_edges(maps, edges)
    width = np.diff(edges)
    for i in range(chain.cells):
        # The ends of 8 pieces and the lines between them are what the operator knows of the maps.
        nodes = edges[i] + width[i] * np.arange(9) / 8
        u = (np.arange(4000) + 0.5) / 4000
        images = np.stack([np.interp(u, np.arange(9) / 8, row) for row in maps(nodes)]).ravel()
        row = np.append(chain.inside[[i]].toarray().ravel(), chain.matrix.outlets[:, i])
        assert row.sum() == 1.0
        assert row.min() >= 0.0
        inside = (images >= edges[0]) & (images <= edges[-1])
        assert row[: chain.cells].sum() == pytest.approx(inside.mean(), abs=2e-3)
        clear = images.min() > edges[1] and images.max() < edges[-2]
        if not clear:
            continue
        mean, sd = moments(edges, row[: chain.cells])
        assert mean == pytest.approx(images.mean(), abs=1e-6)
        assert sd**2 - chain.added_variance[i] == pytest.approx(images.var(), abs=1e-6)
        # No mass is farther from its image than the cells are wide, on the average.
        cdf = np.cumsum(row[: chain.cells])
        sampled = np.searchsorted(np.sort(images), edges[1:]) / images.size
        assert np.sum(np.abs(cdf - sampled) * width) < 1.01 * width.max()


@settings(max_examples=examples(30))
@given(st.integers(20, 400), st.floats(0.1, 0.9), st.booleans())
def test_moments_of_contractions_are_exact_on_any_cells(cells, temperature, equal):
    edges = np.linspace(-3.2, 6, cells + 1) if equal else uneven(cells, -3.2, 6)
    chain = chain_on_edges(updated(two_contractions, temperature), edges)
    exact = affine_maps(chain.maps, -1, 3)
    state = state_of_masses(chain, masses_of(TruncatedNormal(1.5, 0.6), edges)[0])
    start = moments(edges, state[: chain.cells])
    mean, sd = exact.moments(*start, 30)
    for n in range(1, 31):
        added = float(state[: chain.cells] @ chain.added_variance)
        advance(chain, state, 1)
        if added > 1e-15:  # cells wider than the noise: what they add is known, and ends the comparison
            break
        assert moments(edges, state[: chain.cells]) == pytest.approx((mean[n], sd[n]), abs=3e-11)


def test_the_third_example_from_the_truncated_normal():
    chain = chain_on_edges(updated(two_contractions, 0.5), np.linspace(-0.5, 3, 1501))
    (mean, sd), _ = evolved(chain, INITIAL, 60)
    m, second = INITIAL.moments[0], INITIAL.moments[1] ** 2 + INITIAL.moments[0] ** 2
    for n in range(61):
        # Next to W = 0 both datapoints agree to less than a cell: there the cells add a little.
        assert mean[n] == pytest.approx(m, abs=1e-12)
        assert sd[n] == pytest.approx(np.sqrt(second - m * m), abs=1e-8)
        m, second = 0.5 * m + 1, 0.26 * second + m + 1
    # Independent reference values.
    assert (mean[10], sd[10]) == pytest.approx((1.99853631, 0.23197296), abs=1e-8)
    assert sd[60] == pytest.approx(np.sqrt(2 / 37), abs=1e-12)


@pytest.mark.parametrize("temperature", [0.05, 0.033, 0.0117, 0.0021])
def test_a_random_walk_gains_its_variance_exactly_whatever_the_cells(temperature):
    chain = chain_on_edges(updated(plus_minus, temperature), np.linspace(-8, 9, 1913))
    (mean, sd), state = evolved(chain, INITIAL, 400)
    np.testing.assert_allclose(mean, INITIAL.moments[0], atol=1e-12)
    exact = INITIAL.moments[1] ** 2 + temperature**2 * np.arange(401)
    np.testing.assert_allclose(sd**2, exact, atol=1e-12)
    assert state.min() >= 0


def test_variance_the_cells_must_add_is_reported():
    # Both datapoints alike: a shift by f cells adds f (1 - f) h^2.
    chain = chain_on_edges(updated(lambda w: np.stack([1 + 0 * w, 1 + 0 * w]), 0.03), np.linspace(0, 4, 41))
    np.testing.assert_allclose(chain.added_variance[2:-2], 0.3 * 0.7 * 0.01, rtol=1e-9)
    (_, sd), _ = evolved(chain, TruncatedNormal(2.3, 0.1), 12)
    np.testing.assert_allclose(np.diff(sd**2), 0.3 * 0.7 * 0.01, rtol=1e-9)


def test_mass_and_positivity_over_ten_thousand_steps():
    chain = chain_on_edges(updated(pair_gradients, 0.02), np.linspace(-0.3, 2.3, 401))
    state = state_of_masses(chain, masses_of(INITIAL, chain.edges)[0])
    whole = state.copy()
    advance(chain, whole, 10_000)
    assert abs(whole.sum() - 1) < 1e-12
    assert whole.min() >= 0
    advance(chain, state, 3)
    advance(chain, state, 9_997)
    np.testing.assert_array_equal(state, whole)


def test_what_leaves_is_counted_where_it_went():
    def broken(w):
        with np.errstate(all="ignore"):
            return np.stack([-4 + 0 * w, 4 + 0 * w, np.sqrt(w - 10)])

    chain = chain_on_edges(updated(broken, 1.0), np.linspace(0, 1, 11))
    state = state_of_masses(chain, np.full(10, 0.1))
    advance(chain, state, 1)
    assert state[[ABOVE, BELOW, NOWHERE]] == pytest.approx([1 / 3, 1 / 3, 1 / 3], abs=1e-15)
    assert state[:10].sum() == 0


def test_finer_cells_converge_at_second_order():
    def spread(cells):
        chain = chain_on_edges(updated(pair_gradients, 0.007), np.linspace(-0.1, 2.3, cells + 1))
        (_, sd), _ = evolved(chain, INITIAL, 100)
        return sd[-1]

    fine = spread(12_800)
    errors = [abs(spread(cells) - fine) for cells in (400, 1600)]
    assert np.log(errors[0] / errors[1]) / np.log(4) > 1.7


def test_cells_are_split_and_joined():
    edges = uneven(9, -1, 2)
    fine = split_cells(edges, 4)
    np.testing.assert_array_equal(fine[::4], edges)
    assert (np.diff(fine) > 0).all()
    np.testing.assert_array_equal(joined_cells(np.arange(8.0).reshape(1, 8), 4), [[6.0, 22.0]])


@pytest.mark.parametrize(("substeps", "steps"), [(1, 25), (0, 4)])
def test_the_interval_holds_all_walkers(substeps, steps):
    maps = updated(pair_gradients, 0.5 if substeps else 0.05, substeps)
    reach = reachable(maps, INITIAL, steps)
    w = INITIAL.sample(3, 0, 20_000 if substeps else 1000)
    rng = np.random.default_rng(1)
    for _ in range(steps):
        w = maps(w)[rng.integers(0, 2, w.size), np.arange(w.size)]
        assert reach.low <= w.min()
        assert w.max() <= reach.high
    assert not reach.clipped
    if substeps == 1:
        assert (reach.low, reach.high) == pytest.approx((-2.85, 5.58), abs=0.05)
        longer = reachable(maps, INITIAL, 5 * steps)
        assert (longer.low, longer.high) == pytest.approx((reach.low, reach.high), abs=0.02)
    else:
        low, high = monotone_hull(maps, *INITIAL.interval(), steps)
        assert w.min() > low
        assert w.max() < high


def test_the_interval_of_a_random_walk_grows_like_its_spread():
    for steps in (100, 1600):
        reach = reachable(updated(plus_minus, 0.1), TruncatedNormal(0, 0.01), steps)
        sd = 0.1 * np.sqrt(steps)
        # The normal law has 1e-15 beyond 7.94 sd; bounded steps have a little less far out.
        assert 7.0 * sd < reach.high < 8.4 * sd
        assert reach.low == pytest.approx(-reach.high, rel=0.05)


def test_steady_steps_from_a_narrow_start_do_not_count_as_diverging():
    steps = 10_000
    reach = reachable(updated(plus_minus, 0.1), TruncatedNormal(0, 1e-5), steps)
    assert not reach.clipped
    assert 7.5 * 0.1 * np.sqrt(steps) < reach.high < 8.4 * 0.1 * np.sqrt(steps)


def test_few_cells_ask_for_more_room():
    """Contraction without noise: cells of 1/50 of the law widen it where 1500 cells hardly do."""
    maps, law = updated(lambda w: np.stack([w - 1, w + 1]), 0.005, 2), TruncatedNormal(10, 1e-6)
    for cells in (100, 1500):
        reach = reachable(maps, law, 50, cells=cells)
        chain = chain_on_edges(maps, np.linspace(reach.low, reach.high, cells + 1))
        state = state_of_masses(chain, masses_of(law, chain.edges)[0])
        advance(chain, state, 50)
        assert state[ABOVE] + state[BELOW] < 1e-9


def test_walkers_that_jump_to_and_fro_are_seen_on_both_sides():
    for steps in (7, 1000, 1001):
        reach = reachable(updated(lambda w: np.stack([2 * w]), 1.0), TruncatedNormal(3.0, 0.1), steps)
        assert reach.low < -3.5
        assert reach.high > 3.5


def test_diverging_walkers_clip_the_interval():
    reach = reachable(updated(lambda w: np.stack([-w, -2 * w]), 0.5), INITIAL, 200)
    assert reach.clipped
    assert reach.high - reach.low < 100
    still = reachable(updated(lambda w: np.stack([0 * w]), 0.5), TruncatedNormal(1.0, 0.0), 5)
    assert still.low < 1.0 < still.high


def test_affine_maps_are_told_from_others():
    maps = affine_maps(updated(two_contractions, 0.5), -1, 3)
    np.testing.assert_allclose(maps.slopes, [0.4, 0.6], rtol=1e-13)
    np.testing.assert_allclose(maps.shifts, [1, 1], rtol=1e-13)
    assert maps.stationary_moments() == pytest.approx((2, np.sqrt(2 / 37)), rel=1e-13)
    assert affine_maps(updated(pair_gradients, 0.5), -1, 3) is None
    assert affine_maps(lambda w: np.stack([w, np.sqrt(w)]), -1, 3) is None
    assert AffineMaps(np.array([1.0, 0.5]), np.array([0.0, 1.0])).stationary_moments() is not None
    assert AffineMaps(np.array([1.0, -1.0]), np.array([0.0, 1.0])).stationary_moments() is None


def test_bad_cells_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        chain_on_edges(updated(plus_minus, 0.1), np.linspace(0, 1, 5))
    chain = chain_on_edges(updated(plus_minus, 0.1), np.linspace(0, 1, 11))
    with pytest.raises(ValueError, match="must be float64"):
        advance(chain, np.zeros(10), 1)
