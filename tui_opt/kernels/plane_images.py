"""Cells as rectangles, and their images: what a step of two parameters reads, and where it goes.

A cell's mass is taken as spread evenly over a rectangle that has the cell's mean and covariance; its image under a map
is expanded to second order about the mean. LANES neighbouring cells are worked on side by side in vector registers,
without branches.
"""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.plane_cells import (
    D1,
    D2,
    FORGOTTEN,
    GONE,
    LANES,
    MASS,
    RAW,
    SLOT,
    U1,
    U2,
    V11,
    V12,
    V22,
    W11,
    W12,
    W22,
    FloatArray,
    stage,
)
from tui_opt.kernels.plane_lines import EIGHT, take_lines


@stage
def read(work: FloatArray, half: FloatArray, cell: np.uint64) -> None:
    """Take a block of cells out of an accumulator: add it to the raw moments, and leave zeros."""
    for lane in range(0, LANES, EIGHT):
        take_lines(half, (cell + np.uint64(lane)) * SLOT, work, np.uint64(RAW), np.uint64(lane))


@stage
def take_out(work: FloatArray, first: int, last: int) -> float:
    """Empty the lanes from `first` to before `last`, and return the mass they held."""
    taken = 0.0
    for lane in range(max(first, 0), min(last, LANES)):
        taken += work[RAW, lane]
        work[RAW, lane] = 0.0
    return taken


@stage
def rectangles(work: FloatArray, share: float) -> None:
    """Masses (times `share`, the probability of a datapoint), means and covariances from the raw moments."""
    for i in range(LANES):
        mass = work[RAW, i]
        present = mass > FORGOTTEN
        per_mass = 1.0 / (mass if present else 1.0)
        d1, d2 = work[RAW + 1, i] * per_mass, work[RAW + 2, i] * per_mass
        v11, v22 = work[RAW + 3, i] * per_mass - d1 * d1, work[RAW + 5, i] * per_mass - d2 * d2
        work[MASS, i] = mass * share if present else 0.0
        work[GONE, i] += 0.0 if present else mass
        work[D1, i] = d1
        work[D2, i] = d2
        work[V11, i] = v11 if v11 > 0.0 else 0.0
        work[V12, i] = work[RAW + 4, i] * per_mass - d1 * d2
        work[V22, i] = v22 if v22 > 0.0 else 0.0


@stage
def rest_of_mass(work: FloatArray, others: float) -> None:
    """The mass that so many datapoints leave to the last one: `share` is rounded, and to be short of the same part of
    the mass in every step would add up."""
    for i in range(LANES):
        mass = work[MASS, i]
        work[MASS, i] = work[RAW, i] - others * mass if mass > 0.0 else 0.0


@stage
def image(work: FloatArray, images: FloatArray, row: int, column: int) -> None:
    """Means and covariances of the images; derivatives of the map are central differences between cells."""
    for i in range(LANES):
        k = column + i
        d1, d2 = work[D1, i], work[D2, i]
        v11, v12, v22 = work[V11, i], work[V12, i], work[V22, i]
        q11, q12, q22 = 0.5 * (d1 * d1 + v11), d1 * d2 + v12, 0.5 * (d2 * d2 + v22)

        u = images[0, row + 1, k + 1]
        u11 = images[0, row + 2, k + 1] - 2.0 * u + images[0, row, k + 1]
        u22 = images[0, row + 1, k + 2] - 2.0 * u + images[0, row + 1, k]
        u12 = 0.25 * (images[0, row + 2, k + 2] - images[0, row + 2, k])
        u12 -= 0.25 * (images[0, row, k + 2] - images[0, row, k])
        u1 = 0.5 * (images[0, row + 2, k + 1] - images[0, row, k + 1])
        u2 = 0.5 * (images[0, row + 1, k + 2] - images[0, row + 1, k])
        work[U1, i] = u + u1 * d1 + u2 * d2 + u11 * q11 + u12 * q12 + u22 * q22
        u1 += u11 * d1 + u12 * d2
        u2 += u12 * d1 + u22 * d2

        v = images[1, row + 1, k + 1]
        s11 = images[1, row + 2, k + 1] - 2.0 * v + images[1, row, k + 1]
        s22 = images[1, row + 1, k + 2] - 2.0 * v + images[1, row + 1, k]
        s12 = 0.25 * (images[1, row + 2, k + 2] - images[1, row + 2, k])
        s12 -= 0.25 * (images[1, row, k + 2] - images[1, row, k])
        s1 = 0.5 * (images[1, row + 2, k + 1] - images[1, row, k + 1])
        s2 = 0.5 * (images[1, row + 1, k + 2] - images[1, row + 1, k])
        work[U2, i] = v + s1 * d1 + s2 * d2 + s11 * q11 + s12 * q12 + s22 * q22
        s1 += s11 * d1 + s12 * d2
        s2 += s12 * d1 + s22 * d2

        a1, a2 = u1 * v11 + u2 * v12, u1 * v12 + u2 * v22
        work[W11, i] = a1 * u1 + a2 * u2
        work[W12, i] = a1 * s1 + a2 * s2
        work[W22, i] = (s1 * v11 + s2 * v12) * s1 + (s1 * v12 + s2 * v22) * s2
