"""Constant inputs inherit their bias's shares: what of it rounding leaves, and for which units."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.test_localization import LEVELS, images
from tui_opt.kernels.localization.borders import CLEAR, border_error, clear_units, rounding_of_changes
from tui_opt.kernels.localization.network import Network, Tallies, random_network
from tui_opt.kernels.localization.pixels import sparse
from tui_opt.kernels.localization.shares import correlation, share, spread_of_forks
from tui_opt.kernels.localization.training import train

PIXELS, HIDDEN, STEPS = 30, 40, 3000


@pytest.fixture(scope="module")
def learnt() -> tuple[Tallies, list[Network]]:
    """A network whose units learn less and less, over seven orders of magnitude, with its four forks."""
    rng = np.random.default_rng(11)
    pixels, start = sparse(images(200, PIXELS), LEVELS), random_network(PIXELS, HIDDEN, rng)
    start.biases -= np.linspace(0.0, 18.0, HIDDEN)
    start.output_weights *= np.sign(start.output_weights)  # so that no unit is pulled up
    tallies, ends = Tallies.of(start, 2), []
    for fork in range(5):
        net, samples = start.copy(), rng.integers(0, 200, STEPS)
        targets = samples % 2
        train(
            net, pixels, samples, targets, targets, activation="softplus", output="linear", rate=0.01,
            tallies=None if fork else tallies,
        )  # fmt: skip
        if fork:
            ends.append(net)
    return tallies, ends


def shares_of(learnt: tuple[Tallies, list[Network]]) -> tuple[np.ndarray, ...]:
    """x and y of the constant pixel's weights and of the biases, and the change of these."""
    tallies, ends = learnt
    x, bias_x = share(*tallies.weights[:, :1]), share(*tallies.biases)
    weights, biases = np.stack([net.weights[:1] for net in ends]), np.stack([net.biases for net in ends])
    changes = spread_of_forks(biases[:2]), spread_of_forks(biases[2:])
    y = share(spread_of_forks(weights[:2]), spread_of_forks(weights[2:]))
    return x, y, bias_x, share(*changes), changes[0] + changes[1], biases, weights


def test_shares_differ_by_no_more_than_rounding_allows(learnt: tuple[Tallies, list[Network]]) -> None:
    """And that is what they differ by: without learning they would be anything."""
    x, y, bias_x, bias_y, change, biases, weights = shares_of(learnt)
    assert change.max() / change.min() > 1e7
    rounding = rounding_of_changes(biases, weights, 1 / LEVELS, STEPS)
    away = np.abs(y[0] - bias_y)
    assert np.all(away * change <= rounding)
    assert away.max() > 1e-5
    np.testing.assert_allclose(x[0], bias_x, rtol=1e-12)  # sums of sizes cancel nothing


def test_clear_units_have_the_correlation_of_the_biases_and_all_units_do_not(
    learnt: tuple[Tallies, list[Network]],
) -> None:
    x, y, bias_x, bias_y, change, biases, weights = shares_of(learnt)
    clear = clear_units(change, rounding_of_changes(biases, weights, 1 / LEVELS, STEPS))
    assert HIDDEN / 5 < clear.sum() < 3 * HIDDEN / 4
    assert border_error(x, y, bias_x, bias_y, clear) < 1e-10
    assert border_error(x, y, bias_x, bias_y, np.ones(HIDDEN, dtype=bool)) > 1e-7
    moved = bias_y.copy()
    moved[np.flatnonzero(clear)[0]] += 1e-4
    assert border_error(x, y, bias_x, moved, clear) > 1e-7


def test_the_distance_is_that_of_the_worst_pixel() -> None:
    rng = np.random.default_rng(0)
    bias_x, bias_y, noise = rng.random((3, 20))
    x, y = np.stack([bias_x, bias_x]), np.stack([bias_y, bias_y + 0.1 * noise])
    everything = np.ones(20, dtype=bool)
    worst = abs(correlation(x[1], y[1]) - correlation(bias_x, bias_y))
    assert border_error(x, y, bias_x, bias_y, everything) == pytest.approx(worst)
    assert np.isnan(border_error(x[:0], y[:0], bias_x, bias_y, everything))
    assert np.isnan(border_error(x, y, bias_x, bias_y, ~everything))
    assert clear_units(np.array([2.0, 0.5, 0.0]) * CLEAR, np.array([1.0, 1.0, 0.0])).tolist() == [
        True,
        False,
        False,
    ]
