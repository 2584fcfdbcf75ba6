"""Training of 5 x 5 networks: lanes against PyTorch, against the peak of multiply-adds, and a thousand at full length.

Peers: batched products with the backward pass by hand, and vmap of grad, on one thread. Operations are counted:
multiply-adds of forward and backward passes, 239,382 for a step of one network on 341 samples. The peak is measured by
a loop that does nothing but multiply and add in registers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tui_opt.kernels.emitted import load_module
from tui_opt.kernels.networks.batched import BatchedTrainer
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.initial import random_networks
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.lanes import LANES, Crowd, Rule, Trainer
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import outputs
from tui_opt.runner.machine import available_cores, kernel_cache

Record = dict[str, Any]

PAPER = Layout(5, 5)
PEAK_BAR, BATCHED_BAR, VMAP_BAR = 0.5, 25.0, 35.0
OUR_STEPS, BATCHED_STEPS, VMAP_STEPS = 1500, 30, 15
MODELS, BATCH = 2 * LANES, 64
CHAINS, ROUNDS, REPEATS = 12, 48, 20_000
FULL_MODELS, FULL_STEPS, FULL_SAMPLE = 1000, 50_000, 500

_PEAK = '''\
"""Multiply-adds in registers."""

import numba
import numpy as np

from tui_opt.kernels.tangents.vector_width import widest_vectors

U = np.uint64


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={{"contract"}})
def work(b, repeats, factor, term):
    widest_vectors()
    for _ in range(repeats):
        for k in range(U({lanes})):
{body}
'''


def peak_module(folder: Path) -> Any:
    """A kernel whose `work(b, repeats, factor, term)` makes CHAINS x ROUNDS multiply-adds in every lane."""
    lines = [f"a{i} = b[k + U({LANES * i})]" for i in range(CHAINS)]
    lines += [f"a{i} = a{i} * factor + term" for _ in range(ROUNDS) for i in range(CHAINS)]
    lines += [f"b[k + U({LANES * i})] = a{i}" for i in range(CHAINS)]
    body = "\n".join(" " * 12 + line for line in lines)
    return load_module(_PEAK.format(lanes=LANES, body=body), folder, "peak")


def processor_seconds(*work: Callable[[], object], rounds: int = 5) -> list[float]:
    """Least processor time of each, run in turn: all run on one thread, and others may want the core as well."""
    best = [float("inf")] * len(work)
    for _ in range(rounds):
        for k, one in enumerate(work):
            begin = time.process_time()
            one()
            best[k] = min(best[k], time.process_time() - begin)
    return best


def vmapped(layout: Layout, x: np.ndarray, y: np.ndarray) -> Any:
    """Gradients of many networks by vmap of grad, a function of [network, parameter]."""
    inputs, wanted = (torch.tensor(v[:, None], dtype=torch.float32) for v in (x, y))

    def loss(w: torch.Tensor) -> torch.Tensor:
        h = inputs
        for number, ((weights, biases), size) in enumerate(zip(layout.slices, layout.sizes, strict=True)):
            h = h @ w[weights].reshape(size) + w[biases]
            h = h if number == layout.layers else torch.relu(h)
        return (h - wanted).square().mean()

    return torch.func.vmap(torch.func.grad(loss))


def measure() -> list[Record]:
    """One core against its peak and against PyTorch, then a thousand networks on all cores."""
    folder = kernel_cache() or Path(tempfile.mkdtemp())
    network = built_network(PAPER, (1.0, -1.0, 0.0), 0.7)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    start = random_networks(PAPER, "glorot-uniform", FULL_MODELS, np.random.default_rng(0))
    trainer, peer = Trainer(PAPER, x, y, folder), BatchedTrainer(PAPER, x, y)
    peak, buffer = peak_module(folder), np.ones(LANES * CHAINS, dtype=np.float32)
    gradients = vmapped(PAPER, x, y)
    rule, adadelta = Rule("momentum", 0.01), Rule("adadelta", 1.0)
    ours, ada = (Crowd.beginning(start[:MODELS], name) for name in ("momentum", "adadelta"))
    theirs, by_vmap = (
        Crowd.beginning(start[:BATCH], "momentum"),
        torch.tensor(start[:BATCH], dtype=torch.float32),
    )

    def work_peak() -> None:
        peak.work(buffer, REPEATS, np.float32(0.999), np.float32(0.001))

    def work_vmap() -> None:
        w, v = by_vmap.clone(), torch.zeros_like(by_vmap)
        for _ in range(VMAP_STEPS):
            v = 0.9 * v - 0.01 * gradients(w)
            w = w + v

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work_peak()
        trainer.train(Crowd.beginning(start[:1], "momentum"), rule, 1)
        seconds = processor_seconds(
            work_peak,
            lambda: trainer.train(ours, rule, OUR_STEPS),
            lambda: trainer.train(ada, adadelta, OUR_STEPS),
            lambda: peer.train(theirs, rule, BATCHED_STEPS),
            work_vmap,
        )
    finally:
        torch.set_num_threads(threads)
    operations = float(PAPER.flops_per_sample * x.size)
    peak_rate = 2.0 * LANES * CHAINS * ROUNDS * REPEATS / seconds[0]
    rates = [MODELS * OUR_STEPS / seconds[1], MODELS * OUR_STEPS / seconds[2]]
    batched, by_grad = BATCH * BATCHED_STEPS / seconds[3], BATCH * VMAP_STEPS / seconds[4]
    rows: list[Record] = []
    for name, rate in zip(("momentum", "adadelta"), rates, strict=True):
        part = rate * operations / peak_rate
        rows.append(
            {
                "name": f"model-steps a second, {name}, one core", "value": rate, "unit": "1/s",
                "peer": "peak of multiply-adds", "peer_value": peak_rate / operations, "ratio": part,
                "bar": PEAK_BAR, "holds": part >= PEAK_BAR,
            }
        )  # fmt: skip
    for name, rate, bar in (
        ("PyTorch, batched products by hand", batched, BATCHED_BAR), ("PyTorch, vmap of grad", by_grad, VMAP_BAR),
    ):  # fmt: skip
        ratio = rates[0] / rate
        rows.append(
            {
                "name": "model-steps a second, momentum, one core", "value": rates[0], "unit": "1/s", "peer": name,
                "peer_value": rate, "ratio": ratio, "bar": bar, "holds": ratio >= bar,
            }
        )  # fmt: skip
    rows.append(_full(trainer, start, rule))
    return rows


def _full(trainer: Trainer, start: np.ndarray, rule: Rule) -> Record:
    """A thousand networks on all cores: a hundredth of their steps, and what all would take."""
    crowd, cores = Crowd.beginning(start, "momentum"), available_cores()
    parts = [slice(k, k + LANES) for k in range(0, FULL_MODELS, LANES)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda part: trainer.train(crowd, rule, FULL_SAMPLE, part=part), parts))
    seconds = (time.perf_counter() - begin) * FULL_STEPS / FULL_SAMPLE
    return {
        "name": f"{FULL_MODELS} networks, {FULL_STEPS} steps, {cores} cores",
        "value": seconds,
        "unit": "s",
    }
