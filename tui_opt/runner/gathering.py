"""Gathering a sweep: the answers of its points become arrays whose leading dims are the axes, one point at a time.

Only numbers are kept, so that a sweep of a million points takes no more memory than its arrays do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref
from tui_opt.result import Array, Finding, Result
from tui_opt.runner.memory import MOST_STACKED_BYTES
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LINES = 8
_MOST_WARNINGS = 100


@dataclass
class _Numbers:
    """A finding at every point, NaN where there is none."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    unit: str
    text: str


@dataclass
class _Stack:
    """An array of the points. While all have been equal only the first is kept, and `values` is None."""

    first: Array
    seen: NDArray[np.bool_]
    values: NDArray[np.float64] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that all points take together."""
        return 8 * self.first.values.size * self.seen.size


class Gathering:
    """The answers of a sweep's points so far.

    Args:
        file: the scenario file.
        sweep: its sweep.
    """

    def __init__(self, file: ScenarioFile, sweep: Sweep) -> None:
        self.errors: dict[int, str] = {}
        self._file = file
        self._sweep = sweep
        self._dims = tuple(axis.name for axis in sweep.axes)
        self._status = np.full(sweep.size, -1, dtype=np.int8)
        self._findings: dict[str, _Numbers] = {}
        self._stacks: dict[str, _Stack] = {}
        self._left_out: dict[str, None] = {}
        self._stacked_bytes = 0
        self._warnings: dict[str, None] = {}

    def add(self, point: int, answer: Result | str) -> None:
        """Take in a point's result, or the sentence that says why it has none."""
        self._status[point] = 1 if isinstance(answer, str) else 0
        if isinstance(answer, str):
            self.errors[point] = answer
            return
        for name, finding in answer.findings.items():
            self._add_finding(point, name, finding)
        for name, array in answer.arrays.items():
            if name not in self._dims and name not in self._left_out:  # a name of a dim is the axis itself
                self._add_array(point, name, array)
        for warning in answer.warnings:
            if len(self._warnings) < _MOST_WARNINGS:
                self._warnings[warning] = None

    def _add_finding(self, point: int, name: str, finding: Finding) -> None:
        if name not in self._findings:
            nothing = np.full(self._sweep.size, np.nan)
            self._findings[name] = _Numbers(nothing, nothing.copy(), "", "")
        kept = self._findings[name]
        kept.values[point] = finding.value
        kept.errors[point] = np.nan if finding.stderr is None else finding.stderr
        kept.unit, kept.text = finding.unit, finding.text

    def _add_array(self, point: int, name: str, array: Array) -> None:
        if array.values.dtype.kind not in "fiub":
            self._left_out[name] = None  # texts and complex numbers have no place in an array of reals
            return
        if name not in self._stacks:
            self._stacks[name] = _Stack(array, np.zeros(self._sweep.size, dtype=bool))
        stack = self._stacks[name]
        if array.values.shape != stack.first.values.shape or array.dims != stack.first.dims:
            self._leave_out(name)
            return
        if stack.values is None and not _same(array.values, stack.first.values):
            if self._stacked_bytes + stack.nbytes > MOST_STACKED_BYTES:
                self._leave_out(name)
                return
            self._spread(stack)
        stack.seen[point] = True
        if stack.values is not None:
            stack.values[point] = array.values

    def _spread(self, stack: _Stack) -> None:
        """Give every point a place of its own, now that not all are equal."""
        self._stacked_bytes += stack.nbytes
        stack.values = np.full((self._sweep.size, *stack.first.values.shape), np.nan)
        stack.values[stack.seen] = stack.first.values

    def _leave_out(self, name: str) -> None:
        if self._stacks[name].values is not None:
            self._stacked_bytes -= self._stacks[name].nbytes
        del self._stacks[name]
        self._left_out[name] = None

    # --- the result -----------------------------------------------------------------------------------------

    def result(self) -> Result:
        """One result from the points there are; NaN where there is none yet, and where one failed."""
        out, sweep, dims = Result(), self._sweep, self._dims
        _add_axes(out, self._file, sweep)
        for name, numbers in self._findings.items():
            self._put_finding(out, name, numbers)
        large = [name for name, stack in self._stacks.items() if not self._put_array(out, name, stack)]
        out.add_array(
            "status",
            self._status.reshape(sweep.shape).copy(),
            dims,
            text="0 done, 1 failed, -1 not computed yet",
        )
        rows = [(*map(_cell, sweep.values(p).values()), text) for p, text in sorted(self.errors.items())]
        if rows:
            out.add_table("errors", (*dims, "error"), rows)
            out.warn(f"{len(rows)} of {sweep.size} points failed; the table `errors` says why.")
        if left_out := [*self._left_out, *large]:
            out.warn(
                f"Not gathered, because their shape changes from point to point or they are large: "
                f"{', '.join(left_out)}. The chunk files hold them."
            )
        done = int(np.count_nonzero(self._status == 0))
        out.add_finding("points", done, f"points of {sweep.size} that are done")
        out.add_finding("failed_points", len(self.errors), "points that failed")
        for warning in self._warnings:
            out.warn(warning)
        _add_figures(out, self._file, sweep)
        return out

    def _put_finding(self, out: Result, name: str, numbers: _Numbers) -> None:
        shape, dims, unit = self._sweep.shape, self._dims, numbers.unit
        target = name if name not in dims else f"{name}_found"
        out.add_array(target, numbers.values.reshape(shape).copy(), dims, unit=unit, text=numbers.text)
        if not np.all(np.isnan(numbers.errors)):
            errors = numbers.errors.reshape(shape).copy()
            out.add_array(f"{target}_stderr", errors, dims, unit=unit, text="standard error")

    def _put_array(self, out: Result, name: str, stack: _Stack) -> bool:
        """Put an array with the axes in front; coordinates that never change stay as they are.

        Returns:
            False where it would be too large.
        """
        first, sweep = stack.first, self._sweep
        if name in first.dims and stack.values is None:
            if name not in out.arrays:
                out.arrays[name] = first
            return True
        target = name
        if name in out.arrays:
            if first.values.size == 1:
                return True  # one number per point, which the finding of the same name is already
            target = f"{name}_values"
        values = stack.values
        if values is None:
            if self._stacked_bytes + stack.nbytes > MOST_STACKED_BYTES:
                return False
            values = np.full((sweep.size, *first.values.shape), np.nan)
            values[stack.seen] = first.values
        inner = tuple(d if d not in self._dims else f"{d}_inner" for d in first.dims)
        shape = (*sweep.shape, *first.values.shape)
        out.add_array(target, values.reshape(shape), (*self._dims, *inner), unit=first.unit, text=first.text)
        return True


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays of one shape hold the same numbers, NaN in the same places."""
    return a is b or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")


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
            out.add_figure(
                Figure(
                    name=name, title=f"{name} over the sweep", x=axis(x), y=axis(first.name), layers=(heat,)
                )
            )
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
        out.add_figure(
            Figure(
                name=name,
                title=f"{name} over the sweep",
                x=axis(first.name),
                y=y,
                layers=lines,
                caption=caption,
            )
        )
