"""The OCR experiment on MNIST: phase one with its tallies and four forks, one network and thirty-two.

What a GPU is for is measured on one where there is one, and on one core of the processor elsewhere: many networks and
all forks together, in blocks of steps, against steps of all of them at once.

Peers: the same in PyTorch, forward and backward by hand over all forks at once, and by vmap of grad; a dense loop in
NumPy. They are given some hundred steps, and a step costs the same all along: what the whole would take is said. Where
MNIST is not there, images of the same size with as many drawn pixels take its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from tui_opt.datasets import Dataset, load
from tui_opt.errors import DataError
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.one_seed import Setting, one_seed
from tui_opt.experiments.ocr_localization.together import course
from tui_opt.kernels.localization.batched import train_together, unusable
from tui_opt.kernels.localization.courses import Courses
from tui_opt.kernels.localization.network import random_network

Record = dict[str, Any]

RATE, HIDDEN, NETWORKS = 0.01, 100, 32
MANUAL_BAR, VMAP_BAR, WHOLE_BAR, MANY_BAR = 15.0, 40.0, 1.0, 12.0
FORKS = 4
TORCH_STEPS, VMAP_STEPS, NUMPY_STEPS = 300, 40, 300
COPIES, TOGETHER_STEPS = 16, 128


def dataset() -> tuple[Dataset, str]:
    """MNIST, or images that cost as much to learn."""
    try:
        return load("mnist"), "MNIST"
    except DataError:
        rng = np.random.default_rng(0)
        images = np.zeros((60_000, 784), dtype=np.uint8)
        for image in images:
            image[rng.choice(784, 105, replace=False)] = rng.integers(1, 256, 105)
        labels = rng.integers(0, 10, 60_000).astype(np.uint8)
        return Dataset("mnist", images, labels, side=28, levels=256, sha256=""), "images like MNIST's"


def whole_experiment(lesson: Lesson, number: int) -> None:
    """Everything for one network that learns, as localize does it; its control without learning has no peer."""
    setting = Setting("relu", "linear", RATE, "second-half")
    rngs = np.random.default_rng(number), np.random.default_rng(1000 + number)
    one_seed(lesson, setting, HIDDEN, *rngs, lambda: None)


def manual_steps(lesson: Lesson, steps: int, copies: int = 1, device: str = "cpu") -> float:
    """Seconds a step of all forks at once, in PyTorch by hand, of so many networks."""
    x, y, net = _batch(lesson, copies, device)
    w, b, v, c = net
    with torch.no_grad():
        begin = time.perf_counter()
        for t in range(steps):
            inputs, wanted = x[:, t], y[:, t]
            z = torch.baddbmm(b[:, :, None], w, inputs[:, :, None])
            h = torch.relu(z)
            error = torch.baddbmm(c[:, :, None], v, h) - wanted[:, :, None]
            back = torch.bmm(v.transpose(1, 2), error) * (z > 0)
            v.baddbmm_(error, h.transpose(1, 2), alpha=-RATE)
            c.add_(error[:, :, 0], alpha=-RATE)
            w.baddbmm_(back, inputs[:, None, :], alpha=-RATE)
            b.add_(back[:, :, 0], alpha=-RATE)
        if device != "cpu":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / steps


def together_steps(lesson: Lesson, steps: int, device: str) -> float:
    """Seconds a step of all forks of `COPIES` networks, in blocks, the networks' way there and back included."""
    courses = Courses([course(lesson, fork.part(0, steps)) for fork in lesson.forks], device)
    networks = [random_network(784, HIDDEN, np.random.default_rng(number)) for number in range(COPIES)]
    rates = np.full(COPIES, RATE)
    begin = time.perf_counter()
    train_together(courses, [networks] * FORKS, activation="relu", output="linear", rates=rates)
    return (time.perf_counter() - begin) / steps


def vmap_steps(lesson: Lesson, steps: int) -> float:
    """Seconds a step of all forks at once, by vmap of grad."""
    x, y, net = _batch(lesson)

    def loss(net: tuple[Any, ...], inputs: Any, wanted: Any) -> Any:
        w, b, v, c = net
        return 0.5 * ((v @ torch.relu(w @ inputs + b) + c - wanted) ** 2).sum()

    gradient = torch.func.vmap(torch.func.grad(loss))
    begin = time.perf_counter()
    for t in range(steps):
        slopes = gradient(net, x[:, t], y[:, t])
        net = tuple(part - RATE * slope for part, slope in zip(net, slopes, strict=True))
    return (time.perf_counter() - begin) / steps


def numpy_steps(lesson: Lesson, steps: int) -> float:
    """Seconds a step of one fork, dense in NumPy."""
    sequence = lesson.forks[0].part(0, steps)
    x, y = lesson.inputs(sequence), np.eye(2)[sequence.targets]
    net = random_network(784, HIDDEN, np.random.default_rng(0))
    w = net.weights.T.copy()
    begin = time.perf_counter()
    for row, wanted in zip(x, y, strict=True):
        z = w @ row + net.biases
        h = np.maximum(z, 0)
        error = net.output_weights @ h + net.output_biases - wanted
        back = (net.output_weights.T @ error) * (z > 0)
        net.output_weights -= RATE * np.outer(error, h)
        net.output_biases -= RATE * error
        w -= RATE * np.outer(back, row)
        net.biases -= RATE * back
    return (time.perf_counter() - begin) / steps


def _batch(lesson: Lesson, copies: int = 1, device: str = "cpu") -> tuple[Any, Any, tuple[Any, ...]]:
    """Inputs and targets of the forks' first steps, [fork and copy, step, …], and their networks; single precision."""
    sequences = [sequence.part(0, TORCH_STEPS) for sequence in lesson.forks]
    x = torch.tensor(np.stack([lesson.inputs(s) for s in sequences]), dtype=torch.float32, device=device)
    y = torch.tensor(np.stack([np.eye(2)[s.targets] for s in sequences]), dtype=torch.float32, device=device)
    net = random_network(784, HIDDEN, np.random.default_rng(0))
    parts = (net.weights.T, net.biases, net.output_weights, net.output_biases)
    stacked = tuple(
        torch.tensor(np.stack([part] * (FORKS * copies)), dtype=torch.float32, device=device)
        for part in parts
    )
    return x.repeat_interleave(copies, 0), y.repeat_interleave(copies, 0), stacked


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _together(lesson: Lesson) -> list[Record]:
    """Many networks together in blocks of steps, against dense steps."""
    device = "cpu" if unusable("cuda:0") else "cuda:0"
    steps = TOGETHER_STEPS if device == "cpu" else lesson.forks[0].samples.size
    blocks, dense = np.inf, np.inf
    for _ in range(3):
        blocks = min(blocks, together_steps(lesson, steps, device))
        dense = min(dense, manual_steps(lesson, TORCH_STEPS if device != "cpu" else 40, COPIES, device))
    return [
        {
            "name": f"a step of {COPIES * FORKS} networks together, {device}, float64",
            "value": blocks,
            "unit": "s",
            "peer": "PyTorch, dense steps, float32",
            "peer_value": dense,
            "ratio": dense / blocks,
        }
    ]


def measure() -> list[Record]:
    """One core against PyTorch on one, then thirty-two networks on all."""
    data, source = dataset()
    lesson = Lesson(data, (1, 7, 6, 8), 2, 12_000, 1)
    steps = lesson.phase_one.samples.size + max(f.samples.size for f in lesson.forks)
    one_fork = lesson.phase_one.samples.size + sum(f.samples.size for f in lesson.forks)
    whole_experiment(lesson, 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours, manual, vmapped, dense = (np.inf,) * 4
        for round_ in range(3):
            ours = min(ours, _seconds(lambda number=round_: whole_experiment(lesson, number)))
            manual = min(manual, manual_steps(lesson, TORCH_STEPS) * steps)
            vmapped = min(vmapped, vmap_steps(lesson, VMAP_STEPS) * steps)
            dense = min(dense, numpy_steps(lesson, NUMPY_STEPS) * one_fork)
        rows = _together(lesson)
    finally:
        torch.set_num_threads(threads)
    from tui_opt.runner.machine import available_cores

    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:
        many = _seconds(lambda: list(pool.map(lambda n: whole_experiment(lesson, n), range(NETWORKS))))
    rows += [
        {
            "name": f"one network, one core, {source}",
            "value": ours,
            "unit": "s",
            "bar": WHOLE_BAR,
            "holds": ours < WHOLE_BAR,
        }
    ]
    for peer, seconds, bar in (
        ("PyTorch, forks batched by hand", manual, MANUAL_BAR),
        ("PyTorch, vmap of grad", vmapped, VMAP_BAR),
        ("NumPy, dense", dense, None),
    ):
        row: Record = {"name": "one network", "value": ours, "unit": "s", "peer": peer, "peer_value": seconds}
        row |= {"ratio": seconds / ours}
        rows.append(row if bar is None else row | {"bar": bar, "holds": seconds / ours >= bar})
    rows.append(
        {
            "name": f"{NETWORKS} networks on {cores} cores",
            "value": many,
            "unit": "s",
            "bar": MANY_BAR,
            "holds": many < MANY_BAR,
        }
    )
    return rows
