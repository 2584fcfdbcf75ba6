"""Training with tallies against its plain form, and shares and correlations against closed forms."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from tui_opt.kernels.localization import pixels as pixels_of
from tui_opt.kernels.localization import shares, training
from tui_opt.kernels.localization.network import LEAK, Network, Tallies, random_network
from tui_opt.kernels.localization.pixels import among, dense, sparse
from tui_opt.kernels.localization.training import train

LEVELS = 17
FloatArray = NDArray[np.float64]


def images(number: int, pixels: int, seed: int = 1) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(1, LEVELS, (number, pixels)) * (rng.random((number, pixels)) < 0.3)
    drawn[:, 0] = 0  # a pixel that is never drawn on
    return drawn.astype(np.uint8)


def plain_function(kind: str, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """f(z) and f'(z)."""
    if kind == "softplus":
        return np.logaddexp(0, z), special.expit(z)
    if kind == "relu":
        return np.maximum(z, 0), (z > 0).astype(float)
    if kind == "leaky-relu":
        return np.where(z > 0, z, LEAK * z), np.where(z > 0, 1, LEAK)
    if kind == "sigmoid":
        return special.expit(z), special.expit(z) * special.expit(-z)
    if kind == "tanh":
        return np.tanh(z), 1 - np.tanh(z) ** 2
    if kind == "silu":
        s = special.expit(z)
        return z * s, s + z * s * (1 - s)
    return z, np.ones_like(z)


def plain(
    network: Network, x: FloatArray, classes: NDArray[np.int64], targets: NDArray[np.int64], activation: str,
    output: str, rate: float, number: int,
) -> tuple[Network, Tallies, float]:  # fmt: skip
    """One dense step after the other, as one writes it down."""
    net, tallies, loss = network.copy(), Tallies.of(network, number), 0.0
    for row, of_class, target in zip(x, classes, targets, strict=True):
        z = row @ net.weights + net.biases
        h, slope = plain_function(activation, z)
        o = net.output_weights @ h + net.output_biases
        wanted = np.eye(2)[target]
        if output == "softmax":
            p = special.softmax(o)
            loss -= np.log(p[target])
            error = p - wanted
        else:
            value, out_slope = plain_function(output, o)
            loss += 0.5 * np.sum((value - wanted) ** 2)
            error = (value - wanted) * out_slope
        back = (net.output_weights.T @ error) * slope
        net.output_weights -= rate * np.outer(error, h)
        net.output_biases -= rate * error
        net.weights -= rate * np.outer(row, back)
        net.biases -= rate * back
        tallies.weights[of_class] += np.abs(rate * np.outer(row, back))
        tallies.biases[of_class] += np.abs(rate * back)
    return net, tallies, loss / len(x)


@pytest.mark.parametrize(
    ("activation", "output"),
    [
        ("softplus", "linear"),
        ("relu", "linear"),
        ("leaky-relu", "relu"),
        ("sigmoid", "sigmoid"),
        ("tanh", "softplus"),
        ("silu", "softmax"),
    ],
)
def test_sparse_steps_are_the_dense_ones(
    activation: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE", 20_000)  # many slices, and the carried parts are put back twice
    monkeypatch.setattr(training, "LOOK", 1e-5)
    monkeypatch.setattr(training, "FOLD", 200)
    rng = np.random.default_rng(3)
    pictures, steps = images(60, 30), 500
    samples = rng.integers(0, 60, steps)
    classes, targets = samples % 4, (samples % 4 >= 2).astype(np.int64)
    start = random_network(30, 11, rng)
    net, tallies = start.copy(), Tallies.of(start, 4)
    loss = train(
        net, sparse(pictures, LEVELS), samples, classes, targets, activation=activation, output=output, rate=0.02,
        tallies=tallies,
    )  # fmt: skip
    x = dense(pictures, LEVELS)[samples]
    expected, counted, mean = plain(start, x, classes, targets, activation, output, 0.02, 4)
    assert np.abs(net.weights - start.weights).max() > 0.01
    for name in ("weights", "biases", "output_weights", "output_biases"):
        assert np.abs(getattr(net, name) - getattr(expected, name)).max() < 1e-12
    assert np.abs(tallies.weights - counted.weights).max() < 1e-12
    assert np.abs(tallies.biases - counted.biases).max() < 1e-12
    assert (tallies.loss / tallies.samples, loss) == pytest.approx((mean, mean), rel=1e-12)
    uncounted = start.copy()
    train(
        uncounted,
        sparse(pictures, LEVELS),
        samples,
        classes,
        targets,
        activation=activation,
        output=output,
        rate=0.02,
    )
    assert np.array_equal(uncounted.weights, net.weights)


def test_slices_change_nothing_and_are_looks_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the steps are cut, the result is the same to the bit; and the cuts add up."""
    rng = np.random.default_rng(4)
    pixels, samples = sparse(images(60, 30), LEVELS), rng.integers(0, 60, 400)
    targets, start, ends = samples % 2, random_network(30, 11, rng), []
    for slice_, look in ((training.SLICE, 1.0), (1, 1e-9), (5000, 1e-4)):
        monkeypatch.setattr(training, "SLICE", slice_)
        monkeypatch.setattr(training, "LOOK", look)
        net, told, looks = start.copy(), [], []
        train(
            net, pixels, samples, targets, targets, activation="relu", output="linear", rate=0.02,
            check=lambda looks=looks: looks.append(1), report=told.append,
        )  # fmt: skip
        assert sum(told) == 400
        assert len(looks) == len(told)
        ends.append((net, told))
    assert ends[0][1] == [400]
    assert ends[1][1] == [1] * 400
    for net, _ in ends[1:]:
        assert np.array_equal(net.weights, ends[0][0].weights)


def test_images_among_others_keep_their_numbers() -> None:
    pictures = images(20, 12)
    chosen = np.arange(20) % 3 == 1
    pixels, whole = among(sparse(pictures[chosen], LEVELS), chosen), sparse(pictures, LEVELS)
    for number in range(20):
        part = slice(pixels.starts[number], pixels.starts[number + 1])
        if not chosen[number]:
            assert (part.start, pixels.sums[number]) == (part.stop, 0)
            continue
        same = slice(whole.starts[number], whole.starts[number + 1])
        assert np.array_equal(pixels.columns[part], whole.columns[same])
        assert np.array_equal(pixels.values[part], whole.values[same])
        assert pixels.sums[number] == whole.sums[number]
    rebuilt = np.full((20, 12), whole.constant)
    rebuilt[np.repeat(np.arange(20), np.diff(whole.starts)), whole.columns] += whole.values
    np.testing.assert_allclose(rebuilt, dense(pictures, LEVELS), rtol=1e-15)


def test_gradients_are_those_of_the_loss() -> None:
    """A step's change against central differences of the loss, for a smooth activation behind a softmax."""
    rng = np.random.default_rng(5)
    pictures = images(1, 6)
    start, zero, one = random_network(6, 3, rng), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)

    def loss(net: Network) -> float:
        options = {"activation": "silu", "output": "softmax"}
        return train(net.copy(), sparse(pictures, LEVELS), zero, zero, one, rate=1e-3, **options)

    stepped = start.copy()
    train(stepped, sparse(pictures, LEVELS), zero, zero, one, activation="silu", output="softmax", rate=1e-3)
    for name in ("weights", "biases", "output_weights", "output_biases"):
        part = getattr(start, name)
        for place in np.ndindex(part.shape):
            ends = []
            for h in (1e-5, -1e-5):
                moved = start.copy()
                getattr(moved, name)[place] += h
                ends.append(loss(moved))
            slope = (ends[0] - ends[1]) / 2e-5
            assert (part[place] - getattr(stepped, name)[place]) / 1e-3 == pytest.approx(slope, abs=1e-8)


def test_weights_of_a_constant_input_have_the_shares_of_the_bias() -> None:
    """A constant input's weights take 1/L of every update of the bias, in tallies and forks alike."""
    rng = np.random.default_rng(7)
    pictures = images(200, 20)
    pixels, start = sparse(pictures, LEVELS), random_network(20, 9, rng)
    samples = np.arange(200)
    classes = samples % 2
    tallies, ends = Tallies.of(start, 2), []
    for options in ({"tallies": tallies}, {}):
        net = start.copy()
        order = samples if options else samples[::-1].copy()
        of = classes[order]
        train(net, pixels, order, of, of, activation="relu", output="linear", rate=0.01, **options)
        ends.append(net)
    assert np.allclose(tallies.weights[:, 0], tallies.biases / LEVELS, rtol=1e-12)
    change = ends[0].weights[0] - ends[1].weights[0], ends[0].biases - ends[1].biases
    assert np.abs(change[0] - change[1] / LEVELS).max() < 1e-14
    assert np.abs(change[1]).max() > 1e-6


def test_a_network_has_the_variances_of_he() -> None:
    net = random_network(400, 300, np.random.default_rng(0))
    assert net.weights.var() == pytest.approx(2 / 400, rel=0.02)
    assert net.biases.var() == pytest.approx(2 / 400, rel=0.3)
    assert net.output_weights.var() == pytest.approx(2 / 300, rel=0.2)
    assert net.is_sound


@pytest.mark.parametrize("looked_at", [1, 170, 10**6])
def test_images_without_zeros_are_the_images_however_many_are_taken_at_a_time(
    looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels_of, "LOOKED_AT", looked_at)
    pictures, looks = images(23, 17), []
    pictures[4] = 0
    found = sparse(pictures, LEVELS, lambda: looks.append(1))
    whole = np.zeros((23, 17))
    whole[np.repeat(np.arange(23), np.diff(found.starts)), found.columns] = found.values
    assert np.array_equal(whole, pictures / LEVELS)
    assert np.array_equal(found.sums, pictures.sum(axis=1, dtype=int) / LEVELS)
    assert (found.columns.dtype, found.starts[-1]) == (np.int32, np.count_nonzero(pictures))
    assert len(looks) == {1: 46, 170: 6, 10**6: 2}[looked_at]
    assert sparse(pictures[:0], LEVELS).starts.tolist() == [0]


# --- shares and correlations ----------------------------------------------------------------------------------


def test_shares_and_what_is_not_one() -> None:
    a, b = np.array([1.0, 0.0, 0.0, np.inf]), np.array([3.0, 2.0, 0.0, 1.0])
    assert np.array_equal(shares.share(a, b), [0.25, 0.0, np.nan, np.nan], equal_nan=True)
    forks = np.array([[1.0], [4.0], [2.0]])
    assert shares.spread_of_forks(forks)[0] == pytest.approx((3 + 1 + 2) / 3)
    assert shares.spread_of_forks(forks[:1])[0] == 0


def test_correlations_are_pearsons_of_the_pairs_that_exist() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 5, 40))
    x[1, 3] = np.nan
    both = np.isfinite(x)
    assert shares.correlation(x.ravel(), y.ravel()) == pytest.approx(
        np.corrcoef(x[both], y[both])[0, 1], abs=1e-14
    )
    by_row = shares.correlation_along(x, y)
    for i in range(5):
        expected = np.corrcoef(x[i][both[i]], y[i][both[i]])[0, 1]
        assert by_row[i] == pytest.approx(expected, abs=1e-14)
    inside = shares.within(x, y)
    assert np.nanmax(np.abs(np.nanmean(inside[0], axis=1))) < 1e-15
    assert np.isnan(inside[1][1, 3])
    assert np.isnan(shares.correlation(np.ones(5), np.arange(5.0)))
    assert np.isnan(shares.correlation(np.array([1.0, np.nan]), np.array([1.0, 2.0])))


def test_the_law_under_permuted_units_is_that_of_all_permutations() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 7, 4)) + rng.normal(size=(7, 1))
    every = [shares.correlation(x[:, list(p)].ravel(), y.ravel()) for p in permutations(range(4))]
    mean, sd = shares.under_unit_permutations(x, y, rng)
    assert mean == pytest.approx(np.mean(every), abs=1e-14)
    assert sd == pytest.approx(np.std(every), abs=1e-14)
    x[2, 1] = np.nan
    drawn_mean, drawn_sd = shares.under_unit_permutations(x, y, rng)
    assert drawn_mean == pytest.approx(mean, abs=0.2)
    assert drawn_sd == pytest.approx(sd, rel=0.6)


def test_permutations_that_are_drawn_give_the_correlations_of_what_is_left() -> None:
    """Sums over units against the correlation itself, with single shares and whole units missing."""
    x, y = 0.5 + 1e-3 * np.random.default_rng(6).normal(size=(2, 40, 9))
    x[3, 2] = y[7, 7] = np.nan
    x[:, 4] = y[:, 5] = np.nan
    mean, sd = shares.under_unit_permutations(x, y, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    drawn = [
        shares.correlation(x[:, rng.permutation(9)].ravel(), y.ravel()) for _ in range(shares.PERMUTATIONS)
    ]
    assert mean == pytest.approx(np.mean(drawn), abs=1e-11)
    assert sd == pytest.approx(np.std(drawn, ddof=1), abs=1e-11)
    x[:] = np.nan
    assert np.isnan(shares.under_unit_permutations(x, y, rng)).all()
    assert np.isnan(shares.under_unit_permutations(y[:, :1], y[:, 1:2], rng)).all()


def test_shares_of_the_data_alone() -> None:
    sums = np.array([[1, 2], [3, 2], [4, 4], [0, 8]])
    assert np.allclose(shares.shares_of_data(sums, 2), [4 / 8, 4 / 16])
    assert np.allclose(shares.contrast_of_data(sums, np.ones(4, int), 2), [2 / 6, 0.0])
    # Means 1/2 and 1/3 of the first group, 1/6, 1/2 and 0 of the other: 1/6 against (1/3 + 1/6 + 1/2) / 3.
    sums, counts = np.array([[1], [2], [7], [3], [0]]), np.array([2, 6, 42, 6, 1])
    assert np.allclose(shares.contrast_of_data(sums, counts, 2), (1 / 6) / (1 / 6 + 1 / 3))


def test_equal_means_of_the_data_have_no_share_whatever_the_counts() -> None:
    """0.1 summed 3 and 7 times over differs in the last bit: found by way of means, 0/0 would be anything."""
    sums, counts = np.array([[3, 3], [7, 7], [11, 11], [13, 0]]), np.array([30, 70, 110, 130])
    assert np.isnan(shares.contrast_of_data(sums, counts, 2)[0])
    assert shares.contrast_of_data(sums, counts, 2)[1] == 0.0


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 7e12])
def test_what_varies_by_its_rounding_alone_has_no_correlation(value: float) -> None:
    same = np.full(51, value)
    same[::2] = np.nextafter(value, np.inf)
    rising = np.arange(51.0)
    for x in (np.full(51, value), same):
        assert np.isnan(shares.correlation(x, rising))
        assert np.isnan(shares.correlation_along(x[None], rising[None]))[0]
        assert not shares.within(x[None], rising[None])[0].any()
    assert shares.correlation(value * (1 + 1e-12 * rising), rising) == pytest.approx(1.0, abs=1e-2)
