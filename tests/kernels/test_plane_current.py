"""Currents of two parameters: conservation, closed turnings, what has no current, and the condition for an energy."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.plane import (
    Box,
    PlaneState,
    advance,
    mean_and_covariance,
    normal_state,
    plane_operator,
    sgd_maps,
)
from tui_opt.kernels.plane_current import circulation, current, stream_function
from tui_opt.kernels.plane_energy import energy_condition
from tui_opt.kernels.plane_settling import settled_law

HESSIAN = np.array([[1.0, 0.4], [0.4, 2.0]])
PUSHES = np.array([[1.2, 1.0], [-1.2, -1.0], [0.5, -0.6], [-0.5, 0.6]])
NOISE = PUSHES.T @ PUSHES / 4
OPEN = ((None, None), (None, None))
T = 0.1


def bowl(w):
    return (HESSIAN @ w)[None] - PUSHES[:, :, None]


def final_covariance(temperature):
    """C = A C A + T² S², as a linear system."""
    a = np.eye(2) - temperature * HESSIAN
    return np.linalg.solve(np.eye(4) - np.kron(a, a), temperature**2 * NOISE.ravel()).reshape(2, 2)


@pytest.fixture(scope="module")
def settled():
    return settled_law(sgd_maps(bowl, T), (0.5, 0.0), (0.2, 0.2), OPEN, 96, 2000)


def test_a_settled_law_has_the_closed_covariance_and_turning(settled):
    covariance = final_covariance(T)
    mean, ours = mean_and_covariance(settled.operator, settled.state)
    assert settled.settled
    assert settled.left < 1e-6
    # It counts as settled where 1e-4 of its spread may still come.
    np.testing.assert_allclose(mean, 0, atol=1e-4 * np.sqrt(covariance[0, 0]))
    np.testing.assert_allclose(ours, covariance, rtol=1e-4)
    turning = (
        T * (HESSIAN @ covariance - covariance @ HESSIAN)[0, 1] / (2 * np.sqrt(np.linalg.det(covariance)))
    )
    found = circulation(settled.operator, settled.state)
    assert found.turning == pytest.approx(turning, rel=1e-5)
    assert found.dimension == 2


def test_the_turning_of_walkers(settled):
    rng = np.random.default_rng(4)
    n = 50_000
    w = np.linalg.cholesky(final_covariance(T)) @ rng.standard_normal((2, n))
    for _ in range(40):
        moved = w - T * bowl(w)[rng.integers(0, 4, n), :, np.arange(n)].T
        turned = w[0] * (moved - w)[1] - w[1] * (moved - w)[0]
        w = moved
    area = 2 * np.sqrt(np.linalg.det(np.cov(w)))
    found = circulation(settled.operator, settled.state).turning
    assert abs(turned.mean() / area - found) < 4.5 * turned.std() / np.sqrt(n) / area


@pytest.mark.parametrize("cells", [60, (80, 50)])
def test_the_current_s_divergence_is_the_change_of_the_law(cells):
    """For a law on its way too, up to the spline over which mass is spread: shown by the change of smooth averages."""
    operator = plane_operator(sgd_maps(bowl, T), Box((-2.0, -2.0), (2.5, 2.0)), cells)
    state = normal_state(operator, (0.4, 0.1), (0.3, 0.2))
    flux = current(operator, state)
    after = state.copy()
    advance(operator, after, 1)
    x, y = np.meshgrid(operator.centres(0), operator.centres(1), indexing="ij")
    area = operator.sides.prod()
    for slope1, slope2, average in (
        (np.ones_like(x), 0 * x, lambda m, s: (m[:, :, 0] * x + m[:, :, 1] * s[0]).sum()),
        (0 * x, np.ones_like(x), lambda m, s: (m[:, :, 0] * y + m[:, :, 2] * s[1]).sum()),
    ):
        # d<f>/dt is the integral of grad f times the current; for f = W1 and W2 without any error.
        moved = average(after.moments, operator.sides) - average(state.moments, operator.sides)
        assert (flux[0] * slope1 + flux[1] * slope2).sum() * area == pytest.approx(moved, abs=1e-12)
    waves = [np.sin(2 * x + y), np.cos(x - 3 * y)]
    slopes = [(2 * np.cos(2 * x + y), np.cos(2 * x + y)), (-np.sin(x - 3 * y), 3 * np.sin(x - 3 * y))]
    for wave, (slope1, slope2) in zip(waves, slopes, strict=True):
        moved = ((after.mass - state.mass) * wave).sum()
        assert (flux[0] * slope1 + flux[1] * slope2).sum() * area == pytest.approx(moved, abs=2e-3)


def test_a_stationary_current_follows_its_stream_function(settled):
    """It vanishes outside, and its differences are the current between."""
    stream, flux = stream_function(settled.operator, settled.state), current(settled.operator, settled.state)
    top = np.abs(stream).max()
    border = np.concatenate([stream[0], stream[-1], stream[:, 0], stream[:, -1]])
    assert np.abs(border).max() < 0.02 * top
    side = settled.operator.sides[1]
    across = (stream[:, 12:] - stream[:, :-12]) / (12 * side)
    between = np.cumsum(0.5 * (flux[0][:, 1:] + flux[0][:, :-1]), axis=1)
    between = np.concatenate([np.zeros((between.shape[0], 1)), between], axis=1)
    between = (between[:, 12:] - between[:, :-12]) / 12
    # Four datapoints leave the law rough at the scale of cells, where it is stationary only on average.
    assert np.abs(across - between).sum() < 0.1 * np.abs(between).sum()
    # A hill turns from axis 1 to axis 2.
    assert np.sign(stream.flat[np.abs(stream).argmax()]) == np.sign(
        circulation(settled.operator, settled.state).turning
    )


def test_nothing_circulates_on_a_line_or_in_a_point_or_at_rest():
    def to_line(w):
        return np.stack([0.5 * w + [[0.1], [0.0]], 0.5 * w - [[0.1], [0.0]]])

    line = settled_law(to_line, (0.3, 0.2), (0.1, 0.1), OPEN, 32, 2000)
    found = circulation(line.operator, line.state)
    assert (found.turning, found.share, found.dimension) == (0.0, 0.0, 1)
    point = settled_law(lambda w: 0.5 * w[None], (0.3, 0.2), (0.1, 0.1), OPEN, 32, 2000)
    found = circulation(point.operator, point.state)
    assert (found.turning, found.share, found.dimension) == (0.0, 0.0, 0)
    for place in (0.0, 1e7):
        rest = settled_law(lambda w: w[None], (place, 0.2), (0.1, 0.1), OPEN, 32, 2000)
        found = circulation(rest.operator, rest.state)
        assert (abs(found.turning) < 1e-20, found.share, found.dimension) == (True, 0.0, 2)


def test_a_law_that_is_gone():
    gone = settled_law(lambda w: 1e9 + w[None], (0.0, 0.0), (0.1, 0.1), OPEN, 32, 2000)
    assert gone.gone
    assert gone.left == pytest.approx(1.0)


def test_a_rotation_turns_by_its_angle():
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    operator = plane_operator(lambda w: (turn @ w)[None], Box((-4.0, -4.0), (4.0, 4.0)), 64)
    state = normal_state(operator, (0.0, 0.0), (0.5, 0.5))
    # The mean of sin(angle) r² over 2 sqrt(det C) = r².
    assert circulation(operator, state).turning == pytest.approx(np.sin(angle), rel=1e-9)
    assert circulation(operator, state).share == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("rotated", [0.0, 0.7])
def test_the_condition_of_an_energy_in_closed_form(settled, rotated):
    """Linear gradients: the curl of S⁻² F is constant, and the law's area turns with the coordinates."""
    turn = np.array([[np.cos(rotated), -np.sin(rotated)], [np.sin(rotated), np.cos(rotated)]])

    def turned(w):
        return np.einsum("ab,jbn->jan", turn, bowl(turn.T @ w))

    law = settled_law(sgd_maps(turned, T), (0.1, 0.0), (0.2, 0.2), OPEN, 48, 2000)
    condition = energy_condition(turned, T, law.operator, law.state)
    matrix = 2 / T * np.linalg.solve(NOISE, HESSIAN)
    expected = abs(matrix[1, 0] - matrix[0, 1]) * np.sqrt(np.linalg.det(final_covariance(T)))
    assert condition.rank == 2
    assert condition.defect == pytest.approx(expected, rel=1e-5)


def test_multiplicative_noise_against_a_sample():
    """S² = |f'|²/2 with f = z + z²/4: the curl of S⁻² F is (2/T) grad(1/s²) x G."""

    def gradients(w):
        x, y = w
        along = np.stack([1 + 0.5 * x, -0.5 * y]), np.stack([0.5 * y, 1 + 0.5 * x])
        drift = np.stack([x, 2 * y])
        return np.stack([drift + along[0], drift - along[0], drift + along[1], drift - along[1]])

    temperature = 0.05
    law = settled_law(sgd_maps(gradients, temperature), (0.1, 0.0), (0.2, 0.2), OPEN, 96, 2000)
    condition = energy_condition(gradients, temperature, law.operator, law.state)
    rng = np.random.default_rng(7)
    w = 0.1 * rng.standard_normal((2, 30_000))
    for _ in range(150):
        w = w - temperature * gradients(w)[rng.integers(0, 4, w.shape[1]), :, np.arange(w.shape[1])].T
    x, y = w
    s2 = 0.5 * ((1 + 0.5 * x) ** 2 + 0.25 * y**2)
    curl = 2 / temperature * np.abs(-0.5 * (1 + 0.5 * x) * 2 * y + 0.25 * y * x) / s2**2
    expected = curl.mean() * np.sqrt(np.linalg.det(np.cov(w)))
    assert condition.rank == 2
    assert condition.defect == pytest.approx(expected, rel=0.03)


def test_noise_along_one_direction():
    """Two datapoints: the share of F across the noise, weighted by the law."""

    def two(w):
        return (HESSIAN @ w)[None] - PUSHES[:2, :, None]

    law = settled_law(sgd_maps(two, T), (0.1, 0.0), (0.2, 0.2), OPEN, 64, 2000)
    condition = energy_condition(two, T, law.operator, law.state)
    along = PUSHES[0] / np.linalg.norm(PUSHES[0])
    x = np.stack(np.meshgrid(law.operator.centres(0), law.operator.centres(1), indexing="ij"))
    force = np.einsum("ab,bij->aij", HESSIAN, x)
    across = np.abs(force[1] * along[0] - force[0] * along[1])
    mass = law.state.mass
    assert condition.rank == 1
    assert condition.defect == pytest.approx(
        (across * mass).sum() / (np.hypot(*force) * mass).sum(), rel=1e-6
    )


def test_without_noise_there_is_no_condition():
    operator = plane_operator(lambda w: 0.9 * w[None], Box((-1.0, -1.0), (1.0, 1.0)), 16)
    state: PlaneState = normal_state(operator, (0.0, 0.0), (0.2, 0.2))
    condition = energy_condition(lambda w: w[None], T, operator, state)
    assert condition.rank == 0
    assert np.isnan(condition.defect)
