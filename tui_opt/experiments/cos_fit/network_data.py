"""What networks are trained and tested on: samples in units of their spread, fresh ones, some out of their range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.overparameterised_params import OverparameterisedParams
from tui_opt.experiments.cos_fit.samples import FloatArray, Samples, load_samples
from tui_opt.runner.context import Context

Float32: TypeAlias = NDArray[np.float32]
HELD_OUT = 0.2
"""Share of a file's rows that are kept for the test."""
CURVE_POINTS = 401


@dataclass(frozen=True)
class NetworkData:
    """Training and test data.

    Attributes:
        samples: those that are fitted.
        x, y: [n, columns] and [n], in units of their spread about their mean.
        test_columns: fresh values, [columns, m].
        test_y: the model there without noise, or a file's held-out rows; [m].
        outside_columns, outside_y: the same beyond the range of the first column; None for data from a file.
        curve_columns, curve_y: along the first column, the others at their mean; curve_y is None for a file.
        shift, scale: of the columns.
        y_shift, y_scale: of y.
    """

    samples: Samples
    x: Float32
    y: Float32
    test_columns: FloatArray
    test_y: FloatArray
    outside_columns: FloatArray | None
    outside_y: FloatArray | None
    curve_columns: FloatArray
    curve_y: FloatArray | None
    shift: FloatArray
    scale: FloatArray
    y_shift: float
    y_scale: float

    @property
    def variance(self) -> float:
        """Of the test values: the error of the best constant."""
        return float(np.var(self.test_y))

    def inputs(self, columns: FloatArray) -> Float32:
        """Columns as a network takes them, [m, columns]."""
        return np.ascontiguousarray(
            ((columns - self.shift[:, None]) / self.scale[:, None]).T, dtype=np.float32
        )

    def outputs(self, values: Float32) -> FloatArray:
        """A network's outputs in units of y."""
        return np.asarray(values.astype(np.float64) * self.y_scale + self.y_shift)


def load_data(params: OverparameterisedParams, ctx: Context) -> NetworkData:
    """Samples, fresh ones, and values beyond their range.

    Raises:
        ExperimentError: there are too few rows, or y does not vary.
    """
    samples = load_samples(params, ctx)
    if samples.count < 10:
        raise ExperimentError(
            f"{samples.count} rows are too few to train and test networks on; give at least 10."
        )
    columns = np.array([samples.columns[name] for name in samples.model.columns])
    outside_columns = outside_y = curve_y = None
    if params.data:
        order = ctx.rng("held out").permutation(samples.count)
        kept = max(1, int(HELD_OUT * samples.count))
        test_columns, test_y = columns[:, order[:kept]], samples.y[order[:kept]]
        columns, y = columns[:, order[kept:]], samples.y[order[kept:]]
    else:
        y = samples.y
        fresh = load_samples(params.model_copy(update={"samples": params.test_samples, "noise": 0.0}), ctx, 1)
        test_columns = np.array([fresh.columns[name] for name in fresh.model.columns])
        test_y = fresh.y
        outside_columns = _beyond(columns, test_columns)
        outside_y = _model(samples, outside_columns)
    curve_columns = _along(columns)
    if not params.data:
        curve_y = _model(samples, curve_columns)
    y_scale = float(np.std(y))
    if y_scale == 0.0 or np.var(test_y) == 0.0:
        raise ExperimentError("y is the same in all samples, so there is nothing to fit.")
    shift, scale = columns.mean(axis=1), columns.std(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    x = ((columns - shift[:, None]) / scale[:, None]).T
    return NetworkData(
        samples, np.ascontiguousarray(x, dtype=np.float32), ((y - y.mean()) / y_scale).astype(np.float32), test_columns,
        test_y, outside_columns, outside_y, curve_columns, curve_y, shift, scale, float(y.mean()), y_scale,
    )  # fmt: skip


def _model(samples: Samples, columns: FloatArray) -> FloatArray:
    by_name = dict(zip(samples.model.columns, columns, strict=True))
    if samples.truth is None:
        raise ValueError("Only samples that are drawn have a truth.")
    return samples.model.values(by_name, samples.truth)


def _beyond(columns: FloatArray, test: FloatArray) -> FloatArray:
    """Test values whose first column is moved past the range of the samples, by up to that range again."""
    moved = test.copy()
    low, high = float(columns[0].min()), float(columns[0].max())
    share = (test[0] - low) / (high - low) if high > low else np.zeros(test.shape[1])
    moved[0] = high + np.clip(share, 0.0, 1.0) * (high - low)
    return moved


def _along(columns: FloatArray) -> FloatArray:
    """Places along the first column, half of its range past either end, the others at their mean."""
    low, high = float(columns[0].min()), float(columns[0].max())
    room = 0.5 * (high - low)
    out = np.tile(columns.mean(axis=1)[:, None], (1, CURVE_POINTS))
    out[0] = np.linspace(low - room, high + room, CURVE_POINTS)
    return out
