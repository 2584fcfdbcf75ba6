"""The absorbing barrier and the reachable interval, checked by walkers that try to break them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.invariance import absorbing_barrier, invariant_hull, reachable_interval

PIT, BARRIER = 1.0074533029460346, 1.1959565136502517


def pair_gradients(w, depth=1.0):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * depth * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def mirrored(w):
    return -pair_gradients(-w)


def quartic(noise):
    return lambda w: np.stack([w**3 - w + noise, w**3 - w - noise])


def walk(gradients, temperature, start, steps, seed):
    rng = np.random.default_rng(seed)
    w = np.array(start, dtype=float)
    for _ in range(steps):
        g = gradients(w)
        w = w - temperature * g[rng.integers(0, g.shape[0], w.size), np.arange(w.size)]
        yield w


@pytest.mark.parametrize("temperature", [0.002, 0.01, 0.05, 0.2, 0.5])
def test_barrier_of_the_pair_is_the_maximum_of_the_pit_term(temperature):
    assert absorbing_barrier(pair_gradients, temperature, PIT, 2.0).w == pytest.approx(BARRIER, abs=1e-9)
    assert absorbing_barrier(mirrored, temperature, -PIT, -2.0).w == pytest.approx(-BARRIER, abs=1e-9)


def test_barrier_with_a_deeper_pit():
    found = absorbing_barrier(lambda w: pair_gradients(w, 2.0), 0.05, 1.0036974, 2.0).w
    assert found == pytest.approx(1.2149222672, abs=1e-9)


def test_barrier_holds_and_nothing_smaller_does():
    outside = np.linspace(BARRIER + 1e-9, 6.0, 4001)
    assert all(w.min() > BARRIER for w in walk(pair_gradients, 0.5, outside, 200, seed=1))
    # Just inside, the pit's own datapoint alone leads back.
    w = BARRIER - 1e-3
    for _ in range(2000):
        w -= 0.01 * pair_gradients(np.array([w]))[1, 0]
    assert w < 1.1


def test_no_barrier_where_steps_come_back():
    found = absorbing_barrier(pair_gradients, 2.0, PIT, 2.0)
    assert found.w is None
    assert "come back" in found.reason
    # The walker that shows it: from the far slope of the well at 2 one step leads inside the pit's maximum.
    assert (2.7 - 2.0 * pair_gradients(np.array([2.7]))).min() < BARRIER


@settings(max_examples=examples(8))
@given(st.floats(0.02, 0.35), st.floats(0.01, 0.3))
def test_quartic_double_well_with_additive_noise(noise, temperature):
    # All datapoints push to the right where W^3 - W + a < 0: beyond the middle root.
    middle = np.sort(np.roots([1, 0, -1, noise]).real)[1]
    found = absorbing_barrier(quartic(noise), temperature, -1.0, 1.0).w
    assert found == pytest.approx(middle, abs=1e-8)
    left = absorbing_barrier(quartic(noise), temperature, 1.0, -1.0).w
    assert left == pytest.approx(-middle, abs=1e-8)


def test_noise_stronger_than_the_slope_has_no_barrier():
    found = absorbing_barrier(quartic(0.5), 0.05, -1.0, 1.0)
    assert found.w is None
    assert "no place" in found.reason


@pytest.mark.parametrize("temperature", [0.003, 0.01, 0.02, 0.1, 0.5])
def test_reachable_interval_holds_all_walkers_and_is_tight(temperature):
    reach = reachable_interval(pair_gradients, temperature, PIT, BARRIER)
    assert reach.high == BARRIER
    assert not reach.clipped
    lowest = np.inf
    for w in walk(pair_gradients, temperature, np.full(20_000, PIT), 60, seed=3):
        lowest = min(lowest, w[w <= BARRIER].min(initial=np.inf))
    assert reach.low <= lowest
    grid = np.linspace(reach.low, reach.high, 100_001)
    assert (grid - temperature * pair_gradients(grid)).min() >= reach.low - 1e-12
    assert lowest - reach.low < 0.2 * (BARRIER - reach.low)


def test_reachable_interval_to_the_left():
    reach = reachable_interval(mirrored, 0.02, -PIT, -BARRIER)
    other = reachable_interval(pair_gradients, 0.02, PIT, BARRIER)
    assert (reach.low, reach.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


def test_a_stronger_third_datapoint_widens_the_interval():
    def three(w):
        g = pair_gradients(w)
        return np.stack([g[0], g[1], 1.5 * g[1]])

    reach = reachable_interval(three, 0.02, PIT, BARRIER)
    assert reach.low < reachable_interval(pair_gradients, 0.02, PIT, BARRIER).low - 0.01
    for w in walk(three, 0.02, np.full(20_000, PIT), 60, seed=4):
        assert reach.low <= w.min()


def test_slow_contraction_is_closed():
    # W <- 0.9999 W: the hull is approached in infinitely many steps.
    reach = reachable_interval(lambda w: np.stack([w, w - 1.5]), 1e-4, 0.5, 1.4)
    assert not reach.clipped
    assert -0.05 < reach.low <= 0.0


def test_diverging_walkers_are_clipped():
    reach = reachable_interval(lambda w: np.stack([w**3 - w, -(w**3)]), 3.0, -1.0, 0.5)
    assert reach.clipped
    assert reach.low == pytest.approx(0.5 - 150)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="two different finite places"):
        absorbing_barrier(pair_gradients, 0.1, 1.0, 1.0)
    with pytest.raises(ValueError, match="two different finite places"):
        reachable_interval(pair_gradients, 0.1, 1.0, np.nan)


@pytest.mark.parametrize("temperature", [0.02, 0.3, 0.5, 0.9])
def test_the_hull_of_two_contractions_is_that_of_their_fixed_points(temperature):
    hull = invariant_hull(lambda w: np.stack([1.2 * w - 2, 0.8 * w - 2]), temperature, 2.0)
    # Each map contracts towards its own fixed point, 2 / 1.2 and 2 / 0.8; a negative factor overshoots it.
    low, high = 2 / 1.2, 2 / 0.8
    for _ in range(200):
        ends = np.array([low, high])
        images = ends - temperature * np.stack([1.2 * ends - 2, 0.8 * ends - 2])
        low, high = min(low, images.min()), max(high, images.max())
    assert not hull.clipped
    assert low - 0.02 < hull.low <= low
    assert high <= hull.high < high + 0.02


def test_the_hull_holds_every_walker_and_is_cut_where_there_is_none():
    hull = invariant_hull(pair_gradients, 0.05, PIT)
    for w in walk(pair_gradients, 0.05, np.full(20_000, PIT), 300, 1):
        assert hull.low <= w.min()
        assert w.max() <= hull.high
    spread = invariant_hull(lambda w: np.stack([1 + 0 * w, -1 + 0 * w]), 0.5, 3.0, max_width=40.0)
    assert (spread.low, spread.high, spread.clipped) == (-17.0, 23.0, True)
    with pytest.raises(ValueError, match="start is nan"):
        invariant_hull(pair_gradients, 0.05, np.nan)
