"""Scharfetter-Gummel rates: conservation, limits, symmetry, orders in the cell width, and the mean at the faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.kernels.fokker_planck_systems import (
    contracting_curvatures,
    contracting_gradients,
    matrix_of,
    moments,
    normal_mass,
    pair_curvatures,
    pair_gradients,
)
from tui_opt.kernels.fokker_planck import FICK, ITO, MODELS, STRATONOVICH, Equation, fokker_planck
from tui_opt.kernels.fokker_planck_generator import Barrier, FaceMean, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import stationary_law
from tui_opt.kernels.implicit_stepping import evolve
from tui_opt.kernels.refinement import coarsened, refined_edges


def constant(value):
    return lambda w: np.full(w.shape, value)


@settings(max_examples=examples(30))
@given(st.floats(0.001, 2.0), st.integers(3, 60), st.sampled_from(list(MODELS)), st.integers(0, 2**32 - 1))
def test_columns_sum_to_zero_and_rates_are_positive(temperature, cells, name, seed):
    edges = np.cumsum(0.01 + np.random.default_rng(seed).random(cells + 1)) - 2
    equation = fokker_planck(MODELS[name], pair_gradients, pair_curvatures, temperature)
    for mean in FaceMean:
        generator = generator_on_edges(equation, edges, face_mean=mean)
        assert (generator.right >= 0).all()
        assert (generator.left >= 0).all()
        table = matrix_of(generator)
        np.testing.assert_allclose(table.sum(axis=0), 0, atol=1e-14 * np.abs(table).max())


@pytest.mark.parametrize("noise_drift", [0.0, 0.25, 0.5])
def test_zero_current_is_exact_for_constant_drift_and_linear_diffusivity(noise_drift):
    # P = D^(-2c) exp(integral of u / D), with D = 1/5 + w: cells of any width.
    edges = np.array([0.0, 0.3, 0.4, 0.9, 1.0, 1.7, 2.0])
    equation = Equation(constant(0.7), lambda w: 0.2 + w, constant(1.0), noise_drift)
    generator = generator_on_edges(equation, edges)
    density = np.exp(0.7 * np.log(0.2 + generator.centres)) / (0.2 + generator.centres) ** (2 * noise_drift)
    mass = density * generator.widths
    forth, back = generator.right * mass[:-1], generator.left * mass[1:]
    np.testing.assert_allclose(forth, back, rtol=1e-13)


@pytest.mark.parametrize("drift", [0.3, -0.3])
def test_without_noise_the_flux_is_upwind(drift):
    edges = np.array([0.0, 0.5, 0.7, 1.5, 2.0])
    generator = generator_on_edges(Equation(constant(drift), constant(0.0), constant(0.0), 0.5), edges)
    rates = abs(drift) / generator.widths
    still = np.zeros(3)
    np.testing.assert_allclose(generator.right, rates[:-1] if drift > 0 else still, rtol=1e-15)
    np.testing.assert_allclose(generator.left, rates[1:] if drift < 0 else still, rtol=1e-15)


def test_the_smallest_noise_is_continuous_with_none():
    edges = np.linspace(0, 1, 11)
    for noise in (1e-300, 1e-30, 1e-9):
        generator = generator_on_edges(Equation(constant(2.0), constant(noise), constant(0.0), 0.5), edges)
        np.testing.assert_allclose(generator.right, 20.0, rtol=1e-12)
        np.testing.assert_allclose(generator.log_right - generator.log_left, 0.2 / noise, rtol=1e-12)


def test_much_noise_is_the_central_difference():
    edges = np.linspace(0, 1, 11)
    generator = generator_on_edges(Equation(constant(1e-9), constant(3.0), constant(0.0), 0.0), edges)
    np.testing.assert_allclose(generator.right, 300 + 5e-9, rtol=1e-14)
    np.testing.assert_allclose(generator.right - generator.left, 1e-8, rtol=1e-4)


def test_mirrored_systems_have_mirrored_rates():
    edges = np.linspace(0.8, 1.19, 41)
    right = generator_on_edges(
        fokker_planck(STRATONOVICH, pair_gradients, pair_curvatures, 0.02), edges, Barrier.RIGHT
    )
    mirrored = fokker_planck(STRATONOVICH, lambda w: -pair_gradients(-w), lambda w: pair_curvatures(-w), 0.02)
    left = generator_on_edges(mirrored, -edges[::-1], Barrier.LEFT)
    np.testing.assert_allclose(left.log_left[::-1], right.log_right, rtol=1e-12)
    np.testing.assert_allclose(left.log_right[::-1], right.log_left, rtol=1e-12)
    assert left.log_out == pytest.approx(right.log_out, rel=1e-12)
    assert right.out > 0


def test_second_order_in_the_cell_width_with_noise():
    equation = fokker_planck(FICK, contracting_gradients, contracting_curvatures, 0.5)

    # The law is inverse gamma with alpha = 99, beta = 200: its mean is beta / (alpha - 1).
    def error(cells):
        generator = generator_on_edges(equation, np.linspace(0, 5, cells + 1))
        return moments(generator.centres, stationary_law(generator))[0] - 200 / 98

    assert error(250) / error(500) == pytest.approx(4, abs=0.1)


def test_first_order_in_the_cell_width_without_noise():
    # Upwind widens a packet by |u| h per unit of time: variance u h t for constant u.
    equation = Equation(constant(0.01), constant(0.0), constant(0.0), 0.5)
    added = []
    for cells in (400, 800):
        edges = np.linspace(-2, 2, cells + 1)
        generator = generator_on_edges(equation, edges)
        start = normal_mass(edges, -0.5, 0.1)
        after = evolve(generator, start, np.array([50.0]), 0.5).mass[0]
        mean, sd = moments(generator.centres, after)
        assert mean == pytest.approx(0.0, abs=1e-9)
        added.append(sd**2 - moments(generator.centres, start)[1] ** 2)
    np.testing.assert_allclose(added, [0.5 * 0.01, 0.5 * 0.005], rtol=0.02)


def layer(least):
    """Drift of the pair and a noise that falls to `least` at W = 1, within sqrt(least / 500)."""

    def spike(w):
        return 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)

    return Equation(
        lambda w: -pair_gradients(w).mean(axis=0),
        lambda w: 0.05 * (spike(w) / 2) ** 2 + least,
        lambda w: 0.025 * spike(w) * 200 * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2),
        0.5,
    )


def measured_errors(least, cells, refined):
    """L1 errors at t = 1 against cells 16 times as narrow, by the mean at the faces."""
    equation, base, times = layer(least), np.linspace(-1, 5, 501), np.array([1.0])

    def answer(edges, mean=FaceMean.LOGARITHMIC):
        generator = generator_on_edges(equation, edges, face_mean=mean)
        return coarsened(evolve(generator, normal_mass(edges), times, 0.02).mass[0], edges, base)

    exact = answer(refined_edges(np.linspace(-1, 5, 8001), equation))
    edges = np.linspace(-1, 5, cells + 1)
    edges = refined_edges(edges, equation) if refined else edges
    return {mean: float(np.abs(answer(edges, mean) - exact).sum()) for mean in FaceMean}


def test_the_logarithmic_mean_is_best_where_the_noise_vanishes():
    # Equal cells cannot see the layer, whatever the mean; refined ones can, and the logarithmic mean needs the fewest.
    equal, refined = measured_errors(1e-3, 1000, False), measured_errors(1e-3, 1000, True)
    assert min(equal.values()) > 0.05
    assert refined[FaceMean.LOGARITHMIC] < 0.006
    assert min(refined, key=refined.__getitem__) is FaceMean.LOGARITHMIC
    assert refined[FaceMean.HARMONIC] > 3 * refined[FaceMean.LOGARITHMIC]


def test_a_gradient_that_is_not_finite_is_named():
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match="gradients are not finite there"):
        generator_on_edges(
            fokker_planck(ITO, lambda w: np.stack([1 / w]), lambda w: np.stack([-1 / w**2]), 0.1),
            np.linspace(-1, 1, 12),
        )


def test_a_pole_on_a_reflecting_wall_does_no_harm():
    equation = fokker_planck(ITO, lambda w: np.stack([w - 1 / w]), lambda w: np.stack([1 + w**-2]), 0.1)
    law = stationary_law(generator_on_edges(equation, np.linspace(0, 3, 302)))
    assert moments(np.linspace(0, 3, 603)[1::2], law)[0] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("edges", [[0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 2.0], [0.0, 1.0, np.nan, 2.0]])
def test_bad_edges_are_refused(edges):
    with pytest.raises(ValueError, match="strictly increasing"):
        generator_on_edges(layer(1e-3), np.array(edges))
