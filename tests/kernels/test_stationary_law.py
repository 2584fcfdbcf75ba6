"""Where chains end: exact laws, several ends, turns, leaks; the cascade against its closed form and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.affine import AffineMaps
from tui_opt.kernels.cascade import cascade_of
from tui_opt.kernels.cells import step
from tui_opt.kernels.chain import chain_on_edges
from tui_opt.kernels.laws import TruncatedNormal, kolmogorov_smirnov, masses_of, moments, wasserstein
from tui_opt.kernels.one_step import updated
from tui_opt.kernels.stationary_law import stationary_law

THIRDS = AffineMaps(np.array([0.4, 0.6]), np.array([1.0, 1.0]))


def two_contractions(w):
    return np.stack([1.2 * w - 2, 0.8 * w - 2])


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def ended(gradients, temperature, edges, start):
    return stationary_law(chain_on_edges(updated(gradients, temperature), edges).matrix, start)


def test_the_law_of_two_contractions():
    cascade = cascade_of(THIRDS)
    distances = []
    for cells in (310, 1240):
        edges = np.linspace(-0.1, 3, cells + 1)
        law = ended(two_contractions, 0.5, edges, masses_of(TruncatedNormal(0.5, 0.175, 0.0), edges)[0])
        assert moments(edges, law.masses) == pytest.approx((2, np.sqrt(2 / 37)), abs=1e-12)
        assert (law.unique, law.classes, law.period, law.reason) == (True, 1, 1, "")
        assert law.kept == pytest.approx(1, abs=1e-12)
        assert law.residual < 1e-13
        assert law.masses.min() >= 0
        distances.append(wasserstein(edges, law.masses, cascade.cdf(edges)))
    assert distances[1] < distances[0] / 3.5
    assert kolmogorov_smirnov(edges, law.masses, cascade.cdf(edges)) < 2e-3


def test_it_is_the_left_null_vector():
    edges = np.linspace(-0.1, 3, 63)
    chain = chain_on_edges(updated(two_contractions, 0.7), edges)
    law = stationary_law(chain.matrix, np.full(62, 1 / 62))
    dense = chain.inside.toarray()
    keep = law.masses > 0
    system = np.vstack([np.eye(62) - dense.T, np.ones(62)])
    solved = np.linalg.lstsq(system, np.append(np.zeros(62), 1), rcond=None)[0]
    np.testing.assert_allclose(law.masses[keep], solved[keep], atol=1e-12)


def test_a_slow_chain_is_solved_where_stepping_does_not_settle():
    # Two wells, a flux of about 1e-7 per step between them.
    def wells(w):
        return np.stack([4 * w * (w * w - 1) + 2.2, 4 * w * (w * w - 1) - 2.2])

    edges = np.linspace(-1.8, 1.8, 181)
    chain = chain_on_edges(updated(wells, 0.05), edges)
    one_sided = np.zeros(180)
    one_sided[140] = 1.0
    law = stationary_law(chain.matrix, one_sided)
    assert law.unique
    np.testing.assert_allclose(law.masses, law.masses[::-1], rtol=1e-5, atol=1e-12)
    assert law.residual < 1e-13
    state = np.append(one_sided, np.zeros(3))
    step(chain.matrix, state, 5000)
    assert state[:90].sum() < 0.25  # far from its end after 5,000 steps


def test_everything_ends_where_no_datapoint_pulls():
    edges = np.linspace(-0.1, 2.4, 501)
    law = ended(pair_gradients, 0.05, edges, masses_of(TruncatedNormal(0.5, 0.175, 0.0), edges)[0])
    mean, sd = moments(edges, law.masses)
    assert mean == pytest.approx(2, abs=1e-6)
    assert sd < 0.006
    assert law.unique


def test_the_start_decides_between_two_traps():
    # Both datapoints pull to the nearer of -1 and 1, where they agree.
    def traps(w):
        return np.stack([w - np.sign(w), 0.5 * (w - np.sign(w))])

    edges = np.linspace(-2, 2, 80)
    start = np.zeros(79)
    start[10], start[70] = 1.0, 3.0
    law = ended(traps, 0.5, edges, start)
    assert (law.unique, law.classes) == (False, 2)
    assert law.masses[:39].sum() == pytest.approx(0.25, abs=1e-9)
    assert "the start decides" in law.reason


def test_turns_are_averaged():
    edges = np.linspace(-2, 2, 41)
    start = np.zeros(40)
    start[30] = 1
    law = ended(lambda w: np.stack([2 * w]), 1.0, edges, start)
    assert law.period == 2
    np.testing.assert_array_equal(np.flatnonzero(law.masses), [9, 30])
    assert law.masses[[9, 30]] == pytest.approx([0.5, 0.5])
    assert "in turn" in law.reason


def test_what_leaves_has_no_law():
    edges = np.linspace(-2, 2, 41)
    law = ended(lambda w: np.stack([1 + 0 * w, -1 + 0 * w]), 0.3, edges, np.full(40, 1 / 40))
    assert law.kept == 0
    assert np.isnan(law.masses).all()
    assert "leaves the cells" in law.reason
    # Half of the walkers run away to the right of 0, half are caught at -1.
    law = ended(lambda w: np.stack([np.where(w > 0, -1.0, w + 1)]), 0.5, edges, np.full(40, 1 / 40))
    # The map jumps at the edge between two pieces; the next piece is spread over the jump.
    assert law.kept == pytest.approx(0.5, abs=1 / (40 * 8))
    assert not law.unique
    assert "of the walkers stay" in law.reason


def test_an_end_out_of_reach_is_said_to_be():
    edges = np.linspace(0.9, 2.05, 1151)
    law = ended(pair_gradients, 0.003, edges, masses_of(TruncatedNormal(1.0, 0.01), edges)[0])
    assert "out of reach" in law.reason
    assert moments(edges, law.masses)[0] == pytest.approx(1.0075, abs=1e-3)


def test_bad_starts_are_refused():
    chain = chain_on_edges(updated(two_contractions, 0.5), np.linspace(0, 3, 31))
    with pytest.raises(ValueError, match="masses of 30 cells"):
        stationary_law(chain.matrix, np.zeros(30))


def test_the_cascade_of_the_third_example():
    cascade = cascade_of(THIRDS)
    w = np.array([1.0, 5 / 3, 1.8, 1.9, 2.0, 2.2, 2.3, 2.5, 9.0])
    expected = [0, 0, 0.25, 0.408435, 0.5, 0.75, 0.864902, 1, 1]
    np.testing.assert_allclose(cascade.cdf(w), expected, atol=1e-6)
    np.testing.assert_allclose(cascade.cdf(w)[[2, 4, 5]], [0.25, 0.5, 0.75], atol=1e-10)
    assert cascade.dimension == pytest.approx(0.971395, abs=1e-6)
    assert not cascade.is_uniform
    ends, masses = cascade.level(2)
    np.testing.assert_allclose(ends, [[5 / 3, 1.8], [1.8, 2], [2, 2.2], [2.2, 2.5]], atol=1e-12)
    np.testing.assert_array_equal(masses, 0.25)
    ends, masses = cascade.level(0)
    np.testing.assert_allclose(ends, [[5 / 3, 2.5]])


@pytest.mark.parametrize(
    ("slopes", "shifts"),
    [([0.4, 0.6], [1, 1]), ([-0.4, 0.5], [0, 1]), ([-0.3, -0.5], [0, 1]), ([0.2, -0.3, 0.2], [0, 1.3, 2]),
     ([0.3, 0.3, 0.5], [0, 0, 1])],
)  # fmt: skip
def test_the_distribution_function_satisfies_its_own_equation(slopes, shifts):
    cascade = cascade_of(AffineMaps(np.array(slopes, dtype=float), np.array(shifts, dtype=float)))
    x = np.linspace(cascade.low - 0.1, cascade.high + 0.1, 301)
    # P(W <= x) is the average over the maps of P(r W + b <= x).
    parts = []
    for r, b in zip(slopes, shifts, strict=True):
        below = cascade.cdf((x - b) / r)
        parts.append(below if r > 0 else 1 - below)
    np.testing.assert_allclose(cascade.cdf(x), np.mean(parts, axis=0), atol=1e-9)
    assert (np.diff(cascade.cdf(x)) >= 0).all()
    ends, masses = cascade.level(8)
    assert masses.sum() == pytest.approx(1)
    lower = np.array([masses[ends[:, 1] <= v].sum() for v in x])
    upper = np.array([masses[ends[:, 0] <= v].sum() for v in x])
    assert (lower <= cascade.cdf(x) + 1e-12).all()
    assert (cascade.cdf(x) <= upper + 1e-12).all()
    if len(set(zip(slopes, shifts, strict=True))) < len(slopes):
        assert masses.max() == pytest.approx((2 / 3) ** 8)


def test_a_cascade_that_fills_its_hull_is_uniform():
    cascade = cascade_of(AffineMaps(np.array([0.5, 0.5]), np.array([0.0, 0.5])))
    assert cascade.is_uniform
    assert cascade.dimension == pytest.approx(1)
    np.testing.assert_allclose(cascade.cdf(np.linspace(0, 1, 11)), np.linspace(0, 1, 11), atol=1e-12)


@pytest.mark.parametrize("slopes", [[0.6, 0.7], [1.0, 0.2], [0.0, 0.5], [0.5, 0.5]])
def test_maps_without_a_cascade(slopes):
    assert cascade_of(AffineMaps(np.array(slopes), np.array([1.0, 1.0]))) is None


def test_levels_are_limited():
    with pytest.raises(ValueError, match="at most"):
        cascade_of(THIRDS).level(21)
