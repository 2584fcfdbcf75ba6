"""What the networks are to learn: the training set, the hand-built network, and what is high and low in frequency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.data_file import header_of, read_columns, text_of
from tui_opt.experiments.landscape_5x5.network_params import VARIABLE, NetworkParams
from tui_opt.experiments.landscape_5x5.words import counted
from tui_opt.expressions import assemble, parse
from tui_opt.kernels.networks.construction import built_network, only_spline, spline_knots
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import outputs

FloatArray: TypeAlias = NDArray[np.float64]

LEAST_ROWS = 2
LARGEST = 1e15
"""Numbers of a training set, whose squares are still far from the end of single precision."""


@dataclass(frozen=True)
class Task:
    """A training set and what is known of it.

    Args:
        layout: of the networks that are trained.
        x: [sample], ascending.
        y: [sample].
        built: the network that fits exactly, in this layout, [parameter]; None where there is none, or it has no room.
        knots: of the target, with both ends; of data, the ends only.
        corners: knots of its low frequencies, with both ends.
        high: [sample], the part of high frequency: the sawtooth, or all of a target that was not built.
        dropped: rows of a file left out for missing values.
    """

    layout: Layout
    x: FloatArray
    y: FloatArray
    built: FloatArray | None
    knots: FloatArray
    corners: FloatArray
    high: FloatArray
    dropped: int = 0

    @classmethod
    def of(cls, params: NetworkParams) -> Task:
        """The task that parameters describe.

        Raises:
            ExperimentError: a file cannot be read, or the target is not finite on the training points.
        """
        layout = Layout(params.layers, params.width)
        if params.csv:
            return _from_file(layout, Path(params.csv))
        if not params.is_built:
            return _from_expression(layout, params)
        own = Layout(params.layers, max(params.width, params.built_width))
        teeth = None if params.teeth == "auto" else params.teeth
        network = built_network(own, params.heights, params.amplitude, teeth)
        places = knots(own, network)
        x = training_set(places, params.points_between)
        y = outputs(own, network, x)
        return cls(
            layout,
            x,
            y,
            network if own == layout else None,
            places,
            np.append(spline_knots(len(params.heights)), 1.0),
            y - outputs(own, only_spline(own, network), x),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples, and parameters of a network."""
        return self.x.size, self.layout.size

    @cached_property
    def spline_error(self) -> float:
        """Mean squared error of the best spline with knots at the corners."""
        return float(np.square(self._residual(self.corners, self.y)).mean())

    @cached_property
    def _high_residual(self) -> FloatArray:
        return self._residual(self._fine_corners, self.high)

    @cached_property
    def _fine_corners(self) -> FloatArray:
        """The corners and the middles between them: seven for the paper's target."""
        return np.sort(np.append(self.corners, (self.corners[1:] + self.corners[:-1]) / 2.0))

    def high_frequency(self, answers: FloatArray) -> FloatArray:
        """How much of the part of high frequency networks have found, [network]: 1 is all, 0 none of it.

        The coefficient of the regression on it, after the best spline with knots at the corners and between them is
        taken from both. NaN where the target has nothing else.

        Args:
            answers: [network, sample].
        """
        left = self._high_residual
        size = float(left @ left)
        if size <= 1e-20 * max(1.0, float(self.y @ self.y)):
            return np.full(len(answers), np.nan)
        return np.asarray(self._residual(self._fine_corners, answers.T).T @ left / size)

    def _residual(self, corners: FloatArray, values: FloatArray) -> FloatArray:
        """What the best spline with these knots leaves of values [sample] or [sample, column]."""
        hats = np.stack([np.interp(self.x, corners, row) for row in np.eye(corners.size)], axis=1)
        coefficients, _, _, _ = np.linalg.lstsq(hats, values, rcond=None)
        return np.asarray(values - hats @ coefficients)


def _even_corners(low: float, high: float) -> FloatArray:
    return np.linspace(low, high, 4)


def _from_expression(layout: Layout, params: NetworkParams) -> Task:
    # Here, since it is compiled when it is imported, before the first run, and the built network does without.
    from tui_opt.kernels.tape import Program, evaluate

    x = np.linspace(-1.0, 1.0, params.points)
    program = Program(assemble((parse(params.target, VARIABLE),)))
    y = np.asarray(np.broadcast_to(evaluate(program, x[None, :])[0], x.shape), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(y))
    if bad.size:
        raise ExperimentError(
            f"The target {params.target} is not a finite number at x = {x[bad[0]]:g}; it must be one all over [-1, 1]."
        )
    if np.abs(y).max() > LARGEST:
        far = x[np.argmax(np.abs(y))]
        raise ExperimentError(
            f"The target {params.target} is beyond {LARGEST:g} at x = {far:g}; networks are trained in single "
            "precision."
        )
    return Task(layout, x, y, None, x[[0, -1]], _even_corners(-1.0, 1.0), y)


def _from_file(layout: Layout, path: Path) -> Task:
    text, _ = text_of(path)
    columns = read_columns(path, text, header_of(text, path), ("x", "y"))
    known = np.isfinite(columns["x"]) & np.isfinite(columns["y"])
    x, y = columns["x"][known], columns["y"][known]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if x.size < LEAST_ROWS or x[0] == x[-1]:
        raise ExperimentError(
            f"The data file {path} has {counted(x.size, 'row')} with numbers for x and y; it needs at least "
            f"{LEAST_ROWS} of different x."
        )
    if max(np.abs(x).max(), np.abs(y).max()) > LARGEST:
        raise ExperimentError(
            f"The data file {path} has numbers beyond {LARGEST:g}; networks are trained in single precision."
        )
    return Task(layout, x, y, None, x[[0, -1]], _even_corners(x[0], x[-1]), y, int(np.sum(~known)))
