"""Speed of the toy-SGD walkers and of the expression tape, as ratios to peers measured in the same run.

The work: the chain W <- W - T g_j(W) of the default pair of losses, coin flips, passage test at every step.
Rounds of all contestants are interleaved and the best round of each counts, so that a busy machine slows
all of them alike. Run as `python -m benchmarks.walkers`.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from tui_opt.expressions import Tape, assemble, parse
from tui_opt.kernels.emit import specialise
from tui_opt.kernels.philox import philox
from tui_opt.kernels.tape import Program, evaluate
from tui_opt.kernels.walkers import first_passage

LOSSES = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
TEMPERATURE, START, BARRIER = 0.01, 1.0074533029, 1.1959565137
WALKERS, STEPS, ROUNDS = 4096, 256, 15
MANY_WALKERS, FEW_STEPS = 100_000, 16  # a whole-array run, whose arrays do not fit the caches


def gradient_tape() -> Tape:
    return assemble([parse(loss, ["W"]).derivative("W") for loss in LOSSES])


def plain_numpy_walkers(w: Any, passage_step: Any, steps: int, generator: np.random.Generator) -> None:
    """NumPy as one writes it: a draw per walker and step, both gradients, the one that was drawn."""
    for step in range(steps):
        drawn = generator.integers(0, 2, size=w.size)
        g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
        g1 = g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)
        under_way = passage_step < 0
        w[:] = np.where(under_way, w - TEMPERATURE * np.where(drawn == 1, g1, g0), w)
        passage_step[under_way & (w > BARRIER)] = step + 1


def numpy_walkers(w: Any, passage_step: Any, steps: int, generator: np.random.Generator) -> None:
    """NumPy with care: 64 coin flips from each PCG64 word, squares as products."""
    for step in range(steps):
        if step % 64 == 0:
            words = generator.integers(0, 2**64, size=w.size, dtype=np.uint64)
        second = (words >> np.uint64(step % 64)) & np.uint64(1) == 1
        u, v = w - 2.0, w - 1.0
        g = np.exp(-u * u) * (2.0 * u)
        g += np.where(second, np.exp(-100.0 * v * v) * (200.0 * v), 0.0)
        under_way = passage_step < 0
        w[:] = np.where(under_way, w - TEMPERATURE * g, w)
        passage_step[under_way & (w > BARRIER)] = step + 1


@numba.njit(nogil=True, error_model="numpy")
def compiled_walkers(w: Any, passage_step: Any, steps: int, key: Any) -> None:
    """A compiled loop per walker with the C library's exp, and the same Philox bits."""
    for i in range(w.size):
        x = w[i]
        low = high = np.uint64(0)
        for step in range(steps):
            if step % 128 == 0:
                low, high = philox(np.uint64(i), np.uint64(step // 128), key)
            word = low if step % 128 < 64 else high
            u = x - 2.0
            g = math.exp(-u * u) * (2.0 * u)
            if (word >> np.uint64(step % 64)) & np.uint64(1):
                v = x - 1.0
                g += math.exp(-100.0 * v * v) * (200.0 * v)
            x = x - TEMPERATURE * g
            if x > BARRIER:
                passage_step[i] = step + 1
                break
        w[i] = x


@numba.njit(nogil=True, error_model="numpy")
def compiled_blocks(w: Any, passage_step: Any, steps: int, key: Any) -> None:
    """The same lanes-innermost loop as the specialised kernel, but with the C library's exp."""
    low, high = np.empty(w.size, np.uint64), np.empty(w.size, np.uint64)
    for step in range(steps):
        if step % 128 == 0:
            for i in range(w.size):
                low[i], high[i] = philox(np.uint64(i), np.uint64(step // 128), key)
        words = low if step % 128 < 64 else high
        for i in range(w.size):
            u, v = w[i] - 2.0, w[i] - 1.0
            first = math.exp(-u * u) * (2.0 * u)
            second = first + math.exp(-100.0 * v * v) * (200.0 * v)
            g = second if (words[i] >> np.uint64(step % 64)) & np.uint64(1) else first
            y = w[i] - TEMPERATURE * g
            under_way = passage_step[i] < 0
            w[i] = y if under_way else w[i]
            passage_step[i] = step + 1 if under_way & (y > BARRIER) else passage_step[i]


def numpy_gradients(w: Any) -> tuple[Any, Any]:
    u, v = w - 2.0, w - 1.0
    first = np.exp(-(u * u)) * (2.0 * u)
    return first, first - np.exp(-100.0 * (v * v)) * (-200.0 * v)


def _walkers(
    run: Callable[[Any, Any], None], walkers: int = WALKERS, steps: int = STEPS
) -> Callable[[], float]:
    def timed() -> float:
        w, passage_step = np.full(walkers, START), np.full(walkers, -1)
        begin = time.perf_counter()
        run(w, passage_step)
        return (time.perf_counter() - begin) / (walkers * steps)

    return timed


def _points(run: Callable[[Any], Any], w: Any) -> Callable[[], float]:
    def timed() -> float:
        begin = time.perf_counter()
        for _ in range(8):
            run(w)
        return (time.perf_counter() - begin) / (8 * w.size)

    return timed


def _contestants(directory: Path) -> dict[str, Callable[[], float]]:
    tape = gradient_tape()
    program, kernel = Program(tape), specialise(tape, directory)
    generator, key = np.random.default_rng(1), np.uint64(7)
    points = np.random.default_rng(2).uniform(0.5, 2.5, 100_000)
    few_points = points[:20_000].copy()
    return {
        "specialised": _walkers(
            lambda w, p: kernel(w, p, 0, 0, STEPS, TEMPERATURE, BARRIER, 1, 7),
        ),
        "interpreted": _walkers(
            lambda w, p: first_passage(program, w, p, 0, 0, STEPS, TEMPERATURE, BARRIER, 1, 7),
        ),
        "careful numpy, 100000 walkers": _walkers(
            lambda w, p: numpy_walkers(w, p, FEW_STEPS, generator), MANY_WALKERS, FEW_STEPS
        ),
        "plain numpy, 100000 walkers": _walkers(
            lambda w, p: plain_numpy_walkers(w, p, FEW_STEPS, generator), MANY_WALKERS, FEW_STEPS
        ),
        "plain numpy, 4096 walkers": _walkers(lambda w, p: plain_numpy_walkers(w, p, STEPS, generator)),
        "careful numpy, 4096 walkers": _walkers(lambda w, p: numpy_walkers(w, p, STEPS, generator)),
        "compiled loop, C library exp": _walkers(lambda w, p: compiled_walkers(w, p, STEPS, key)),
        "compiled blocks, C library exp": _walkers(lambda w, p: compiled_blocks(w, p, STEPS, key)),
        "tape, 100000 points": _points(lambda w: evaluate(program, w[np.newaxis]), points),
        "numpy, 100000 points": _points(numpy_gradients, points),
        "tape, 20000 points": _points(lambda w: evaluate(program, w[np.newaxis]), few_points),
        "numpy, 20000 points": _points(numpy_gradients, few_points),
    }


PAIRS = [
    ("specialised", "plain numpy, 100000 walkers"),
    ("specialised", "plain numpy, 4096 walkers"),
    ("specialised", "careful numpy, 100000 walkers"),
    ("specialised", "careful numpy, 4096 walkers"),
    ("specialised", "compiled loop, C library exp"),
    ("specialised", "compiled blocks, C library exp"),
    ("interpreted", "plain numpy, 100000 walkers"),
    ("interpreted", "plain numpy, 4096 walkers"),
    ("interpreted", "careful numpy, 100000 walkers"),
    ("interpreted", "careful numpy, 4096 walkers"),
    ("tape, 100000 points", "numpy, 100000 points"),
    ("tape, 20000 points", "numpy, 20000 points"),
]


def measure() -> list[dict[str, Any]]:
    """Rows of name, nanoseconds per walker-step (or point), peer, and ratio to the peer (above 1: faster)."""
    with tempfile.TemporaryDirectory() as directory:
        contestants = _contestants(Path(directory))
        best = {name: run() for name, run in contestants.items()}  # the first round compiles
        best = dict.fromkeys(best, math.inf)
        for _ in range(ROUNDS):
            for name, run in contestants.items():
                best[name] = min(best[name], run())
    return [
        {
            "name": name,
            "ns": best[name] * 1e9,
            "peer": peer,
            "peer_ns": best[peer] * 1e9,
            "ratio": best[peer] / best[name],
        }
        for name, peer in PAIRS
    ]


if __name__ == "__main__":
    for row in measure():
        print(
            f"{row['name']:20} {row['ns']:6.2f} ns  {row['ratio']:6.1f} x  {row['peer']} {row['peer_ns']:.1f} ns"
        )
