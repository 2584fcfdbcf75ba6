"""The exact flow and repeated steps: closed forms, another integrator, equilibria, jumps and divergence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tests.conftest import examples
from tui_opt.kernels.gradient_flow import flow
from tui_opt.kernels.one_step import effective_gradients, own_gradients, updated
from tui_opt.kernels.tabulated import tabulate
from tui_opt.kernels.transfer import operator_on_edges

PLACES = np.linspace(-3, 3, 61)


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def linear(w):
    return np.stack([1.2 * w - 2])


def cubic(w):
    return np.stack([w * w * w])


def logistic(w):
    return np.stack([w * (w - 1)])


@pytest.mark.parametrize("time", [0.01, 0.5, 3.0, 100.0])
def test_flows_with_a_closed_form(time):
    exact = 5 / 3 + (PLACES - 5 / 3) * np.exp(-1.2 * time)
    np.testing.assert_allclose(flow(linear, PLACES, time)[0], exact, rtol=0, atol=2e-12)
    exact = PLACES / np.sqrt(1 + 2 * time * PLACES**2)
    np.testing.assert_allclose(flow(cubic, PLACES, time)[0], exact, rtol=1e-12)
    w = PLACES[PLACES > 0]
    exact = w / (w + (1 - w) * np.exp(-time))
    np.testing.assert_allclose(flow(logistic, w, time)[0], exact, rtol=1e-12)


def test_growth_is_followed_over_forty_decades():
    moved = flow(lambda w: np.stack([-w]), PLACES, 92.0)[0]
    np.testing.assert_allclose(moved, PLACES * np.exp(92.0), rtol=1e-12)


def test_what_blows_up_is_infinite_and_the_rest_is_not():
    w = np.linspace(0.1, 2.06, 40)
    time = 0.5
    moved = flow(lambda w: np.stack([-w * w * w]), w, time)[0]
    ends = 2 * time * w**2 < 1
    np.testing.assert_allclose(moved[ends], w[ends] / np.sqrt(1 - 2 * time * w[ends] ** 2), rtol=1e-11)
    assert np.isposinf(moved[~ends]).all()
    assert np.isneginf(flow(logistic, np.array([-1.0]), 5.0)).all()


@pytest.mark.parametrize("time", [0.02, 0.5, 4.0])
def test_the_stiff_pair_against_another_integrator(time):
    # T max|g'| is 800 for the longest time: the flow is caught in the pit long before.
    w = np.array([-1.0, 0.4, 0.93, 1.0124, 1.15, 1.19, 1.2, 1.3, 2.4, 5.0])
    moved = flow(pair_gradients, w, time)
    for j in range(2):
        for start, end in zip(w, moved[j], strict=True):
            peer = solve_ivp(
                lambda _, y, j=j: -pair_gradients(y)[j], (0, time), [start], "DOP853", rtol=1e-13, atol=1e-14
            )
            assert end == pytest.approx(peer.y[0, -1], rel=1e-11, abs=0)


def test_an_implicit_integrator_agrees_in_the_pit():
    peer = solve_ivp(lambda _, y: -pair_gradients(y)[1], (0, 0.5), [1.05], "Radau", rtol=1e-12, atol=1e-14).y[
        0, -1
    ]
    assert flow(pair_gradients, np.array([1.05]), 0.5)[1, 0] == pytest.approx(peer, rel=1e-11)


def test_gradients_that_jump():
    slides = flow(lambda w: np.stack([np.sign(w)]), PLACES, 0.7)[0]
    np.testing.assert_allclose(slides, np.sign(PLACES) * np.maximum(np.abs(PLACES) - 0.7, 0), atol=2e-11)
    w = np.linspace(0.31, 2, 20)
    crosses = flow(lambda w: np.stack([np.where(w > 0.3, 2.0, 1.0)]), w, 1.0)[0]
    np.testing.assert_allclose(crosses, np.where(w > 2.3, w - 2, 0.3 - (1 - (w - 0.3) / 2)), atol=1e-10)


def test_places_at_rest_and_places_without_a_gradient():
    with np.errstate(all="ignore"):
        assert flow(logistic, np.array([0.0, 1.0]), 50.0).tolist() == [[0.0, 1.0]]
        moved = flow(lambda w: np.stack([np.sqrt(w)]), np.array([-1.0, 4.0]), 1.0)[0]
    assert np.isnan(moved[0])
    assert moved[1] == pytest.approx(2.25, rel=1e-12)
    assert np.isnan(flow(cubic, np.array([np.nan]), 1.0)).all()


@settings(max_examples=examples(8))
@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.floats(-3, 4))
def test_flows_add_up_and_keep_the_order(first, second, start):
    w = np.array([start, start + 0.01])
    once = flow(pair_gradients, w, first + second)
    twice = np.stack([flow(pair_gradients, flow(pair_gradients, w, first)[j], second)[j] for j in range(2)])
    assert (np.diff(once) >= -1e-12).all()
    # Between stable places an error of the start grows; there the two ways may differ by more.
    steady = np.abs(np.diff(once, axis=1)) < 0.02
    np.testing.assert_allclose(np.where(steady, once, 0), np.where(steady, twice, 0), rtol=1e-10, atol=1e-10)


def test_repeated_steps_are_steps_repeated():
    maps = updated(pair_gradients, 0.3, 3)
    for j in range(2):
        w = PLACES.copy()
        for _ in range(3):
            w = w - 0.1 * pair_gradients(w)[j]
        np.testing.assert_allclose(maps(PLACES)[j], w, rtol=1e-14)
    np.testing.assert_array_equal(updated(pair_gradients, 0.3)(PLACES), PLACES - 0.3 * pair_gradients(PLACES))


def test_substeps_tend_to_the_flow_at_first_order():
    exact = updated(linear, 0.5, 0)(PLACES)
    errors = [np.abs(updated(linear, 0.5, n)(PLACES) - exact).max() for n in (8, 16)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.1)


def test_own_gradients_are_those_of_each_row():
    places = np.stack([PLACES, PLACES + 1])
    expected = np.stack([pair_gradients(PLACES)[0], pair_gradients(PLACES + 1)[1]])
    np.testing.assert_array_equal(own_gradients(pair_gradients, places), expected)


@pytest.mark.parametrize("substeps", [3, 0])
def test_an_update_is_a_plain_step_of_its_effective_gradients(substeps):
    gradients = effective_gradients(pair_gradients, 0.1, substeps)
    moved = PLACES - 0.1 * gradients(PLACES)
    np.testing.assert_allclose(moved, updated(pair_gradients, 0.1, substeps)(PLACES), rtol=1e-13, atol=1e-15)
    operator = operator_on_edges(gradients, 0.1, np.linspace(0.8, 1.2, 41), 1.0)
    assert operator.absorbed.max() > 0
    assert effective_gradients(pair_gradients, 0.1, 1) is pair_gradients


def test_a_table_is_the_map_within_its_error():
    maps = updated(pair_gradients, 0.1, 0)
    table = tabulate(maps, -1.0, 4.0)
    w = np.random.default_rng(1).uniform(-1, 4, 2000)
    assert table.error <= 1e-10
    assert table.unresolved < 1e-9
    np.testing.assert_allclose(table(w), maps(w), rtol=0, atol=1e-9)
    assert np.isnan(table(np.array([-1.1, 4.1]))).all()


def test_a_table_cuts_jumps_down_to_rounding():
    table = tabulate(lambda w: np.stack([np.where(w < 0.3, -1.0, w), np.where(w > 1, np.inf, w)]), 0.0, 2.0)
    assert table(np.array([0.3 - 1e-9, 0.3 + 1e-9]))[0] == pytest.approx([-1, 0.3])
    assert table(np.array([1 - 1e-9, 1 + 1e-9]))[1].tolist() == [pytest.approx(1), np.inf]
    assert 0 < table.unresolved < 1e-12


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="1 or more, or 0"):
        updated(linear, 0.1, -1)
    with pytest.raises(ValueError, match="positive finite"):
        updated(linear, 0.0)
    with pytest.raises(ValueError, match="low must be below high"):
        tabulate(updated(linear, 0.1), 1.0, 1.0)
    with pytest.raises(ValueError, match="not resolved"):
        tabulate(lambda w: np.stack([np.sin(1e7 * w)]), 0.0, 1.0)
