"""Run by an environment of py-pde: python _peer_py_pde.py PROBLEM.npz ANSWER.npy OUTPUTS.

Its implicit and Crank-Nicolson steppers are fixed-point iterations, which do not converge here; of what works,
SciPy's LSODA with a banded Jacobian is the fastest. Compilation is left out: the first of two runs is not counted.
"""

import json
import sys
import time

import numpy as np
import pde


def main(problem: str, answer: str, outputs: int) -> None:
    given = np.load(problem)
    edges, time_end = given["edges"], float(given["time"])
    grid = pde.CartesianGrid([[edges[0], edges[-1]]], edges.size - 1)
    equation = pde.PDE(
        {"p": "laplace(diffusivity * p) - d_dx(drift * p)"},
        bc={"derivative": 0},
        consts={
            "diffusivity": pde.ScalarField(grid, given["diffusivity"]),
            "drift": pde.ScalarField(grid, given["drift"]),
        },
    )
    state = pde.ScalarField(grid, given["mass"] / np.diff(edges))

    def run(end):
        storage = pde.MemoryStorage()
        start = time.perf_counter()
        final = equation.solve(
            state,
            t_range=end,
            solver="scipy",
            method="LSODA",
            lband=1,
            uband=1,
            backend="numba",
            tracker=[storage.tracker(end / outputs)],
        )
        return time.perf_counter() - start, final.data

    run(time_end / 100)
    seconds, density = run(time_end)
    np.save(answer, density * np.diff(edges))
    print(json.dumps({"seconds": seconds, "least": float(density.min())}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
