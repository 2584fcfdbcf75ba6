"""Networks that learn together in torch, on the CPU here, against the compiled kernel, one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.kernels.test_localization import LEVELS, images
from tui_opt.kernels.localization import batched
from tui_opt.kernels.localization.batched import bytes_on_device, train_together
from tui_opt.kernels.localization.courses import Course, Courses
from tui_opt.kernels.localization.crowds import Block, Crowd, Outcome
from tui_opt.kernels.localization.network import Network, Tallies, random_network
from tui_opt.kernels.localization.pixels import sparse
from tui_opt.kernels.localization.training import train

PIXELS, HIDDEN, CLASSES = 30, 11, 4
LENGTHS = (437, 500, 64, 0)
"""Of the courses: not in order, one ends with a block, one in the middle of one, and one at once."""
PARTS = ("weights", "biases", "output_weights", "output_biases")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def courses_of(*lengths: int) -> list[Course]:
    """Courses of other images each but the last two, which share theirs."""
    rng = np.random.default_rng(3)
    pixels = [sparse(images(60, PIXELS, seed=1 + i), LEVELS) for i in range(max(1, len(lengths) - 1))]
    courses = []
    for i, steps in enumerate(lengths):
        samples = rng.integers(0, 60, steps)
        targets = (samples % CLASSES >= 2).astype(np.int64)
        courses.append(Course(pixels[min(i, len(pixels) - 1)], samples, samples % CLASSES, targets))
    return courses


def networks_of(number: int, seed: int = 5) -> list[Network]:
    rng = np.random.default_rng(seed)
    return [random_network(PIXELS, HIDDEN, rng) for _ in range(number)]


def alone(
    start: Network, course: Course, activation: str, output: str, rate: float
) -> tuple[Network, Tallies, np.ndarray, float]:
    net, tallies = start.copy(), Tallies.of(start, CLASSES)
    trace = np.zeros((course.samples.size, HIDDEN + 1))
    loss = train(
        net, course.pixels, course.samples, course.classes, course.targets, activation=activation, output=output,
        rate=rate, tallies=tallies, trace=trace,
    )  # fmt: skip
    return net, tallies, trace, loss


def together(
    courses: list[Course],
    networks: list[list[Network]],
    activation: str,
    output: str,
    rates: Any,
    **more: Any,
) -> Outcome:
    return train_together(
        Courses(courses), networks, activation=activation, output=output, rates=np.asarray(rates), **more
    )


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
def test_networks_learn_together_what_they_learn_alone(activation: str, output: str) -> None:
    """Courses that differ in images and length, networks that differ in their rates: after 500 steps, to 1e-12."""
    courses, rates = courses_of(*LENGTHS), (0.02, 0.005)
    starts = [networks_of(2, seed) for seed in range(len(courses))]
    found = together(courses, starts, activation, output, rates, classes=CLASSES, traced=True)
    for i, course in enumerate(courses):
        for n, rate in enumerate(rates):
            net, tallies, trace, loss = alone(starts[i][n], course, activation, output, rate)
            got = found.networks[i][n]
            for part in PARTS:
                np.testing.assert_allclose(getattr(got, part), getattr(net, part), rtol=0, atol=1e-12)
            if course.samples.size == 500 and n == 0:
                assert np.abs(got.weights - starts[i][n].weights).max() > 0.01
            counted = found.tallies[i][n]
            np.testing.assert_allclose(counted.weights, tallies.weights, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(counted.biases, tallies.biases, rtol=1e-11, atol=1e-12)
            assert (counted.loss, counted.samples) == (
                pytest.approx(tallies.loss, rel=1e-12),
                tallies.samples,
            )
            assert found.losses[i, n] == pytest.approx(loss, rel=1e-12)
            np.testing.assert_allclose(found.traces[i][n], trace, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "output"), [("relu", "linear"), ("softplus", "softmax"), ("silu", "relu")]
)
def test_networks_that_diverge_do_so_alone(activation: str, output: str) -> None:
    """One that overflows is not finite where it is not when it learns alone, and leaves its neighbours as they are."""
    courses, rates = courses_of(200), (60.0, 0.01)
    starts = networks_of(2)
    found = together(courses, [starts], activation, output, rates, classes=CLASSES)
    finite = [alone(starts[n], courses[0], activation, output, rates[n]) for n in range(2)]
    for n, (net, tallies, _, loss) in enumerate(finite):
        got = found.networks[0][n]
        assert got.is_sound == net.is_sound
        assert np.isfinite(found.losses[0, n]) == np.isfinite(loss)
        counted = found.tallies[0][n]
        assert np.array_equal(np.isfinite(counted.biases), np.isfinite(tallies.biases))
        assert np.array_equal(np.isfinite(counted.weights), np.isfinite(tallies.weights))
    np.testing.assert_allclose(found.networks[0][1].weights, finite[1][0].weights, rtol=0, atol=1e-12)
    if activation == "relu":
        assert not finite[0][0].is_sound


def test_units_that_never_answer_have_no_share_together_either() -> None:
    """A dead unit's tallies are zero, and two forks leave its weights equal to the bit."""
    courses, start = courses_of(150, 130), networks_of(1)[0]
    start.biases[3] = -50.0
    ends = together(courses, [[start]] * 2, "relu", "linear", [0.01], classes=CLASSES)
    for i in range(2):
        assert not ends.tallies[i][0].weights[..., 3].any()
        assert ends.tallies[i][0].weights[..., 4].any()
        assert np.array_equal(ends.networks[i][0].weights[:, 3], start.weights[:, 3])
    assert not np.array_equal(ends.networks[0][0].weights[:, 4], ends.networks[1][0].weights[:, 4])


def test_every_step_is_reported_and_a_check_that_raises_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    courses, told = courses_of(300, 200), []
    nets = networks_of(3)
    together(courses, [nets] * 2, "relu", "linear", [0.01] * 3, report=told.append)
    assert sum(told) == 3 * 500
    monkeypatch.setattr(batched, "LOOK", 0.0)  # looks after every block
    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 4:
            raise Stopped

    before = [getattr(nets[0], part).copy() for part in PARTS]
    told.clear()
    with pytest.raises(Stopped):
        together(courses, [nets] * 2, "relu", "linear", [0.01] * 3, check=check, report=told.append)
    assert 0 < sum(told) < 3 * 500
    for part, old in zip(PARTS, before, strict=True):
        assert np.array_equal(getattr(nets[0], part), old)


def test_what_does_not_fit_together_is_refused() -> None:
    courses = courses_of(10, 10)
    with pytest.raises(ValueError, match="as many networks as there are learning rates"):
        together(courses, [networks_of(2)] * 2, "relu", "linear", [0.1])
    with pytest.raises(ValueError, match="as many networks"):
        together(courses, [networks_of(1)], "relu", "linear", [0.1])
    with pytest.raises(ValueError, match="images of one size"):
        Courses([])
    assert bytes_on_device(4, 784, 100, 2) == 4 * bytes_on_device(1, 784, 100, 2)


def block_on(device: str) -> tuple[Block, Crowd]:
    courses = Courses(courses_of(100))
    crowd = Crowd(courses, [networks_of(2)], "relu", "linear", np.array([0.1, 0.1]), 0, False)
    block = Block(courses, crowd, 1, 64)
    courses.device = SimpleNamespace(type=device)  # type: ignore[assignment]
    return block, crowd


def test_a_device_that_cannot_record_launches_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    block, crowd = block_on("cuda")
    before, said = crowd.output_weights.clone(), []
    assert batched._recorded(block, said.append) == block.steps
    assert "not permitted when stream is capturing); each step is launched by itself" in said[0]
    assert torch.equal(crowd.output_weights, before)


def test_recording_leaves_the_networks_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that are taken to prepare a recording, and while it is made, do not count."""

    class Stream:
        def __init__(self, *_: Any) -> None: ...

        def wait_stream(self, other: Any) -> None: ...

    class Graph:
        def replay(self) -> None:
            block.steps()

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda _: contextlib.nullcontext())
    block, crowd = block_on("cuda")
    before = crowd.output_weights.clone()
    replay = batched._recorded(block, lambda text: pytest.fail(text))
    assert torch.equal(crowd.output_weights, before)
    block.begin(0)
    replay()
    assert not torch.equal(crowd.output_weights, before)
    recorded = crowd.output_weights.clone()
    other, fresh = block_on("cpu")
    other.begin(0)
    other.steps()
    assert torch.equal(fresh.output_weights, recorded)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")
def test_on_a_gpu_they_learn_the_same() -> None:
    courses, starts = courses_of(*LENGTHS), networks_of(2)
    found = train_together(
        Courses(courses, "cuda:0"), [starts] * len(courses), activation="relu", output="linear",
        rates=np.array([0.02, 0.005]), classes=CLASSES, say=lambda text: pytest.fail(text),
    )  # fmt: skip
    for i, course in enumerate(courses):
        for n, rate in enumerate((0.02, 0.005)):
            net, tallies, _, _ = alone(starts[n], course, "relu", "linear", rate)
            for part in PARTS:
                np.testing.assert_allclose(
                    getattr(found.networks[i][n], part), getattr(net, part), rtol=0, atol=1e-12
                )
            np.testing.assert_allclose(found.tallies[i][n].weights, tallies.weights, rtol=1e-11, atol=1e-12)
