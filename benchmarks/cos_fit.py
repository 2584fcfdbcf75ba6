"""Solving cos-fit without a start, against SciPy's least squares from many starts with the same success rate.

A start is drawn from [0, 2], as somebody would who knows that much; the solver is told nothing. The share p of starts
that end at the truth is measured, and the peer is given the n starts that succeed as often as the solver did not fail:
(1 - p)^n = 1 %. Where nearly all starts fail, p is measured next to the truth, where alone any succeed, and the rest is
checked to fail.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks._timing import in_turn
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.samples import Samples, load_samples
from tui_opt.experiments.cos_fit.solve import compute
from tui_opt.experiments.cos_fit.solve_params import SolveParams
from tui_opt.experiments.cos_fit.solver import solve
from tui_opt.kernels.fitting.exponential_sums import Grid, direct_sums, exponential_sums
from tui_opt.runner.context import Context

TRUTH = np.array([0.583, 0.112])
MISSED = 0.01
SETTINGS = (("normal", 5.0), ("uniform", 10.0), ("normal", 50.0), ("normal", 500.0))
NOISES = (0.0, 0.1, 1.0)
SEEDS = 200


def samples_of(distribution: str, scale: float, noise: float, count: int = 10_000) -> Samples:
    """Samples of the seed 0."""
    given = {"x_distribution": distribution, "x_scale": scale, "noise": noise, "samples": count}
    return load_samples(SolveParams.check(given), Context("cos-fit/solve"))


def ours(samples: Samples) -> NDArray[np.float64]:
    """The parameters by the scan."""
    return solve(Rows.of(samples), "auto", None, np.random.default_rng(0), lambda: None).fit.values


def from_start(samples: Samples, start: float) -> bool:
    """Whether SciPy's Levenberg-Marquardt ends at the truth, with exact derivatives."""
    x1, x2, y = samples.columns["x1"], samples.columns["x2"], samples.y

    def residual(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cos(p[0] * x1) + np.exp(p[1] * x2) - y

    def slopes(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([-x1 * np.sin(p[0] * x1), x2 * np.exp(p[1] * x2)], axis=1)

    found = least_squares(residual, np.array([start, 0.02]), slopes, method="lm")
    return abs(abs(found.x[0]) - TRUTH[0]) < 1e-3


def share(samples: Samples, scale: float, starts: int = 40) -> float:
    """The share of starts in [0, 2] that succeed."""
    reach = min(1.0, 12.0 / scale)
    low, high = max(0.0, TRUTH[0] - reach), min(2.0, TRUTH[0] + reach)
    if reach == 1.0:
        low, high = 0.0, 2.0
    near = [from_start(samples, a) for a in np.linspace(low, high, starts + 2)[1:-1]]
    if reach < 1.0:
        outside = [a for a in np.linspace(0.0, 2.0, 12) if not low <= a <= high]
        assert not any(from_start(samples, a) for a in outside), (
            "starts from afar succeed: measure the share there too"
        )
    return sum(near) / starts * (high - low) / 2.0


def against_scipy(distribution: str, scale: float, noise: float) -> dict[str, Any]:
    """The solver against as many starts of SciPy as succeed in 99 of 100 cases."""
    samples = samples_of(distribution, scale, noise)
    p = share(samples, scale)
    needed = max(1, math.ceil(math.log(MISSED) / math.log1p(-p))) if p < 1 else 1
    few = np.random.default_rng(1).uniform(0.0, 2.0, 6)
    mine, theirs = in_turn(
        lambda: ours(samples), lambda: [from_start(samples, a) for a in few], rounds=5
    )  # fmt: skip
    peer = theirs / few.size * needed
    return {
        "name": f"10,000 samples, {distribution} {scale:g}, noise {noise:g}",
        "seconds": mine,
        "peer": f"scipy least_squares from {needed} starts ({100 * p:.2g} % of them succeed), extrapolated from 6",
        "peer_seconds": peer,
        "ratio": peer / mine,
    }


def transform() -> dict[str, Any]:
    """The nonuniform FFT against sums taken one by one, for the scan of 10,000 samples."""
    x = np.random.default_rng(0).normal(0, 5, (1, 10_000))
    c = np.ones((1, 10_000)) + 0j
    grid = Grid((0.0,), (0.1,), (40_000,))
    some = grid.at(np.arange(0, grid.size, 100))
    fast, slow = in_turn(lambda: exponential_sums(x, c, grid), lambda: direct_sums(x, c, some), rounds=5)
    return {
        "name": "10,000 samples at 40,000 frequencies",
        "seconds": fast,
        "peer": "NumPy sums, extrapolated from 400 frequencies",
        "peer_seconds": 100 * slow,
        "ratio": 100 * slow / fast,
    }


def success(distribution: str, scale: float, noise: float) -> dict[str, Any]:
    """How many of 200 seeds are solved."""
    given = {"x_distribution": distribution, "x_scale": scale, "noise": noise, "seeds": SEEDS}
    result = compute(SolveParams.check(given), Context("cos-fit/solve"))
    solved = round(result.findings["success_rate"].value * SEEDS)
    return {
        "name": f"{distribution} {scale:g}, noise {noise:g}: solved",
        "solved": f"{solved} of {SEEDS}",
        "median_seconds": result.findings["seconds"].value,
    }


def large(count: int = 10_000_000) -> dict[str, Any]:
    """Ten million samples, without drawing them."""
    samples = samples_of("normal", 5.0, 0.5, count)
    begin = time.perf_counter()
    found = ours(samples)
    return {
        "name": f"{count:,} samples",
        "seconds": time.perf_counter() - begin,
        "error_of_a": float(abs(found[0] - TRUTH[0])),
    }


def measure() -> list[dict[str, Any]]:
    """All records; ratios are the peer's time over ours."""
    ours(samples_of("normal", 5.0, 0.1, 1000))  # loads what is loaded once
    rows = [against_scipy(*setting, 0.1) for setting in SETTINGS]
    rows += [transform(), large()]
    return rows + [success(*setting, noise) for setting in SETTINGS for noise in NOISES]


if __name__ == "__main__":
    for record in measure():
        print(record)
