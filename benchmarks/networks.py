"""5 x 5 networks: lanes against PyTorch and the peak of multiply-adds; a thousand at full length; Hessians; paths.

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
from threadpoolctl import threadpool_limits

from tui_opt.kernels.emitted import load_module
from tui_opt.kernels.networks.batched import BatchedTrainer
from tui_opt.kernels.networks.certificate import certify
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.hessians import hessian
from tui_opt.kernels.networks.initial import random_networks
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.lanes import LANES, Crowd, Rule, Trainer
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.matching import matched_nodes
from tui_opt.kernels.networks.paths import minimax, pulled
from tui_opt.kernels.networks.plain import loss, outputs
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.runner.machine import available_cores, kernel_cache

Record = dict[str, Any]

PAPER = Layout(5, 5)
PEAK_BAR, BATCHED_BAR, VMAP_BAR = 0.5, 25.0, 35.0
OUR_STEPS, BATCHED_STEPS, VMAP_STEPS = 1500, 30, 15
MODELS, BATCH = 2 * LANES, 64
CHAINS, ROUNDS, REPEATS = 12, 48, 20_000
FULL_MODELS, FULL_STEPS, FULL_SAMPLE = 1000, 50_000, 500
SOME_STEPS = 5000
TORCH_HESSIANS, SPECTRA_BAR = 8, 60.0
PATHS, GROUP, PATHS_BAR = 16, 4, 60.0

_PEAK = '''\
"""Multiply-adds in registers."""

import numba
import numpy as np

from tui_opt.kernels.vector_width import widest_vectors

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


def vmapped(x: np.ndarray, y: np.ndarray) -> Any:
    """Gradients of many networks by vmap of grad, a function of [network, parameter]."""
    inputs, wanted = (torch.tensor(v[:, None], dtype=torch.float32) for v in (x, y))

    return torch.func.vmap(torch.func.grad(lambda w: (_answers(w, inputs) - wanted).square().mean()))


def _answers(w: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Outputs of one network, [sample, 1]."""
    h = inputs
    for number, ((weights, biases), size) in enumerate(zip(PAPER.slices, PAPER.sizes, strict=True)):
        h = h @ w[weights].reshape(size) + w[biases]
        h = h if number == PAPER.layers else torch.relu(h)
    return h


def measure() -> list[Record]:
    """One core against its peak and against PyTorch, then a thousand networks on all cores."""
    folder = kernel_cache() or Path(tempfile.mkdtemp())
    network = built_network(PAPER, (1.0, -1.0, 0.0), 0.7)
    x = training_set(knots(PAPER, network), 9)
    y = outputs(PAPER, network, x)
    start = random_networks(PAPER, "glorot-uniform", FULL_MODELS, np.random.default_rng(0))
    trainer, peer = Trainer(PAPER, x, y, folder), BatchedTrainer(PAPER, x, y)
    peak, buffer = peak_module(folder), np.ones(LANES * CHAINS, dtype=np.float32)
    gradients = vmapped(x, y)
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
    minima = _minima(trainer, start)
    rows.append(_spectra(minima, x, y))
    rows.append(_paths(trainer, network, minima[:PATHS], x, y))
    return rows


def _full(trainer: Trainer, start: np.ndarray, rule: Rule) -> Record:
    """A thousand networks on all cores: a hundredth of their steps, and what all would take."""
    crowd = Crowd.beginning(start, "momentum")
    seconds = _on_all_cores(lambda part: trainer.train(crowd, rule, FULL_SAMPLE, part=part))
    seconds *= FULL_STEPS / FULL_SAMPLE
    return {
        "name": f"{FULL_MODELS} networks, {FULL_STEPS} steps, {available_cores()} cores",
        "value": seconds,
        "unit": "s",
    }


def _minima(trainer: Trainer, start: np.ndarray) -> np.ndarray:
    """A thousand networks after some training, of the smallest norm."""
    crowd = Crowd.beginning(start, "momentum")
    _on_all_cores(lambda part: trainer.train(crowd, Rule("momentum", 0.01), SOME_STEPS, part=part))
    return smallest(PAPER, crowd.networks.astype(np.float64))


def _on_all_cores(work: Callable[[slice], object], models: int = FULL_MODELS, at_once: int = LANES) -> float:
    """Seconds of `work` on parts of the networks, on all cores."""
    parts = [slice(k, min(k + at_once, models)) for k in range(0, models, at_once)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(work, parts))
    return time.perf_counter() - begin


def _spectra(networks: np.ndarray, x: np.ndarray, y: np.ndarray) -> Record:
    """Exact Hessians and all their eigenvalues, against PyTorch's vmap of its own Hessian on one core each."""

    def spectra(part: slice) -> None:
        for one in networks[part]:
            np.linalg.eigvalsh(hessian(PAPER, one, x, y))

    inputs, wanted = (torch.tensor(v[:, None]) for v in (x, y))

    def squared(w: torch.Tensor) -> torch.Tensor:
        return (_answers(w, inputs) - wanted).square().mean()

    by_torch = torch.func.vmap(torch.func.hessian(squared), chunk_size=4)
    few = torch.tensor(networks[:TORCH_HESSIANS])
    with threadpool_limits(1):
        seconds = _on_all_cores(spectra)
        peer, ours = processor_seconds(
            lambda: by_torch(few),
            lambda: [hessian(PAPER, one, x, y) for one in networks[:TORCH_HESSIANS]],
            rounds=3,
        )
    return {
        "name": f"{FULL_MODELS} Hessians and their spectra, {available_cores()} cores",
        "value": seconds, "unit": "s", "bar": SPECTRA_BAR, "holds": seconds < SPECTRA_BAR,
        "peer": "PyTorch, vmap of hessian, one core, Hessians alone", "peer_value": peer * FULL_MODELS / TORCH_HESSIANS,
        "ratio": peer / ours,
    }  # fmt: skip


def _paths(trainer: Trainer, network: np.ndarray, minima: np.ndarray, x: np.ndarray, y: np.ndarray) -> Record:
    """Paths from one start, moved and certified as the experiment does it by default."""
    built = smallest(PAPER, network[None])[0]
    ends = matched_nodes(PAPER, minima, built, np.random.default_rng(0), 20).astype(np.float32)
    gaps: list[float] = []

    def move(part: slice) -> None:
        begun = pulled(
            ends[part], np.broadcast_to(built.astype(np.float32), ends[part].shape), trainer.loss_and_gradient
        )
        paths = minimax(
            np.ascontiguousarray(begun[:, ::-1]), trainer.loss_and_gradient, np.random.default_rng(part.start)
        )
        for path in paths.astype(np.float64):
            found = certify(PAPER, path, x, y)
            gaps.append(found.bound / float(loss(PAPER, path, x, y).max()))

    certify(PAPER, np.stack([built, minima[0]]), x, y)
    seconds = _on_all_cores(move, len(ends), GROUP)
    return {
        "name": f"{len(ends)} certified paths from one start, {available_cores()} cores",
        "value": seconds, "unit": "s", "bar": PATHS_BAR, "holds": seconds < PATHS_BAR,
        "bound_over_images": {"median": float(np.median(gaps)), "largest": max(gaps)},
    }  # fmt: skip
