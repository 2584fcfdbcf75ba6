"""Sweeps in one run directory: the points are computed in file order and kept in chunk files."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tui_opt.errors import CancelledError, ExperimentError, OptexploreError, StoreError
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.chunks import Answer, chunk_path, cut, load, save
from tui_opt.runner.context import Context, PrefixedPieces
from tui_opt.runner.gathering import Gathering
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep

Compute = Callable[[Any, Context], Result]
#: finished chunks as they come: the points of each, and what became of them.
Finished = Iterator[tuple[range, dict[int, Answer]]]


def compute_sweep(
    file: ScenarioFile, sweep: Sweep, compute: Compute, ctx: Context, folder: Path, processes: int = 1
) -> Result:
    """Every point of a sweep; those in chunk files are not computed again.

    Args:
        file: the scenario file, whose parameters each point changes.
        sweep: its axes.
        compute: the experiment.
        ctx: context of the whole sweep.
        folder: folder of chunk files, in the run directory.
        processes: how many processes share the work. The result does not depend on it.

    Returns:
        Findings and arrays of all points with the axes in front; `status` is 0 where a point is done, 1 where not.

    Raises:
        ExperimentError: every point failed.
        CancelledError: it was asked to stop; finished chunks are kept.
    """
    folder.mkdir(exist_ok=True)
    chunks = cut(sweep)
    if processes > 1 and len(chunks) > 1:
        from tui_opt.runner.pool import pooled

        finished = pooled(file, sweep, chunks, ctx, folder, processes)
    else:
        finished = _one_by_one(file, sweep, chunks, compute, ctx, folder)
    gathering = Gathering(file, sweep)
    came = []
    for points, answers in finished:
        came.append(points.start)
        _gather(gathering, answers)
        ctx.partial(gathering.result)
    ctx.progress(sweep.size, sweep.size)
    if came != sorted(came):
        gathering = _gathered_in_order(file, sweep, chunks, ctx, folder)
    if len(gathering.errors) == sweep.size:
        raise ExperimentError(f"Every point of the sweep failed; the first: {gathering.errors[0]}")
    return gathering.result()


def _gather(gathering: Gathering, answers: Mapping[int, Answer]) -> None:
    for point, answer in answers.items():
        gathering.add(point, answer)


def _gathered_in_order(
    file: ScenarioFile, sweep: Sweep, chunks: Sequence[range], ctx: Context, folder: Path
) -> Gathering:
    """All points in file order, so that the order of findings and warnings does not depend on who was faster."""
    gathering = Gathering(file, sweep)
    for points in chunks:
        ctx.check()
        answers = load(folder, points)
        if answers is None:
            raise StoreError(f"The chunk {chunk_path(folder, points)} has been lost since it was computed.")
        _gather(gathering, answers)
    return gathering


def _one_by_one(
    file: ScenarioFile,
    sweep: Sweep,
    chunks: Sequence[range],
    compute: Compute,
    ctx: Context,
    folder: Path,
) -> Finished:
    """The chunks in order, computed here where their file is not there."""
    for points in chunks:
        yield points, load(folder, points) or compute_chunk(file, sweep, points, compute, ctx, folder)


def compute_chunk(
    file: ScenarioFile, sweep: Sweep, points: range, compute: Compute, ctx: Context, folder: Path
) -> dict[int, Answer]:
    """Compute the points of a chunk and write its file."""
    answers = {}
    for point in points:
        ctx.check()
        ctx.progress(point, sweep.size, _point_text(sweep, point))
        answers[point] = _compute_point(file, sweep, point, compute, ctx)
    save(folder, points, answers)
    for point in points:  # the chunk file has them now
        ctx.checkpoint.drop(_prefix(point))
    return answers


def _point_text(sweep: Sweep, point: int) -> str:
    return ", ".join(
        f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}" for k, v in sweep.values(point).items()
    )


def _compute_point(
    file: ScenarioFile,
    sweep: Sweep,
    point: int,
    compute: Compute,
    ctx: Context,
) -> Answer:
    """The point's result, or the sentence that says why it has none."""
    try:
        one = file.at_point(sweep.values(point))
        inner = _PointContext(ctx, point, sweep.size, one.seed)
        result = compute(one.params, inner)
        if not isinstance(result, Result):
            raise TypeError(f"the compute function returned {type(result).__name__}, not a Result")
        return result
    except CancelledError:
        raise
    except (OptexploreError, ParameterErrors) as error:
        return str(error)
    except Exception as error:  # one point's failure must not cost the others
        ctx.message(traceback.format_exc())
        return f"failed unexpectedly ({type(error).__name__}: {error})"


def _prefix(point: int) -> str:
    """What the checkpoint's keys of a point begin with."""
    return f"point-{point}|"


class _PointContext(Context):
    """The context of one point: its seed is its own, its progress and its checkpoint are shares of the sweep's."""

    def __init__(self, whole: Context, point: int, points: int, seed: int) -> None:
        super().__init__(
            whole.experiment, seed=seed, device=whole.device, threads=whole.threads, kernels=whole.kernels,
            runs=whole.runs,
        )  # fmt: skip
        self.checkpoint = PrefixedPieces(whole.checkpoint, _prefix(point))
        self._whole = whole
        self._point = point
        self._points = points

    def check(self) -> None:
        self._whole.check()

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def progress(self, done: float, total: float, what: str = "") -> None:
        share = min(1.0, done / total) if total > 0 else 0.0
        self._whole.progress(self._point + share, self._points)

    def message(self, text: str) -> None:
        self._whole.message(text)

    def partial(self, make: Callable[[], Result]) -> None:
        """A sweep shows its finished points, not a point's beginnings."""
