"""Implicit Fokker-Planck steps against LAPACK and SciPy, and against py-pde and fplanck on a whole problem.

The problem: 2000 cells on [-1, 5], the drift of the pair with a pit at 1, a noise that falls from 0.92 to 0.001 within
0.0014 of W = 1, to t = 1, a time of learning rate times steps. LAPACK and SciPy solve the same systems, in the same
process, in turn; py-pde and fplanck run in environments of their own, made when first needed. Errors are in L1 against
a reference of 32,000 refined cells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_banded
from scipy.special import ndtr

from benchmarks._peers import Unavailable, peer_python, run_peer
from benchmarks._timing import in_turn
from benchmarks.transfer import pair_gradients
from tui_opt.kernels.fokker_planck import Equation
from tui_opt.kernels.fokker_planck_generator import FaceMean, Generator, generator_on_edges
from tui_opt.kernels.implicit_stepping import Scheme, evolve
from tui_opt.kernels.refinement import coarsened, halved, refined_edges

FloatArray = NDArray[np.float64]
Record = dict[str, Any]

CELLS, STEPS, END = 2000, 1000, 1.0
LEAST_NOISE = 1e-3
EDGES = np.linspace(-1, 5, CELLS + 1)
HERE = Path(__file__).parent
LAPACK_BAR = 1 / 1.5
PACKAGE_BARS = {"py-pde": 100.0, "fplanck": 1000.0}
"""Least ratios, of backward Euler; those of the packages are for as many outputs as steps."""


def spike(w: FloatArray) -> FloatArray:
    """Derivative of the pit alone."""
    return 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)


def noise(w: FloatArray) -> FloatArray:
    """Learning rate 0.1 / 2 times the variance of the two gradients, and a floor."""
    return 0.05 * (spike(w) / 2) ** 2 + LEAST_NOISE


def noise_slope(w: FloatArray) -> FloatArray:
    """Derivative of `noise`."""
    return 5 * spike(w) * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2)


PROBLEM = Equation(lambda w: -pair_gradients(w).mean(axis=0), noise, noise_slope, 0.5)


def start(edges: FloatArray) -> FloatArray:
    """Masses of a normal law at 0.5 of standard deviation 0.175."""
    mass = np.diff(ndtr((edges - 0.5) / 0.175))
    return np.asarray(mass / mass.sum())


def answer(edges: FloatArray, dt: float, scheme: Scheme, mean: FaceMean = FaceMean.LOGARITHMIC) -> FloatArray:
    """Masses of the problem's cells at its end."""
    generator = generator_on_edges(PROBLEM, edges, face_mean=mean)
    return coarsened(evolve(generator, start(edges), np.array([END]), dt, scheme).mass[0], edges, EDGES)


def reference() -> FloatArray:
    """The answer of 32,000 cells, refined, by steps a fifth as long."""
    edges = EDGES
    for _ in range(4):
        edges = halved(edges)
    return answer(refined_edges(edges, PROBLEM), END / STEPS / 5, Scheme.TR_BDF2)


def by_lapack(generator: Generator, dt: float) -> Callable[[], FloatArray]:
    """A run of backward Euler by a factorisation and a solve per step."""
    right, left, mass = generator.right, generator.left, start(EDGES)

    def run() -> FloatArray:
        middle = 1 + dt * (np.append(right, 0.0) + np.append(0.0, left))
        factors = lapack.dgttrf(-dt * right, middle, -dt * left)[:5]
        after = mass
        for _ in range(STEPS):
            after = lapack.dgttrs(*factors, after)[0]
        return after

    return run


def by_solve_banded(generator: Generator, dt: float) -> Callable[[], FloatArray]:
    """A run of backward Euler by SciPy's banded solver."""
    right, left, mass = generator.right, generator.left, start(EDGES)
    bands = np.zeros((3, CELLS))
    bands[0, 1:], bands[2, :-1] = -dt * left, -dt * right
    bands[1] = 1 + dt * (np.append(right, 0.0) + np.append(0.0, left))

    def run() -> FloatArray:
        after = mass
        for _ in range(STEPS):
            after = solve_banded((1, 1), bands, after)
        return after

    return run


def against_solvers() -> list[Record]:
    """Steps of both schemes against LAPACK's and SciPy's tridiagonal solvers."""
    generator = generator_on_edges(PROBLEM, EDGES)
    dt, mass, times = END / STEPS, start(EDGES), np.array([END])
    euler = lambda: evolve(generator, mass, times, dt, Scheme.BACKWARD_EULER)  # noqa: E731
    second = lambda: evolve(generator, mass, times, dt, Scheme.TR_BDF2)  # noqa: E731
    plain, banded = by_lapack(generator, dt), by_solve_banded(generator, dt)
    euler(), second()
    ours, ours_second, peer, slower = in_turn(euler, second, plain, banded)
    agreement = float(np.abs(euler().mass[0] - plain()).sum())

    def row(scheme: str, seconds: float, name: str, peer_seconds: float) -> Record:
        return {
            "name": f"{STEPS} steps of {scheme}, {CELLS} cells",
            "seconds": seconds,
            "peer": name,
            "peer_seconds": peer_seconds,
            "ratio": peer_seconds / seconds,
        }

    first = row("backward Euler", ours, "LAPACK dgttrf once, dgttrs per step", peer)
    return [
        {**first, "difference": agreement, "bar": LAPACK_BAR, "holds": first["ratio"] >= LAPACK_BAR},
        row("backward Euler", ours, "SciPy solve_banded", slower),
        row("TR-BDF2", ours_second, "LAPACK dgttrf once, two dgttrs per step", 2 * peer),
        row("TR-BDF2", ours_second, "as many steps of backward Euler", ours),
    ]


def against_packages() -> list[Record]:
    """The whole problem, generator included, against packages in environments of their own."""
    exact = reference()
    refined = refined_edges(EDGES, PROBLEM)
    times = np.linspace(0, END, STEPS + 1)[1:]

    def run(edges: FloatArray, scheme: Scheme) -> Callable[[], FloatArray]:
        generator = lambda: generator_on_edges(PROBLEM, edges)  # noqa: E731
        return lambda: evolve(generator(), start(edges), times, END / STEPS, scheme).mass[-1]

    ways = {
        "backward Euler": run(EDGES, Scheme.BACKWARD_EULER),
        "TR-BDF2 on refined cells": run(refined, Scheme.TR_BDF2),
    }
    for way in ways.values():
        way()
    seconds = dict(zip(ways, in_turn(*ways.values()), strict=True))
    found = {"backward Euler": EDGES, "TR-BDF2 on refined cells": refined}
    errors = {
        name: float(np.abs(coarsened(ways[name](), edges, EDGES) - exact).sum())
        for name, edges in found.items()
    }
    peers = {
        "py-pde, SciPy's LSODA with a banded Jacobian": ("py-pde", "_peer_py_pde.py", ("py-pde==0.59.0",)),
        "fplanck 0.2.2": ("fplanck", "_peer_fplanck.py", ("fplanck==0.2.2", "numpy>=2", "scipy")),
    }
    rows: list[Record] = []
    for peer, (name, script, requirements) in peers.items():
        for outputs in (STEPS, 1):
            try:
                theirs = run_package(name, script, requirements, outputs)
            except Unavailable as reason:
                rows.append({"name": peer, "skipped": str(reason)})
                break
            for way, ours in seconds.items():
                ratio = theirs["seconds"] / ours
                row = {
                    "name": f"{STEPS} steps and outputs by {way}, {found[way].size - 1} cells",
                    "seconds": ours,
                    "error": errors[way],
                    "peer": f"{peer}, {CELLS} cells, outputs {outputs}",
                    "peer_seconds": theirs["seconds"],
                    "ratio": ratio,
                    "peer_error": float(np.abs(theirs["mass"] - exact).sum()),
                    "peer_least_density": theirs["least"],
                }
                if way == "backward Euler" and outputs == STEPS:
                    row.update(bar=PACKAGE_BARS[name], holds=ratio >= PACKAGE_BARS[name])
                rows.append(row)
    return rows


def run_package(name: str, script: str, requirements: tuple[str, ...], outputs: int) -> Record:
    """A package's answer to the problem: seconds, mass, least density."""
    python = peer_python(name, *requirements)
    centres = 0.5 * (EDGES[1:] + EDGES[:-1])
    with tempfile.TemporaryDirectory() as folder:
        problem, result = Path(folder) / "problem.npz", Path(folder) / "answer.npy"
        np.savez(
            problem,
            edges=EDGES,
            time=END,
            mass=start(EDGES),
            drift=PROBLEM.drift(centres),
            diffusivity=noise(centres),
            diffusivity_slope=noise_slope(centres),
        )
        found = run_peer(python, HERE / script, problem, result, str(outputs))
        return {**found, "mass": np.load(result)}


def face_means() -> list[Record]:
    """Errors of the diffusivity's means at the faces, on equal and on refined cells (no peer)."""
    exact = reference()
    rows: list[Record] = []
    for kind, edges in (("equal", EDGES), ("refined", refined_edges(EDGES, PROBLEM))):
        found = {
            mean.value: float(np.abs(answer(edges, END / STEPS, Scheme.TR_BDF2, mean) - exact).sum())
            for mean in FaceMean
        }
        rows.append({"name": f"L1 error by the mean at faces, {edges.size - 1} {kind} cells", **found})
    return rows


def measure() -> list[Record]:
    """All records: name, seconds, peer, peer_seconds and ratio (peer over ours), or why a peer was left out."""
    return [*against_solvers(), *face_means(), *against_packages()]
