"""What the networks are to learn: the training set, the hand-built network, and what is high and low in frequency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.data_file import header_of, read_columns, text_of
from tui_opt.experiments.landscape_5x5.network_params import VARIABLE, NetworkParams
from tui_opt.experiments.landscape_5x5.words import counted, rows_left_out
from tui_opt.expressions import assemble, parse
from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.construction import built_network, only_spline, spline_knots
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import outputs

FloatArray: TypeAlias = NDArray[np.float64]

LEAST_ROWS = 2
LARGEST = 1e15
"""Numbers of a training set, whose squares are still far from the end of single precision."""
RUN_AWAY = 1e3
"""A network has diverged whose loss is so many times that of answering zero (or 1, where that is more)."""
MOST_MERGED = 0.1
"""Share of the different x of a file that may be the same in single precision."""


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
        merged: different x of a file that are the same as their neighbours' in single precision.
    """

    layout: Layout
    x: FloatArray
    y: FloatArray
    built: FloatArray | None
    knots: FloatArray
    corners: FloatArray
    high: FloatArray
    dropped: int = 0
    merged: int = 0

    @classmethod
    def of(cls, params: NetworkParams, check: Check = unchecked) -> Task:
        """The task that parameters describe.

        Args:
            params: the target and the layout of the networks.
            check: called on the way; of many layers a target has a million knots.

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
        places = knots(own, network, check=check)
        x = training_set(places, params.points_between)
        y = outputs(own, network, x, check)
        return cls(
            layout,
            x,
            y,
            network if own == layout else None,
            places,
            np.append(spline_knots(len(params.heights)), 1.0),
            y - outputs(own, only_spline(own, network), x, check),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples, and parameters of a network."""
        return self.x.size, self.layout.size

    @property
    def warnings(self) -> list[str]:
        """What every result on this training set says of it."""
        said = [rows_left_out(self.dropped)] if self.dropped else []
        if self.merged:
            said.append(
                f"{counted(self.merged, 'different x')} of the data file {'is' if self.merged == 1 else 'are'} the "
                "same as another in single precision, in which networks are trained."
            )
        return said

    def diverged(self, networks: NDArray[np.floating[Any]], losses: FloatArray) -> NDArray[np.bool_]:
        """Which networks ran away in training, [network].

        Weights may be huge and finite: what did not diverge has learnt at least something near the target's size.

        Args:
            networks: [network, parameter].
            losses: [network], in double precision.
        """
        most = RUN_AWAY * max(1.0, float(np.mean(np.square(self.y))))
        return np.asarray(~(np.isfinite(networks).all(axis=1) & (losses < most)))

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
    return Task(
        layout, x, y, None, x[[0, -1]], _even_corners(x[0], x[-1]), y, int(np.sum(~known)), _merged(path, x)
    )


def _merged(path: Path, x: FloatArray) -> int:
    """How many of the different x, ascending, single precision does not tell from the one before.

    Raises:
        ExperimentError: they are many, and fewer if x were shifted and scaled to [-1, 1].
    """
    different = x[np.append(True, np.diff(x) > 0)]

    def lost(values: FloatArray) -> int:
        return int(np.sum(np.diff(values.astype(np.float32)) == 0))

    now = lost(different)
    middle, half = (x[0] + x[-1]) / 2.0, (x[-1] - x[0]) / 2.0
    if now > MOST_MERGED * different.size and lost((different - middle) / half) < now:
        raise ExperimentError(
            f"Of the {different.size:,} different x of the data file {path} single precision, in which networks are "
            f"trained, tells only {different.size - now:,} apart. Shift and scale x, for instance to [-1, 1]: "
            f"(x - {middle:.15g}) / {half:.6g}."
        )
    return now
