"""Whether the diffusion limit of SGD in two parameters has an energy: a stationary law made of local terms.

With drift -T G and diffusivity T² S² / 2 (Ito) a stationary law without current obeys

    S² grad ln P = -(2 G / T + div S²) = -F.

Where S² has full rank, S^-2 F must be a gradient: its curl must vanish. Where it has rank 1, as for two datapoints,
F must point along the noise; across it nothing could balance it.

Reference: H. Risken, The Fokker-Planck Equation, 1989, section 6.4 (potential conditions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray, require_temperature, unchecked
from tui_opt.kernels.plane import PlaneField, PlaneOperator, PlaneState, evaluate_pairs, mean_and_covariance

BoolArray: TypeAlias = NDArray[np.bool_]

SINGULAR: Final = 1e-9
"""Smallest over largest eigenvalue of S² below which it counts as singular."""


@dataclass(frozen=True)
class EnergyCondition:
    """How far a system is from having an energy, weighted by a law; S² = 0 is left out.

    Attributes:
        rank: of S² where most of the law's mass is; 0 where there is no noise.
        curl: mean of |curl S^-2 F| where the rank is 2, times sqrt(det C) with the covariance C of the law.
        across: mean length of the part of F across the noise over that of F, where the rank is 1.
        Either is NaN where there is no such place; 0 means that there is an energy.
    """

    rank: int
    curl: float
    across: float

    @property
    def defect(self) -> float:
        """`curl` or `across`, whichever belongs to the rank."""
        return self.curl if self.rank == 2 else self.across


def energy_condition(
    gradients: PlaneField,
    temperature: float,
    operator: PlaneOperator,
    state: PlaneState,
    check: Check = unchecked,
) -> EnergyCondition:
    """Measure the condition on the cells of a law, by central differences.

    Args:
        gradients: g_j, w[axis, n] -> [j, axis, n].
        temperature: T, positive.
        operator, state: the law.
        check: called now and then.
    """
    temperature = require_temperature(temperature)
    sides, mass = operator.sides, state.mass
    with np.errstate(all="ignore"):
        mean, variance = _moments(gradients, operator, check)
        divergence = np.stack(
            [_along(variance[a, 0], 0, sides) + _along(variance[a, 1], 1, sides) for a in range(2)]
        )
        inner = variance[:, :, 1:-1, 1:-1]
        force = 2.0 * mean[:, 1:-1, 1:-1] / temperature + divergence
        half = 0.5 * (inner[0, 0] + inner[1, 1])
        apart = np.hypot(0.5 * (inner[0, 0] - inner[1, 1]), inner[0, 1])
        full = half - apart > SINGULAR * (half + apart)
        determinant = inner[0, 0] * inner[1, 1] - inner[0, 1] ** 2
        first = (inner[1, 1] * force[0] - inner[0, 1] * force[1]) / determinant
        second = (inner[0, 0] * force[1] - inner[0, 1] * force[0]) / determinant
        curl = _along(np.where(full, second, np.nan), 0, sides) - _along(
            np.where(full, first, np.nan), 1, sides
        )
        # The direction across the noise has the angle of the larger eigenvector and a right angle.
        angle = 0.5 * np.arctan2(2.0 * inner[0, 1], inner[0, 0] - inner[1, 1]) + 0.5 * np.pi
        across = np.abs(np.cos(angle) * force[0] + np.sin(angle) * force[1])[1:-1, 1:-1]
        length = np.hypot(force[0], force[1])[1:-1, 1:-1]
        area = np.sqrt(np.linalg.det(mean_and_covariance(operator, state)[1]))
    single = (~full & (half > 0))[1:-1, 1:-1]
    plane = full[1:-1, 1:-1]
    on = [float(mass[where].sum()) for where in (~(plane | single), single, plane)]
    return EnergyCondition(
        rank=int(np.argmax(on)),
        curl=_mean(np.abs(curl), mass, plane & np.isfinite(curl)) * float(area),
        across=_ratio(across, length, mass, single & np.isfinite(across) & np.isfinite(length)),
    )


def _moments(gradients: PlaneField, operator: PlaneOperator, check: Check) -> tuple[FloatArray, FloatArray]:
    """G[axis] and S²[axis, axis] on the centres of the cells and of two more on every side."""
    rows, columns = (n + 4 for n in operator.cells)
    places = [
        operator.box.low[k] + (np.arange(n) - 1.5) * operator.sides[k] for k, n in enumerate((rows, columns))
    ]
    mean, variance = np.empty((2, rows, columns)), np.empty((2, 2, rows, columns))
    for row in range(rows):
        if row % 64 == 0:
            check()
        values = evaluate_pairs(gradients, np.stack([np.full(columns, places[0][row]), places[1]]))
        mean[:, row] = values.mean(axis=0)
        apart = values - mean[:, row]
        variance[:, :, row] = np.einsum("jan,jbn->abn", apart, apart) / values.shape[0]
    return mean, variance


def _along(values: FloatArray, axis: int, sides: FloatArray) -> FloatArray:
    """Central difference of values[row, column] along an axis, at all but the outermost cells."""
    moved = values[2:, 1:-1] - values[:-2, 1:-1] if axis == 0 else values[1:-1, 2:] - values[1:-1, :-2]
    return np.asarray(moved / (2.0 * sides[axis]))


def _mean(values: FloatArray, mass: FloatArray, where: BoolArray) -> float:
    total = float(mass[where].sum())
    return float((values[where] * mass[where]).sum()) / total if total > 0 else np.nan


def _ratio(values: FloatArray, others: FloatArray, mass: FloatArray, where: BoolArray) -> float:
    above, below = (float((x[where] * mass[where]).sum()) for x in (values, others))
    if below > 0:
        return above / below
    return 0.0 if where.any() else np.nan  # no force at all: a constant is an energy
