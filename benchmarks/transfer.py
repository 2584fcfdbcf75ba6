"""The transfer operator against SciPy's sparse product and against Monte Carlo.

`measure()` returns one record per figure; ratios are what counts, seconds belong to one machine. Compilation is done
before the clock starts. The Monte Carlo peer is a plain NumPy loop, with its time to a given standard error
extrapolated from a smaller run: its cost is proportional to the walkers.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.escape import escape_probabilities
from tui_opt.kernels.passage import mean_passage
from tui_opt.kernels.transfer import advance, mass_at, transfer_operator

PIT, BARRIER = 1.0074533029460346, 1.1959565136502517


def pair_gradients(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gradients of the two-datapoint pair with a pit at 1, [2, n]."""
    outer = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([outer, outer + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least wall-clock time of `repeats` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def stepping(cells: int = 4000, steps: int = 10_000) -> dict[str, object]:
    """Steps of the operator against a loop of SciPy's CSR products."""
    operator = transfer_operator(pair_gradients, 0.0125, PIT, BARRIER, cells)
    start = mass_at(operator, np.array([PIT]), np.array([1.0]))
    advance(operator, start.copy(), 1)
    forward = operator.inside.T.tocsr()

    def by_scipy() -> None:
        mass = start[:-2]
        absorbed = 0.0
        for _ in range(steps):
            absorbed += mass @ operator.absorbed
            mass = forward @ mass

    ours, peer = seconds(lambda: advance(operator, start.copy(), steps)), seconds(by_scipy)
    return {
        "name": f"{steps} steps of {cells} cells",
        "seconds": ours,
        "peer": "scipy CSR product",
        "peer_seconds": peer,
        "ratio": peer / ours,
    }


def accuracy(relative: float = 1e-3, steps: int = 1000, temperature: float = 0.0125) -> dict[str, object]:
    """Time to an escape probability with a relative error of `relative`, building included."""

    def by_operator(cells: int) -> float:
        operator = transfer_operator(pair_gradients, temperature, PIT, BARRIER, cells)
        return float(escape_probabilities(operator, PIT, [steps])[0])

    exact = by_operator(16_000)
    cells = next(n for n in (250, 500, 1000, 2000, 4000) if abs(by_operator(n) / exact - 1) < relative)
    ours = seconds(lambda: by_operator(cells))
    walkers = 20_000
    peer = seconds(lambda: monte_carlo(walkers, steps, temperature), repeats=1)
    needed = (1 - exact) / exact / relative**2
    return {
        "name": f"P({steps}) at T = {temperature} to {relative:g}, {cells} cells",
        "seconds": ours,
        "peer": f"NumPy Monte Carlo, {needed:.2g} walkers, extrapolated from {walkers}",
        "peer_seconds": peer * needed / walkers,
        "ratio": peer * needed / walkers / ours,
    }


def monte_carlo(walkers: int, steps: int, temperature: float) -> float:
    """Share of walkers that have passed the barrier, by a plain loop over steps."""
    rng = np.random.default_rng(0)
    w = np.full(walkers, PIT)
    for _ in range(steps):
        picked = rng.integers(0, 2, w.size)
        w = w - temperature * pair_gradients(w)[picked, np.arange(w.size)]
        w = w[w <= BARRIER]
    return 1 - w.size / walkers


def passages() -> list[dict[str, object]]:
    """Mean first passage by each of its three methods (no peer)."""
    records = []
    for temperature in (0.003, 0.01, 0.03):
        operator = transfer_operator(pair_gradients, temperature, PIT, BARRIER)
        method = mean_passage(operator, PIT).method
        record: dict[str, object] = {
            "name": f"mean passage at T = {temperature} ({method})",
            "seconds": seconds(lambda operator=operator: mean_passage(operator, PIT)),
        }
        records.append(record)
    return records


def measure() -> list[dict[str, object]]:
    """All records: name, seconds and, where there is a peer, peer, peer_seconds and ratio (peer over ours)."""
    return [stepping(), accuracy(), *passages()]


if __name__ == "__main__":
    for record in measure():
        line = f"{record['name']}: {record['seconds']:.4f} s"
        if "ratio" in record:
            line += (
                f", {record['ratio']:.2f} times as fast as {record['peer']} ({record['peer_seconds']:.3g} s)"
            )
        print(line)
