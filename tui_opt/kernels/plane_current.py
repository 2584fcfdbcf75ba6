"""The probability current of two parameters, whether it circulates, and what would have to hold for it not to.

A step from W to W' carries probability along the straight line between them; the sum over all steps is a current
whose divergence is the change of the law. Where every step is undone as often as it is made (detailed balance) the
current of the stationary law vanishes everywhere, and -ln P is an energy made of local terms; else it circulates.
A chain with finite steps keeps eddies of relative order T |H| even where its diffusion limit has an energy.

Reference: H. Risken, The Fokker-Planck Equation, 1989, section 6.4 (potential conditions); J. B. Weiss, "Coordinate
invariance in stochastic dynamical systems", Tellus A 55, 2003 (turning of linear systems).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from tui_opt.kernels.callables import FloatArray, require_temperature
from tui_opt.kernels.plane import (
    PlaneField,
    PlaneOperator,
    PlaneState,
    evaluate_pairs,
    mean_and_covariance,
)
from tui_opt.kernels.plane_step import FORGOTTEN, RIM

SINGULAR: Final = 1e-9
"""Smallest over largest eigenvalue of S2 below which it counts as singular."""
FLAT: Final = 0.02
"""A law narrower than so many cells in some direction lies on a line or point: nothing can circulate."""
_BORDER: Final = 2


@dataclass(frozen=True)
class Circulation:
    """How much of a law's motion goes round in circles; lengths are measured by the law's own covariance C.

    Attributes:
        share: integral of |J| over the integral of |mean step| P, both in the norm of C^-1; 0 without circulation,
            and 0 where the law lies on a point or a line.
        turning: mean angle [rad] by which W turns round the mean m per step, E[(W - m) x (W' - W)] / 2 sqrt(det C);
            positive from axis 1 to axis 2. Opposite eddies cancel in it.
        flat: the law lies on a point or a line.
    """

    share: float
    turning: float
    flat: bool


@dataclass(frozen=True)
class PotentialCondition:
    """Whether a diffusion with drift -T G and diffusivity T² S² / 2 can have a stationary law without current.

    Such a law has grad ln P = -S^-2 (2 G / T + div S²), which must be free of curl.

    Attributes:
        curl: [row, column], of that field at the centres; NaN where S2 is singular.
        rank: largest rank of S2 in the box; below 2 the condition cannot even be stated.
    """

    curl: FloatArray
    rank: int


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


def circulation(operator: PlaneOperator, state: PlaneState) -> Circulation:
    """Measure how much the current of the next step circulates; meant for a stationary law."""
    cells = _Rectangles(state)
    total = cells.mass.sum()
    mean, covariance = mean_and_covariance(operator, state)
    sides = operator.sides
    in_cells = covariance / np.outer(sides, sides)
    if not np.isfinite(in_cells).all() or np.linalg.eigvalsh(in_cells)[0] < FLAT**2:
        return Circulation(0.0, 0.0, True)
    centre = (mean - np.array(operator.box.low)) / sides - 0.5
    row, column = cells.row - centre[0], cells.column - centre[1]
    step_row, step_column = np.zeros_like(row), np.zeros_like(column)
    turned = 0.0
    for j in range(operator.terms):
        image = _Images(operator, j, cells)
        moved_row, moved_column = image.row - cells.row, image.column - cells.column
        step_row += moved_row / operator.terms
        step_column += moved_column / operator.terms
        across = row * moved_column - column * moved_row + image.spread_turn
        turned += float((cells.mass * across).sum()) / operator.terms
    flux = current(operator, state) * sides.prod()
    norm = np.linalg.inv(np.linalg.cholesky(covariance))
    carried = np.linalg.norm(np.einsum("ab,bij->aij", norm, flux), axis=0).sum()
    steps = np.stack([step_row * sides[0], step_column * sides[1]])
    moved = (cells.mass * np.linalg.norm(np.einsum("ab,bij->aij", norm, steps), axis=0)).sum()
    angle = turned / total / (2.0 * np.sqrt(np.linalg.det(in_cells)))
    return Circulation(float(carried / moved) if moved > 0 else 0.0, float(angle), False)


def potential_condition(
    gradients: PlaneField, temperature: float, operator: PlaneOperator
) -> PotentialCondition:
    """The curl of S^-2 (2 G / T + div S²) on the cells of an operator, by central differences.

    Args:
        gradients: g_j, w[axis, n] -> [j, axis, n].
        temperature: T, positive.
        operator: whose cells are used.
    """
    temperature = require_temperature(temperature)
    shape = (operator.cells[0] + 4, operator.cells[1] + 4)
    sides = operator.sides
    axes = [operator.box.low[axis] + (np.arange(shape[axis]) - 1.5) * sides[axis] for axis in range(2)]
    w = np.stack([np.repeat(axes[0], shape[1]), np.tile(axes[1], shape[0])])
    values = evaluate_pairs(gradients, w)
    with np.errstate(all="ignore"):
        mean = values.mean(axis=0)
        apart = values - mean
        variance = np.einsum("jan,jbn->abn", apart, apart).reshape(2, 2, *shape) / values.shape[0]
        mean = mean.reshape(2, *shape)
        divergence = _difference(variance[0], 1, sides) + _difference(variance[1], 2, sides)
        inner = variance[:, :, 1:-1, 1:-1]
        ratio = _eigenvalue_ratio(inner)
        singular = ~(ratio > SINGULAR)
        determinant = inner[0, 0] * inner[1, 1] - inner[0, 1] ** 2
        force = 2.0 * mean[:, 1:-1, 1:-1] / temperature + divergence
        first = (inner[1, 1] * force[0] - inner[0, 1] * force[1]) / determinant
        second = (inner[0, 0] * force[1] - inner[0, 1] * force[0]) / determinant
        field = np.where(singular, np.nan, np.stack([first, second]))
        curl = _difference(field[1], 0, sides)[:, 1:-1] - _difference(field[0], 1, sides)[1:-1]
    some = inner[0, 0] + inner[1, 1] > 0
    rank = 2 if (~singular).any() else int(bool(some.any()))
    return PotentialCondition(curl, rank)


def _difference(values: FloatArray, axis: int, sides: FloatArray) -> FloatArray:
    """Central difference along axis 0 or 1 of values[row, column]; for values[a, row, column], axis 1 or 2 and
    cut to the inner cells of both."""
    if values.ndim == 2:
        moved = values[2:] - values[:-2] if axis == 0 else values[:, 2:] - values[:, :-2]
        return np.asarray(moved / (2.0 * sides[axis]))
    along = (
        values[:, 2:, 1:-1] - values[:, :-2, 1:-1]
        if axis == 1
        else values[:, 1:-1, 2:] - values[:, 1:-1, :-2]
    )
    return np.asarray(along / (2.0 * sides[axis - 1]))


def _eigenvalue_ratio(matrix: FloatArray) -> FloatArray:
    """Smallest over largest eigenvalue of symmetric matrix[2, 2, ...]."""
    half = 0.5 * (matrix[0, 0] + matrix[1, 1])
    apart = np.hypot(0.5 * (matrix[0, 0] - matrix[1, 1]), matrix[0, 1])
    return np.asarray((half - apart) / (half + apart))


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
        self.row, self.column = (
            np.where(good, place, own) for place, own in zip(places, (cells.row, cells.column), strict=True)
        )
        (a1, a2), (b1, b2) = slopes
        with np.errstate(invalid="ignore", over="ignore"):
            turn = b1 * cells.v11 + b2 * cells.v12 - a1 * cells.v12 - a2 * cells.v22
        self.spread_turn = np.where(good, turn, 0.0)


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
