"""The chain of two parameters on cells: closed moments, mass, positivity, threads, interruption, order."""

from __future__ import annotations

from time import sleep

import numpy as np
import pytest

from tui_opt.kernels import plane_turns
from tui_opt.kernels.plane import (
    Box,
    PlaneState,
    advance,
    density,
    mean_and_covariance,
    normal_state,
    plane_operator,
    sgd_maps,
)
from tui_opt.kernels.plane_box import automatic_box
from tui_opt.kernels.plane_cells import LIGHT

# Three datapoints with matrices that stretch, turn and flatten.
MATRICES = np.array([[[0.9, 0.2], [-0.3, 0.8]], [[0.5, 0.0], [0.1, -0.7]], [[0.6, -0.9], [0.2, 0.3]]])
SHIFTS = np.array([[0.1, 0.0], [-0.3, 0.2], [0.2, -0.1]])


def affine(w):
    return np.einsum("jab,bn->jan", MATRICES, w) + SHIFTS[:, :, None]


def pit_gradients(w):
    """A wide well at (2, 0), and for every second datapoint a pit at (1, 0.1)."""
    x, y = w
    well = 2 * np.exp(-((x - 2) ** 2) - y**2) * np.stack([x - 2, y])
    pit = 50 * np.exp(-25 * ((x - 1) ** 2 + (y - 0.1) ** 2)) * np.stack([x - 1, y - 0.1])
    return np.stack([well, well + pit])


def closed_moments(mean, covariance, steps):
    """Mean and covariance under the affine maps: the second moment is mapped linearly."""
    second = covariance + np.outer(mean, mean)
    for _ in range(steps):
        turned = np.array(
            [
                a @ second @ a.T + np.outer(a @ mean, b) + np.outer(b, a @ mean) + np.outer(b, b)
                for a, b in zip(MATRICES, SHIFTS, strict=True)
            ]
        )
        second = turned.mean(axis=0)
        mean = (MATRICES @ mean + SHIFTS).mean(axis=0)
    return mean, second - np.outer(mean, mean)


@pytest.mark.parametrize("cells", [9, (40, 75), 130])
def test_affine_maps_keep_mean_and_covariance_whatever_the_cells(cells):
    operator = plane_operator(affine, Box((-6.0, -5.0), (6.0, 6.5)), cells)
    state = normal_state(operator, (0.4, -0.2), (0.3, 0.5))
    for steps in (0, 1, 12):
        now = state.copy()
        advance(operator, now, steps)
        mean, covariance = closed_moments(np.array([0.4, -0.2]), np.diag([0.09, 0.25]), steps)
        found = mean_and_covariance(operator, now)
        np.testing.assert_allclose(found[0], mean, rtol=0, atol=1e-11)
        np.testing.assert_allclose(found[1], covariance, rtol=0, atol=1e-11)


@pytest.mark.parametrize("stretch", [1.3, 4.0, -14.0, 90.0])
def test_maps_that_stretch_keep_the_moments_too(stretch):
    """Images of many cells are cut at every border, and those longer than some tens of cells into few pieces."""
    matrix = np.array([[stretch, 0.3 * stretch], [0.1, 0.5]])

    def maps(w):
        return np.einsum("ab,bn->an", matrix, w)[None] + 0.01

    size = 10.0 * max(1.0, abs(stretch))
    operator = plane_operator(maps, Box((-size, -6.0), (size, 6.0)), 400)
    state = normal_state(operator, (0.2, -0.1), (0.5, 0.4))
    advance(operator, state, 1)
    mean, covariance = mean_and_covariance(operator, state)
    np.testing.assert_allclose(mean, matrix @ [0.2, -0.1] + 0.01, rtol=0, atol=1e-10 * abs(stretch))
    exact = matrix @ np.diag([0.25, 0.16]) @ matrix.T
    # Sixty-odd cells are laid down in 32 pieces: a 32nd of their length is not spread over each.
    np.testing.assert_allclose(covariance, exact, rtol=1e-9, atol=1e-9)
    assert abs(state.mass.sum() + state.outside - 1.0) <= 1e-12
    # Every cell holds what lies in it.
    present = state.mass > 3 * LIGHT / state.mass.size
    m = state.moments[present]
    offset = m[:, 1:3] / m[:, :1]
    assert np.abs(offset).max() < 0.7
    assert (m[:, [3, 5]] / m[:, :1] - offset**2).max() < 0.2


@pytest.mark.parametrize(
    "temperature",
    [0.05, 0.3, *(pytest.param(t, marks=pytest.mark.slow) for t in (0.02, 0.1, 1.0))],
)
def test_the_pit_against_walkers_whatever_the_temperature(temperature):
    maps = sgd_maps(pit_gradients, temperature)
    outputs = {0.02: 60, 0.05: 60, 0.1: 25, 0.3: 15, 1.0: 10}[temperature]
    box = automatic_box(maps, (0.5, 0.0), (0.175, 0.175), outputs).box
    operator = plane_operator(maps, box, 256)
    state = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    advance(operator, state, outputs)
    rng = np.random.default_rng(8)
    n = 40_000
    w = np.array([[0.5], [0.0]]) + 0.175 * rng.standard_normal((2, n))
    for _ in range(outputs):
        w = maps(w)[rng.integers(0, 2, n), :, np.arange(n)].T
    mean, covariance = mean_and_covariance(operator, state)
    away = w - w.mean(axis=1, keepdims=True)
    sd = np.sqrt(np.diag(covariance))
    sd_error = np.sqrt((away**4).mean(axis=1) - w.var(axis=1) ** 2) / (2 * w.std(axis=1) * np.sqrt(n))
    assert (np.abs(mean - w.mean(axis=1)) < 4.5 * w.std(axis=1) / np.sqrt(n)).all()
    assert (np.abs(sd - w.std(axis=1)) < 4.5 * sd_error + 0.03 * sd).all()
    assert state.outside < 1e-10


def test_mass_and_positivity_over_ten_thousand_steps():
    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.5, -0.5), (2.5, 0.5)), 48)
    state = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    for _ in range(10):
        advance(operator, state, 1000)
        assert state.mass.min() >= 0.0
        assert density(operator, state).min() >= 0.0
        assert abs(state.mass.sum() + state.outside - 1.0) <= 1e-12
    assert state.outside > 1e-4


@pytest.mark.parametrize("cells_at_once", [1 << 14, 3000])
def test_the_same_whatever_the_threads_and_the_calls(cells_at_once, monkeypatch):
    monkeypatch.setattr(plane_turns, "CELLS_AT_ONCE", cells_at_once)
    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), (70, 90))
    start = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    states = [start.copy() for _ in range(2)]
    advance(operator, states[0], 500)
    advance(operator, states[1], 500, threads=2)
    assert np.array_equal(states[0].moments, states[1].moments)
    assert states[0].outside == states[1].outside
    again = start.copy()
    for k, steps in enumerate((1, 5, 0, 7, 187, 300)):
        advance(operator, again, steps, threads=1 + k % 2)
    assert np.array_equal(again.moments, states[0].moments)
    assert again.outside == pytest.approx(states[0].outside, rel=1e-12)


def test_threads_that_wait_long_for_each_other():
    """Longer than they look for the other before they sleep."""
    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), 150)
    start = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    states = [start.copy() for _ in range(2)]
    calls = []

    def slow():
        calls.append(1)
        sleep(0.02)

    advance(operator, states[0], 50, 1)
    advance(operator, states[1], 50, 2, slow)
    assert len(calls) > 2
    assert np.array_equal(states[0].moments, states[1].moments)


def test_one_thread_goes_on_alone_where_the_other_gets_no_processor(monkeypatch):
    class Starved:
        begun = 0

        def __init__(self, target, daemon):
            pass

        def start(self):
            Starved.begun += 1

        def is_alive(self):
            return True

        def join(self):
            pass

    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), 150)
    start = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    states = [start.copy() for _ in range(2)]
    steps = 400
    advance(operator, states[0], steps)
    monkeypatch.setattr(plane_turns, "Thread", Starved)
    advance(operator, states[1], steps, threads=2)
    assert 1 < Starved.begun < steps / plane_turns.ALONE  # it is tried again, now and then
    assert np.array_equal(states[0].moments, states[1].moments)


def test_few_steps_of_few_cells_are_not_worth_a_thread(monkeypatch):
    def refused(**_):
        raise AssertionError

    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), 32)
    state = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    monkeypatch.setattr(plane_turns, "Thread", refused)
    advance(operator, state, 10, threads=2)


@pytest.mark.parametrize("datapoints", [3, 49])
def test_roundings_of_the_mass_do_not_add_up(datapoints):
    """1/49 is rounded so that 49 of them are too little: 10^4 steps would lose 1e-12."""

    def maps(w):
        turned = np.arange(datapoints)[:, None, None] / datapoints
        return 0.7 * w + 0.4 * np.stack([np.cos(turned), np.sin(turned)], axis=1)[:, :, :, 0]

    operator = plane_operator(maps, Box((-3.0, -3.0), (4.0, 4.0)), 12)
    state = normal_state(operator, (0.0, 0.0), (0.1, 0.1))
    for _ in range(5):
        advance(operator, state, 2000)
    assert abs(state.mass.sum() + state.outside - 1.0) <= 1e-13


def test_large_grids_are_moved_in_parts():
    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), (900, 700))
    start = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    states = [start.copy() for _ in range(3)]
    advance(operator, states[0], 3)
    advance(operator, states[1], 3, threads=2)
    assert np.array_equal(states[0].moments, states[1].moments)
    calls = []
    advance(operator, states[2], 3, check=lambda: calls.append(1))
    assert len(calls) == 3 * 2


def test_a_check_that_raises_leaves_the_state_as_it_was():
    class Stopped(Exception):
        pass

    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    operator = plane_operator(sgd_maps(pit_gradients, 0.05), Box((-0.3, -0.8), (2.4, 0.8)), 32)
    state = normal_state(operator, (0.5, 0.0), (0.175, 0.175))
    before = state.copy()
    for threads in (1, 2):
        calls.clear()
        with pytest.raises(Stopped):
            advance(operator, state, 1500, threads, check)
        assert np.array_equal(state.moments, before.moments)
        assert state.outside == before.outside


def test_what_has_no_image_is_outside():
    def broken(w):
        good = w[None] * 0.5
        return np.concatenate([good, np.where(w[:1] > 0, np.nan, good)])

    operator = plane_operator(broken, Box((-2.0, -2.0), (2.0, 2.0)), 64)
    state = normal_state(operator, (1.0, 0.0), (0.05, 0.05))
    advance(operator, state, 1)
    assert state.outside == pytest.approx(0.5, abs=1e-12)
    assert state.mass.sum() == pytest.approx(0.5, abs=1e-12)


def test_the_initial_law_has_the_moments_of_a_normal_law():
    operator = plane_operator(affine, Box((-8.0, -11.0), (8.0, 11.0)), (33, 50))
    for sd in ((0.7, 1.1), (1e-3, 0.02), (0.0, 0.4)):
        mean, covariance = mean_and_covariance(operator, normal_state(operator, (0.31, -0.7), sd))
        np.testing.assert_allclose(mean, [0.31, -0.7], rtol=0, atol=1e-12)
        np.testing.assert_allclose(covariance, np.diag(np.square(sd)), rtol=0, atol=1e-12)
    # A mean beyond the box: the tail that is inside, to its own accuracy.
    far = normal_state(operator, (8.0 + 10 * 0.5, 0.0), (0.5, 0.5))
    assert far.mass.sum() == pytest.approx(7.619853024160527e-24, rel=1e-9)


def test_refusals():
    with pytest.raises(ValueError, match="lower end must be a finite"):
        Box((0.0, 1.0), (1.0, 1.0))
    with pytest.raises(ValueError, match="at least 4 per axis"):
        plane_operator(affine, Box((0.0, 0.0), (1.0, 1.0)), 3)
    with pytest.raises(ValueError, match="pair per datapoint"):
        plane_operator(lambda w: w, Box((0.0, 0.0), (1.0, 1.0)), 8)
    operator = plane_operator(affine, Box((0.0, 0.0), (1.0, 1.0)), 8)
    with pytest.raises(ValueError, match="sd 0 or more"):
        normal_state(operator, (0.0, 0.0), (-1.0, 1.0))
    other = plane_operator(affine, Box((0.0, 0.0), (1.0, 1.0)), 16)
    with pytest.raises(ValueError, match="operator has cells"):
        advance(other, normal_state(operator, (0.5, 0.5), (0.1, 0.1)), 1)
    state = normal_state(operator, (0.5, 0.5), (0.1, 0.1))
    before = state.copy()
    with pytest.raises(ValueError, match="-1 steps cannot be done"):
        advance(operator, state, -1)
    with pytest.raises(TypeError):
        advance(operator, state, 2.0)
    state.moments.flags.writeable = False
    with pytest.raises(ValueError, match="in C order"):
        advance(operator, state, 1)
    with pytest.raises(ValueError, match="in C order"):
        advance(operator, PlaneState(np.asfortranarray(state.moments)), 1)
    assert np.array_equal(state.moments, before.moments)


def test_numbers_of_cells_may_come_from_numpy():
    operator = plane_operator(affine, Box((0.0, 0.0), (1.0, 1.0)), np.int64(8))
    assert operator.cells == (8, 8)
