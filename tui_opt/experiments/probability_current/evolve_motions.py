"""How each model of evolve moves the law, and how far from that half as many cells move it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.evolve_question import Asked
from tui_opt.experiments.probability_current.setting import OPERATOR
from tui_opt.kernels.chain import (
    ABOVE,
    BELOW,
    NOWHERE,
    advance,
    chain_on_edges,
    joined_cells,
    split_cells,
    state_of_masses,
)
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.implicit_stepping import Scheme, evolve, step_size
from tui_opt.kernels.laws import cdf_on_cells, masses_of, moments, wasserstein
from tui_opt.kernels.refinement import at_least, coarsened, refined_edges
from tui_opt.runner.context import Context

MASS_WORTH_A_WARNING = 1e-6
LEAST_CELLS = 8
DIFFUSION_CELLS = 1000
"""Cells of diffusions before they are refined, however few the answer is given on."""


@dataclass
class Motion:
    """A law on cells at the output times.

    Attributes:
        mass: [t, cells].
        mean, sd: [t].
        mass_error: largest deviation of the total, what has left included, from 1.
        least: the least mass of any cell at any time, in units of the width of a cell.
        outside: [t], mass that has left the cells.
        grid_error: Wasserstein distance at the end to the same with half as many cells.
        cell_errors: [t, 2], change of mean and sd with half as many cells.
        notes: what else there is to say of it.
    """

    mass: FloatArray
    mean: FloatArray
    sd: FloatArray
    mass_error: float
    least: float
    outside: FloatArray
    grid_error: float = np.nan
    cell_errors: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    notes: list[str] = field(default_factory=list)


def motion_of(question: Asked, model: str, ctx: Context) -> Motion:
    """The law by a model at all output times.

    Raises:
        ExperimentError: the model cannot be set up on the cells, or they do not hold the initial law.
    """
    edges = question.edges
    cells = edges.size - 1
    if model == OPERATOR:
        parts = question.parts
        halved = _equal_cells(edges, parts * cells // 2)
        fine = _by_operator(question, split_cells(edges, parts), parts, ctx)
        coarse = _by_operator(question, halved, 1, ctx)
    else:
        base = at_least(edges, DIFFUSION_CELLS)
        halved = _equal_cells(edges, (base.size - 1) // 2)
        fine = _by_diffusion(question, model, base, edges, ctx)
        coarse = _by_diffusion(question, model, halved, halved, ctx)
    fine.grid_error = wasserstein(edges, fine.mass[-1], cdf_on_cells(halved, coarse.mass[-1], edges))
    fine.cell_errors = np.stack([np.abs(fine.mean - coarse.mean), np.abs(fine.sd - coarse.sd)], axis=1)
    return fine


def _equal_cells(edges: FloatArray, cells: int) -> FloatArray:
    return np.linspace(edges[0], edges[-1], max(cells, LEAST_CELLS) + 1)


def _initial(question: Asked, edges: FloatArray) -> FloatArray:
    try:
        return masses_of(question.law, edges)[0]
    except ValueError as error:
        raise ExperimentError(f"{error} Widen w_min and w_max, or leave them on auto.") from None


def _by_operator(question: Asked, edges: FloatArray, parts: int, ctx: Context) -> Motion:
    """The exact chain on cells, `parts` of which are put together afterwards."""
    chain = chain_on_edges(question.setting.maps, edges, ctx.check)
    state = state_of_masses(chain, _initial(question, edges))
    times = question.times
    mass, outside = np.empty((times.size, chain.cells // parts)), np.empty(times.size)
    found, least, error, now = np.empty((times.size, 2)), np.inf, 0.0, 0
    for row, then in enumerate(times):
        advance(chain, state, int(then) - now, ctx.check)
        now = int(then)
        inside = state[: chain.cells]
        mass[row], outside[row] = joined_cells(inside, parts), state[chain.cells :].sum()
        found[row] = moments(edges, inside)
        least = min(least, float(inside.min()))
        error = max(error, abs(float(inside.sum() + outside[row]) - 1.0))
    width = float(edges[1] - edges[0])
    return Motion(
        mass, found[:, 0], found[:, 1], error, least / width, outside, notes=_left(state)
    )  # fmt: skip


def _left(state: FloatArray) -> list[str]:
    """Where the operator's mass went that is no longer in the cells."""
    found = []
    for place, words in (
        (ABOVE, "above the cells"),
        (BELOW, "below the cells"),
        (NOWHERE, "to no finite number"),
    ):
        if state[place] > MASS_WORTH_A_WARNING:
            found.append(f"{state[place]:.3g} of the walkers went {words}")
    return found


def _by_diffusion(question: Asked, model: str, base: FloatArray, edges: FloatArray, ctx: Context) -> Motion:
    """A diffusion on cells that refine the base ones, put together to cells with the given edges afterwards."""
    equation = question.setting.equation(model)
    try:
        fine = refined_edges(base, equation)
        generator = generator_on_edges(equation, fine)
    except ValueError as error:
        raise ExperimentError(f"The model {model} cannot be set up on these cells: {error}") from None
    initial, times = _initial(question, fine), question.times
    scheme = Scheme(question.params.scheme)
    dt = step_size(equation, generator, initial, float(times[-1]), scheme, ctx.check)
    moved = evolve(generator, initial, times, dt, scheme, ctx.check)
    found = np.array([moments(fine, row) for row in moved.mass])
    notes = [f"{fine.size - 1} cells, {moved.steps} time steps of {dt:.3g}"]
    if moved.redone:
        notes.append(f"{moved.redone} steps redone by backward Euler, as they reached {moved.undershoot:.2g}")
    return Motion(
        coarsened(moved.mass, fine, edges), found[:, 0], found[:, 1], moved.mass_error,
        moved.least / float(edges[1] - edges[0]), np.zeros(times.size), notes=notes,
    )  # fmt: skip
