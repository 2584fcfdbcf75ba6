"""Rows of the samples as the kernels take them: a model's values and slopes over some of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.model import Model
from tui_opt.experiments.cos_fit.samples import Samples
from tui_opt.expressions import Expression, assemble
from tui_opt.kernels.fitting.least_squares import Mapper, sums, with_linear_solved
from tui_opt.kernels.tape import Program, evaluate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Some rows of the samples.

    Attributes:
        model: the model.
        columns: [columns, n].
        y: [n].
    """

    model: Model
    columns: FloatArray
    y: FloatArray

    @classmethod
    def of(cls, samples: Samples) -> Rows:
        """All rows."""
        columns = np.stack([samples.columns[name] for name in samples.model.columns])
        return cls(samples.model, columns, samples.y)

    @property
    def count(self) -> int:
        """How many."""
        return self.y.size

    def some(self, which: IntArray) -> Rows:
        """These rows only."""
        return Rows(self.model, np.ascontiguousarray(self.columns[:, which]), self.y[which])

    def thinned(self, most: int, rng: np.random.Generator) -> Rows:
        """At most so many rows, drawn without regard to their order."""
        if self.count <= most:
            return self
        return self.some(np.sort(rng.choice(self.count, most, replace=False, shuffle=False)))

    def __call__(self, values: FloatArray, rows: slice) -> FloatArray:
        """The model and its slopes, as the least-squares kernels ask for them."""
        return evaluate(self.model.program, self._inputs(values, rows))

    def evaluated(self, expressions: list[Expression], values: Mapping[str, float]) -> FloatArray:
        """Other expressions in the model's names, [expressions, n]."""
        at = np.array([values.get(name, 0.0) for name in self.model.parameters])
        program = Program(assemble(expressions))
        parts = [
            evaluate(program, self._inputs(at, slice(first, first + 65_536)))
            for first in range(0, self.count, 65_536)
        ]
        return np.concatenate(parts, axis=1)

    def error_at(self, values: FloatArray, linear: NDArray[np.bool_]) -> tuple[float, FloatArray]:
        """Mean squared error with the linear parameters at their best, and those parameters in place."""
        best = with_linear_solved(self, self.y, values, linear)
        error = sums(self, self.y, best).error / self.count
        return (error if np.isfinite(error) else np.inf), best

    def residuals(self, values: FloatArray, each: Mapper = map) -> FloatArray:
        """y less the model, [n]."""
        out = np.empty(self.count)
        for first in range(0, self.count, 65_536):
            rows = slice(first, first + 65_536)
            out[rows] = self.y[rows] - evaluate(self.model.value_program, self._inputs(values, rows))[0]
        return out

    def _inputs(self, values: FloatArray, rows: slice) -> FloatArray:
        columns = self.columns[:, rows]
        out = np.empty((columns.shape[0] + values.size, columns.shape[1]))
        out[: columns.shape[0]] = columns
        out[columns.shape[0] :] = values[:, None]
        return out
