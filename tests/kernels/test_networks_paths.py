"""Paths on landscapes whose passes are known, and bounds of the loss along segments against dense sampling."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kernels.test_networks import PAPER, random_networks
from tui_opt.kernels.networks import certificate
from tui_opt.kernels.networks.certificate import certify
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.paths import (
    Stage,
    adam_step,
    lengths,
    minimax,
    nudged_elastic_band,
    pulled,
    spread,
    straight,
    string,
)
from tui_opt.kernels.networks.plain import loss

SingleArray = NDArray[np.float32]
X = np.linspace(-1, 1, 33)
Y = np.abs(X)


def ring(networks: SingleArray) -> tuple[SingleArray, SingleArray]:
    """(|w| - 1)^2 + 0.1 (1 + x): minima near (-1, 0); a pass over (1, 0) of height 0.2, an inner hill of 1."""
    r = np.sqrt(np.square(networks).sum(axis=1)) + np.float32(1e-12)
    value = (r - 1) ** 2 + 0.1 * (1 + networks[:, 0])
    slope = 2 * ((r - 1) / r)[:, None] * networks
    slope[:, 0] += 0.1
    return value.astype(np.float32), slope.astype(np.float32)


START = np.array([[np.cos(1.9), np.sin(1.9)]], dtype=np.float32)
END = np.array([[np.cos(-1.9), np.sin(-1.9)]], dtype=np.float32)


def top(paths: SingleArray) -> float:
    fine = spread(paths, 2001)[0]
    return float(ring(fine)[0].max())


def test_images_are_spread_evenly_and_ends_stay() -> None:
    rng = np.random.default_rng(0)
    paths = np.cumsum(rng.random((3, 9, 4)), axis=1).astype(np.float32)
    found = spread(paths, 30)
    steps = np.diff(lengths(spread(straight(paths[:, 0], paths[:, -1], 7), 30)), axis=1)
    assert np.allclose(steps, steps.mean(axis=1, keepdims=True), rtol=1e-4)
    assert np.array_equal(found[:, 0], paths[:, 0])
    assert np.array_equal(found[:, -1], paths[:, -1])
    assert np.all(lengths(found)[:, -1] <= lengths(paths)[:, -1] + 1e-5)


@pytest.mark.parametrize("method", ["string", "neb", "minimax"])
def test_a_path_round_the_hill_stays_on_the_floor(method: str) -> None:
    """Between two places of the ring the way along it is lower than the straight one."""
    begun = straight(START, END, 24)
    begun[0, 1:-1, 0] -= 0.1
    if method == "string":
        found = string(begun, ring, 800, rate=0.02)
    elif method == "neb":
        found = nudged_elastic_band(begun, ring, 800, rate=0.02, climb_from=1.0)
    else:
        stages = (Stage(24, 600, 4.0, 2e-2), Stage(24, 600, 32.0, 5e-3))
        found = minimax(begun, ring, np.random.default_rng(0), stages=stages)
    ends = max(float(ring(START)[0][0]), float(ring(END)[0][0]))
    assert top(begun) > ends + 0.2
    assert top(found) < ends + 2e-3
    assert np.array_equal(found[:, 0], START)
    assert np.array_equal(found[:, -1], END)


def test_the_climbing_image_reaches_the_pass() -> None:
    """From (0, 1) to (0, -1) round the right: the pass is where the ring is highest, near (1, 0)."""
    angles = np.linspace(np.pi / 2, -np.pi / 2, 15)
    begun = np.stack([np.cos(angles), np.sin(angles)], axis=1)[None].astype(np.float32)
    found = nudged_elastic_band(begun, ring, 1500, rate=0.02, climb_from=0.3)
    image = found[0, int(np.argmax(ring(found[0])[0]))]
    _, slope = ring(image[None])
    assert np.abs(slope).max() < 1e-3
    assert image[0] == pytest.approx(0.95, abs=0.01)  # where r = 1 - 0.05 there
    assert abs(image[1]) < 1e-3


def test_a_start_is_pulled_along_the_floor() -> None:
    found = pulled(START, END, ring, rounds=40, steps=40, rate=2e-2)
    assert found.shape == (1, 41, 2)
    distance = np.sqrt(np.square(found[0] - END).sum(axis=1))
    assert np.allclose(distance, distance[0] * (1 - np.arange(41) / 40), atol=1e-5)
    assert top(found) < float(ring(START)[0][0]) + 5e-3


# --- certificates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [PAPER, Layout(2, 3), Layout(1, 4)])
def test_no_point_of_a_path_exceeds_its_bound(layout: Layout) -> None:
    for seed in range(1 if layout is PAPER else 3):
        path = random_networks(layout, 4, seed=seed)
        found = certify(layout, path, X, Y)
        t = np.linspace(0, 1, 1001)[:, None]
        dense = np.concatenate([loss(layout, a + (b - a) * t, X, Y) for a, b in pairwise(path)])
        assert dense.max() <= found.bound * (1 + 1e-12)
        assert found.sampled <= found.bound <= found.sampled * (1 + 2e-3)
        assert found.unresolved == 0
        a, b = path[found.segment], path[found.segment + 1]
        assert loss(layout, a + (b - a) * found.place, X, Y) == pytest.approx(found.sampled, rel=1e-12)


def test_a_bound_that_would_take_too_many_cells_ends_and_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enclosures of huge weights are wide, and cells would be cut a million times."""
    monkeypatch.setattr(certificate, "MOST_CELLS", 5)
    path = random_networks(PAPER, 3, seed=1)
    calls: list[int] = []
    found = certify(PAPER, path, X, Y, check=lambda: calls.append(1))
    assert len(calls) == 2
    assert found.unresolved > 0
    assert found.cells < 2 * (5 + 2 * certificate.MOST_HALVINGS)
    t = np.linspace(0, 1, 301)[:, None]
    dense = np.concatenate([loss(PAPER, a + (b - a) * t, X, Y) for a, b in pairwise(path)])
    assert dense.max() <= found.bound


def test_the_bound_of_a_cell_holds_and_is_near_where_nothing_switches() -> None:
    layout = Layout(3, 4)
    degree = layout.layers + 1
    one = np.array([comb(degree, i) for i in range(degree + 1)], dtype=float)
    two = np.array([comb(2 * degree, i) for i in range(2 * degree + 1)], dtype=float)
    rng = np.random.default_rng(1)
    t = np.linspace(0, 1, 201)[:, None]
    near = []
    for width in (1.0, 0.1, 0.003):
        a = random_networks(layout, 1, seed=9)[0]
        b = a + width * rng.normal(size=a.size)
        room = [np.zeros((layout.width, degree + 1)) for _ in range(4)]
        bound = certificate._cell_bound(
            a, b, X, Y, layout.layers, layout.width, one, two, *room, np.zeros(2 * degree + 1)
        )
        most = loss(layout, a + (b - a) * t, X, Y).max()
        assert most <= bound * (1 + 1e-12)
        near.append(bound / most - 1)
    assert near[2] < 1e-3 < near[0]
    moved = random_networks(layout, 2, seed=9)
    moved[1] = moved[0]
    moved[1, -5:] *= 0.5  # only the output layer moves: the loss is a parabola, and nothing switches
    found = certify(layout, moved, X, Y)
    assert found.bound == pytest.approx(max(loss(layout, moved, X, Y)), rel=1e-3)


def test_a_step_of_adam_is_the_plain_one_to_the_last_bit():
    rng = np.random.default_rng(3)
    place, first, slope = rng.standard_normal((3, 500)).astype(np.float32)
    second = np.square(rng.standard_normal(500).astype(np.float32))
    slope[:50] = 0.0
    one, other = (np.float32(x) for x in (0.9, 1.0 - 0.9))
    wanted_first = one * first + other * slope
    wanted_second = np.float32(0.99) * second + np.float32(1.0 - 0.99) * np.square(slope)
    root = np.sqrt(wanted_second / np.float32(1.0 - 0.99**7)) + np.float32(1e-5)
    wanted = place - np.float32(3e-3) * wanted_first / root
    adam_step(place, first, second, slope, 3e-3, 1.0 - 0.99**7, 1e-5)
    assert np.array_equal(first, wanted_first)
    assert np.array_equal(second, wanted_second)
    assert np.array_equal(place, wanted)
