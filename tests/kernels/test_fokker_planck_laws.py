"""Laws a generator settles to and escapes: closed forms, dense eigenvectors, double integrals, asymptotic exponents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.special import gammaln

from tests.kernels.fokker_planck_systems import (
    BARRIER,
    PIT,
    contracting_curvatures,
    contracting_gradients,
    matrix_of,
    moments,
    pair_curvatures,
    pair_gradients,
)
from tui_opt.kernels.fokker_planck import FICK, ITO, SME2, STRATONOVICH, Equation, fokker_planck
from tui_opt.kernels.fokker_planck_generator import Barrier, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import log_passage_times, quasi_stationary_law, stationary_law


def contracting(model, edges, temperature=0.5):
    equation = fokker_planck(model, contracting_gradients, contracting_curvatures, temperature)
    return generator_on_edges(equation, edges)


def pit(model, temperature, cells=2000, low=0.8):
    equation = fokker_planck(model, pair_gradients, pair_curvatures, temperature)
    return generator_on_edges(equation, np.linspace(low, BARRIER, cells + 1), Barrier.RIGHT)


@pytest.mark.parametrize(
    ("model", "mean", "sd"),
    [(ITO, 2.0, 0.2010076), (STRATONOVICH, 2.0202020, 0.2040712), (FICK, 2.0408163, 0.2072135)],
)
def test_stationary_law_of_two_contractions_is_inverse_gamma(model, mean, sd):
    generator = contracting(model, np.linspace(0, 5, 2001))
    mass = stationary_law(generator)
    assert moments(generator.centres, mass) == pytest.approx((mean, sd), abs=1e-5)
    alpha, w = 99 + 4 * model.noise_drift, generator.centres
    log_density = alpha * np.log(200) - gammaln(alpha) - (alpha + 1) * np.log(w) - 200 / w
    assert np.abs(mass - np.exp(log_density) * generator.widths).sum() < 1e-5


def test_variance_of_the_second_order_model_is_that_of_its_own_moments():
    # Drift -a (W - 2) with a = T (1 + T/2) and D = T² 0.04 W² / 2: 0 = -2 a V + 0.04 T² (V + 4).
    generator = contracting(SME2, np.linspace(0, 5, 2001))
    variance = 0.16 * 0.25 / (2 * 0.625 - 0.04 * 0.25)
    mean, sd = moments(generator.centres, stationary_law(generator))
    assert (mean, sd) == pytest.approx((2.0, np.sqrt(variance)), abs=1e-5)


def test_stationary_law_is_the_null_vector():
    generator = contracting(
        ITO, np.sort(np.concatenate([np.linspace(1, 4, 60), np.linspace(1.5, 2.5, 37)]))[1:]
    )
    mass = stationary_law(generator)
    table = matrix_of(generator)
    assert np.abs(table @ mass).max() < 1e-14 * np.abs(table).max()
    assert mass.sum() == pytest.approx(1, abs=1e-15)


def test_stationary_law_spans_any_number_of_decades():
    # P ~ exp(-w²/2 / 1e-4) over w up to 30: from 1 to 10^-1954325.
    equation = Equation(lambda w: -w, lambda w: np.full(w.shape, 1e-4), lambda w: 0 * w, 0.5)
    generator = generator_on_edges(equation, np.linspace(-30, 30, 60_001))
    mass = stationary_law(generator)
    assert moments(generator.centres, mass) == pytest.approx((0.0, 0.01), abs=1e-6)


def test_law_of_the_pair_is_at_the_minimum_that_both_datapoints_share():
    equation = fokker_planck(ITO, pair_gradients, pair_curvatures, 0.02)
    generator = generator_on_edges(equation, np.linspace(-1, 5, 2000))
    mean, sd = moments(generator.centres, stationary_law(generator))
    assert abs(mean - 2) < 0.004
    assert sd < 1e-6


def test_without_noise_mass_ends_where_the_drift_leads():
    equation = fokker_planck(ITO, lambda w: np.stack([w - 0.4]), lambda w: np.stack([1 + 0 * w]), 0.1)
    generator = generator_on_edges(equation, np.linspace(0, 1, 6))
    np.testing.assert_allclose(stationary_law(generator), [0.0, 0.5, 0.5, 0.0, 0.0], rtol=1e-14)
    apart = fokker_planck(ITO, lambda w: np.stack([0.5 - w]), lambda w: np.stack([-1 + 0 * w]), 0.1)
    with pytest.raises(ValueError, match="2 separate places"):
        stationary_law(generator_on_edges(apart, np.linspace(0, 1, 6)))


def test_where_nothing_moves_the_law_is_uniform():
    still = Equation(lambda w: 0 * w, lambda w: 0 * w, lambda w: 0 * w, 0.5)
    law = stationary_law(generator_on_edges(still, np.array([0.0, 1.0, 3.0, 4.0])))
    np.testing.assert_allclose(law, [0.25, 0.5, 0.25], rtol=1e-15)


@pytest.mark.parametrize(
    ("model", "temperature", "mean", "sd"),
    [
        (ITO, 0.001, 1.007460, 0.001725),
        (STRATONOVICH, 0.001, 1.007853, 0.001863),
        (ITO, 0.005, 1.007524, 0.004464),
    ],
)
def test_quasi_stationary_law_of_the_pit(model, temperature, mean, sd):
    generator = pit(model, temperature, 4000)
    law = quasi_stationary_law(generator, PIT)
    assert law.converged
    assert moments(generator.centres, law.mass) == pytest.approx((mean, sd), abs=1e-5)


@pytest.mark.parametrize(
    ("temperature", "steps"), [(0.005, 2.148e8), (0.01, 4.61e4), (0.015, 2496), (0.02, 553)]
)
def test_escape_rate_of_the_pit(temperature, steps):
    law = quasi_stationary_law(pit(ITO, temperature, 4000), PIT)
    assert np.exp(-law.log_rate) == pytest.approx(steps, rel=1.5e-3)


def test_law_and_rate_are_the_slowest_mode_of_the_matrix():
    generator = pit(ITO, 0.02, 120, low=0.9)
    values, vectors = np.linalg.eig(matrix_of(generator))
    slowest = np.argmax(values.real)
    vector = vectors[:, slowest].real / vectors[:, slowest].real.sum()
    law = quasi_stationary_law(generator, 1.0)
    assert np.exp(law.log_rate) == pytest.approx(-values[slowest].real, rel=1e-8)
    np.testing.assert_allclose(law.mass, vector, atol=1e-10)


def test_escape_to_the_left_is_the_mirror_image():
    mirrored = fokker_planck(ITO, lambda w: -pair_gradients(-w), lambda w: pair_curvatures(-w), 0.01)
    left = generator_on_edges(mirrored, -np.linspace(0.8, BARRIER, 301)[::-1], Barrier.LEFT)
    right = pit(ITO, 0.01, 300)
    ours, theirs = quasi_stationary_law(left, -PIT), quasi_stationary_law(right, PIT)
    assert ours.log_rate == pytest.approx(theirs.log_rate, abs=1e-10)
    np.testing.assert_allclose(ours.mass[::-1], theirs.mass, atol=1e-12)
    np.testing.assert_allclose(log_passage_times(left)[::-1], log_passage_times(right), rtol=1e-12)


def test_rates_far_below_the_smallest_double_keep_their_digits():
    # Kramers' rate goes as T exp(-b / T), b = 0.0786413 the integral of 2 G / S² from the pit to the top of L.
    def log_rate(temperature):
        return quasi_stationary_law(pit(ITO, temperature, 4000), PIT).log_rate

    cold, colder = log_rate(1e-4), log_rate(5e-5)
    assert colder < -1500
    assert (cold - colder - np.log(2)) / 1e4 == pytest.approx(0.0786413, abs=1e-6)
    assert -log_passage_times(pit(ITO, 5e-5, 4000))[1500] == pytest.approx(colder, abs=1e-9)


def exact_passage_time(equation, low, start, barrier, points=200_001):
    """Gardiner (2009), equation 5.5.23, of a reflecting wall at `low`: two trapezoidal integrals."""
    w = np.linspace(low, barrier, points)
    drive = cumulative_trapezoid(equation.velocity(w) / equation.diffusivity(w), w, initial=0)
    drive -= drive.max()
    fed = cumulative_trapezoid(np.exp(drive), w, initial=0)
    outer = cumulative_trapezoid(fed * np.exp(-drive) / equation.diffusivity(w), w, initial=0)
    return outer[-1] - np.interp(start, w, outer)


def test_passage_time_is_the_double_integral():
    equation = Equation(lambda w: -3 * w, lambda w: 0.4 + 0.2 * w**2, lambda w: 0.4 * w, 0.25)
    generator = generator_on_edges(equation, np.linspace(-1, 1.5, 2001), Barrier.RIGHT)
    times = np.exp(log_passage_times(generator))
    for start in (-0.5, 0.3, 1.2):
        ours = np.interp(start, generator.centres, times)
        assert ours == pytest.approx(exact_passage_time(equation, -1, start, 1.5), rel=2e-5)


def test_passage_time_and_rate_of_the_pit_agree():
    generator = pit(ITO, 0.005)
    steps = np.exp(log_passage_times(generator))[np.searchsorted(generator.edges, PIT) - 1]
    rate = np.exp(quasi_stationary_law(generator, PIT).log_rate)
    assert steps * rate == pytest.approx(1, abs=1e-5)


def test_what_nothing_passes_is_never_escaped():
    # Without noise and beyond an unstable point at 1/2 the drift leads out, before it leads in.
    outward = fokker_planck(ITO, lambda w: np.stack([0.5 - w]), lambda w: np.stack([-1 + 0 * w]), 0.1)
    generator = generator_on_edges(outward, np.linspace(0, 1, 6), Barrier.RIGHT)
    times = log_passage_times(generator)
    assert np.isinf(times[:2]).all()
    assert np.isfinite(times[3:]).all()
    law = quasi_stationary_law(generator, 0.1)
    assert (law.log_rate, law.converged) == (-np.inf, True)
    np.testing.assert_array_equal(law.mass, [1.0, 0.0, 0.0, 0.0, 0.0])
    assert quasi_stationary_law(generator, 0.9).log_rate > -np.inf


def test_without_an_exit_mass_ends_where_the_start_leads():
    edges = np.linspace(0, 1, 6)
    still = Equation(lambda w: 0 * w, lambda w: 0 * w, lambda w: 0 * w, 0.5)
    law = quasi_stationary_law(generator_on_edges(still, edges, Barrier.RIGHT), 0.5)
    np.testing.assert_array_equal(law.mass, [0, 0, 1, 0, 0])
    # Drift to the left, then to the right, then to the left: two wells at 0 and 3/5, and a start between them.
    equation = Equation(
        lambda w: np.where((w > 0.3) & (w < 0.7), 1.0, -1.0), lambda w: 0 * w, lambda w: 0 * w, 0.5
    )
    for barrier in (Barrier.RIGHT, Barrier.LEFT):
        shut = generator_on_edges(equation, edges, barrier)
        law = quasi_stationary_law(shut, 0.5)
        assert law.log_rate == -np.inf
        np.testing.assert_array_equal(law.mass, [0, 0, 0, 1, 0])


def test_questions_without_an_answer_are_refused():
    closed, opened = contracting(ITO, np.linspace(0, 5, 20)), pit(ITO, 0.01, 20)
    with pytest.raises(ValueError, match="all mass escapes"):
        stationary_law(opened)
    with pytest.raises(ValueError, match="with a barrier"):
        quasi_stationary_law(closed, 1.0)
    with pytest.raises(ValueError, match="with a barrier"):
        log_passage_times(closed)
    with pytest.raises(ValueError, match="outside the cells"):
        quasi_stationary_law(opened, 3.0)
