"""The Fokker-Planck models: their currents term by term, and exact fields of any number of datapoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.fokker_planck_systems import (
    no_curvatures,
    pair_curvatures,
    pair_gradients,
    walking_gradients,
)
from tui_opt.kernels.fokker_planck import (
    FICK,
    ITO,
    MODELS,
    SME2,
    STRATONOVICH,
    fokker_planck,
    gradient_variance,
    gradient_variance_slope,
)

W = np.array([0.31, 0.8, 0.95, 1.003, 1.0707, 1.2])


def three_gradients(w):
    return np.stack([np.sin(3 * w), w**2, np.exp(-w)])


def three_curvatures(w):
    return np.stack([3 * np.cos(3 * w), 2 * w, -np.exp(-w)])


def slope(function, w, h=1e-3):
    """Fourth-order central difference."""
    return (8 * (function(w + h) - function(w - h)) - function(w + 2 * h) + function(w - 2 * h)) / (12 * h)


@pytest.mark.parametrize("model", [ITO, STRATONOVICH, FICK])
def test_currents_of_the_family_term_by_term(model):
    # rho = -T G P - T² S² P'/2 - c T² (S²)' P, here for P = exp(sin w), against v P - D P'.
    c = {"ito": 0.5, "stratonovich": 0.25, "fick": 0.0}[model.name]
    temperature = 0.3
    equation = fokker_planck(model, three_gradients, three_curvatures, temperature)
    density, density_slope = np.exp(np.sin(W)), np.cos(W) * np.exp(np.sin(W))
    gradients, curvatures = three_gradients(W), three_curvatures(W)
    mean, square = gradients.mean(axis=0), gradients.var(axis=0)
    square_slope = 2 * ((gradients * curvatures).mean(axis=0) - mean * curvatures.mean(axis=0))
    plain = (
        -temperature * mean * density
        - temperature**2 * square * density_slope / 2
        - c * temperature**2 * square_slope * density
    )
    ours = equation.velocity(W) * density - equation.diffusivity(W) * density_slope
    np.testing.assert_allclose(ours, plain, rtol=1e-12)


def test_second_order_drift():
    # rho = -T (G + T G G'/2) P - (T² S² P)'/2.
    temperature = 0.3
    first = fokker_planck(ITO, three_gradients, three_curvatures, temperature)
    second = fokker_planck(SME2, three_gradients, three_curvatures, temperature)
    mean = three_gradients(W).mean(axis=0)
    bend = slope(lambda w: three_gradients(w).mean(axis=0), W)
    np.testing.assert_allclose(
        second.drift(W) - first.drift(W), -0.5 * temperature**2 * mean * bend, rtol=1e-8
    )
    np.testing.assert_array_equal(second.diffusivity(W), first.diffusivity(W))
    assert second.noise_drift == 0.5


def test_models_by_the_names_of_scenario_files():
    assert list(MODELS) == ["ito", "stratonovich", "fick", "sme2"]


def test_reference_values_of_the_pair():
    w = np.array([0.9, 0.95, 1.0, 1.1, 1.0074533029, 1.0707106781])
    square = [13.533528, 15.163266, 0.0, 13.533528, 0.549379, 50 / np.e]
    np.testing.assert_allclose(gradient_variance(pair_gradients, w), square, atol=1e-6)
    drift = fokker_planck(ITO, pair_gradients, pair_curvatures, 0.5).drift(w[:4])
    np.testing.assert_allclose(-2 * drift, [-4.33482843, -4.59128780, -0.73575888, 2.87804989], atol=1e-8)


@pytest.mark.parametrize(
    ("gradients", "curvatures"), [(three_gradients, three_curvatures), (pair_gradients, pair_curvatures)]
)
def test_slope_of_the_variance_is_its_derivative(gradients, curvatures):
    expected = slope(lambda w: gradient_variance(gradients, w), W, 1e-4)
    np.testing.assert_allclose(gradient_variance_slope(gradients, curvatures, W), expected, rtol=1e-6)


@given(st.floats(-1e8, 1e8), st.integers(1, 7))
def test_a_common_gradient_is_no_noise(offset, datapoints):
    # mean(g²) - G² would leave 1e16 times the rounding of one here.
    def gradients(w):
        return offset + np.stack([0 * w] * datapoints)

    w = np.linspace(-1, 1, 5)
    assert (gradient_variance(gradients, w) == 0).all()
    assert (gradient_variance_slope(gradients, gradients, w) == 0).all()


def test_a_large_common_gradient_leaves_the_noise_its_digits():
    def gradients(w):
        return 2.0**30 + np.stack([w, -w])

    w = np.array([0.25, 0.5])
    np.testing.assert_array_equal(gradient_variance(gradients, w), w**2)


def test_constant_user_gradients():
    equation = fokker_planck(ITO, walking_gradients, no_curvatures, 0.5)
    np.testing.assert_array_equal(equation.diffusivity(W), np.full(W.size, 0.125))
    np.testing.assert_array_equal(equation.velocity(W), np.zeros(W.size))


def test_bad_temperature_is_refused():
    with pytest.raises(ValueError, match="positive finite"):
        fokker_planck(ITO, pair_gradients, pair_curvatures, 0.0)
