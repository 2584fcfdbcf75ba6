"""Refined cells: nested, graded, narrow where the equation asks for it, and worth it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.kernels.fokker_planck_systems import (
    contracting_curvatures,
    contracting_gradients,
    moments,
    normal_mass,
    pair_curvatures,
    pair_gradients,
)
from tui_opt.kernels.fokker_planck import ITO, MODELS, Equation, fokker_planck
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.fokker_planck_laws import stationary_law
from tui_opt.kernels.implicit_stepping import evolve
from tui_opt.kernels.refinement import coarsened, halved, halving_error, refined_edges


def pair(temperature, model=ITO):
    return fokker_planck(model, pair_gradients, pair_curvatures, temperature)


@settings(max_examples=examples(25))
@given(st.floats(0.001, 1.0), st.integers(10, 300), st.sampled_from(list(MODELS)), st.floats(-3, 0.9))
def test_refined_cells_are_nested_and_change_gradually(temperature, cells, name, low):
    base = np.linspace(low, 3.1, cells + 1)
    edges = refined_edges(base, pair(temperature, MODELS[name]))
    assert np.isin(base, edges).all()
    widths = np.diff(edges)
    assert (widths > 0).all()
    assert widths.min() >= np.diff(base).min() / 1024 * (1 - 1e-9)
    assert np.abs(np.diff(np.log2(widths))).max() <= 1 + 1e-6


def test_cells_are_narrow_where_the_noise_vanishes():
    edges = refined_edges(np.linspace(-1, 4, 1001), pair(0.1))
    narrow = edges[:-1][np.diff(edges) < 0.0011]
    assert narrow.min() > 0.9
    assert np.any(np.abs(narrow - 1) < 0.001)
    # The zero of S² is crossed with the drift T 0.7358: D'' x = u at x = 7.4e-4.
    assert np.diff(edges)[np.searchsorted(edges, 1.0)] < 7.4e-4
    assert edges.size < 1200


def test_cells_are_narrow_where_the_law_is():
    # A narrow stationary law of sd 1e-3 about W = 0.3033, in cells of 0.05.
    equation = Equation(lambda w: -(w - 0.3033), lambda w: np.full(w.shape, 1e-6), lambda w: 0 * w, 0.5)
    edges = refined_edges(np.linspace(0, 1, 21), equation)
    at = np.searchsorted(edges, 0.3033)
    assert edges[at] - edges[at - 1] <= 3e-4
    assert edges.size < 120


def test_nothing_is_refined_where_nothing_asks_for_it():
    base = np.linspace(1, 3, 401)
    equation = fokker_planck(ITO, contracting_gradients, contracting_curvatures, 0.5)
    np.testing.assert_array_equal(refined_edges(base, equation), base)
    np.testing.assert_array_equal(refined_edges(base, equation, levels=0), base)


def test_poles_ask_for_nothing():
    equation = fokker_planck(ITO, lambda w: np.stack([1 / w]), lambda w: np.stack([-1 / w**2]), 0.1)
    base = np.linspace(-1, 1, 21)
    np.testing.assert_array_equal(refined_edges(base, equation), base)


def test_refinement_brings_down_the_error():
    base, times = np.linspace(-1, 4, 251), np.array([20.0])
    equation = pair(0.05)

    def answer(edges):
        mass = normal_mass(edges, low=0.0)
        return coarsened(evolve(generator_on_edges(equation, edges), mass, times, 0.1).mass[0], edges, base)

    exact = answer(refined_edges(np.linspace(-1, 4, 4001), equation))
    equal, refined = answer(np.linspace(-1, 4, 501)), answer(refined_edges(np.linspace(-1, 4, 501), equation))
    assert np.abs(equal - exact).sum() > 3 * np.abs(refined - exact).sum()


def test_halving_halves_a_first_order_error():
    base, times = np.linspace(-1, 4, 251), np.array([20.0])
    equation = pair(0.05)
    answers, edges = [], refined_edges(base, equation)
    for _ in range(4):
        mass = normal_mass(edges, low=0.0)
        law = evolve(generator_on_edges(equation, edges), mass, times, 0.1).mass
        answers.append(coarsened(law, edges, base))
        edges = halved(edges)
    shown = [float(halving_error(a, b)[0]) for a, b in pairwise(answers)]
    np.testing.assert_allclose(np.array(shown[:-1]) / shown[1:], 2, rtol=0.3)
    # Twice the difference to the halved cells is about the error, here against cells an eighth as wide.
    true = np.abs(answers[0] - answers[3]).sum()
    assert true == pytest.approx(2 * shown[0], rel=0.3)


def kinked_gradients(w):
    """Of |W - 1|, |W + 1| / 2 and (W - 1/2)²: G and S² jump at 1 and -1."""
    return np.stack([np.sign(w - 1), 0.5 * np.sign(w + 1), 2 * w - 1])


def kinked_curvatures(w):
    return np.stack([0 * w, 0 * w, 2 + 0 * w])


@pytest.mark.parametrize("name", ["ito", "stratonovich", "fick"])
def test_jumps_of_drift_and_noise_cost_hardly_anything(name):
    """P ~ D^(-2c) exp(integral of u / D) between the jumps, and D^(2c) P continuous across them."""
    equation = fokker_planck(MODELS[name], kinked_gradients, kinked_curvatures, 0.05)
    pieces = [np.linspace(*ends, 40_001) for ends in ((-2, -1), (-1, 1), (1, 3))]
    places = np.concatenate([0.5 * (piece[1:] + piece[:-1]) for piece in pieces])
    widths = np.concatenate([np.diff(piece) for piece in pieces])
    rise = equation.drift(places) / equation.diffusivity(places) * widths
    law = np.exp(np.cumsum(rise) - 0.5 * rise - np.cumsum(rise).max()) * widths
    law /= equation.diffusivity(places) ** (2 * equation.noise_drift)
    exact = np.array(moments(places, law / law.sum()))

    def error(edges):
        found = moments(0.5 * (edges[1:] + edges[:-1]), stationary_law(generator_on_edges(equation, edges)))
        return np.abs(found - exact).max()

    # Neither of the jumps is at an edge of these cells.
    for cells in (501, 1001):
        base = np.linspace(-1.8, 2.9, cells + 1)
        refined = refined_edges(base, equation)
        assert refined.size < cells + 200
        assert error(refined) < 2e-5
        assert error(refined) < 0.01 * error(base)


def test_coarsening_is_the_sum_over_nested_cells():
    base = np.array([0.0, 1.0, 3.0])
    edges = halved(halved(base))
    mass = np.arange(16.0).reshape(2, 8)
    np.testing.assert_array_equal(coarsened(mass, edges, base), [[6.0, 22.0], [38.0, 54.0]])
    finer, thirds = np.linspace(0, 2, 31), np.linspace(0, 2, 11)
    assert not np.isin(thirds, finer).all()
    np.testing.assert_array_equal(coarsened(np.ones(30), finer, thirds), np.full(10, 3.0))
    for wrong in (np.array([0.0, 0.9, 3.0]), np.array([0.0, 1.0]), np.array([-1.0, 0.0, 3.0])):
        with pytest.raises(ValueError, match="not nested"):
            coarsened(mass, edges, wrong)
    with pytest.raises(ValueError, match="not nested"):
        coarsened(mass[:, 1:], edges, base)


def test_negative_levels_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        refined_edges(np.linspace(0, 1, 5), pair(0.1), levels=-1)
