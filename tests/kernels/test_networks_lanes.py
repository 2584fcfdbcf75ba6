"""Networks in lanes against plain steps in double precision, on layouts that compile quickly."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tui_opt.kernels.networks.batched import BatchedTrainer
from tui_opt.kernels.networks.lane_source import (
    GRADIENT_ONLY,
    buffer_size,
    samples_at_once,
    source,
)
from tui_opt.kernels.networks.lanes import LANES, Crowd, Rule, Trainer
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss, loss_and_gradient
from tui_opt.runner.machine import kernel_cache

FloatArray = NDArray[np.float64]

SMALL = Layout(2, 3)
X = np.linspace(-1, 1, 21)
Y = np.abs(X) - 0.3 * X


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(SMALL, X, Y, kernel_cache() or tmp_path_factory.mktemp("kernels"))  # one for all tests


def networks(number: int = LANES + 5, seed: int = 0) -> FloatArray:
    drawn = np.random.default_rng(seed).normal(0, 0.7, (number, SMALL.size))
    return drawn.astype(np.float32).astype(np.float64)


def plain_steps(start: FloatArray, rule: Rule, steps: int) -> FloatArray:
    """The optimizers as their papers have them, in double precision."""
    w, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t in range(1, steps + 1):
        _, g = loss_and_gradient(SMALL, w, X, Y)
        if rule.optimizer == "gd":
            w -= rule.rate * g
        elif rule.optimizer == "momentum":
            first = rule.momentum * first - rule.rate * g
            w += first
        elif rule.optimizer == "adadelta":
            first = rule.rho * first + (1 - rule.rho) * g * g
            move = g * np.sqrt((second + rule.epsilon) / (first + rule.epsilon))
            w -= rule.rate * move
            second = rule.rho * second + (1 - rule.rho) * move * move
        else:
            first = rule.beta1 * first + (1 - rule.beta1) * g
            second = rule.beta2 * second + (1 - rule.beta2) * g * g
            root = np.sqrt(second / (1 - rule.beta2**t)) + rule.epsilon
            w -= rule.rate * first / (1 - rule.beta1**t) / root
    return w


def test_loss_and_gradient_are_the_plain_ones(trainer: Trainer) -> None:
    start = networks()
    losses, gradients = trainer.loss_and_gradient(start.astype(np.float32))
    expected, slopes = loss_and_gradient(SMALL, start, X, Y)
    assert np.allclose(losses, expected, rtol=2e-6)
    error = np.linalg.norm(gradients - slopes, axis=1) / np.linalg.norm(slopes, axis=1)
    assert error.max() < 2e-6


@pytest.mark.parametrize("layout", [Layout(1, 1), Layout(1, 3), Layout(2, 1), Layout(3, 4)], ids=str)
def test_the_source_says_the_same_of_any_layout(layout: Layout) -> None:
    """Carried out by Python line by line, which takes no compiling."""
    plainly = re.sub(r"@numba.njit\(.*\)", "", source(layout)).replace("widest_vectors()", "pass")
    module: dict[str, Any] = {}
    exec(compile(plainly, "lanes", "exec"), module)
    x, y = X[::3], Y[::3]
    at_once = samples_at_once(layout)
    padded = np.zeros((3, -(-x.size // at_once) * at_once), dtype=np.float32)
    padded[:, : x.size] = x, y, np.full(x.size, 1 / x.size)
    start = np.random.default_rng(1).normal(0, 0.7, (3, layout.size)).astype(np.float32)
    gradient, losses = np.empty_like(start), np.zeros(3, dtype=np.float32)
    work = np.zeros(buffer_size(layout), dtype=np.float32)
    module["train"](
        GRADIENT_ONLY, start, gradient[None], *padded, 1, 0, np.zeros(6, dtype=np.float32), losses, work
    )
    expected, slopes = loss_and_gradient(layout, start.astype(np.float64), x, y)
    assert np.allclose(losses, expected, rtol=1e-5)
    assert np.abs(gradient - slopes).max() < 1e-5 * np.abs(slopes).max()


TWICE = """
import sys
from pathlib import Path
import numpy as np
from tui_opt.kernels.networks.lanes import Crowd, Rule, Trainer
from tui_opt.kernels.networks.layout import Layout
layout = Layout(3, 3)
trainer = Trainer(layout, np.linspace(-1, 1, 81), np.sin(5 * np.linspace(-1, 1, 81)), Path(sys.argv[1]))
start = 0.4 * np.random.default_rng(0).normal(size=(32, layout.size))
for optimizer, rate in (("gd", 0.005), ("momentum", 0.005), ("adadelta", 1.0), ("adam", 0.005)):
    crowd = Crowd.beginning(start, optimizer)
    trainer.train(crowd, Rule(optimizer, rate), 300)
    print(optimizer, crowd.networks.tobytes().hex())
"""


@pytest.mark.slow
def test_the_process_that_compiles_has_the_networks_of_those_that_come_after(
    tmp_path: Path, environment: Callable[..., dict[str, str]]
) -> None:
    env = environment(NUMBA_CACHE_DIR=str(tmp_path / "numba"))
    first, later = (
        subprocess.run(
            [sys.executable, "-c", TWICE, str(tmp_path)],
            env=env,
            check=True,
            timeout=300,
            capture_output=True,
        ).stdout
        for _ in range(2)
    )
    assert first == later
    assert len(first) > 4 * 32 * 40


RULES = [Rule("gd", 0.05), Rule("momentum", 0.02), Rule("adadelta", 1.0), Rule("adam", 0.01)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.optimizer)
def test_steps_are_the_plain_ones(trainer: Trainer, rule: Rule) -> None:
    start, steps = networks(), 60
    crowd = Crowd.beginning(start, rule.optimizer)
    trainer.train(crowd, rule, steps)
    expected = plain_steps(start, rule, steps)
    assert np.abs(expected - start).max() > 0.05
    away = np.abs(crowd.networks - expected).max(axis=1)
    assert np.median(away) < 2e-5
    losses = loss(SMALL, crowd.networks.astype(np.float64), X, Y), loss(SMALL, expected, X, Y)
    assert np.median(np.abs(losses[0] / losses[1] - 1)) < 1e-5


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.optimizer)
def test_batched_steps_are_the_plain_ones(rule: Rule) -> None:
    start, steps = networks(4), 60
    crowd = Crowd.beginning(start, rule.optimizer)
    crowd.networks, crowd.state = crowd.networks.astype(np.float64), crowd.state.astype(np.float64)  # type: ignore[assignment]
    trainer = BatchedTrainer(SMALL, X, Y, dtype=torch.float64)
    for part in (slice(1, None), slice(0, 1)):
        crowd.steps = 0
        for now in (25, steps - 25):
            losses = trainer.train(crowd, rule, now, part=part)
            crowd.steps += now
    assert np.abs(crowd.networks - plain_steps(start, rule, steps)).max() < 1e-9
    assert losses[0] == pytest.approx(loss(SMALL, plain_steps(start, rule, steps - 1)[0], X, Y), rel=1e-6)


def test_a_network_does_not_depend_on_its_neighbours_or_on_how_steps_are_cut(trainer: Trainer) -> None:
    start, rule = networks(), Rule("adam", 0.01)
    whole, parts = Crowd.beginning(start, "adam"), Crowd.beginning(start, "adam")
    trainer.train(whole, rule, 40)
    for part in (slice(7, None), slice(0, 7)):
        parts.steps = 0
        for steps in (1, 14, 25):
            trainer.train(parts, rule, steps, part=part)
            parts.steps += steps
    assert np.array_equal(parts.networks, whole.networks)
    assert np.array_equal(parts.state, whole.state)


def test_losses_are_those_before_the_last_step(trainer: Trainer) -> None:
    start = networks()
    losses = trainer.train(Crowd.beginning(start, "gd"), Rule("gd", 0.01), 1)
    assert np.allclose(losses, loss(SMALL, start, X, Y), rtol=2e-6)


def test_layers_that_are_too_wide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too wide for lanes"):
        Trainer(Layout(2, 17), X, Y, tmp_path)
