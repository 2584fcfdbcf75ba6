"""An upper bound for the largest loss along a path of straight segments in weight space, as near as asked.

Along a segment, with t from 0 to 1, every weight is linear in t. As long as no node switches, a layer's inputs are
polynomials in t of one degree more than those of the layer before: the output of K layers has degree K + 1 and the
loss 2K + 2. In Bernstein's basis a polynomial on [0, 1] lies between its smallest and its largest coefficient. A node
that may switch within a cell is enclosed instead: sum b_i B_i <= relu <= sum max(b_i, 0) B_i, and lower and upper
polynomials are carried on. Cells whose bound exceeds what was found by sampling are cut in half.

Farouki (2012), The Bernstein polynomial basis: a centennial retrospective.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Final, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss

FloatArray: TypeAlias = NDArray[np.float64]

TOLERANCE: Final = 1e-3
MOST_HALVINGS: Final = 20
MOST_CELLS: Final = 2000
"""Of a segment, which take some seconds: what is left then counts as unresolved."""
SAMPLED: Final = 24
"""Points of every segment that are looked at first."""


@dataclass(frozen=True)
class Certificate:
    """The largest loss along a path.

    Args:
        sampled: the largest that was found.
        bound: no point of the path has a larger one, but for rounding.
        segment: where it was found: the number of the segment,
        place: and how far along it, from 0 to 1.
        cells: how many cells were looked at.
        unresolved: cells that were too small to cut, or one too many, and may still exceed what was found by more
            than the tolerance.
    """

    sampled: float
    bound: float
    segment: int
    place: float
    cells: int
    unresolved: int


def certify(
    layout: Layout,
    path: FloatArray,
    x: FloatArray,
    y: FloatArray,
    tolerance: float = TOLERANCE,
    check: Check = unchecked,
) -> Certificate:
    """The largest loss along the straight segments between a path's points.

    Args:
        layout: the networks' shape.
        path: [point, parameter].
        x: [sample].
        y: [sample].
        tolerance: how far the bound may lie above the largest loss found, relatively.
        check: called before every segment.
    """
    t = np.arange(SAMPLED) / SAMPLED
    inner = path[:-1, None] + np.diff(path, axis=0)[:, None] * t[:, None]
    energies = loss(layout, inner.reshape(-1, layout.size), x, y)
    last = float(loss(layout, path[-1], x, y))
    top = int(np.argmax(energies))
    segment, place, best = top // SAMPLED, float(t[top % SAMPLED]), float(energies[top])
    if last > best:
        segment, place, best = len(path) - 2, 1.0, last
    degree = layout.layers + 1
    one = np.array([comb(degree, i) for i in range(degree + 1)], dtype=float)
    two = np.array([comb(2 * degree, i) for i in range(2 * degree + 1)], dtype=float)
    path = path.astype(np.float64)
    worst, cells, unresolved = 0.0, 0, 0
    for number in range(len(path) - 1):
        check()
        ends = path[number], path[number + 1]
        top_here, bound, at, looked_at, left = _search(
            *ends, x, y, layout.layers, layout.width, one, two, tolerance, MOST_HALVINGS, MOST_CELLS, best
        )
        if top_here > best:
            best, segment, place = top_here, number, at
        worst, cells, unresolved = max(worst, bound), cells + looked_at, unresolved + left
    return Certificate(best, max(worst, best), segment, place, cells, unresolved)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _cell_bound(
    first: FloatArray,
    last: FloatArray,
    x: FloatArray,
    y: FloatArray,
    layers: int,
    width: int,
    one: FloatArray,
    two: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    z_lower: FloatArray,
    z_upper: FloatArray,
    coefficients: FloatArray,
) -> float:
    """The largest Bernstein coefficient of an upper bound of the loss between two networks."""
    coefficients[:] = 0.0
    degree_out = layers + 1
    for s in range(x.size):
        inputs, degree, offset = 1, 0, 0
        lower[0, 0] = x[s]
        upper[0, 0] = x[s]
        exact = True
        for layer in range(layers + 1):
            outputs = width if layer < layers else 1
            biases, new = offset + inputs * outputs, degree + 1
            for j in range(outputs):
                for i in range(new + 1):
                    share = i / new
                    low = first[biases + j] * (1.0 - share) + last[biases + j] * share
                    high = low
                    for q in range(inputs):
                        # The product of a linear and a degree-d polynomial, coefficient by coefficient.
                        if i <= degree:
                            factor = first[offset + q * outputs + j] * (1.0 - share)
                            low += factor * (lower[q, i] if factor > 0 else upper[q, i])
                            high += factor * (upper[q, i] if factor > 0 else lower[q, i])
                        if i > 0:
                            factor = last[offset + q * outputs + j] * share
                            low += factor * (lower[q, i - 1] if factor > 0 else upper[q, i - 1])
                            high += factor * (upper[q, i - 1] if factor > 0 else lower[q, i - 1])
                    z_lower[j, i] = low
                    z_upper[j, i] = high
            if layer == layers:
                break
            for j in range(outputs):
                least, most, total = z_lower[j, 0], z_upper[j, 0], 0.0
                for i in range(new + 1):
                    least = min(least, z_lower[j, i])
                    most = max(most, z_upper[j, i])
                    total += z_lower[j, i]
                if least >= 0.0:
                    for i in range(new + 1):
                        lower[j, i] = z_lower[j, i]
                        upper[j, i] = z_upper[j, i]
                elif most <= 0.0:
                    for i in range(new + 1):
                        lower[j, i] = 0.0
                        upper[j, i] = 0.0
                else:
                    exact = False
                    for i in range(new + 1):
                        upper[j, i] = max(z_upper[j, i], 0.0)
                        lower[j, i] = z_lower[j, i] if total > 0.0 else 0.0
            offset, inputs, degree = biases + outputs, outputs, new
        # A residual between two others has no larger square than the larger of theirs, and the larger of two
        # polynomials lies below the one with the larger of every coefficient.
        for k in range(2 * degree_out + 1):
            square_low, square_high = 0.0, 0.0
            for i in range(max(0, k - degree_out), min(k, degree_out) + 1):
                share = one[i] * one[k - i] / two[k]
                a, b = z_lower[0, i] - y[s], z_lower[0, k - i] - y[s]
                c, d = z_upper[0, i] - y[s], z_upper[0, k - i] - y[s]
                square_low += share * a * b
                square_high += share * c * d
            if exact:
                coefficients[k] += square_low
            else:
                coefficients[k] += max(square_low, square_high)
    most = coefficients[0]
    for k in range(1, 2 * degree_out + 1):
        most = max(most, coefficients[k])
    return float(most / x.size)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _one_loss(network: FloatArray, x: FloatArray, y: FloatArray, layers: int, width: int) -> float:
    before, after = np.zeros(width), np.zeros(width)
    total = 0.0
    for s in range(x.size):
        inputs, offset = 1, 0
        before[0] = x[s]
        for layer in range(layers + 1):
            outputs = width if layer < layers else 1
            biases = offset + inputs * outputs
            for j in range(outputs):
                z = network[biases + j]
                for q in range(inputs):
                    z += before[q] * network[offset + q * outputs + j]
                after[j] = max(z, 0.0) if layer < layers else z
            for j in range(outputs):
                before[j] = after[j]
            offset, inputs = biases + outputs, outputs
        total += (before[0] - y[s]) ** 2
    return total / x.size


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _search(
    a: FloatArray,
    b: FloatArray,
    x: FloatArray,
    y: FloatArray,
    layers: int,
    width: int,
    one: FloatArray,
    two: FloatArray,
    tolerance: float,
    most_halvings: int,
    most_cells: int,
    best: float,
) -> tuple[float, float, float, int, int]:
    """Between two networks: the largest loss, or `best` where it is larger, a bound, where it is, cells, and those
    that are not resolved."""
    size = layers + 2
    lower, upper = np.zeros((width, size)), np.zeros((width, size))
    z_lower, z_upper = np.zeros((width, size)), np.zeros((width, size))
    coefficients = np.zeros(2 * size - 1)
    starts, ends = np.zeros(2 * most_halvings + 4), np.zeros(2 * most_halvings + 4)
    depths = np.zeros(2 * most_halvings + 4, dtype=np.int64)
    worst, cells, unresolved, place = 0.0, 0, 0, 0.0
    waiting = 1
    starts[0], ends[0], depths[0] = 0.0, 1.0, 0
    while waiting > 0:
        waiting -= 1
        start, end, depth = starts[waiting], ends[waiting], depths[waiting]
        cells += 1
        bound = _cell_bound(
            a + (b - a) * start, a + (b - a) * end, x, y, layers, width, one, two, lower, upper, z_lower, z_upper,
            coefficients,
        )  # fmt: skip
        if bound <= best * (1.0 + tolerance):
            worst = max(worst, bound)
            continue
        middle = 0.5 * (start + end)
        here = _one_loss(a + (b - a) * middle, x, y, layers, width)
        if here > best:
            best, place = here, middle
        if depth >= most_halvings or cells >= most_cells:
            unresolved += 1
            worst = max(worst, bound)
            continue
        for low, high in ((middle, end), (start, middle)):
            starts[waiting], ends[waiting], depths[waiting] = low, high, depth + 1
            waiting += 1
    return best, worst, place, cells, unresolved
