"""Hessians against automatic differentiation, differences of exact gradients, and the known curvature of the target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.kernels.test_networks import AMPLITUDE, HEIGHTS, PAPER, random_networks
from tui_opt.kernels.networks import hessians
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.hessians import gauss_newton, hessian, kink_margin, largest_curvature
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss_and_gradient, outputs
from tui_opt.kernels.networks.scaling import balance, scaled, smallest

FloatArray = NDArray[np.float64]
X = np.linspace(-1, 1, 40)
Y = np.cos(4 * X)


def by_torch(layout: Layout, network: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    def loss(vector: torch.Tensor) -> torch.Tensor:
        h = torch.tensor(x)[:, None]
        for number, ((weights, biases), size) in enumerate(zip(layout.slices, layout.sizes, strict=True)):
            h = h @ vector[weights].reshape(size) + vector[biases]
            h = h if number == layout.layers else torch.relu(h)
        return ((h[:, 0] - torch.tensor(y)) ** 2).mean()

    found: FloatArray = torch.autograd.functional.hessian(loss, torch.tensor(network)).numpy()
    return found


@pytest.mark.parametrize("layout", [PAPER, Layout(1, 3), Layout(2, 4), Layout(3, 2)])
def test_the_hessian_is_that_of_automatic_differentiation(layout: Layout) -> None:
    for network in random_networks(layout, 2, seed=3):
        found, expected = hessian(layout, network, X, Y), by_torch(layout, network, X, Y)
        assert np.abs(found - expected).max() < 1e-12 * max(1.0, np.abs(expected).max())


def test_differences_of_gradients_agree_where_no_node_switches() -> None:
    network = random_networks(PAPER, 1, seed=7)[0]
    found, step = hessian(PAPER, network, X, Y), 1e-6
    margin = kink_margin(PAPER, network, X)
    assert margin > 1e-4
    for place in range(0, PAPER.size, 7):
        moved = np.stack([network, network])
        moved[0, place] += step
        moved[1, place] -= step
        _, slopes = loss_and_gradient(PAPER, moved, X, Y)
        assert np.abs((slopes[0] - slopes[1]) / (2 * step) - found[place]).max() < 1e-7


def test_the_target_s_largest_curvatures_are_those_that_are_known() -> None:
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    small = smallest(PAPER, network[None])[0]
    whole = hessian(PAPER, small, x, y)
    assert np.linalg.eigvalsh(hessian(PAPER, network, x, y))[-1] == pytest.approx(14735.2, abs=1.0)
    assert np.abs(whole - gauss_newton(PAPER, small, x, y)).max() < 1e-9
    assert kink_margin(PAPER, network, x) == 0.0
    curvature, direction = largest_curvature(PAPER, small, x, y)
    # With every node off, or on, that is 0 at a sample, it would be 1845 or 1909: there is no Hessian at a kink.
    assert np.linalg.eigvalsh(whole)[-1] == pytest.approx(1845.2, abs=0.1)
    assert curvature == pytest.approx(1886.6, abs=0.1)
    for step in (1e-4, 1e-5):
        moved, _ = loss_and_gradient(PAPER, (small + step * direction)[None], x, y)
        assert 2 * moved[0] / step**2 == pytest.approx(curvature, rel=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(20):  # no direction nearby has a larger one
        other = direction + 0.05 * rng.normal(size=direction.size)
        other /= np.linalg.norm(other)
        assert other @ hessian(PAPER, small, x, y, other) @ other < curvature


def test_at_kinks_automatic_differentiation_draws_from_rounding_and_the_largest_curvature_does_not() -> None:
    """The same network of smallest norm, reached from several scalings, told apart by rounding alone."""
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    rng = np.random.default_rng(0)
    begun = scaled(PAPER, np.repeat(network[None], 6, axis=0), rng.normal(0, 0.3, (6, 5, 5)))
    small = smallest(PAPER, begun)
    assert np.abs(balance(PAPER, small)).max() < 1e-10
    assert np.abs(outputs(PAPER, small, x) - y).max() < 1e-13
    assert np.ptp(small, axis=0).max() < 1e-10
    automatic = [float(np.linalg.eigvalsh(by_torch(PAPER, one, x, y))[-1]) for one in small]
    two = small[[int(np.argmin(automatic)), int(np.argmax(automatic))]]
    assert max(automatic) - min(automatic) > 5
    curvatures = [largest_curvature(PAPER, one, x, y)[0] for one in two]
    assert curvatures[0] == pytest.approx(curvatures[1], rel=1e-6)
    assert curvatures[0] == pytest.approx(1886.64, abs=0.01)


def test_the_largest_curvature_at_kinks_is_reached_from_any_direction_and_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Turning from a side to its leading direction, begun anywhere and both ways, ends at the same curvature."""
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    small = smallest(PAPER, network[None])[0]
    expected, _ = largest_curvature(PAPER, small, x, y)
    for start in np.random.default_rng(0).normal(size=(6, PAPER.size)):
        ends = []
        for now in (start, -start):
            for _ in range(6):
                leading = np.linalg.eigh(hessian(PAPER, small, x, y, now))[1][:, -1]
                now = leading if leading @ now >= 0 else -leading
            ends.append(now @ hessian(PAPER, small, x, y, now) @ now)
        assert max(ends) == pytest.approx(expected, rel=1e-12)
    for turns in (1, 2, 100):
        monkeypatch.setattr(hessians, "MOST_TURNS", turns)
        assert largest_curvature(PAPER, small, x, y)[0] == pytest.approx(expected, rel=1e-12)


def test_no_ascent_on_gradients_finds_a_larger_curvature_where_sides_and_their_leading_directions_never_agree() -> (
    None
):
    """Leading directions alone end at 539.6 here: the steepest one lies where sides meet."""
    layout = Layout(3, 6)
    network = built_network(layout, (1.0, -1.0, 0.5, 2.0), AMPLITUDE)
    x = training_set(knots(layout, network), 4)
    y = outputs(layout, network, x)
    small = smallest(layout, network[None])[0]
    curvature, direction = largest_curvature(layout, small, x, y)
    ways = np.random.default_rng(0).normal(size=(50, layout.size))
    step, most = 1e-6, 0.0
    for _ in range(150):
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        losses, ways = loss_and_gradient(layout, small + step * ways, x, y)
        most = max(most, float(2 * losses.max() / step**2))
    assert curvature == pytest.approx(543.212, abs=0.002)
    assert 543.0 < most < curvature * (1 + 1e-5)
    moved, _ = loss_and_gradient(layout, (small + step * direction)[None], x, y)
    assert 2 * moved[0] / step**2 == pytest.approx(curvature, rel=1e-5)


def test_away_from_kinks_the_largest_curvature_is_the_largest_eigenvalue() -> None:
    network = random_networks(PAPER, 1, seed=7)[0]
    curvature, _ = largest_curvature(PAPER, network, X, Y)
    assert curvature == pytest.approx(np.linalg.eigvalsh(hessian(PAPER, network, X, Y))[-1], rel=1e-12)


def test_nodes_at_a_kink_are_taken_as_off_or_on_where_that_is_asked() -> None:
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    small = smallest(PAPER, network[None])[0]
    top = [np.linalg.eigvalsh(hessian(PAPER, small, x, y, kinks=slope))[-1] for slope in (0.0, 1.0)]
    assert top == pytest.approx([1845.2, 1909.0], abs=0.1)
