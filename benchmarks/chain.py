"""The exact chain on cells: building it, stepping it, and its time to an accuracy against a million walkers.

Peers: a transfer matrix as one writes it with NumPy and SciPy (sampled points, a histogram per cell), a loop of
SciPy's sparse products, and walkers, our own compiled ones and plain NumPy's. Everything runs in this process, in
turn; only the first build of a new process is timed in processes of its own, with and without compiled kernels from
before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks._timing import in_turn
from benchmarks.transfer import pair_gradients
from tui_opt.expressions import assemble, parse
from tui_opt.kernels.chain import Chain, advance, chain_on_edges, state_of_masses
from tui_opt.kernels.emit import specialise
from tui_opt.kernels.ensembles import follow, plain_walk, statistics
from tui_opt.kernels.laws import TruncatedNormal, masses_of, moments
from tui_opt.kernels.one_step import updated

FloatArray = NDArray[np.float64]
Record = dict[str, Any]

LOSSES = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
CELLS, STEPS, TEMPERATURE = 1500, 10_000, 0.02
BUILD_BAR, STEPS_BAR = 0.1, 0.3
LOW, HIGH = -0.5, 3.0
LAW = TruncatedNormal(0.5, 0.175, 0.0)
WALKERS, FEW_WALKERS = 1_000_000, 50_000
OUTPUTS = {0.02: [20, 50, 100, 200], 0.1: [5, 10, 20, 50]}
"""Steps at which mean and spread are compared: while the law is still on its way. At rest it is a point, where nothing
is left to sample."""
MOST_CELLS = 8000
SAMPLES = 100

FIRST_BUILD = """
import json, sys, time
from tui_opt.runner.machine import prepare_compilation
prepare_compilation()
from benchmarks import chain
start = time.perf_counter()
chain.build(chain.CELLS)
print(json.dumps(time.perf_counter() - start))
"""


def build(cells: int, temperature: float = TEMPERATURE) -> Chain:
    """The chain of the pair of datapoints with a pit at 1."""
    return chain_on_edges(updated(pair_gradients, temperature), np.linspace(LOW, HIGH, cells + 1))


def sampled_matrix(cells: int) -> sparse.csr_matrix:
    """Ulam's matrix by `SAMPLES` points a cell, with one more cell for what leaves."""
    edges = np.linspace(LOW, HIGH, cells + 1)
    points = edges[:-1, None] + np.diff(edges)[:, None] * ((np.arange(SAMPLES) + 0.5) / SAMPLES)
    images = points.ravel() - TEMPERATURE * pair_gradients(points.ravel())
    column = np.floor((images - LOW) * (cells / (HIGH - LOW))).astype(np.int64)
    column = np.where((column < 0) | (column >= cells), cells, column)
    row = np.broadcast_to(np.repeat(np.arange(cells), SAMPLES), column.shape)
    weight = np.full(column.size, 0.5 / SAMPLES)
    return sparse.csr_matrix((weight, (row.ravel(), column.ravel())), shape=(cells, cells + 1))


def building() -> list[Record]:
    """Building the chain, and the first time in a new process."""
    build(CELLS), sampled_matrix(CELLS)
    ours, peer = in_turn(lambda: build(CELLS), lambda: sampled_matrix(CELLS), rounds=15)
    compiled = min(_first_build(None) for _ in range(3))
    with tempfile.TemporaryDirectory() as empty:
        uncompiled = _first_build(empty)
    return [
        {
            "name": f"building {CELLS} cells",
            "seconds": ours,
            "peer": f"NumPy and SciPy, {SAMPLES} samples a cell",
            "peer_seconds": peer,
            "ratio": peer / ours,
            "bar_seconds": BUILD_BAR,
            "holds": ours < BUILD_BAR,
        },
        {"name": f"first build of {CELLS} cells in a new process", "seconds": compiled},
        {"name": f"first build of {CELLS} cells, kernels compiled meanwhile", "seconds": uncompiled},
    ]


def _first_build(cache: str | None) -> float:
    """Seconds of a build in a new process; with a cache of its own, kernels are compiled."""
    environment = dict(os.environ)
    environment.pop("NUMBA_CACHE_DIR", None)
    if cache is not None:
        environment["OPTEXPLORE_CACHE_DIR"] = cache
    done = subprocess.run(
        (sys.executable, "-c", FIRST_BUILD),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=Path(__file__).parent.parent,
    )
    return float(json.loads(done.stdout))


def stepping() -> Record:
    """Steps of the chain against a loop of SciPy's CSR products."""
    chain = build(CELLS)
    start = state_of_masses(chain, masses_of(LAW, chain.edges)[0])
    forward = chain.inside.T.tocsr()

    def by_scipy() -> FloatArray:
        mass = start[:CELLS]
        for _ in range(STEPS):
            mass = forward @ mass
        return mass

    advance(chain, start.copy(), 1)
    ours, peer = in_turn(lambda: advance(chain, start.copy(), STEPS), by_scipy)
    mass = start.copy()
    advance(chain, mass, STEPS)
    return {
        "name": f"{STEPS} steps of {CELLS} cells, {chain.inside.nnz} entries",
        "seconds": ours,
        "peer": "SciPy CSR product",
        "peer_seconds": peer,
        "ratio": peer / ours,
        "difference": float(np.abs(mass[:CELLS] - by_scipy()).sum()),
        "bar_seconds": STEPS_BAR,
        "holds": ours < STEPS_BAR,
    }


def moved_moments(cells: int, temperature: float) -> FloatArray:
    """Mean and standard deviation at the outputs, [outputs, 2], building included."""
    chain = build(cells, temperature)
    state = state_of_masses(chain, masses_of(LAW, chain.edges)[0])
    found = []
    for before, after in pairwise((0, *OUTPUTS[temperature])):
        advance(chain, state, after - before)
        found.append(moments(chain.edges, state[:cells]))
    return np.array(found)


def against_walkers(temperature: float) -> list[Record]:
    """As accurate as a million walkers: the fewest cells whose every mean and spread are off by less than an error."""
    exact = moved_moments(24_000, temperature)
    edges, outputs = np.linspace(LOW, HIGH, 2), OUTPUTS[temperature]
    tape = assemble([parse(loss, ["W"]).derivative("W") for loss in LOSSES])
    with tempfile.TemporaryDirectory() as folder:
        walk = plain_walk(specialise(tape, Path(folder)), temperature, 1)
        found = statistics(follow(walk, LAW.sample(2, 0, WALKERS), 0, outputs, edges))
        errors = np.stack([found.mean_error, found.sd_error], axis=1)
        cells = next(
            n
            for n in (125, 250, 500, 1000, 2000, 4000, MOST_CELLS)
            if n == MOST_CELLS or np.all(np.abs(moved_moments(n, temperature) - exact) < errors)
        )
        ours, compiled, plain = in_turn(
            lambda: moved_moments(cells, temperature),
            lambda: follow(walk, LAW.sample(2, 0, WALKERS), 0, outputs, edges),
            partial(plain_walkers, temperature),
            rounds=3,
        )
    off = float(np.max(np.abs(moved_moments(cells, temperature) - exact) / errors))
    peers = {
        f"{WALKERS} compiled walkers": compiled,
        f"{WALKERS} walkers of plain NumPy, extrapolated from {FEW_WALKERS}": plain * WALKERS / FEW_WALKERS,
    }
    return [
        {
            "name": f"{outputs[-1]} steps at T = {temperature}, {cells} cells, building included",
            "seconds": ours,
            "error_over_their_standard_error": off,
            "peer": peer,
            "peer_seconds": seconds,
            "ratio": seconds / ours,
        }
        for peer, seconds in peers.items()
    ]


def plain_walkers(temperature: float) -> None:
    """A plain loop over steps, with mean and spread at the outputs."""
    rng = np.random.default_rng(0)
    w = LAW.sample(3, 0, FEW_WALKERS)
    for step in range(1, OUTPUTS[temperature][-1] + 1):
        picked = rng.integers(0, 2, w.size)
        w = w - temperature * pair_gradients(w)[picked, np.arange(w.size)]
        if step in OUTPUTS[temperature]:
            w.mean(), w.std()


def measure() -> list[Record]:
    """All records: name, seconds and, where there is a peer, peer, peer_seconds and ratio (peer over ours)."""
    return [*building(), stepping(), *against_walkers(0.02), *against_walkers(0.1)]
