"""Cells refined where a Fokker-Planck equation needs it, nested in cells that all results are given on.

Four places need narrow cells: where the noise varies within a cell while it still competes with the drift (above all
at its zeros, where the law of zero current is D^(-2c)); where the drift converges, with a law as narrow as
sqrt(D / |v'|); where drift or noise jump, as no cell and no face that a jump is in has one value of them, so that the
error is of first order in the width there; and the neighbourhood of all, because widths should change gradually.
"""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import FloatArray, evaluate
from tui_opt.kernels.chain import split_cells
from tui_opt.kernels.fokker_planck import Equation
from tui_opt.kernels.jumps import jumps

NOISE_SCALE = 0.4
"""Widest cell in units of D / |D'|, over which the noise varies e-fold."""
DRIFT_DOMINATES = 10.0
"""Where the drift is that many times |D'|, it carries mass past the variation of the noise."""
LAW_SCALE = 0.3
"""Widest cell in units of sqrt(D / |v'|) where the drift converges."""
GRADING = 0.2
"""Growth of the wanted width per unit of distance."""
LEVELS = 10
"""Halvings of a base cell at most."""
JUMP_LEVELS = 8
"""Halvings at a jump at most: the error there is then that of cells 256 times as narrow, for some 80 more of them."""
MAX_CELLS = 200_000


def refined_edges(edges: FloatArray, equation: Equation, levels: int = LEVELS) -> FloatArray:
    """Halve cells, again and again, where they are wider than the equation allows.

    Args:
        edges: [cells + 1] of the base cells, increasing. Features between three nodes of a base cell are not seen.
        equation: drift and diffusivity; places where they are not finite ask for nothing.
        levels: halvings of a base cell at most, 0 or more.

    Returns: edges that contain the given ones; at most `MAX_CELLS` cells.
    Raises: ValueError for negative levels.
    """
    if levels < 0:
        raise ValueError(f"levels is {levels}; it must be 0 or more.")
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    least = float(np.diff(edges).min())
    narrowest = least / 2**levels
    broken = np.union1d(*(jumps(field, halved(edges)) for field in (equation.drift, equation.diffusivity)))
    for _ in range(levels):
        nodes = halved(edges)
        widths = np.diff(edges)
        # Both ends and the centre of a cell must allow its width.
        wanted = np.maximum(_wanted_widths(equation, nodes), narrowest)
        wanted = np.minimum(
            wanted, least / 2 ** min(levels, JUMP_LEVELS) + GRADING * _distances(nodes, broken)
        )
        allowed = _graded(nodes, wanted)
        allowed = np.minimum(np.minimum(allowed[:-2:2], allowed[1::2]), allowed[2::2])
        wide = (widths > allowed) & (widths > 1.5 * narrowest)
        if not wide.any() or edges.size + int(wide.sum()) > MAX_CELLS:
            break
        edges = np.sort(np.concatenate([edges, nodes[1::2][wide]]))
    return edges


def at_least(edges: FloatArray, cells: int) -> FloatArray:
    """Edges of the same cells cut into equal parts, as few as make at least so many cells."""
    return split_cells(edges, max(1, -(-cells // (edges.size - 1))))


def halved(edges: FloatArray) -> FloatArray:
    """Edges of twice as many cells: [2 cells + 1]."""
    result = np.empty(2 * edges.size - 1)
    result[::2] = edges
    result[1::2] = edges[:-1] + 0.5 * np.diff(edges)
    return result


def coarsened(mass: FloatArray, edges: FloatArray, base: FloatArray) -> FloatArray:
    """Masses of base cells from those of cells nested in them.

    Args:
        mass: [..., cells].
        edges: [cells + 1] of the nested cells.
        base: [base cells + 1], all of them among `edges` but for rounding.

    Returns: [..., base cells].
    Raises: ValueError when an edge of a base cell is not among the nested ones, or the ends differ.
    """
    # The nested edge nearest to each base edge.
    at = np.searchsorted(0.5 * (edges[1:] + edges[:-1]), base)
    off = np.abs(edges[at] - base)
    nested = at[0] == 0 and at[-1] == edges.size - 1 and bool(np.all(off <= 1e-6 * np.diff(edges).min()))
    if not nested or mass.shape[-1] != edges.size - 1:
        raise ValueError(
            f"The {edges.size - 1} cells (mass of shape {mass.shape}) are not nested in the {base.size - 1} base "
            "cells; refine the base cells with refined_edges or halved."
        )
    return np.asarray(np.add.reduceat(mass, at[:-1], axis=-1))


def halving_error(mass: FloatArray, finer: FloatArray) -> FloatArray:
    """L1 distance of two answers on the same base cells, [...]: the error of the coarser one, about.

    Exactly that for cells so narrow that the finer answer's error is small beside it: halving cells (or steps) of a
    method of order p leaves 1 - 2^-p of the error.

    Args:
        mass: [..., cells], the answer whose error is sought.
        finer: [..., cells], the same from cells (or time steps) half as wide, coarsened to the same cells.
    """
    return np.asarray(np.abs(mass - finer).sum(axis=-1))


def _wanted_widths(equation: Equation, w: FloatArray) -> FloatArray:
    """The widest useful cell at each of the places w, inf where any will do."""
    diffusivity = evaluate(equation.diffusivity, w)
    slope = np.abs(evaluate(equation.diffusivity_slope, w))
    drift = evaluate(equation.drift, w)
    velocity = evaluate(equation.velocity, w)
    with np.errstate(all="ignore"):
        competing = (np.abs(drift) < DRIFT_DOMINATES * slope) & (diffusivity > 0)
        wanted = np.where(competing, NOISE_SCALE * diffusivity / slope, np.inf)
        convergence = (velocity[:-1] - velocity[1:]) / np.diff(w)
        law = LAW_SCALE * np.sqrt(0.5 * (diffusivity[:-1] + diffusivity[1:]) / convergence)
    meeting = np.flatnonzero((velocity[:-1] > 0) & (velocity[1:] < 0))
    wanted[meeting] = np.fmin(wanted[meeting], law[meeting])
    wanted[meeting + 1] = np.fmin(wanted[meeting + 1], law[meeting])
    return np.where(np.isnan(wanted), np.inf, wanted)


def _distances(w: FloatArray, places: FloatArray) -> FloatArray:
    """From each of w[n] to the nearest place, inf where there is none."""
    after = np.searchsorted(places, w)
    ends = np.concatenate([[-np.inf], places, [np.inf]])
    return np.asarray(np.minimum(w - ends[after], ends[after + 1] - w))


def _graded(w: FloatArray, wanted: FloatArray) -> FloatArray:
    """The largest widths below `wanted` that grow by at most `GRADING` per unit of distance."""
    from_left = np.minimum.accumulate(wanted - GRADING * w) + GRADING * w
    from_right = np.minimum.accumulate((wanted + GRADING * w)[::-1])[::-1] - GRADING * w
    return np.minimum(from_left, from_right)
