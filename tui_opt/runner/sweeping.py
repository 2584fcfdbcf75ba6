"""Sweeps in one run directory: chunk files of finished points, gathered into arrays whose leading dims are the axes."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tui_opt.errors import CancelledError, ExperimentError, OptexploreError
from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result, ResultDocument
from tui_opt.runner import files
from tui_opt.runner.context import Context
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep

MOST_CHUNKS = 1_000
MOST_STACKED_BYTES = 256_000_000
MOST_LINES = 8
_DOCUMENT = "document"
_ERROR = "error"

Compute = Callable[[Any, Context], Result]


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
    results: list[Result | None] = [None] * sweep.size
    errors: dict[int, str] = {}
    for first in range(0, sweep.size, size):
        points = range(first, min(first + size, sweep.size))
        path = chunks / f"{first:07d}.npz"
        if not _load(path, points, results, errors):
            for point in points:
                ctx.check()
                ctx.progress(point, sweep.size, _point_text(sweep, point))
                _compute_point(file, sweep, point, compute, ctx, results, errors)
            files.write_arrays(path, _pack(points, results, errors), sync=False)
        ctx.partial(lambda: gather(file, sweep, results, errors))
    ctx.progress(sweep.size, sweep.size)
    if len(errors) == sweep.size:
        raise ExperimentError(f"Every point of the sweep failed; the first: {errors[0]}")
    return gather(file, sweep, results, errors)


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
    results: list[Result | None],
    errors: dict[int, str],
) -> None:
    try:
        one = file.at_point(sweep.values(point))
        inner = _PointContext(ctx, point, sweep.size, one.seed)
        result = compute(one.params, inner)
        if not isinstance(result, Result):
            raise TypeError(f"the compute function returned {type(result).__name__}, not a Result")
        results[point] = result
    except CancelledError:
        raise
    except (OptexploreError, ParameterErrors) as error:
        errors[point] = str(error)
    except Exception as error:  # one point's failure must not cost the others
        ctx.message(traceback.format_exc())
        errors[point] = f"failed unexpectedly ({type(error).__name__}: {error})"


class _PointContext(Context):
    """The context of one point: its progress is a share of the sweep's, its seed its own, its checkpoints none."""

    def __init__(self, whole: Context, point: int, points: int, seed: int) -> None:
        super().__init__(
            whole.experiment, seed=seed, device=whole.device, threads=whole.threads, kernels=whole.kernels
        )
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
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _pack(points: range, results: list[Result | None], errors: dict[int, str]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for point in points:
        result = results[point]
        if result is None:
            arrays[f"{point}|{_ERROR}"] = _bytes(errors[point])
            continue
        arrays[f"{point}|{_DOCUMENT}"] = _bytes(result.document().model_dump_json())
        for name, values in result.values().items():
            arrays[f"{point}|array|{name}"] = values
    return arrays


def _load(path: Path, points: range, results: list[Result | None], errors: dict[int, str]) -> bool:
    """Take a chunk's points from its file; False where the file is missing, damaged or of something else."""
    if not path.exists():
        return False
    found: dict[int, Result] = {}
    failed: dict[int, str] = {}
    try:
        arrays = files.read_arrays(path)
        for point in points:
            if f"{point}|{_ERROR}" in arrays:
                failed[point] = arrays[f"{point}|{_ERROR}"].tobytes().decode()
                continue
            document = ResultDocument.model_validate_json(arrays[f"{point}|{_DOCUMENT}"].tobytes())
            prefix = f"{point}|array|"
            values = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            found[point] = Result.from_document(document, values)
    except (OSError, ValueError, KeyError):
        return False
    errors.update(failed)
    for point, result in found.items():
        results[point] = result
    return True


# --- gathering ----------------------------------------------------------------------------------------------


def gather(file: ScenarioFile, sweep: Sweep, results: list[Result | None], errors: dict[int, str]) -> Result:
    """One result from the points there are; NaN where there is none yet, and where one failed."""
    out = Result()
    dims = tuple(axis.name for axis in sweep.axes)
    _add_axes(out, file, sweep)
    done = [(point, result) for point, result in enumerate(results) if result is not None]
    _add_findings(out, sweep, dims, done)
    _add_arrays(out, sweep, dims, done)
    status = np.full(sweep.size, -1, dtype=np.int8)
    status[[point for point, _ in done]] = 0
    status[list(errors)] = 1
    out.add_array("status", status.reshape(sweep.shape), dims, text="0 done, 1 failed, -1 not computed yet")
    rows = [(*map(_cell, sweep.values(point).values()), text) for point, text in sorted(errors.items())]
    if rows:
        out.add_table("errors", (*dims, "error"), rows)
        out.warn(f"{len(rows)} of {sweep.size} points failed; the table `errors` says why.")
    out.add_finding("points", len(done), f"points of {sweep.size} that are done")
    out.add_finding("failed_points", len(errors), "points that failed")
    for _, result in done:
        for warning in result.warnings:
            out.warn(warning)
    _add_figures(out, file, sweep)
    return out


def _cell(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _is_numeric(values: tuple[Any, ...]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _add_axes(out: Result, file: ScenarioFile, sweep: Sweep) -> None:
    specs = file.experiment.params.specs()
    for axis in sweep.axes:
        if _is_numeric(axis.values):
            unit = specs[axis.name].unit if axis.name in specs else ""
            out.add_array(axis.name, np.array(axis.values, dtype=float), (axis.name,), unit=unit)
        else:
            out.add_table(
                f"axis_{axis.name}", ("index", axis.name), [(i, _cell(v)) for i, v in enumerate(axis.values)]
            )


def _add_findings(out: Result, sweep: Sweep, dims: tuple[str, ...], done: list[tuple[int, Result]]) -> None:
    names = dict.fromkeys(name for _, result in done for name in result.findings)
    for name in names:
        values = np.full(sweep.size, np.nan)
        errors = np.full(sweep.size, np.nan)
        unit = text = ""
        for point, result in done:
            finding = result.findings.get(name)
            if finding is not None:
                values[point] = finding.value
                errors[point] = np.nan if finding.stderr is None else finding.stderr
                unit, text = finding.unit, finding.text
        target = name if name not in dims else f"{name}_found"
        out.add_array(target, values.reshape(sweep.shape), dims, unit=unit, text=text)
        if not np.all(np.isnan(errors)):
            out.add_array(
                f"{target}_stderr", errors.reshape(sweep.shape), dims, unit=unit, text="standard error"
            )


def _add_arrays(out: Result, sweep: Sweep, dims: tuple[str, ...], done: list[tuple[int, Result]]) -> None:
    """Arrays of one shape at all points get the axes in front; coordinates that never change stay as they are."""
    ragged: list[str] = []
    for name in dict.fromkeys(name for _, result in done for name in result.arrays):
        if name in dims:
            continue  # the axis itself
        arrays = [(point, result.arrays[name]) for point, result in done if name in result.arrays]
        first = arrays[0][1]
        if any(a.values.shape != first.values.shape or a.dims != first.dims for _, a in arrays):
            ragged.append(name)
            continue
        coordinate = name in first.dims
        if coordinate and all(np.array_equal(a.values, first.values, equal_nan=True) for _, a in arrays):
            if name not in out.arrays:
                out.arrays[name] = first
            continue
        if name in out.arrays or first.values.nbytes * sweep.size > MOST_STACKED_BYTES:
            ragged.append(name)
            continue
        stacked = np.full((sweep.size, *first.values.shape), np.nan)
        for point, array in arrays:
            stacked[point] = array.values
        inner = tuple(d if d not in dims else f"{d}_inner" for d in first.dims)
        shape = (*sweep.shape, *first.values.shape)
        out.add_array(name, stacked.reshape(shape), (*dims, *inner), unit=first.unit, text=first.text)
    if ragged:
        out.warn(
            f"Not gathered, because their shape or coordinates change from point to point or they are large: "
            f"{', '.join(ragged)}. The chunk files hold them."
        )


def _add_figures(out: Result, file: ScenarioFile, sweep: Sweep) -> None:
    specs = file.experiment.params.specs()
    first = sweep.axes[0]
    if not _is_numeric(first.values) or len(first.values) < 2:
        return

    def axis(name: str) -> Axis:
        spec = specs.get(name)
        log = spec is not None and spec.log and min(next(a for a in sweep.axes if a.name == name).values) > 0
        return Axis(label=name, unit=spec.unit if spec else "", scale="log" if log else "linear")

    for name in file.experiment.headline:
        array = out.arrays.get(name)
        if array is None or array.dims != tuple(a.name for a in sweep.axes):
            continue
        if len(sweep.axes) == 2 and _is_numeric(sweep.axes[1].values) and min(sweep.shape) > MOST_LINES:
            x = sweep.axes[1].name
            heat = Heatmap(
                x=Ref(array=x), y=Ref(array=first.name), z=Ref(array=name), label=name, unit=array.unit
            )
            out.add_figure(Figure(name=name, title=name, x=axis(x), y=axis(first.name), layers=(heat,)))
            continue
        rest = Sweep(sweep.axes[1:])
        lines = tuple(
            Line(
                x=Ref(array=first.name),
                y=Ref(array=name, index=(None, *rest.index(k))),
                label=", ".join(f"{a} = {v}" for a, v in rest.values(k).items()),
            )
            for k in range(min(rest.size, MOST_LINES))
        )
        caption = f"the first {MOST_LINES} of {rest.size} series" if rest.size > MOST_LINES else ""
        y = Axis(label=name, unit=array.unit)
        out.add_figure(Figure(name=name, title=name, x=axis(first.name), y=y, layers=lines, caption=caption))
