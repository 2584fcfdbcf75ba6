"""Parts of end states: chains with an exit, room for laws, averages, densities at places, rates from counts."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.experiments.datapoints import System
from tui_opt.kernels.end_states import (
    Escapes,
    atoms_on_cells,
    average,
    chain_with_exit,
    density_of_intervals,
    difference_beyond_a_cell,
    escape_tilt,
    escapes_after,
    interval_of_law,
    log_density,
    moments_at_centres,
)
from tui_opt.kernels.fokker_planck import ITO, fokker_planck
from tui_opt.kernels.fokker_planck_generator import Barrier, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import quasi_stationary_law
from tui_opt.kernels.laws import moments
from tui_opt.kernels.one_step import updated
from tui_opt.kernels.quasistationary import quasi_stationary
from tui_opt.kernels.transfer import operator_on_edges

PAIR = System.from_texts(["-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)"])
PIT, BARRIER = 1.0074533029, 1.1959565137


def pit_law(temperature: float, cells: int, mirrored: bool = False) -> tuple[float, float, float]:
    """Mean, standard deviation and ln(rate) of the quasi-stationary law in the pit, or in its mirror image."""
    sign = -1.0 if mirrored else 1.0

    def gradients(w: np.ndarray) -> np.ndarray:
        return sign * PAIR.gradients(sign * w)

    edges = np.linspace(0.98, BARRIER, cells + 1)
    edges = -edges[::-1] if mirrored else edges
    operator = chain_with_exit(updated(gradients, temperature), gradients, temperature, edges, sign)
    law = quasi_stationary(operator, sign * PIT)
    mean, sd = moments(edges, law.density * np.diff(edges))
    return sign * mean, sd, law.log_rate


def test_a_chain_with_an_exit_converges_fast_where_even_spreading_does_not() -> None:
    for temperature in (0.001, 0.005):
        fine, coarse = pit_law(temperature, 8000), pit_law(temperature, 1000)
        np.testing.assert_allclose(coarse[:2], fine[:2], rtol=0, atol=5e-8)
        edges = np.linspace(0.98, BARRIER, 1001)
        law = quasi_stationary(operator_on_edges(PAIR.gradients, temperature, edges, 1.0), PIT)
        spread = moments(edges, law.density * np.diff(edges))
        assert np.abs(np.subtract(spread, fine[:2])).max() > 2e-6


def test_both_ways_of_spreading_tend_to_the_same_rate() -> None:
    rate = pit_law(0.005, 8000)[2]
    away = []
    for cells in (4000, 16000):
        edges = np.linspace(0.98, BARRIER, cells + 1)
        spread = quasi_stationary(operator_on_edges(PAIR.gradients, 0.005, edges, 1.0), PIT)
        away.append(abs(spread.log_rate - rate))
    assert away[1] < away[0] / 3
    assert away[1] < 1e-3
    # One over the mean number of steps of an independent program, known to 0.3 %.
    assert rate == pytest.approx(-np.log(8.64e12), abs=3e-3)


def test_it_is_the_same_in_the_mirror() -> None:
    np.testing.assert_allclose(pit_law(0.02, 1000), pit_law(0.02, 1000, mirrored=True), rtol=1e-8)


def test_probabilities_of_a_chain_with_an_exit_sum_to_one() -> None:
    edges = np.linspace(0.9, BARRIER, 301)
    operator = chain_with_exit(updated(PAIR.gradients, 0.1), PAIR.gradients, 0.1, edges, 1.0)
    total = np.asarray(operator.inside.sum(axis=1)).ravel() + operator.absorbed + operator.lost
    np.testing.assert_array_equal(total, 1.0)
    assert operator.absorbed.max() > 0.4
    assert operator.lost.max() > 0.4
    assert operator.terms == 2


def test_a_tilt_reaches_rates_below_the_smallest_double_and_agrees_above() -> None:
    edges = np.linspace(0.99, BARRIER, 8001)

    def operator(temperature: float):
        return chain_with_exit(updated(PAIR.gradients, temperature), PAIR.gradients, temperature, edges, 1.0)

    warm = operator(0.0005)
    plain, tilted = quasi_stationary(warm, PIT), quasi_stationary(warm, PIT, escape_tilt(warm, PIT))
    assert plain.log_rate == pytest.approx(tilted.log_rate, abs=1e-8)
    cold = operator(0.00015)
    assert quasi_stationary(cold, PIT).log_rate == -np.inf
    tilted = quasi_stationary(cold, PIT, escape_tilt(cold, PIT))
    # The exponent of large deviations, 0.132359 / T, but for a prefactor.
    assert tilted.log_rate == pytest.approx(-0.132359 / 0.00015, rel=0.02)


def test_a_diffusion_gets_room_where_the_chain_never_is() -> None:
    # The chain stays above 1.0037 at T = 0.005; Ito reaches down to where the noise vanishes, W = 1.
    equation = fokker_planck(ITO, PAIR.gradients, PAIR.curvatures, 0.005)
    low, high = interval_of_law(equation, 1.0037, BARRIER, 8.0, Barrier.RIGHT, PIT)
    assert low < 1.0
    assert high == BARRIER
    edges = np.linspace(low, high, 4001)
    law = quasi_stationary_law(generator_on_edges(equation, edges, Barrier.RIGHT), PIT)
    assert moments_at_centres(edges, law.mass) == pytest.approx((1.007524, 0.004464), abs=2e-6)
    assert law.mass[edges[1:] < 1.0].sum() < 1e-13


def test_room_is_made_on_both_sides_and_no_farther_than_allowed() -> None:
    def linear(slope):
        return lambda w: np.stack([slope * w + 1.0, slope * w - 1.0])

    def slopes(slope):
        return lambda w: np.full((2, w.size), slope)

    equation = fokker_planck(ITO, linear(1.0), slopes(1.0), 0.1)  # a normal law of variance T / 2
    low, high = interval_of_law(equation, -0.5, 0.5, 100.0)
    assert low < -6 * np.sqrt(0.05)
    assert high > 6 * np.sqrt(0.05)
    assert max(-low, high) < 4
    runaway = fokker_planck(ITO, linear(-1.0), slopes(-1.0), 0.1)
    low, high = interval_of_law(runaway, -0.5, 0.5, 5.0)
    assert high - low <= 5.0


def test_averages_leave_out_what_holds_no_mass() -> None:
    values, masses = np.array([np.inf, 1.0, 3.0, np.nan]), np.array([0.0, 1.0, 3.0, 0.0])
    assert average(values, masses) == 2.5


def test_densities_at_a_place() -> None:
    edges = np.linspace(0, 10, 1001)
    centres = 0.5 * (edges[1:] + edges[:-1])
    masses = np.exp(-3 * centres) * np.diff(edges)
    assert log_density(edges, masses, 4.0, 0.0) == pytest.approx(-12.0, abs=1e-12)
    wide = np.log(np.sinh(3 * 0.2) / (3 * 0.2))
    assert log_density(edges, masses, 4.0, 0.2) == pytest.approx(-12.0 + wide, abs=1e-4)
    # A tail of 1e-40 beside a body of 1.
    tail = np.exp(-10 * centres) * np.diff(edges)
    assert log_density(edges, tail, 9.0, 0.05) == pytest.approx(-90 + np.log(np.sinh(0.5) / 0.5), abs=1e-3)
    # Half of the window lies beyond the cells: the density is that of the other half.
    assert log_density(edges, np.diff(edges), 0.0, 0.3) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(log_density(edges, masses, -1.0, 0.1))
    assert log_density(edges, np.where(centres < 5, masses, 0.0), 8.0, 0.1) == -np.inf


def test_atoms_keep_their_mean_and_variance() -> None:
    edges = np.linspace(0, 1, 41)
    places = np.random.default_rng(3).uniform(0.1, 0.9, 500)
    weights = np.random.default_rng(4).uniform(0, 1, 500) / 250
    masses = atoms_on_cells(edges, places, weights)
    assert masses.sum() == pytest.approx(weights.sum(), abs=1e-13)
    mean = np.average(places, weights=weights)
    sd = np.sqrt(np.average((places - mean) ** 2, weights=weights))
    assert moments(edges, masses) == pytest.approx((mean, sd), abs=1e-12)
    outside = atoms_on_cells(edges, np.array([-0.1, np.nan, 0.5]), np.array([0.5, 0.25, 0.25]))
    assert outside.sum() == pytest.approx(0.25)


def test_intervals_with_gaps() -> None:
    ends = np.array([[0.0, 1.0], [1.0 + 1e-15, 1.5], [2.0, 4.0]])
    edges, density = density_of_intervals(ends, np.array([0.5, 0.25, 0.25]))
    np.testing.assert_array_equal(edges, [0, 1, 1.5, 2, 4])
    np.testing.assert_allclose(density, [0.5, 0.5, 0.0, 0.125])


def test_a_shift_within_a_cell_is_no_difference() -> None:
    edges = np.linspace(0, 1, 11)
    one, beside, far = np.zeros(10), np.zeros(10), np.zeros(10)
    one[3] = beside[4] = far[6] = 1.0
    assert difference_beyond_a_cell(edges, one, edges, beside) == 0.0
    assert difference_beyond_a_cell(edges, one, edges, far) == 1.0
    assert difference_beyond_a_cell(edges, far, edges, one) == 1.0
    assert difference_beyond_a_cell(edges, one + far, edges, one) == pytest.approx(0.5)


def test_rates_from_counts() -> None:
    passage = np.array([3, 7, 12, -1, 25, 10])
    counted = escapes_after(passage, 5, 20)
    # After step 5: escapes at 7, 12 and 10; at risk for 2, 7, 5 steps, and 15 for each of the two that stay.
    assert counted == Escapes(3, 2 + 7 + 5 + 2 * 15)
    assert counted.rate == pytest.approx(3 / 44)
    assert counted.error == pytest.approx(np.sqrt(3) / 44)
    assert counted + Escapes(1, 6.0) == Escapes(4, 50.0)
    assert np.isnan(escapes_after(np.array([2, 3]), 5, 20).rate)
    assert escapes_after(np.array([-1]), 5, 20).error == pytest.approx(1 / 15)


def test_counts_of_geometric_waiting_times_are_fair() -> None:
    rate = 0.03
    passage = np.random.default_rng(1).geometric(rate, 20000).astype(np.int64)
    passage[passage > 200] = -1
    counted = escapes_after(passage, 10, 200)
    assert abs(counted.rate - rate) < 4 * counted.error
