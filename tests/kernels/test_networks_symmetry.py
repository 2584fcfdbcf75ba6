"""Scaling and order of nodes: the function stays, the norm and the distance are smallest, idle nodes go."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from tests.kernels.test_networks import AMPLITUDE, HEIGHTS, PAPER, random_networks
from tui_opt.kernels.networks import matching
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.matching import matched_nodes, permuted, sorted_nodes
from tui_opt.kernels.networks.plain import outputs
from tui_opt.kernels.networks.scaling import balance, scaled, smallest, without_idle_nodes

FloatArray = NDArray[np.float64]
X = np.linspace(-1, 1, 101)


def same_function(layout: Layout, a: FloatArray, b: FloatArray) -> float:
    first = outputs(layout, a, X)
    return float(np.abs(first - outputs(layout, b, X)).max() / max(1.0, np.abs(first).max()))


@pytest.mark.parametrize("layout", [PAPER, Layout(1, 3), Layout(3, 8)])
def test_the_smallest_scaling_is_balanced_and_keeps_the_function(layout: Layout) -> None:
    networks = random_networks(layout, 40, scale=1.0)
    networks = scaled(
        layout, networks, np.random.default_rng(1).normal(0, 3, (40, layout.layers, layout.width))
    )
    found = smallest(layout, networks)
    assert same_function(layout, networks, found) < 1e-11
    norms = np.square(found).sum(axis=1)
    assert np.abs(balance(layout, found)).max(axis=(1, 2)).max() < 1e-11 * norms.max()
    assert np.all(norms < np.square(networks).sum(axis=1))


def test_the_smallest_norm_is_that_of_another_minimiser() -> None:
    layout = Layout(2, 3)
    network = random_networks(layout, 1, seed=4)

    def norm(u: FloatArray) -> float:
        return float(np.square(scaled(layout, network, u.reshape(1, 2, 3))).sum())

    other = minimize(norm, np.zeros(6), method="BFGS", options={"gtol": 1e-10})
    assert np.square(smallest(layout, network)).sum() == pytest.approx(other.fun, rel=1e-9)


def test_the_built_network_has_the_norm_that_is_known() -> None:
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)[None]
    found = smallest(PAPER, network)
    assert np.linalg.norm(found) == pytest.approx(12.063942, abs=5e-7)
    assert same_function(PAPER, network, found) < 1e-12
    assert np.abs(balance(PAPER, found)).max() < 1e-10


def test_idle_nodes_are_taken_away_with_what_they_leave_idle() -> None:
    networks = random_networks(PAPER, 3)
    parts = PAPER.parts(networks)
    parts[2][0][0, :, 1], parts[2][1][0, 1] = 0.0, -1.0  # never switches on
    parts[4][0][1, 3, :] = 0.0  # leads nowhere
    parts[1][0][2, :, :], parts[1][1][2, :] = 0.0, 0.0  # a whole layer without inputs
    found = without_idle_nodes(PAPER, networks)
    assert same_function(PAPER, networks, found) == 0.0
    cleaned = PAPER.parts(found)
    assert not cleaned[3][0][0, 1].any()
    assert not cleaned[3][0][1, :, 3].any()
    assert cleaned[3][1][1, 3] == 0.0
    assert not cleaned[0][0][2].any()
    scaled_down = smallest(PAPER, networks)
    assert np.isfinite(scaled_down).all()
    assert same_function(PAPER, networks, scaled_down) < 1e-12
    positive = np.zeros((1, PAPER.size))
    PAPER.parts(positive)[4][1][0, 2] = 1.0  # a bias alone makes a constant
    PAPER.parts(positive)[5][0][0, 2, 0] = 2.0
    assert np.array_equal(without_idle_nodes(PAPER, positive), positive)
    assert np.linalg.norm(smallest(PAPER, positive)) == pytest.approx(2.0)


def test_orders_keep_the_function() -> None:
    networks = random_networks(PAPER, 6)
    orders = np.random.default_rng(0).permuted(np.broadcast_to(np.arange(5), (6, 5, 5)), axis=2)
    assert same_function(PAPER, networks, permuted(PAPER, networks, orders)) < 1e-13
    found = sorted_nodes(PAPER, networks)
    assert same_function(PAPER, networks, found) < 1e-13
    for weights, _ in PAPER.parts(found)[:-1]:
        assert np.all(np.diff(np.square(weights).sum(axis=-2), axis=1) >= 0)


@pytest.mark.parametrize("listed", [6, 0], ids=["listed", "assigned"])
def test_permuted_copies_are_found_again(listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST_LISTED", listed)
    rng = np.random.default_rng(2)
    target = smallest(PAPER, built_network(PAPER, HEIGHTS, AMPLITUDE)[None])[0]
    orders = rng.permuted(np.broadcast_to(np.arange(5), (5, 5, 5)), axis=2)
    copies = permuted(PAPER, np.broadcast_to(target, (5, PAPER.size)), orders)
    assert np.abs(matched_nodes(PAPER, copies, target, rng, restarts=40) - target).max() < 1e-14


def test_the_nearest_order_is_that_of_trying_all() -> None:
    layout = Layout(2, 3)
    networks, target = random_networks(layout, 4, seed=5), random_networks(layout, 1, seed=6)[0]
    found = matched_nodes(layout, networks, target, np.random.default_rng(0), restarts=30)
    every = [
        permuted(layout, networks, np.broadcast_to(np.array(pair), (4, 2, 3)))
        for pair in product(permutations(range(3)), repeat=2)
    ]
    nearest = np.min([np.square(one - target).sum(axis=1) for one in every], axis=0)
    assert np.allclose(np.square(found - target).sum(axis=1), nearest, rtol=1e-12)
    assert same_function(layout, networks, found) < 1e-13
