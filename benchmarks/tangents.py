"""Lorenz trajectories with both tangents: many in lanes, one for long, and the map of Op.

Peers: plain NumPy on whole arrays, jax.linearize where JAX can be installed, and the processor's own peak of
multiply-adds, measured beside by a loop that does nothing else, compiled with the same vectors. Operations are counted
by running the kernel's own expressions on numbers that count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks._peers import Unavailable, peer_python, run_peer
from benchmarks._timing import in_turn
from tui_opt.device import gpus
from tui_opt.experiments.lorenz.course import tape_of
from tui_opt.experiments.lorenz.op_landscape import compute
from tui_opt.experiments.lorenz.params import OpLandscapeParams, OpParams
from tui_opt.kernels.tangents import Question, follow
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.lorenz_lanes import TILE, follow_lanes, slope_along, slope_of, toward
from tui_opt.kernels.vector_width import widest_vectors
from tui_opt.runner.context import Context

FloatArray = NDArray[np.float64]
Record = dict[str, Any]

LORENZ, DT = Lorenz(), 0.01
STEPS = 1000
NUMPY_LANES, NUMPY_STEPS = 100_000, 4
JAX_LANES = (400, 800, 1600)
NUMPY_BAR, JAX_BAR, PEAK_BAR = 20.0, 10.0, 0.5
MAP_SECONDS_BAR, PREVIEW_SECONDS_BAR, LONG_SECONDS_BAR = 1.5, 0.5, 0.15
LONG_STEPS, PLAIN_STEPS = 100_000, 2000
PEAK_LANES, PEAK_TURNS = 128, 4_000_000


def question(lanes: int, steps: int) -> Question:
    """Starts around the attractor, b perturbed, a held."""
    starts = np.random.default_rng(0).normal(size=(3, lanes)) * 8 + [[0], [0], [27]]
    return Question(starts, steps, 1, (0,), dt=DT)


class Counting:
    """A number that counts the operations that make it, the same one only once, as a compiler does."""

    made: dict[tuple[Any, ...], Counting] = {}  # noqa: RUF012 - shared by all on purpose

    def __init__(self, *key: Any) -> None:
        self.key = key

    def _by(self, op: str, other: object) -> Counting:
        if op == "*" and other == 1.0:
            return self
        left, right = id(self), id(other) if isinstance(other, Counting) else other
        return self.made.setdefault((op, left, right), Counting(op, self, other))

    def __add__(self, other: object) -> Counting:
        return self._by("+", other)

    def __sub__(self, other: object) -> Counting:
        return self._by("-", other)

    def __mul__(self, other: object) -> Counting:
        return self._by("*", other)

    def __rmul__(self, other: object) -> Counting:
        return self._by("*", other)


def operations() -> int:
    """Additions and multiplications of a step of RK4 with both tangents; that of a mask is not counted."""
    along, of, move = slope_along.py_func, slope_of.py_func, toward.py_func
    constants = tuple(Counting(name) for name in ("sigma", "rho", "beta"))
    half, whole, sixth = (Counting(name) for name in ("dt/2", "dt", "dt/6"))
    w, v, u = (tuple(Counting(name, k) for k in range(3)) for name in "wvu")
    Counting.made.clear()
    slopes = [of(w, constants), along(w, v, constants), along(w, u, constants)]
    totals = slopes
    for reach, weight in ((half, 2.0), (half, 2.0), (whole, 1.0)):
        places = [move(s, reach, k) for s, k in zip((w, v, u), slopes, strict=True)]
        slopes = [of(places[0], constants), *(along(places[0], place, constants) for place in places[1:])]
        totals = [move(t, weight, k) for t, k in zip(totals, slopes, strict=True)]
    for s, t in zip((w, v, u), totals, strict=True):
        move(s, sixth, t)
    return len(Counting.made)


@numba.njit(nogil=True, fastmath={"contract"})
def multiply_add(turns: int) -> float:
    """Multiply-adds of PEAK_LANES numbers that stay in registers: two operations each."""
    widest_vectors()
    numbers = np.ones(PEAK_LANES)
    for _ in range(turns):
        for i in range(PEAK_LANES):
            numbers[i] = numbers[i] * 0.999999 + 1e-9
    return float(numbers.sum())


def by_numpy(lanes: int, steps: int) -> FloatArray:
    """The same course on whole arrays, as one writes it: RK4 of W and of both tangents."""
    asked = question(lanes, steps)
    w, v = asked.initial.copy(), np.zeros_like(asked.initial)
    v[1] = 1.0
    u, mask = v.copy(), np.array([[0.0], [1.0], [1.0]])
    for _ in range(steps):
        k1, x1, y1 = LORENZ.slope(0, w), LORENZ.product(0, w, v), mask * LORENZ.product(0, w, u)
        p, q, r = w + 0.5 * DT * k1, v + 0.5 * DT * x1, u + 0.5 * DT * y1
        k2, x2, y2 = LORENZ.slope(0, p), LORENZ.product(0, p, q), mask * LORENZ.product(0, p, r)
        p, q, r = w + 0.5 * DT * k2, v + 0.5 * DT * x2, u + 0.5 * DT * y2
        k3, x3, y3 = LORENZ.slope(0, p), LORENZ.product(0, p, q), mask * LORENZ.product(0, p, r)
        p, q, r = w + DT * k3, v + DT * x3, u + DT * y3
        k4, x4, y4 = LORENZ.slope(0, p), LORENZ.product(0, p, q), mask * LORENZ.product(0, p, r)
        w = w + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        v = v + DT / 6 * (x1 + 2 * x2 + 2 * x3 + x4)
        u = u + DT / 6 * (y1 + 2 * y2 + 2 * y3 + y4)
    return w


def in_lanes() -> list[Record]:
    """Trajectory-steps a second on one core, against NumPy and the peak."""
    asked = question(TILE, STEPS)
    follow_lanes(LORENZ, question(TILE, 1), 1), multiply_add(1)
    ours, numpy, peak = in_turn(
        lambda: follow_lanes(LORENZ, asked, 1),
        lambda: by_numpy(NUMPY_LANES, NUMPY_STEPS),
        lambda: multiply_add(PEAK_TURNS),
        rounds=9,
    )
    rate, numpy_rate = TILE * STEPS / ours, NUMPY_LANES * NUMPY_STEPS / numpy
    counted = operations()
    peak_rate = 2.0 * PEAK_LANES * PEAK_TURNS / peak
    off = np.abs(
        follow_lanes(LORENZ, question(1000, NUMPY_STEPS), 1).state - by_numpy(1000, NUMPY_STEPS)
    ).max()
    both = "RK4 with both tangents, one core"
    return [
        {
            "name": both,
            "trajectory_steps_per_second": rate,
            "peer": f"NumPy on whole arrays of {NUMPY_LANES}",
            "peer_steps_per_second": numpy_rate,
            "ratio": rate / numpy_rate,
            "difference": float(off),
            "bar_ratio": NUMPY_BAR,
            "holds": rate / numpy_rate >= NUMPY_BAR,
        },
        {
            "name": f"{both}, share of the peak",
            "operations_per_step": counted,
            "gigaflops": rate * counted / 1e9,
            "peer": "multiply-adds in registers",
            "peer_gigaflops": peak_rate / 1e9,
            "ratio": rate * counted / peak_rate,
            "bar_ratio": PEAK_BAR,
            "holds": rate * counted / peak_rate >= PEAK_BAR,
        },
    ]


def processor_seconds(work: Callable[[], object], rounds: int = 9) -> float:
    """Least seconds of the processor, which what else it does leaves alone more than those of a clock."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def against_jax() -> list[Record]:
    """Against jax.linearize on whole arrays, and with as many lanes at once as suit it best.

    Both in seconds of the processor.
    """
    name = "RK4 with both tangents, one core, against JAX"
    script = Path(__file__).parent / "_peer_jax_lorenz.py"
    ours, rates, answer = [], {}, {}
    try:
        python = peer_python("jax", "jax")
        for lanes, steps in ((NUMPY_LANES, 20), *((lanes, STEPS) for lanes in JAX_LANES)):
            ours.append(processor_seconds(lambda: follow_lanes(LORENZ, question(TILE, STEPS), 1)))
            answer = run_peer(python, script, str(lanes), str(steps), "9")
            rates[lanes] = lanes * steps / answer["seconds"]
    except Unavailable as missing:
        return [{"name": name, "peer": "jax.linearize", "note": str(missing)}]
    rate = TILE * STEPS / min(ours)
    end = follow_lanes(LORENZ, Question(np.ones((3, 1)), STEPS, 1, (0,), dt=DT), 1).state[:, 0]
    whole, best = rates.pop(NUMPY_LANES), max(rates, key=rates.__getitem__)
    common = {
        "trajectory_steps_per_second": rate,
        "difference": float(np.abs(end - np.array(answer["state"])).max()),
    }
    return [
        {
            "name": name,
            **common,
            "peer": f"jax.linearize {answer['version']} on whole arrays of {NUMPY_LANES}",
            "peer_steps_per_second": whole,
            "ratio": rate / whole,
            "bar_ratio": JAX_BAR,
            "holds": rate / whole >= JAX_BAR,
        },
        {
            "name": f"{name} in blocks",
            **common,
            "peer": f"jax.linearize, {best} lanes at once, which suit it best",
            "peer_steps_per_second": rates[best],
            "ratio": rate / rates[best],
        },
    ]


def maps() -> list[Record]:
    """The experiment op-landscape as it stands, its default and its coarse map, on two threads.

    The bars are for two cores that do nothing else, so they are held against the processor's seconds per thread.
    """
    rows = []
    whole, coarse = OpLandscapeParams.check({}), OpLandscapeParams.check({"points": 128})
    for name, params, bar in (
        ("map of 512 x 512 starts, 1000 steps, two threads", whole, MAP_SECONDS_BAR),
        ("map of 128 x 128 starts, 1000 steps, two threads", coarse, PREVIEW_SECONDS_BAR),
    ):
        compute(OpLandscapeParams.check({"points": 16}), Context("lorenz/op-landscape"))

        def run(params: OpLandscapeParams = params) -> object:
            return compute(params, Context("lorenz/op-landscape", threads=2))

        ours, numpy = in_turn(run, lambda: by_numpy(NUMPY_LANES, NUMPY_STEPS), rounds=5)
        per_thread = processor_seconds(run, rounds=5) / 2
        peer = numpy / (NUMPY_LANES * NUMPY_STEPS) * params.points**2 * STEPS
        rows.append(
            {
                "name": name,
                "seconds": ours,
                "peer": "NumPy on whole arrays, extrapolated",
                "peer_seconds": peer,
                "ratio": peer / ours,
                "processor_seconds_per_thread": per_thread,
                "bar_seconds": bar,
                "holds": per_thread < bar,
            }
        )
    return rows


def long_course() -> Record:
    """One chaotic trajectory with both tangents at every step."""
    system, start = tape_of(OpParams.check({})), np.ones(3)
    asked = Question(start, LONG_STEPS, 1, (0,), dt=DT)
    plain = Question(start, PLAIN_STEPS, 1, (0,), dt=DT)
    follow(system, plain)
    ours, theirs = in_turn(lambda: follow(system, asked), lambda: follow(LORENZ.system(), plain), rounds=5)
    peer = theirs * LONG_STEPS / PLAIN_STEPS
    of_processor = processor_seconds(lambda: follow(system, asked))
    return {
        "name": f"{LONG_STEPS} steps of one trajectory, both tangents at every step",
        "seconds": ours,
        "peer": f"the same in NumPy, extrapolated from {PLAIN_STEPS}",
        "peer_seconds": peer,
        "ratio": peer / ours,
        "processor_seconds": of_processor,
        "bar_seconds": LONG_SECONDS_BAR,
        "holds": of_processor < LONG_SECONDS_BAR,
    }


def on_a_gpu() -> Record:
    """The map on a GPU against two threads, where there is one."""
    name = "map of 512 x 512 starts on a GPU"
    if not gpus():
        return {"name": name, "note": "There is no GPU here, so it was not measured."}
    from tui_opt.kernels.tangents.lorenz_gpu import UnavailableError, follow_on

    asked = question(512 * 512, STEPS)
    try:
        follow_on("cuda:0", LORENZ, question(128, 1), 1)
    except UnavailableError as missing:
        return {"name": name, "note": str(missing)}
    ours, cpu = in_turn(
        lambda: follow_on("cuda:0", LORENZ, asked, 1), lambda: follow_lanes(LORENZ, asked, 1), rounds=3
    )
    return {
        "name": f"{name} ({gpus()[0].name})",
        "seconds": ours,
        "peer": "one core",
        "peer_seconds": cpu,
        "ratio": cpu / ours,
    }


def measure() -> list[Record]:
    """All records: name, seconds or rate and, where there is a peer, ratio (of the rates: ours over the peer's)."""
    return [*in_lanes(), *against_jax(), *maps(), long_course(), on_a_gpu()]
