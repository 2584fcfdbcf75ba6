"""What end states are made of and compared by: chains with an exit, the room laws need, moments, densities, rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.cells import cell_matrix, images_by_rows, require_edges
from tui_opt.kernels.fokker_planck import Equation
from tui_opt.kernels.fokker_planck_generator import Barrier, Generator, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import quasi_stationary_law, stationary_law
from tui_opt.kernels.large_deviations import quasipotential
from tui_opt.kernels.laws import cdf_on_cells
from tui_opt.kernels.moments import put_on_cells, spread_keeping_moments
from tui_opt.kernels.refinement import refined_edges
from tui_opt.kernels.transfer import TransferOperator

TAIL = 1e-13
"""Mass in the outermost cells that asks for more room."""
ROOM = 0.25
"""Part of the width by which a side is moved out."""
OUTERMOST = 8
LOOKING_CELLS = 400
MOST_LOOKS = 30
ROUNDING = 1e-12
"""Part of the whole by which ends of intervals may differ and be one."""


def chain_with_exit(
    maps: TermField,
    gradients: TermField,
    temperature: float,
    edges: FloatArray,
    side: float,
    check: Check = unchecked,
) -> TransferOperator:
    """One step of the chain on cells with an exit at one end, which keeps the mean and the variance of every step.

    Even spreading over cells adds some h²/6 to the variance of a step. In a narrow pit that shifts the law and its
    rate of escape noticeably; this chain is free of it wherever walkers stay clear of the ends of the cells.

    Args:
        maps: f_j, w[n] -> [j, n].
        gradients: (w - f_j(w)) / T, w[n] -> [j, n], the gradients whose plain step the maps are.
        temperature: T, positive.
        edges: [cells + 1], strictly increasing, at least 8 cells.
        side: 1 when walkers exit beyond edges[-1], -1 when they exit below edges[0].
        check: called now and then.

    Returns: the chain as a transfer operator; what leaves at the other end, or to no number, counts as lost.
    Raises: ValueError for fewer than 8 cells or edges that do not increase.
    """
    edges = require_edges(edges)
    parts = []
    for _, images in images_by_rows(maps, edges, check):
        entries, added = spread_keeping_moments(images, edges)
        parts.append((added.size, entries))
    absorbed, lost = 0, 1
    outlets = (absorbed, lost, lost) if side > 0 else (lost, absorbed, lost)
    matrix = cell_matrix(parts, edges.size - 1, outlets, check)
    centres = 0.5 * (edges[1:] + edges[:-1])
    images = evaluate_terms(maps, centres)
    with np.errstate(all="ignore"):
        drift = np.abs(images - centres).max(axis=0)
    drift = np.where(np.isfinite(drift), drift, np.inf)
    return TransferOperator(edges, float(side), matrix, drift, gradients, float(temperature), len(images))


def escape_tilt(operator: TransferOperator, start: float) -> FloatArray:
    """Logarithms by which the law in the pit is expected to be small, [cells]: the quasipotential over T.

    Past the maximum the law does not grow again, it flows out; so the tilt stays at its highest from there on. It
    keeps laws and rates below 1e-300 from underflowing, see `tui_opt.kernels.quasistationary.quasi_stationary`.
    """
    tilt = quasipotential(operator.gradients, operator.centres) / operator.temperature
    outward = tilt if operator.side > 0 else tilt[::-1]
    at = int(np.argmin(np.abs(operator.centres - start)))
    at = at if operator.side > 0 else tilt.size - 1 - at
    outward[at:] = np.maximum.accumulate(outward[at:])
    return tilt


def interval_of_law(
    equation: Equation,
    low: float,
    high: float,
    most: float,
    barrier: Barrier = Barrier.NONE,
    start: float = 0.0,
    check: Check = unchecked,
) -> tuple[float, float]:
    """Widen an interval until the law that a diffusion ends with does not reach its walls.

    Args:
        equation: drift and diffusivity.
        low, high: a first interval.
        most: widest interval, in units of the first one's width.
        barrier: an end that absorbs stays where it is, and the law is the quasi-stationary one.
        start: where it is concentrated at first; only used with a barrier.
        check: called between looks.

    Returns: low and high; as far as it came where there is no law to look at.
    """

    def law(generator: Generator) -> FloatArray:
        if barrier is Barrier.NONE:
            return stationary_law(generator)
        return quasi_stationary_law(generator, start, check=check).mass

    first_width = high - low
    for _ in range(MOST_LOOKS):
        check()
        try:
            edges = refined_edges(np.linspace(low, high, LOOKING_CELLS + 1), equation, levels=3)
            mass = law(generator_on_edges(equation, edges, barrier))
        except ValueError:  # nothing to look at: no law, or no finite drift and noise
            break
        room = ROOM * (high - low)
        reaches_low = barrier is not Barrier.LEFT and mass[:OUTERMOST].sum() > TAIL
        reaches_high = barrier is not Barrier.RIGHT and mass[-OUTERMOST:].sum() > TAIL
        wider_low = low - room if reaches_low and _finite(equation, low - room, low) else low
        wider_high = high + room if reaches_high and _finite(equation, high, high + room) else high
        if (wider_low, wider_high) == (low, high) or wider_high - wider_low > most * first_width:
            break
        low, high = wider_low, wider_high
    return low, high


def _finite(equation: Equation, low: float, high: float) -> bool:
    nodes = np.linspace(low, high, LOOKING_CELLS + 1)
    fields = (equation.drift, equation.diffusivity, equation.diffusivity_slope)
    return all(bool(np.all(np.isfinite(field(nodes)))) for field in fields)


def moments_at_centres(edges: FloatArray, masses: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation of masses that are values of a smooth density at the centres times the widths.

    Args:
        edges: [cells + 1].
        masses: [cells], of any positive sum.
    """
    total = float(masses.sum())
    centres = 0.5 * (edges[1:] + edges[:-1])
    mean = float((masses * centres).sum()) / total
    return mean, float(np.sqrt((masses * (centres - mean) ** 2).sum() / total))


def average(values: FloatArray, masses: FloatArray) -> float:
    """Mean of values[cells] under masses[cells] of any positive sum; cells without mass do not count.

    Values need not be finite where there is no mass.
    """
    held = masses > 0
    return float((values[held] * masses[held]).sum() / masses[held].sum())


def log_density(edges: FloatArray, masses: FloatArray, place: float, half_width: float) -> float:
    """ln of the density around a place.

    Args:
        edges: [cells + 1].
        masses: [cells], read as spread evenly over each.
        place: within the cells.
        half_width: the density is that between place - half_width and place + half_width; 0 for that of the
            nearest cells, the logarithms of which are interpolated.

    Returns: -inf where there is no mass; NaN outside the cells.
    """
    if not edges[0] <= place <= edges[-1]:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        if half_width <= 0:
            logs = np.log(masses / np.diff(edges))
            centres = 0.5 * (edges[1:] + edges[:-1])
            near = logs[int(np.clip(np.searchsorted(edges, place) - 1, 0, masses.size - 1))]
            value = float(np.interp(place, centres, logs))
            return value if np.isfinite(value) else float(near)
        low, high = max(place - half_width, edges[0]), min(place + half_width, edges[-1])
        # Shares of the cells within: differences of a distribution function would lose small masses.
        inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None)
        return float(np.log((masses * (inside / np.diff(edges))).sum() / (high - low)))


def atoms_on_cells(edges: FloatArray, places: FloatArray, weights: FloatArray) -> FloatArray:
    """Masses[cells] of atoms, with their mean and, where cells allow it, their variance.

    Args:
        edges: [cells + 1].
        places: [n]; those outside the cells, or NaN, are left out.
        weights: [n], >= 0.
    """
    inside = (places >= edges[0]) & (places <= edges[-1])
    places, weights = places[inside], weights[inside]
    cells = edges.size - 1
    at = np.clip(np.searchsorted(edges, places, side="right") - 1, 0, cells - 1)
    away = places - 0.5 * (edges[at + 1] + edges[at])
    sums = [np.bincount(at, weights * away**power, cells).astype(np.float64) for power in range(3)]
    return put_on_cells(edges, sums[0], sums[1], sums[2])[0]


def density_of_intervals(ends: FloatArray, masses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mass over width of intervals that do not overlap, with the gaps between them.

    Args:
        ends: [n, 2], in order.
        masses: [n].

    Returns: edges[m + 1] and density[m], 0 in gaps; intervals without a width are left out.
    """
    ends = np.array(ends, dtype=np.float64)
    # Neighbours that touch but for rounding share their end.
    touching = np.abs(ends[1:, 0] - ends[:-1, 1]) <= ROUNDING * (ends[-1, 1] - ends[0, 0])
    ends[1:, 0] = np.where(touching, ends[:-1, 1], ends[1:, 0])
    edges = np.unique(ends)
    middles = 0.5 * (edges[1:] + edges[:-1])
    at = np.clip(np.searchsorted(ends[:, 0], middles, side="right") - 1, 0, len(ends) - 1)
    widths = ends[:, 1] - ends[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return edges, np.where(middles < ends[at, 1], masses[at] / widths[at], 0.0)


def difference_beyond_a_cell(
    edges: FloatArray, counts: FloatArray, other_edges: FloatArray, masses: FloatArray
) -> float:
    """Largest difference of two distribution functions, where no shift of W by a cell's width explains it.

    A law as narrow as a cell may lie in the wrong one by rounding, which shifts it by less than a cell but changes its
    distribution function by all it holds.

    Args:
        edges, counts: [n + 1] and [n], one law; looked at at its edges.
        other_edges, masses: [m + 1] and [m], the other one.
    """
    wide = float(np.diff(edges).max())
    one = cdf_on_cells(edges, counts, edges)
    above = cdf_on_cells(other_edges, masses, edges + wide)
    below = cdf_on_cells(other_edges, masses, edges - wide)
    return float(max(np.max(one - above), np.max(below - one), 0.0))


@dataclass(frozen=True)
class Escapes:
    """Escapes that were counted, and the walker steps during which they might have happened.

    Reference: Lawless (2003), Statistical Models and Methods for Lifetime Data, section 4.1 (censored waiting times).
    """

    count: int = 0
    at_risk: float = 0.0

    def __add__(self, other: Escapes) -> Escapes:
        return Escapes(self.count + other.count, self.at_risk + other.at_risk)

    @property
    def rate(self) -> float:
        """Per step; NaN where no walker was at risk."""
        return self.count / self.at_risk if self.at_risk > 0 else float("nan")

    @property
    def error(self) -> float:
        """Standard error of the rate; that of a single escape where none was seen."""
        return float(np.sqrt(max(self.count, 1)) / self.at_risk) if self.at_risk > 0 else float("nan")


def escapes_after(passage: NDArray[np.int64], burn_in: int, steps: int) -> Escapes:
    """Escapes after the walkers have forgotten their start.

    Args:
        passage: [walkers], step at which each passed the barrier, -1 where it has not.
        burn_in: steps that do not count.
        steps: steps taken.
    """
    until = np.where(passage < 0, steps, np.minimum(passage, steps)).astype(np.float64)
    count = int(np.count_nonzero((passage > burn_in) & (passage <= steps)))
    return Escapes(count, float(np.maximum(until - burn_in, 0.0).sum()))
