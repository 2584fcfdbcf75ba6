"""Run by an environment of fplanck 0.2.2: python _peer_fplanck.py PROBLEM.npz ANSWER.npy OUTPUTS.

It calls np.product, which NumPy 2 no longer has; and it knows forces and drag rather than drift and diffusivity.
"""

import json
import sys
import time

import fplanck
import numpy as np
from scipy import constants

vars(np).setdefault("product", np.prod)


def main(problem: str, answer: str, outputs: int) -> None:
    given = np.load(problem)
    edges = given["edges"]
    # With k times the temperature 1 the diffusivity is 1 / drag; its current is (force / drag) P - D P'.
    drag = 1 / given["diffusivity"]
    force = (given["drift"] - given["diffusivity_slope"]) * drag
    start = time.perf_counter()
    simulation = fplanck.fokker_planck(
        temperature=1 / constants.k,
        drag=lambda w: drag,
        extent=edges[-1] - edges[0],
        resolution=edges[1] - edges[0],
        force=lambda w: force,
    )
    if outputs == 1:
        mass = simulation.propagate(lambda w: given["mass"].copy(), float(given["time"]))
    else:
        mass = simulation.propagate_interval(lambda w: given["mass"].copy(), float(given["time"]), outputs)[
            1
        ][-1]
    seconds = time.perf_counter() - start
    np.save(answer, mass)
    print(json.dumps({"seconds": seconds, "least": float((mass / np.diff(edges)).min())}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
