"""Implicit steps: dense oracles, orders in time, exact positivity and mass, closed moments, and the step chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import ndtr

from tests.kernels.fokker_planck_systems import (
    BARRIER,
    PIT,
    contracting_curvatures,
    contracting_gradients,
    matrix_of,
    moments,
    no_curvatures,
    normal_mass,
    pair_curvatures,
    pair_gradients,
    walking_gradients,
)
from tui_opt.kernels.fokker_planck import ITO, MODELS, Equation, fokker_planck
from tui_opt.kernels.fokker_planck_generator import Barrier, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import quasi_stationary_law
from tui_opt.kernels.implicit_stepping import Scheme, evolve, step_size
from tui_opt.kernels.refinement import refined_edges
from tui_opt.kernels.tridiagonal_stepping import STAGE, solve, splits

SCHEMES = list(Scheme)


def pair(temperature, edges, model=ITO, barrier=Barrier.NONE):
    equation = fokker_planck(model, pair_gradients, pair_curvatures, temperature)
    return generator_on_edges(equation, edges, barrier)


@given(st.integers(4, 40), st.floats(-3, 6), st.integers(0, 2**32 - 1))
def test_a_solve_is_that_of_the_dense_matrix(cells, log_rate, seed):
    rng = np.random.default_rng(seed)
    right, left = 10**log_rate * rng.random((2, cells - 1)) ** 8
    table = np.diag(1 + np.append(right, 0) + np.append(0, left)) - np.diag(right, -1) - np.diag(left, 1)
    mass, result = rng.random(cells) ** 4, np.empty(cells)
    least = solve(mass, *splits(right, left, 1.0), result)
    np.testing.assert_allclose(result, np.linalg.solve(table, mass), rtol=1e-9, atol=1e-12)
    assert least == result.min() >= 0
    assert result.sum() == pytest.approx(mass.sum(), rel=1e-15 * cells)


def test_a_step_of_each_scheme_is_its_formula():
    generator = pair(0.1, np.linspace(0.7, 1.3, 31))
    mass, dt = normal_mass(generator.edges, 1.0, 0.2), 0.04
    table, one = matrix_of(generator), np.eye(30)
    euler = np.linalg.solve(one - dt * table, mass)
    # Trapezoidal rule over gamma dt, then BDF2 over the unequal steps (Hosea & Shampine 1996, equation 1).
    gamma = 2 - math.sqrt(2)
    stage = np.linalg.solve(one - gamma * dt / 2 * table, mass + gamma * dt / 2 * table @ mass)
    known = (stage - (1 - gamma) ** 2 * mass) / (gamma * (2 - gamma))
    bdf = np.linalg.solve(one - (1 - gamma) / (2 - gamma) * dt * table, known)
    for scheme, expected in ((Scheme.BACKWARD_EULER, euler), (Scheme.TR_BDF2, bdf)):
        np.testing.assert_allclose(
            evolve(generator, mass, np.array([dt]), dt, scheme).mass[0], expected, rtol=1e-11
        )
    assert pytest.approx(gamma / 2) == STAGE


@pytest.mark.parametrize(("scheme", "order"), [(Scheme.BACKWARD_EULER, 1), (Scheme.TR_BDF2, 2)])
def test_order_in_time(scheme, order):
    generator = pair(0.05, np.linspace(0.5, 2.5, 101))
    mass, time = normal_mass(generator.edges, 1.0, 0.2), np.array([4.0])
    exact = expm(4.0 * matrix_of(generator)) @ mass
    errors = []
    for dt in (0.2, 0.1, 0.05):
        found = evolve(generator, mass, time, dt, scheme)
        assert found.redone == 0
        errors.append(np.abs(found.mass[0] - exact).sum())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, order, atol=0.1)
    assert errors[-1] < 0.01


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mass_and_positivity_over_ten_thousand_steps(scheme):
    generator = pair(0.02, np.linspace(-1, 4, 2001))
    for mass in (normal_mass(generator.edges, low=0.0), np.eye(2000)[800], np.full(2000, 1 / 2000)):
        found = evolve(generator, mass, np.array([1.0, 500.0]), 0.05, scheme)
        assert found.steps == 10_000
        assert found.mass_error <= 1e-12
        assert abs(math.fsum(found.mass[-1]) - math.fsum(mass)) <= 1e-12
        assert found.least >= 0
        assert found.mass.min() >= 0


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("temperature", [0.005, 0.05, 0.5])
def test_every_model_survives_the_original_system(name, temperature):
    equation = fokker_planck(MODELS[name], pair_gradients, pair_curvatures, temperature)
    edges = refined_edges(np.linspace(-4, 7, 401), equation)
    generator = generator_on_edges(equation, edges)
    for scheme in SCHEMES:
        found = evolve(generator, normal_mass(edges, low=0.0), np.array([1.0, 20.0, 50.0]), 0.1, scheme)
        assert np.isfinite(found.mass).all()
        assert found.mass.min() >= 0
        assert found.least >= 0
        assert found.mass_error <= 1e-12


def test_a_negative_step_is_redone():
    # A single filled cell and a long step: the trapezoidal stage overshoots, in the cell itself.
    edges = np.linspace(-2, 2, 401)
    equation = fokker_planck(ITO, walking_gradients, no_curvatures, 0.1)
    generator = generator_on_edges(equation, edges)
    mass, dt, time = np.eye(400)[200], 1.0, np.array([20.0])
    forward = splits(generator.right, generator.left, STAGE * dt)
    once, twice = np.empty(400), np.empty(400)
    solve(mass, *forward, once)
    solve(once, *forward, twice)
    raw = twice + math.sqrt(2) * (twice - once)
    assert raw.min() < -0.01
    found = evolve(generator, mass, time, dt)
    assert found.undershoot == pytest.approx(raw.min(), rel=1e-12)
    assert 1 <= found.redone < 10
    assert found.least >= 0
    assert found.mass_error < 1e-14
    exact = np.diff(ndtr(np.array([edges - 0.005]) / math.sqrt(0.1**2 * 20))[0])
    euler = evolve(generator, mass, time, dt / 8, Scheme.BACKWARD_EULER)
    assert np.abs(found.mass[0] - exact).sum() < 0.5 * np.abs(euler.mass[0] - exact).sum()


def test_redone_steps_keep_the_second_order_where_there_is_mass():
    # The edge of a cut law moves on as a cliff that every step would undershoot: means and deviations still converge.
    equation = fokker_planck(ITO, contracting_gradients, contracting_curvatures, 0.5)
    edges = np.linspace(0, 3.5, 501)
    generator = generator_on_edges(equation, edges)
    mass, time = normal_mass(edges, low=0.0), np.array([2.0])
    exact = moments(generator.centres, evolve(generator, mass, time, 5e-4).mass[0])
    found = evolve(generator, mass, time, 0.02)
    assert found.redone > 10
    euler = evolve(generator, mass, time, 0.02 / 8, Scheme.BACKWARD_EULER)
    error = np.abs(np.array(moments(generator.centres, found.mass[0])) - exact).max()
    assert error < 0.05 * np.abs(np.array(moments(generator.centres, euler.mass[0])) - exact).max()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_random_walk_has_its_exact_variance(scheme):
    equation = fokker_planck(ITO, walking_gradients, no_curvatures, 0.02)
    edges = np.linspace(-3, 4, 1401)
    generator = generator_on_edges(equation, edges)
    mass = normal_mass(edges)
    mean, sd = moments(generator.centres, mass)
    times = np.array([10.0, 100.0, 200.0])
    for t, law in zip(times, evolve(generator, mass, times, 1.0, scheme).mass, strict=True):
        later_mean, later_sd = moments(generator.centres, law)
        assert later_mean == pytest.approx(mean, abs=1e-10)
        assert later_sd**2 == pytest.approx(sd**2 + 0.02**2 * t, abs=1e-10)


def test_moments_of_two_contractions():
    # The equation's own moments at T = 1/2: m' = 1 - m/2 and M' = 2 m - 0.99 M.
    equation = fokker_planck(ITO, contracting_gradients, contracting_curvatures, 0.5)
    edges = np.linspace(0, 3.5, 3001)
    generator = generator_on_edges(equation, edges)
    mass, times = normal_mass(edges, low=0.0), np.array([1.0, 2.0, 3.0, 5.0, 10.0, 50.0])
    mean, sd = moments(generator.centres, mass)
    exact = solve_ivp(
        lambda t, y: [1 - y[0] / 2, 2 * y[0] - 0.99 * y[1]],
        (0, 50),
        [mean, sd**2 + mean**2],
        t_eval=times,
        rtol=1e-11,
        atol=1e-12,
    ).y
    found = evolve(generator, mass, times, step_size(equation, generator, mass, 50.0))
    for law, m, second in zip(found.mass, *exact, strict=True):
        assert moments(generator.centres, law) == pytest.approx((m, np.sqrt(second - m**2)), abs=2e-4)
    assert moments(generator.centres, found.mass[-1]) == pytest.approx((2, 0.2010076), abs=1e-5)


def test_drift_alone_is_the_gradient_flow():
    # Against the flow from each place of the cut normal law; the chain itself is off by O(T) from both.
    def gradient(w):
        return pair_gradients(w).mean(axis=0, keepdims=True)

    equation = fokker_planck(ITO, gradient, lambda w: pair_curvatures(w).mean(axis=0, keepdims=True), 0.02)
    times = np.array([10.0, 30.0, 50.0, 100.0])
    start, weight = np.polynomial.legendre.leggauss(150)
    start = 0.8 * (start + 1)  # 0 to 1.6
    weight *= np.exp(-((start - 0.5) ** 2) / (2 * 0.175**2))
    weight /= weight.sum()
    flow = solve_ivp(
        lambda t, y: -0.02 * gradient(y)[0], (0, 100), start, t_eval=times, rtol=1e-6, atol=1e-7
    ).y
    errors = []
    for cells in (1000, 2000):
        edges = refined_edges(np.linspace(-1, 4, cells + 1), equation)
        generator = generator_on_edges(equation, edges)
        laws = evolve(generator, normal_mass(edges, low=0.0), times, 0.05).mass
        ours = np.array([moments(generator.centres, law) for law in laws])
        exact = np.array([moments(places, weight) for places in flow.T])
        errors.append(np.abs(ours - exact).max(axis=0))
    assert (errors[1] < [0.001, 0.003]).all()
    assert (errors[1] < 0.7 * errors[0]).all()
    chain = np.array([[0.581246, 0.215340], [0.744271, 0.246098], [0.867548, 0.217052]])
    assert np.abs(ours[:3] - chain).max() < 0.005


def test_a_density_in_the_pit_escapes_at_its_rate():
    generator = pair(0.02, np.linspace(0.8, BARRIER, 401), barrier=Barrier.RIGHT)
    law = quasi_stationary_law(generator, PIT)
    times = np.array([0.0, 100.0, 600.0])
    found = evolve(generator, law.mass, times, 0.1)
    np.testing.assert_allclose(1 - found.absorbed, np.exp(-np.exp(law.log_rate) * times), rtol=1e-7)
    np.testing.assert_allclose(found.mass[2] / found.mass[2].sum(), law.mass, atol=1e-10)
    assert found.mass_error < 1e-14


def test_a_barrier_on_the_left_is_the_mirror_image():
    def mirrored_gradients(w):
        return -pair_gradients(-w)

    edges = np.linspace(0.8, BARRIER, 201)
    equation = fokker_planck(ITO, mirrored_gradients, lambda w: pair_curvatures(-w), 0.03)
    left = generator_on_edges(equation, -edges[::-1], Barrier.LEFT)
    right = pair(0.03, edges, barrier=Barrier.RIGHT)
    mass, times = normal_mass(edges, 1.0, 0.02), np.array([5.0, 50.0])
    ours, theirs = evolve(left, mass[::-1], times, 0.5), evolve(right, mass, times, 0.5)
    np.testing.assert_allclose(ours.mass[:, ::-1], theirs.mass, atol=1e-12)
    np.testing.assert_allclose(ours.absorbed, theirs.absorbed, atol=1e-12)


def test_steps_land_on_the_output_times():
    generator = pair(0.02, np.linspace(0.5, 1.5, 51))
    mass = normal_mass(generator.edges, 1.0, 0.1)
    times = np.array([0.0, 0.3, 0.3, 1.0])
    found = evolve(generator, mass, times, 0.1)
    assert found.steps == 3 + 7
    np.testing.assert_array_equal(found.mass[0], mass)
    np.testing.assert_array_equal(found.mass[1], found.mass[2])
    assert mass.sum() == pytest.approx(1)


def test_a_check_ends_a_long_evolution():
    class Stop(Exception):
        pass

    calls = []

    def stop_after_three():
        calls.append(1)
        if len(calls) > 3:
            raise Stop

    generator = pair(0.02, np.linspace(-1, 4, 2001))
    with pytest.raises(Stop):
        evolve(generator, normal_mass(generator.edges), np.array([1e9]), 0.01, check=stop_after_three)


def test_the_step_resolves_the_drift_the_noise_and_the_start():
    def chosen(equation, edges, mass, duration=100.0, scheme=Scheme.TR_BDF2):
        return step_size(equation, generator_on_edges(equation, edges), mass, duration, scheme)

    edges = np.linspace(-1, 4, 501)
    equation = fokker_planck(ITO, pair_gradients, pair_curvatures, 0.02)
    wide = normal_mass(edges, low=0.0)
    steepest = 0.02 * np.abs(pair_curvatures(np.linspace(0, 3, 3001)).mean(axis=0)).max()
    assert chosen(equation, edges, wide) == pytest.approx(0.1 / steepest, rel=0.02)
    euler = chosen(equation, edges, wide, scheme=Scheme.BACKWARD_EULER)
    assert euler == pytest.approx(0.01 / steepest, rel=0.02)
    # Steep walls that no mass comes near do not count.
    walls = Equation(lambda w: -0.01 * w - w**21, lambda w: np.full(w.shape, 1e-6), lambda w: 0 * w, 0.5)
    box = np.linspace(-2, 2, 401)
    assert chosen(walls, box, normal_mass(box, 0.0, 0.05)) > 5
    # A jump of the drift counts as 1 per step, however narrow the cells across it.
    kink = Equation(lambda w: -0.3 * np.sign(w - 0.1), lambda w: np.full(w.shape, 1e-3), lambda w: 0 * w, 0.5)
    for cells in (401, 4000):
        fine = np.linspace(-2, 2, cells + 1)
        assert chosen(kink, fine, normal_mass(fine, 0.0, 0.5)) == pytest.approx(0.1)
    # Neither drift nor curved noise: the start alone, and the duration.
    walk = fokker_planck(ITO, walking_gradients, no_curvatures, 0.1)
    assert chosen(walk, box, normal_mass(box, 0.0, 0.2)) == pytest.approx(0.1 * 0.2**2 / 0.1**2, rel=0.01)
    assert chosen(walk, box, np.eye(400)[200]) == pytest.approx(0.01)
    still = Equation(lambda w: 0 * w, lambda w: 0 * w, lambda w: 0 * w, 0.5)
    assert chosen(still, box, np.eye(400)[200]) == 100.0


def test_what_makes_no_sense_is_refused():
    generator = pair(0.02, np.linspace(0.5, 1.5, 21))
    mass, times = normal_mass(generator.edges, 1.0, 0.1), np.array([1.0])
    for wrong in (mass[1:], -mass, mass * np.nan, 0 * mass):
        with pytest.raises(ValueError, match="one finite number >= 0 per cell"):
            evolve(generator, wrong, times, 0.1)
    for wrong in (np.array([2.0, 1.0]), np.array([-1.0]), np.array([np.inf])):
        with pytest.raises(ValueError, match="increasing order"):
            evolve(generator, mass, wrong, 0.1)
    with pytest.raises(ValueError, match="dt is 0"):
        evolve(generator, mass, times, 0.0)
    with pytest.raises(ValueError, match="duration is 0"):
        step_size(fokker_planck(ITO, pair_gradients, pair_curvatures, 0.1), generator, mass, 0.0)
