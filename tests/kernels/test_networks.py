"""Networks by the thousand: the built one against formulas, gradients against torch, knots against fine sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tui_opt.kernels.networks.construction import built_network, only_spline, spline_knots
from tui_opt.kernels.networks.knots import breaks, knots, training_set
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import activations, loss, loss_and_gradient, outputs

FloatArray = NDArray[np.float64]

PAPER = Layout(5, 5)
HEIGHTS, AMPLITUDE = (1.0, -1.0, 0.0), 0.7


def random_networks(layout: Layout, number: int, seed: int = 0, scale: float = 0.6) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0, scale, (number, layout.size))


def plain_output(layout: Layout, network: FloatArray, x: float) -> float:
    """One number through one network, node by node."""
    values = [x]
    for number, (weights, biases) in enumerate(layout.parts(network)):
        z = [
            sum(v * w for v, w in zip(values, column, strict=True)) + b
            for column, b in zip(weights.T, biases, strict=True)
        ]
        values = z if number == layout.layers else [max(one, 0.0) for one in z]
    return float(values[0])


def test_the_layout_has_its_parameters_once_each() -> None:
    assert (PAPER.size, Layout(10, 10).size, Layout(2, 3).size) == (136, 1021, 22)
    assert PAPER.flops_per_sample * 341 == 239_382
    vector = np.arange(float(PAPER.size))
    flat = np.concatenate([np.concatenate([w.ravel(), b]) for w, b in PAPER.parts(vector)])
    assert np.array_equal(flat, vector)
    PAPER.parts(vector)[2][0][3, 4] = -1.0  # views, not copies
    assert vector.min() == -1.0


def test_outputs_are_those_of_single_nodes() -> None:
    layout, x = Layout(3, 4), np.linspace(-1, 1, 7)
    networks = random_networks(layout, 2)
    found = outputs(layout, networks, x)
    for i in range(2):
        assert np.allclose(found[i], [plain_output(layout, networks[i], one) for one in x], atol=1e-14)
    assert [a.shape for a in activations(layout, networks, x)] == [(2, 7, 4)] * 3


def test_gradients_are_those_of_torch() -> None:
    networks = random_networks(PAPER, 5)
    x = np.linspace(-1, 1, 50)
    y = np.sin(5 * x)
    mean, gradient = loss_and_gradient(PAPER, networks, x, y)
    leaf = torch.tensor(networks, requires_grad=True)
    h = torch.tensor(x)[None, :, None].expand(5, -1, -1)
    for number, ((weights, biases), size) in enumerate(zip(PAPER.slices, PAPER.sizes, strict=True)):
        h = h @ leaf[:, weights].reshape(5, *size) + leaf[:, biases][:, None]
        h = h if number == PAPER.layers else torch.relu(h)
    losses = ((h[:, :, 0] - torch.tensor(y)) ** 2).mean(dim=1)
    losses.sum().backward()
    assert leaf.grad is not None
    assert np.abs(losses.detach().numpy() - mean).max() < 1e-14
    assert np.abs(leaf.grad.numpy() - gradient).max() < 1e-13
    assert np.allclose(loss(PAPER, networks, x, y), mean)


# --- the built network ----------------------------------------------------------------------------------------


def sawtooth(x: FloatArray, teeth: int, amplitude: float) -> FloatArray:
    """`teeth` triangles on [-1, 1], from 0 to twice the amplitude."""
    phase = (x + 1.0) * teeth / 2.0 % 1.0
    return 2.0 * amplitude * (1.0 - np.abs(2.0 * phase - 1.0))


@pytest.mark.parametrize(
    ("layout", "heights", "amplitude"),
    [
        (PAPER, HEIGHTS, AMPLITUDE),
        (Layout(3, 4), (0.5, 2.0), 0.3),
        (Layout(7, 6), (1.0, -2.0, 0.5, 3.0), 1.0),
        (Layout(1, 3), (2.0,), 0.7),
    ],
)
def test_the_built_network_is_a_sawtooth_and_a_spline(
    layout: Layout, heights: tuple[float, ...], amplitude: float
) -> None:
    x = np.linspace(-1, 1, 4001)
    spline = np.interp(x, [*spline_knots(len(heights)), 1.0], [0.0, *heights])
    network = built_network(layout, heights, amplitude)
    expected = sawtooth(x, 2 ** (layout.layers - 1), amplitude) + spline
    assert np.abs(outputs(layout, network, x) - expected).max() < 1e-12
    assert np.abs(outputs(layout, only_spline(layout, network), x) - spline).max() < 1e-13


def test_the_paper_s_network_has_the_numbers_that_are_known() -> None:
    network = built_network(PAPER, HEIGHTS, AMPLITUDE)
    places = knots(PAPER, network)
    dyadic = -1.0 + np.arange(33) / 16.0
    assert np.abs(places - np.sort(np.append(dyadic, [-1 / 3, 1 / 3]))).max() < 1e-12
    x = training_set(places, 9)
    y = outputs(PAPER, network, x)
    assert (places.size, x.size) == (35, 341)
    assert np.allclose(
        [y.min(), y.max(), y.mean(), y.var()], [-0.9375, 2.3375, 0.7116325, 0.5371589], atol=5e-8
    )
    corners = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    hats = np.stack([np.interp(x, corners, row) for row in np.eye(4)], axis=1)
    _, residual, _, _ = np.linalg.lstsq(hats, y, rcond=None)
    assert residual[0] / x.size == pytest.approx(0.1688916, abs=5e-8)
    assert np.linalg.norm(network) == pytest.approx(51.098965, abs=5e-7)
    assert loss(PAPER, network, x, y) == 0.0


@pytest.mark.parametrize("teeth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("width", [5, 8])
def test_fewer_teeth_and_wider_layers(teeth: int, width: int) -> None:
    x = np.linspace(-1, 1, 4001)
    network = built_network(Layout(5, width), HEIGHTS, AMPLITUDE, teeth)
    expected = sawtooth(x, teeth, AMPLITUDE) + np.interp(x, [-1, -1 / 3, 1 / 3, 1], [0.0, *HEIGHTS])
    assert np.abs(outputs(Layout(5, width), network, x) - expected).max() < 1e-12


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="need 5 nodes in a layer; there are 4"):
        built_network(Layout(5, 4), HEIGHTS, AMPLITUDE)
    for teeth in (0, 3, 32):
        with pytest.raises(ValueError, match="make 1, 2, 4, … or 16 teeth, not"):
            built_network(PAPER, HEIGHTS, AMPLITUDE, teeth)


# --- knots ----------------------------------------------------------------------------------------------------


def test_between_its_knots_a_network_is_straight() -> None:
    x = np.linspace(-1, 1, 20_001)
    for layout in (PAPER, Layout(3, 8), Layout(1, 4)):
        for network in random_networks(layout, 6, seed=2, scale=1.0):
            places = knots(layout, network)
            line = np.interp(x, places, outputs(layout, network, places))
            scale = max(1.0, float(np.abs(line).max()))
            assert np.abs(line - outputs(layout, network, x)).max() < 1e-11 * scale
            everything = breaks(layout, network)
            assert set(places) <= set(everything)
            assert np.all(np.diff(everything) > 0)
            assert (places[0], places[-1]) == (-1.0, 1.0)


def test_no_knot_is_missed_or_invented() -> None:
    """|x - 0.3| and a pair of switches that cancel."""
    layout = Layout(1, 4)
    network = np.zeros(layout.size)
    (weights, biases), (last, _) = layout.parts(network)
    weights[0], biases[:] = (1.0, -1.0, 1.0, -1.0), (-0.3, 0.3, 0.5, -0.5)
    last[:, 0] = 1.0, 1.0, 1.0, -1.0  # relu(x + 0.5) - relu(-x - 0.5) = x + 0.5
    assert np.allclose(breaks(layout, network), [-1, -0.5, 0.3, 1])
    assert np.allclose(knots(layout, network), [-1, 0.3, 1])
    assert np.allclose(knots(layout, network, 0.4, 2.0), [0.4, 2.0])


def test_a_training_set_has_the_knots_and_points_between() -> None:
    x = training_set(np.array([-1.0, 0.0, 1.0]), 1)
    assert np.allclose(x, [-1, -0.5, 0, 0.5, 1])
    assert np.array_equal(training_set(np.array([-1.0, 1.0]), 0), [-1.0, 1.0])
