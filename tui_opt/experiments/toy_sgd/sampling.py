"""Monte Carlo of the escape: walkers in chunks that own their random streams, kept as they finish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.pits import Way
from tui_opt.kernels.emit import specialise
from tui_opt.kernels.walkers import BLOCK, first_passage
from tui_opt.runner.context import Context

# A specialised kernel takes a second or two to compile once; below this many walker steps the tape is faster.
WORTH_COMPILING = 5e8
STEPS_IN_A_SLICE = 1e7
SLICES_BETWEEN_CHECKPOINTS = 20
MOST_CHUNKS = 256
LEAST_CHUNK = 4 * BLOCK

Kernel = Callable[..., None]


@dataclass(frozen=True)
class Sample:
    """What a number of walkers did.

    Attributes:
        walkers: how many there were.
        escaped: [n], how many had passed the barrier within each of the asked numbers of steps.
        passed: how many passed it at all.
        passage_sum, passage_squares: of the steps they took.
        lost: how many left the numbers (diverged).
    """

    walkers: int
    escaped: FloatArray
    passed: float
    passage_sum: float
    passage_squares: float
    lost: float

    @classmethod
    def empty(cls, questions: int) -> Sample:
        """No walkers yet."""
        return cls(0, np.zeros(questions), 0.0, 0.0, 0.0, 0.0)

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.walkers + other.walkers,
            self.escaped + other.escaped,
            self.passed + other.passed,
            self.passage_sum + other.passage_sum,
            self.passage_squares + other.passage_squares,
            self.lost + other.lost,
        )

    def packed(self) -> FloatArray:
        """As one array, for a checkpoint."""
        rest = [self.passed, self.passage_sum, self.passage_squares, self.lost]
        return np.concatenate([[self.walkers], self.escaped, rest])

    @classmethod
    def unpacked(cls, values: FloatArray) -> Sample:
        """The reverse of `packed`."""
        passed, total, squares, lost = (float(v) for v in values[-4:])
        return cls(int(values[0]), values[1:-4], passed, total, squares, lost)

    @property
    def mean_passage(self) -> tuple[float, float] | None:
        """Mean first-passage step and its standard error; None unless every walker escaped, or it would be biased."""
        if self.passed < self.walkers or self.walkers < 2:
            return None
        mean = self.passage_sum / self.walkers
        variance = max(0.0, self.passage_squares / self.walkers - mean**2)
        return mean, float(np.sqrt(variance / (self.walkers - 1)))


def chunks(walkers: int) -> Iterator[tuple[int, int]]:
    """(first walker, number of walkers) of each chunk: whole blocks, so that streams never depend on the cut."""
    size = max(LEAST_CHUNK, -(-walkers // (MOST_CHUNKS * BLOCK)) * BLOCK)
    return ((first, min(size, walkers - first)) for first in range(0, walkers, size))


def passage_kernel(system: System, ctx: Context, walker_steps: float) -> Kernel:
    """The specialised kernel where so many steps are worth compiling one, else the tape."""
    if ctx.kernels is not None and walker_steps >= WORTH_COMPILING:
        return specialise(system.gradient_tape, ctx.kernels)

    return partial(first_passage, system.gradient_program)


def sample_escapes(
    kernel: Kernel,
    way: Way,
    temperature: float,
    steps: tuple[int, ...],
    walkers: int,
    ctx: Context,
    label: str,
    report: Callable[[float], None],
) -> Sample:
    """Walk them all; finished chunks, and the walkers of unfinished ones, are found in the checkpoint again.

    Args:
        kernel: advances walkers in place.
        way: start and barrier.
        temperature: T.
        steps: numbers of steps after which escapes are counted.
        walkers: how many.
        ctx: context of the run.
        label: names this sample's random stream and checkpoint pieces.
        report: called with the share of the work that is done.
    """
    key = ctx.key(label)
    horizon = max(steps)
    direction = 1 if way.side > 0 else -1
    work = _Work(float(walkers) * horizon, report)

    def walk(chunk: tuple[int, int]) -> Sample:
        first, count = chunk
        name = f"{label}/{first}"
        kept = ctx.checkpoint.get(name)
        if kept is not None:
            work.add(count * horizon)
            return Sample.unpacked(kept)
        w, passage, begin = _resumed(ctx, name, way.start, count)
        work.add(count * begin)
        slice_steps = max(1, int(STEPS_IN_A_SLICE / count))
        for number, done in enumerate(range(begin, horizon, slice_steps), start=1):
            ctx.check()
            now = min(slice_steps, horizon - done)
            kernel(w, passage, first, done, now, temperature, way.barrier, direction, key)
            work.add(count * now)
            if np.all(passage >= 0):
                work.add(count * (horizon - done - now))
                break
            if number % SLICES_BETWEEN_CHECKPOINTS == 0:
                state = np.concatenate([[float(done + now)], w, passage.astype(np.float64)])
                ctx.checkpoint.put(f"{name}/under way", state)
        sample = _counted(w, passage, steps)
        ctx.checkpoint.put(name, sample.packed())
        ctx.checkpoint.drop(f"{name}/under way")
        return sample

    total = Sample.empty(len(steps))
    for sample in ctx.map(walk, chunks(walkers)):
        total += sample
    return total


class _Work:
    """Walker steps done, by several threads."""

    def __init__(self, total: float, report: Callable[[float], None]) -> None:
        self._total = total
        self._report = report
        self._done = 0.0
        self._lock = threading.Lock()

    def add(self, walker_steps: float) -> None:
        with self._lock:
            self._done += walker_steps
            self._report(self._done / self._total)


def _resumed(ctx: Context, name: str, start: float, count: int) -> tuple[FloatArray, NDArray[np.int64], int]:
    """Walkers of a chunk with the steps they have done, as an earlier attempt left them or at the start."""
    state = ctx.checkpoint.get(f"{name}/under way")
    if state is None or state.size != 2 * count + 1:
        return np.full(count, start), np.full(count, -1, dtype=np.int64), 0
    # Step numbers stay below 2^53, so they survive being stored as doubles.
    return state[1 : count + 1].copy(), state[count + 1 :].astype(np.int64), int(state[0])


def _counted(w: FloatArray, passage: NDArray[np.int64], steps: tuple[int, ...]) -> Sample:
    passed = passage[passage >= 0].astype(np.float64)
    ordered = np.sort(passed)
    escaped = np.searchsorted(ordered, np.array(steps, dtype=np.float64), side="right").astype(np.float64)
    lost = float(np.count_nonzero(~np.isfinite(w)))
    return Sample(w.size, escaped, float(passed.size), float(passed.sum()), float((passed**2).sum()), lost)
