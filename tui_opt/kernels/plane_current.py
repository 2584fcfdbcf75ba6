"""The probability current of two parameters, and whether it circulates.

A step from W to W' carries probability along the straight line between them; the sum over all steps is a current
whose divergence is the change of the law. Where every step is undone as often as it is made (detailed balance) the
current of the stationary law vanishes everywhere, and -ln P is an energy made of local terms; else it circulates.
A chain with finite steps keeps eddies of relative order T |H| even where its diffusion limit has an energy.

For linear gradients with the Hessian H and constant noise the turning of the chain is T [H, C]_12 / 2 sqrt(det C) with
the covariance C of its law, C = A C A' + T² S², A = 1 - T H, and it is zero exactly where H S² = S² H.

Reference: J. B. Weiss, "Coordinate invariance in stochastic dynamical systems", Tellus A 55, 2003 (turning of linear
systems).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from tui_opt.kernels.callables import FloatArray
from tui_opt.kernels.plane import PlaneOperator, PlaneState, mean_and_covariance
from tui_opt.kernels.plane_cells import FORGOTTEN, RIM

FLAT: Final = 0.02
"""A law narrower than so many cells in some direction lies on a line or point: nothing can circulate."""
STILL: Final = 1e-9
"""A mean step that is a smaller share of the steps of single datapoints is none."""
_BORDER: Final = 2
_ROUNDINGS: Final = 8.0
"""A move of at most so many units in the last place of the coordinates is none."""


@dataclass(frozen=True)
class Circulation:
    """How much of a law's motion goes round in circles; lengths are measured by the law's own covariance C.

    Attributes:
        share: integral of |J| over the integral of |mean step| P, both in the norm of C^-1; 0 without circulation, NaN
            where there is no mean step. Steps of finite size leave eddies of relative order T |H|, cells some of their
            own.
        turning: mean angle [rad] by which W turns round the mean m per step, E[(W - m) x (W' - W)] / 2 sqrt(det C);
            positive from axis 1 to axis 2. Opposite eddies cancel in it.
        dimension: 2; or 1 and 0 where the law is narrower than FLAT cells across a line, or around a point: a current
            there has nowhere to return, so both are 0.
    """

    share: float
    turning: float
    dimension: int


def current(operator: PlaneOperator, state: PlaneState) -> FloatArray:
    """The current of the next step: [axis, row, column], probability per step and length, at the centres.

    Every cell's mass is carried from its mean to the mean of its image and spread over one cell on the way; what
    leaves the box is carried up to its border.
    """
    cells = _Rectangles(state)
    flux = np.zeros((2, operator.cells[0] + 2 * _BORDER, operator.cells[1] + 2 * _BORDER))
    for j in range(operator.terms):
        image = _Images(operator, j, cells)
        _carry(cells.mass / operator.terms, cells.row, cells.column, image.row, image.column, flux)
    inside = flux[:, _BORDER:-_BORDER, _BORDER:-_BORDER]
    return np.asarray(inside / operator.sides[::-1, None, None])


def stream_function(operator: PlaneOperator, state: PlaneState) -> FloatArray:
    """The stream function of the current of the next step: [row, column], probability per step, at the centres.

    A stationary current flows along its contours with the higher values to its left, as much per step as they differ;
    a hill is an eddy that turns from axis 1 to axis 2. It is the mean of the integrals of the current from the lower
    ends of either axis, which agree for a stationary law.
    """
    flux = current(operator, state)
    sides = operator.sides
    across = np.cumsum(flux[0], axis=1) - 0.5 * flux[0]
    along = np.cumsum(flux[1], axis=0) - 0.5 * flux[1]
    return np.asarray(0.5 * (across * sides[1] - along * sides[0]))


def circulation(operator: PlaneOperator, state: PlaneState) -> Circulation:
    """Measure how much the current of the next step circulates; meant for a stationary law."""
    cells = _Rectangles(state)
    total = cells.mass.sum()
    mean, covariance = mean_and_covariance(operator, state)
    sides = operator.sides
    in_cells = covariance / np.outer(sides, sides)
    dimension = int((np.linalg.eigvalsh(np.nan_to_num(in_cells)) >= FLAT**2).sum())
    if dimension < 2:
        return Circulation(0.0, 0.0, dimension)
    centre = (mean - np.array(operator.box.low)) / sides - 0.5
    row, column = cells.row - centre[0], cells.column - centre[1]
    step_row, step_column = np.zeros_like(row), np.zeros_like(column)
    turned, single = 0.0, 0.0
    norm = np.linalg.inv(np.linalg.cholesky(covariance))
    for j in range(operator.terms):
        image = _Images(operator, j, cells)
        moved_row, moved_column = image.row - cells.row, image.column - cells.column
        step_row += moved_row / operator.terms
        step_column += moved_column / operator.terms
        each = np.stack([moved_row * sides[0], moved_column * sides[1]])
        single += _length(norm, each, cells.mass) / operator.terms
        across = row * moved_column - column * moved_row + image.spread_turn
        turned += float((cells.mass * across).sum()) / operator.terms
    flux = current(operator, state) * sides.prod()
    carried = _length(norm, flux, 1.0)
    moved = _length(norm, np.stack([step_row * sides[0], step_column * sides[1]]), cells.mass)
    angle = turned / total / (2.0 * np.sqrt(np.linalg.det(in_cells)))
    if moved <= STILL * single:
        return Circulation(np.nan if single > 0 else 0.0, float(angle), 2)
    return Circulation(carried / moved, float(angle), 2)


def _length(norm: FloatArray, vectors: FloatArray, weights: FloatArray | float) -> float:
    """Sum of the weighted lengths of vectors[axis, row, column], after `norm`."""
    return float((weights * np.linalg.norm(np.einsum("ab,bij->aij", norm, vectors), axis=0)).sum())


class _Rectangles:
    """Masses, means (in units of cells) and covariances of the cells of a state; nothing where there is no mass."""

    def __init__(self, state: PlaneState) -> None:
        moments = state.moments
        present = moments[:, :, 0] > FORGOTTEN
        self.mass = np.where(present, moments[:, :, 0], 0.0)
        scaled = moments[:, :, 1:] / np.where(present, moments[:, :, 0], 1.0)[:, :, None]
        self.d1, self.d2 = scaled[:, :, 0], scaled[:, :, 1]
        self.v11 = scaled[:, :, 2] - self.d1**2
        self.v12 = scaled[:, :, 3] - self.d1 * self.d2
        self.v22 = scaled[:, :, 4] - self.d2**2
        self.row = np.arange(self.mass.shape[0])[:, None] + self.d1
        self.column = np.arange(self.mass.shape[1])[None, :] + self.d2


class _Images:
    """Where one datapoint sends the means of rectangles, to second order as in a step of the operator.

    Attributes:
        row, column: [row, column], in units of cells; the mean itself where there is no mass or no image.
        spread_turn: what the spread within a cell adds to the mean of (W - m) x (W' - W).
    """

    def __init__(self, operator: PlaneOperator, term: int, cells: _Rectangles) -> None:
        q11, q22 = 0.5 * (cells.d1**2 + cells.v11), 0.5 * (cells.d2**2 + cells.v22)
        q12 = cells.d1 * cells.d2 + cells.v12
        rows, columns = operator.cells
        places, slopes = [], []
        for axis in range(2):
            near = operator.images[term, axis, RIM : RIM + rows + 2, RIM : RIM + columns + 2]
            with np.errstate(invalid="ignore", over="ignore"):
                middle, up, down = near[1:-1, 1:-1], near[2:, 1:-1], near[:-2, 1:-1]
                right, left = near[1:-1, 2:], near[1:-1, :-2]
                u11, u22 = up - 2.0 * middle + down, right - 2.0 * middle + left
                u12 = 0.25 * (near[2:, 2:] - near[2:, :-2] - near[:-2, 2:] + near[:-2, :-2])
                u1, u2 = 0.5 * (up - down), 0.5 * (right - left)
                place = middle + u1 * cells.d1 + u2 * cells.d2 + u11 * q11 + u12 * q12 + u22 * q22
                slopes.append((u1 + u11 * cells.d1 + u12 * cells.d2, u2 + u12 * cells.d1 + u22 * cells.d2))
            places.append(place)
        good = (cells.mass > 0) & np.isfinite(places[0]) & np.isfinite(places[1])
        for axis, own in enumerate((cells.row, cells.column)):
            with np.errstate(invalid="ignore"):
                places[axis] = np.where(
                    np.abs(places[axis] - own) > _rounding(operator, axis), places[axis], own
                )
        self.row, self.column = (
            np.where(good, place, own) for place, own in zip(places, (cells.row, cells.column), strict=True)
        )
        (a1, a2), (b1, b2) = slopes
        with np.errstate(invalid="ignore", over="ignore"):
            turn = b1 * cells.v11 + b2 * cells.v12 - a1 * cells.v12 - a2 * cells.v22
        self.spread_turn = np.where(good, turn, 0.0)


def _rounding(operator: PlaneOperator, axis: int) -> float:
    """By how much, in cells, rounding may move what stays where it is."""
    largest = max(abs(operator.box.low[axis]), abs(operator.box.high[axis]))
    return float(
        _ROUNDINGS * np.finfo(np.float64).eps * (largest / operator.sides[axis] + operator.cells[axis])
    )


@numba.njit(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _carry(
    mass: FloatArray,
    row: FloatArray,
    column: FloatArray,
    to_row: FloatArray,
    to_column: FloatArray,
    flux: FloatArray,
) -> None:
    """Add mass times path, spread along it by quadratic B-splines at middles of pieces of at most one cell."""
    weight1, weight2 = np.empty(3), np.empty(3)
    rows, columns = mass.shape
    for i in range(rows):
        for k in range(columns):
            if mass[i, k] <= 0.0:
                continue
            move1, move2 = to_row[i, k] - row[i, k], to_column[i, k] - column[i, k]
            pieces = int(min(max(np.ceil(max(abs(move1), abs(move2))), 1.0), 1e6))
            for piece in range(pieces):
                along = (piece + 0.5) / pieces
                place1, place2 = row[i, k] + along * move1, column[i, k] + along * move2
                if not ((place1 > -1.0) & (place1 < rows) & (place2 > -1.0) & (place2 < columns)):
                    break
                cell1, cell2 = int(np.rint(place1)), int(np.rint(place2))
                off1, off2 = place1 - cell1, place2 - cell2
                weight1[0], weight1[1], weight1[2] = (
                    0.5 * (0.5 - off1) ** 2,
                    0.75 - off1**2,
                    0.5 * (0.5 + off1) ** 2,
                )
                weight2[0], weight2[1], weight2[2] = (
                    0.5 * (0.5 - off2) ** 2,
                    0.75 - off2**2,
                    0.5 * (0.5 + off2) ** 2,
                )
                part = mass[i, k] / pieces
                for a in range(3):
                    for b in range(3):
                        share = part * weight1[a] * weight2[b]
                        flux[0, cell1 + 1 + a, cell2 + 1 + b] += share * move1
                        flux[1, cell1 + 1 + a, cell2 + 1 + b] += share * move2
