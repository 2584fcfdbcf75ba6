"""Sweeps in one run directory: the points are computed in file order and kept in chunk files."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tui_opt.errors import CancelledError, ExperimentError, OptexploreError
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result, ResultDocument
from tui_opt.runner import files
from tui_opt.runner.context import Context, PrefixedPieces
from tui_opt.runner.gathering import Gathering
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep

MOST_CHUNKS = 1_000
_DOCUMENT = "document"
_ERROR = "error"

Compute = Callable[[Any, Context], Result]
#: what became of a point: its result, or the sentence that says why it has none.
Answer = Result | str


def compute_sweep(file: ScenarioFile, sweep: Sweep, compute: Compute, ctx: Context, chunks: Path) -> Result:
    """Every point of a sweep; those in chunk files are not computed again.

    Args:
        file: the scenario file, whose parameters each point changes.
        sweep: its axes.
        compute: the experiment.
        ctx: context of the whole sweep.
        chunks: folder of chunk files.

    Returns:
        Findings and arrays of all points with the axes in front; `status` is 0 where a point is done, 1 where not.

    Raises:
        ExperimentError: every point failed.
        CancelledError: it was asked to stop; finished chunks are kept.
    """
    chunks.mkdir(exist_ok=True)
    size = max(1, math.ceil(sweep.size / MOST_CHUNKS))
    gathering = Gathering(file, sweep)
    for first in range(0, sweep.size, size):
        points = range(first, min(first + size, sweep.size))
        path = chunks / f"{first:07d}.npz"
        answers = _load(path, points)
        if answers is None:
            answers = {}
            for point in points:
                ctx.check()
                ctx.progress(point, sweep.size, _point_text(sweep, point))
                answers[point] = _compute_point(file, sweep, point, compute, ctx)
            files.write_arrays(path, _pack(answers), sync=False)
            for point in points:  # the chunk file has them now
                ctx.checkpoint.drop(_prefix(point))
        for point, answer in answers.items():
            gathering.add(point, answer)
        ctx.partial(gathering.result)
    ctx.progress(sweep.size, sweep.size)
    if len(gathering.errors) == sweep.size:
        raise ExperimentError(f"Every point of the sweep failed; the first: {gathering.errors[0]}")
    return gathering.result()


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
            whole.experiment, seed=seed, device=whole.device, threads=whole.threads, kernels=whole.kernels
        )
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


# --- chunk files --------------------------------------------------------------------------------------------


def _bytes(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(text.encode("utf-8", "backslashreplace"), dtype=np.uint8)


def _pack(answers: Mapping[int, Answer]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for point, result in answers.items():
        if isinstance(result, str):
            arrays[f"{point}|{_ERROR}"] = _bytes(result)
            continue
        arrays[f"{point}|{_DOCUMENT}"] = _bytes(result.document().model_dump_json())
        for name, values in result.values().items():
            arrays[f"{point}|array|{name}"] = values
    return arrays


def _load(path: Path, points: range) -> dict[int, Answer] | None:
    """A chunk's points from its file; None where the file is missing, damaged or of something else."""
    if not path.exists():
        return None
    found: dict[int, Answer] = {}
    try:
        arrays = files.read_arrays(path)
        for point in points:
            if f"{point}|{_ERROR}" in arrays:
                found[point] = arrays[f"{point}|{_ERROR}"].tobytes().decode()
                continue
            document = ResultDocument.model_validate_json(arrays[f"{point}|{_DOCUMENT}"].tobytes())
            prefix = f"{point}|array|"
            values = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            found[point] = Result.from_document(document, values)
    except (OSError, ValueError, KeyError):
        return None
    return found
