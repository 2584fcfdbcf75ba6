"""The transfer operator: a brute-force dense one, mass and positivity, exact moments, order of convergence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.transfer import (
    ABSORBED,
    LOST,
    advance,
    mass_at,
    operator_on_edges,
    steps_per_slice,
    transfer_operator,
)

PIT, BARRIER = 1.0074533029460346, 1.1959565136502517


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def mirrored(w):
    return -pair_gradients(-w)


def two_contractions(w):
    return np.stack([1.2 * w - 2, 0.8 * w - 2])


def dense_oracle(gradients, temperature, edges, side, samples=400):
    """Every cell as many points at the middles of equal pieces, each moved and counted: slow and plain."""
    cells = edges.size - 1
    table = np.zeros((cells, cells + 2))
    for i in range(cells):
        points = edges[i] + (np.arange(samples) + 0.5) / samples * (edges[i + 1] - edges[i])
        images = points - temperature * gradients(points)
        for value in images.ravel():
            k = int(np.searchsorted(edges, value, side="right")) - 1
            if k < 0 or k >= cells:
                out = (k < 0) == (side < 0)
                k = cells if out else cells + 1
            table[i, k] += 1 / images.size
    return table


@pytest.mark.parametrize(("gradients", "side"), [(pair_gradients, 1.0), (mirrored, -1.0)])
@pytest.mark.parametrize("temperature", [0.005, 0.02, 0.3])
def test_entries_against_brute_force(gradients, side, temperature):
    edges = np.sort(side * (0.85 + np.array([0.0, *np.cumsum(np.linspace(1, 2, 24))]) * 0.0096))
    operator = operator_on_edges(gradients, temperature, edges, side)
    table = np.column_stack([operator.inside.toarray(), operator.absorbed, operator.lost])
    # One sampled point of 400 x 2 on the wrong side of an edge is 1/800; an entry has at most two ends per map.
    np.testing.assert_allclose(table, dense_oracle(gradients, temperature, edges, side), atol=4 / 800 + 2e-3)


@settings(max_examples=examples(25))
@given(st.floats(0.001, 3.0), st.integers(8, 60), st.floats(0.9, 1.1))
def test_rows_sum_to_one_exactly_and_nothing_is_negative(temperature, cells, start):
    operator = transfer_operator(pair_gradients, temperature, start, BARRIER, cells)
    table = np.column_stack([operator.inside.toarray(), operator.absorbed, operator.lost])
    assert (table >= 0).all()
    assert (table.sum(axis=1) == 1.0).all()


@pytest.mark.parametrize("temperature", [0.005, 0.02])
def test_mass_over_a_hundred_thousand_steps(temperature):
    operator = transfer_operator(pair_gradients, temperature, PIT, BARRIER, 200)
    mass = mass_at(operator, np.array([PIT]), np.array([1.0]))
    advance(operator, mass, 100_000)
    assert abs(mass.sum() - 1) < 1e-12
    assert mass.min() >= 0
    assert mass[LOST] == 0


def test_slices_give_the_same_bits_as_one_call():
    operator = transfer_operator(pair_gradients, 0.02, PIT, BARRIER, 300)
    whole = mass_at(operator, np.array([PIT]), np.array([1.0]))
    sliced = whole.copy()
    advance(operator, whole, 500)
    for steps in (1, 99, 0, 400):
        advance(operator, sliced, steps)
    np.testing.assert_array_equal(whole, sliced)
    assert steps_per_slice(operator) >= 1


def test_stepping_is_the_matrix_product():
    operator = transfer_operator(pair_gradients, 0.1, PIT, BARRIER, 100)
    mass = np.random.default_rng(2).random(102)
    expected = mass.copy()
    for _ in range(7):
        inside = expected[:100]
        leaving = inside @ operator.absorbed, inside @ operator.lost
        expected = np.array(
            [*(operator.inside.T @ inside), expected[100] + leaving[0], expected[101] + leaving[1]]
        )
    advance(operator, mass, 7)
    np.testing.assert_allclose(mass, expected, rtol=1e-13)


def test_random_walk_adds_a_sixth_of_a_cell_squared_at_most_a_quarter():
    # g = +-1: the exact variance is T^2 t. Spreading over cells adds f (1 - f) h^2 per step, f = frac(T / h).
    edges = np.linspace(-16, 16, 3201)
    h = edges[1] - edges[0]
    for temperature in (0.25, 0.0625, 0.033):
        operator = operator_on_edges(lambda w: np.stack([1 + 0 * w, -1 + 0 * w]), temperature, edges, 1.0)
        mass = mass_at(operator, np.array([0.0]), np.array([1.0]))
        centres = operator.centres
        before = mass[:-2] @ centres**2
        advance(operator, mass, 60)
        f = temperature / h % 1
        assert mass[:-2] @ centres == pytest.approx(0, abs=1e-12)
        added = mass[:-2] @ centres**2 - before - 60 * temperature**2
        assert added == pytest.approx(60 * f * (1 - f) * h**2, abs=1e-12)


def test_moments_of_two_contractions():
    # T = .5: W' = .4 W + 1 or .6 W + 1, mean 2 and variance 2/37 in the end; m' = m/2 + 1, M' = .26 M + m + 1.
    operator = operator_on_edges(two_contractions, 0.5, np.linspace(0, 3, 1201), 1.0)
    mass = mass_at(operator, np.array([0.5]), np.array([1.0]))
    mean, second = 0.5, 0.25
    for n in range(60):
        advance(operator, mass, 1)
        mean, second = 0.5 * mean + 1, 0.26 * second + mean + 1
        assert mass[:-2] @ operator.centres == pytest.approx(mean, abs=1e-4), n
        sd = np.sqrt(mass[:-2] @ operator.centres**2 - (mass[:-2] @ operator.centres) ** 2)
        assert sd == pytest.approx(np.sqrt(max(second - mean**2, 0)), abs=1e-4), n
    assert sd == pytest.approx(0.2324952775, abs=1e-4)


def test_second_order_in_the_width_of_the_cells():
    def escaped(cells):
        operator = transfer_operator(pair_gradients, 0.007, PIT, BARRIER, cells)
        mass = mass_at(operator, np.array([PIT]), np.array([1.0]))
        advance(operator, mass, 1000)
        return mass[ABSORBED]

    fine = escaped(8000)
    coarse, middle = (abs(escaped(cells) - fine) for cells in (500, 2000))
    assert np.log(coarse / middle) / np.log(4) > 1.7


def test_atoms_keep_their_place_and_the_bookkeeping():
    operator = transfer_operator(pair_gradients, 0.02, PIT, BARRIER, 50)
    places = np.array([1.05, 1.1, BARRIER + 0.1, -5.0, np.nan, BARRIER])
    weights = np.array([0.25, 0.25, 0.125, 0.125, 0.125, 0.125])
    mass = mass_at(operator, places, weights)
    assert mass.sum() == pytest.approx(1, abs=1e-15)
    assert mass[ABSORBED] == 0.125
    assert mass[LOST] == 0.25
    mass = mass_at(operator, places[:2], weights[:2])
    assert mass[:-2] @ operator.centres == pytest.approx(0.25 * 1.05 + 0.25 * 1.1, abs=1e-15)


def test_places_without_a_gradient_are_lost():
    def broken(w):
        with np.errstate(all="ignore"):
            return np.stack([np.sqrt(w - 0.5), 1 + 0 * w])

    operator = operator_on_edges(broken, 0.1, np.linspace(0, 1, 11), 1.0)
    np.testing.assert_allclose(operator.lost[1:4], 0.5)
    assert operator.lost[8] == 0


def test_a_place_exactly_on_the_barrier_has_not_passed():
    # Both maps send everything to 1, which is the barrier itself.
    operator = operator_on_edges(lambda w: np.stack([w - 1, w - 1]), 1.0, np.linspace(0, 1, 11), 1.0)
    assert operator.absorbed.max() == 0
    assert operator.inside[3, 9] == 1


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        transfer_operator(pair_gradients, 0.02, PIT, BARRIER, 4)
    with pytest.raises(ValueError, match="one row per datapoint"):
        transfer_operator(lambda w: w, 0.02, PIT, BARRIER, 100)
    operator = transfer_operator(pair_gradients, 0.02, PIT, BARRIER, 50)
    with pytest.raises(ValueError, match="it must be float64"):
        advance(operator, np.zeros(50), 1)
