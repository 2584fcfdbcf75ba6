"""Two parameters on cells: a step, building, and the time to an accuracy.

Peers: SciPy's sparse product with the transfer operator of the same chain on the same cells, masses alone, deposited on
four neighbours from 2 x 2 points a cell; and walkers of plain NumPy, as many as it takes to know the standard deviation
as well as the cells do. Everything runs in this process, in turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks._timing import in_turn
from tui_opt.experiments.probability_current.params import PLANE_PAIR
from tui_opt.experiments.probability_current.plane_system import PlaneSystem
from tui_opt.kernels.ensembles import Record, joined, statistics
from tui_opt.kernels.laws import TruncatedNormal
from tui_opt.kernels.plane import (
    Box,
    PlaneOperator,
    PlaneState,
    advance,
    mean_and_covariance,
    normal_state,
    plane_operator,
    sgd_maps,
)
from tui_opt.kernels.plane_box import automatic_box
from tui_opt.kernels.plane_walkers import follow_pairs
from tui_opt.runner.machine import available_cores

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

SYSTEM = PlaneSystem.from_texts(PLANE_PAIR)
STEPS = 60
MEAN, SD = (0.5, 0.0), (0.175, 0.175)
MAPS = {temperature: sgd_maps(SYSTEM.gradients, temperature) for temperature in (0.02, 0.05)}
"""At 0.02 the pit is passed; at 0.05 walkers are thrown about in it, and their law gets finer at every step."""
TEMPERATURE = 0.05
STEP_BAR = 1e-3
FIRST, TIMED, ROUNDS = 20, 30, 30
"""Steps in a round are few, and rounds many: on a busy machine some are left alone."""
SUBSAMPLES = 2
REFERENCE_WALKERS, GROUP = 4_000_000, 1 << 20
FEW_WALKERS = 50_000


def law(box: Box, cells: int, temperature: float = TEMPERATURE) -> tuple[PlaneOperator, PlaneState]:
    """The chain on cells, and the initial law."""
    operator = plane_operator(MAPS[temperature], box, cells)
    return operator, normal_state(operator, MEAN, SD)


def cloud_in_cell(operator: PlaneOperator) -> sparse.csr_matrix:
    """The transfer operator on masses: images of points of every cell, each shared among the four nearest cells."""
    cells = operator.cells[0]
    low, sides = np.array(operator.box.low), operator.sides
    offsets = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES
    places = [low[k] + (np.arange(cells)[:, None] + offsets).ravel() * sides[k] for k in range(2)]
    w = np.stack([np.repeat(places[0], places[1].size), np.tile(places[1], places[0].size)])
    source = (np.arange(cells)[:, None] + 0 * offsets).ravel().astype(np.int64)
    column = np.repeat(source, places[1].size) * cells + np.tile(source, places[0].size)
    rows, columns, weights = [], [], []
    for image in operator.maps(w):
        scaled = (image - low[:, None]) / sides[:, None] - 0.5
        cell = np.floor(scaled).astype(np.int64)
        part = scaled - cell
        for a in range(2):
            for b in range(2):
                row, other = cell[0] + a, cell[1] + b
                inside = (row >= 0) & (row < cells) & (other >= 0) & (other < cells)
                weight = (part[0] if a else 1 - part[0]) * (part[1] if b else 1 - part[1])
                rows.append((row * cells + other)[inside])
                columns.append(column[inside])
                weights.append(weight[inside] / (SYSTEM.terms * SUBSAMPLES**2))
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.coo_matrix(entries, shape=(cells**2, cells**2)).tocsr()


def spread_of_masses(operator: PlaneOperator, mass: FloatArray) -> FloatArray:
    """Standard deviations of a law of masses at the middles of cells."""
    grid = mass.reshape(operator.cells) / mass.sum()
    along = grid.sum(axis=1), grid.sum(axis=0)
    found = []
    for k in range(2):
        x = operator.centres(k)
        found.append(np.sqrt(along[k] @ x**2 - (along[k] @ x) ** 2))
    return np.array(found)


def stepping(box: Box, cells: int, threads: int) -> Row:
    """Steps against SciPy's product with the operator of the same chain."""
    operator, start = law(box, cells)
    matrix = cloud_in_cell(operator)

    def by_scipy(mass: FloatArray, steps: int) -> FloatArray:
        for _ in range(steps):
            mass = matrix @ mass
        return mass

    begun = start.copy()
    advance(operator, begun, FIRST, threads)
    mass = by_scipy(start.mass.ravel(), FIRST)
    ours, peer = in_turn(
        lambda: advance(operator, begun.copy(), TIMED, threads), lambda: by_scipy(mass, TIMED), rounds=ROUNDS
    )
    ended = begun.copy()
    advance(operator, ended, STEPS - FIRST, threads)
    sd = np.sqrt(np.diag(mean_and_covariance(operator, ended)[1]))
    row = {
        "name": f"a step of {cells} x {cells} cells, {threads} threads",
        "seconds": ours / TIMED,
        "peer": f"SciPy CSR product, masses alone, {matrix.nnz} entries",
        "peer_seconds": peer / TIMED,
        "ratio": peer / ours,
        "sd_2": float(sd[1]),
        "peer_sd_2": float(spread_of_masses(operator, by_scipy(mass, STEPS - FIRST))[1]),
    }
    barred = cells == 256 and threads == min(2, available_cores())
    return row | ({"bar_seconds": STEP_BAR, "holds": ours / TIMED < STEP_BAR} if barred else {})


def building(box: Box, cells: int) -> Row:
    """The operator against the sparse matrix."""
    operator = plane_operator(MAPS[TEMPERATURE], box, cells)
    ours, peer = in_turn(
        lambda: plane_operator(MAPS[TEMPERATURE], box, cells), lambda: cloud_in_cell(operator), rounds=5
    )
    return {
        "name": f"building {cells} x {cells} cells",
        "seconds": ours,
        "peer": "SciPy, COO to CSR",
        "peer_seconds": peer,
        "ratio": peer / ours,
    }


def reference(temperature: float) -> tuple[FloatArray, FloatArray]:
    """Standard deviations at the end by compiled walkers, and their standard errors."""
    edges = [np.linspace(-1.0, 3.0, 2)] * 2
    groups: list[tuple[Record, Record]] = []
    for first in range(0, REFERENCE_WALKERS, GROUP):
        number = min(GROUP, REFERENCE_WALKERS - first)
        w = np.stack(
            [TruncatedNormal(MEAN[k], SD[k], -np.inf).sample(11 + k, first, number) for k in range(2)]
        )
        groups.append(follow_pairs(SYSTEM.gradient_program, temperature, 99, w, first, [STEPS], edges))
    found = [statistics(joined([group[k] for group in groups])) for k in range(2)]
    return np.array([f.sd[-1] for f in found]), np.array([f.sd_error[-1] for f in found])


def plain_walkers(temperature: float) -> FloatArray:
    """A plain loop over steps."""
    rng = np.random.default_rng(0)
    w = np.array(MEAN)[:, None] + np.array(SD)[:, None] * rng.standard_normal((2, FEW_WALKERS))
    each = np.arange(FEW_WALKERS)
    for _ in range(STEPS):
        x, y = w
        well = 2.0 * np.exp(-((x - 2.0) ** 2) - y**2) * np.stack([x - 2.0, y])
        pit = 50.0 * np.exp(-25.0 * ((x - 1.0) ** 2 + (y - 0.1) ** 2)) * np.stack([x - 1.0, y - 0.1])
        w = w - temperature * np.stack([well, well + pit])[rng.integers(0, 2, FEW_WALKERS), :, each].T
    return w.std(axis=1)


def to_an_accuracy(temperature: float, threads: int, most_cells: int) -> list[Row]:
    """All steps, building included, against as many walkers of NumPy as know both standard deviations as well."""
    box = automatic_box(MAPS[temperature], MEAN, SD, STEPS).box
    sd, error = reference(temperature)
    own = float((error / sd).max())
    rows = []
    for cells in (most_cells // 4, most_cells // 2, most_cells):

        def by_cells(cells: int = cells) -> FloatArray:
            operator, state = law(box, cells, temperature)
            advance(operator, state, STEPS, threads)
            return np.sqrt(np.diag(mean_and_covariance(operator, state)[1]))

        # An error smaller than the reference's own is not known to be smaller.
        off = max(float(np.abs(by_cells() / sd - 1).max()), own)
        walkers = round(REFERENCE_WALKERS * (own / off) ** 2)
        seconds, few = in_turn(by_cells, lambda: plain_walkers(temperature), rounds=3)
        rows.append(
            {
                "name": f"{STEPS} steps at T = {temperature}, {cells} x {cells} cells, building included",
                "seconds": seconds,
                "relative_error_of_sd": off,
                "peer": f"{walkers} walkers of plain NumPy, scaled from {FEW_WALKERS}",
                "peer_seconds": few * walkers / FEW_WALKERS,
                "ratio": few * walkers / FEW_WALKERS / seconds,
            }
        )
    return rows


def measure() -> list[Row]:
    """All records: name, seconds and, where there is a peer, peer, peer_seconds and ratio (peer over ours)."""
    threads = min(2, available_cores())
    box = automatic_box(MAPS[TEMPERATURE], MEAN, SD, STEPS).box
    return [
        stepping(box, 256, threads),
        stepping(box, 256, 1),
        stepping(box, 512, threads),
        building(box, 256),
        building(box, 512),
        *to_an_accuracy(0.02, threads, 128),
        *to_an_accuracy(0.05, threads, 512),
    ]
