"""The law that each model of end-state ends with, on cells and on half as many."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.end_state_question import Asked
from tui_opt.experiments.probability_current.setting import OPERATOR
from tui_opt.kernels.affine import AffineMaps, affine_maps
from tui_opt.kernels.cascade import Cascade, cascade_of
from tui_opt.kernels.cells import CellMatrix
from tui_opt.kernels.chain import chain_on_edges, split_cells
from tui_opt.kernels.end_states import chain_with_exit, escape_tilt, moments_at_centres
from tui_opt.kernels.fokker_planck_generator import Barrier, generator_on_edges
from tui_opt.kernels.fokker_planck_laws import quasi_stationary_law, stationary_law
from tui_opt.kernels.laws import TruncatedNormal, cdf_on_cells, masses_of, moments, wasserstein
from tui_opt.kernels.quasistationary import MAX_POWER_STEPS, QuasiStationary, quasi_stationary, trapped_cells
from tui_opt.kernels.refinement import at_least, halved, refined_edges
from tui_opt.kernels.stationary_law import stationary_law as stationary_law_of_chain
from tui_opt.kernels.transfer import TransferOperator, mass_at
from tui_opt.runner.context import Context

EXIT_PARTS, CLOSED_PARTS = 4, 2
"""Parts of a cell on which the exact chain is taken, with an exit and without: rare escapes feel the cells most."""
MOST_CELLS = 64_000
LEAST_CELLS = 1000
"""Cells of diffusions before they are refined, however few the answer is given on."""
CHAIN = "the exact chain"
NAMES = {
    "operator": CHAIN,
    "ito": "Ito",
    "stratonovich": "Stratonovich",
    "fick": "Fick",
    "sme2": "the second-order model",
}
SLOW = ("law and rate had not settled", "Some walkers leave their place so slowly")
"""How notes begin on chains that take longer than anyone waits."""
NOT_SETTLED = f"law and rate had not settled after {MAX_POWER_STEPS} steps"
UNDERFLOW = -650.0
"""ln(rate) below which an untilted rate is near the smallest doubles."""


@dataclass
class End:
    """A law on cells that a model ends with.

    Attributes:
        edges: [cells + 1], nested in the cells of the question.
        masses: [cells], sum 1.
        mean, sd: of W.
        log_rate: ln of the rate of escape per step; NaN without an exit, -inf where nothing escapes.
        mass_error: deviation of the total from 1; of the exact chain, what one step changes.
        grid_error: Wasserstein distance to the law on half as many cells.
        rate_error: relative change of the rate with half as many cells.
        notes: what else there is to say of it.
        matrix: one step of the exact chain; None for diffusions.
    """

    edges: FloatArray
    masses: FloatArray
    mean: float
    sd: float
    log_rate: float = math.nan
    mass_error: float = 0.0
    grid_error: float = math.nan
    rate_error: float = math.nan
    notes: list[str] = field(default_factory=list)
    matrix: CellMatrix | None = None

    @property
    def centres(self) -> FloatArray:
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def cdf(self, w: FloatArray) -> FloatArray:
        """P(W <= w), [n]."""
        return cdf_on_cells(self.edges, self.masses, w)


@dataclass(frozen=True)
class ExactLaw:
    """What is known in closed form where every update is affine: moments, and the cascade of separated images."""

    maps: AffineMaps
    mean: float
    sd: float
    cascade: Cascade | None

    @property
    def singular(self) -> bool:
        """Whether it is known to have no density."""
        return self.cascade is not None and not self.cascade.is_uniform


@dataclass
class Ends:
    """The laws found so far, and the exact one they are compared with.

    Attributes:
        question: what was asked.
        exact: closed forms, where there are any.
        found: by model.
        reasons: why a model has no such law.
    """

    question: Asked
    exact: ExactLaw | None = None
    found: dict[str, End] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def chain(self) -> End | None:
        return self.found.get(OPERATOR)

    @property
    def reference_name(self) -> str:
        return "the exact law" if self.exact and self.exact.cascade else CHAIN

    def reference(self, w: FloatArray) -> FloatArray | None:
        """The exact distribution function: in closed form where there is one, else the chain's on its cells."""
        if self.exact is not None and self.exact.cascade is not None:
            return self.exact.cascade.cdf(w)
        return self.chain.cdf(w) if self.chain is not None else None

    @property
    def point(self) -> bool:
        """Whether the exact chain's law is narrower than the cells it is given on."""
        edges = self.question.edges
        return self.chain is not None and self.chain.sd < float(edges[1] - edges[0])


def exact_law(question: Asked) -> ExactLaw | None:
    """The exact stationary law of affine updates; None for others, with an exit or walls, or without a variance."""
    if question.side or question.reflecting:
        return None
    maps = affine_maps(question.setting.maps, float(question.edges[0]), float(question.edges[-1]))
    known = maps.stationary_moments() if maps is not None else None
    if maps is None or known is None:
        return None
    return ExactLaw(maps, *known, cascade_of(maps))


def end_of(question: Asked, model: str, ctx: Context) -> End:
    """The law a model ends with, and how far from it half as many cells end.

    Raises:
        ExperimentError: the model has no such law; the message says why.
    """
    ends = _chain_ends if model == OPERATOR else _diffusion_ends
    fine, coarse = ends(question, model, ctx)
    fine.grid_error = wasserstein(fine.edges, fine.masses, coarse.cdf(fine.edges))
    if math.isfinite(fine.log_rate) and math.isfinite(coarse.log_rate):
        fine.rate_error = abs(math.expm1(min(coarse.log_rate - fine.log_rate, 700.0)))
    return fine


# --- the exact chain ------------------------------------------------------------------------------------------------


def _chain_ends(question: Asked, model: str, ctx: Context) -> tuple[End, End]:
    del model
    base = question.edges
    end = _chain_before_exit if question.side else _closed_chain
    wanted = EXIT_PARTS if question.side else CLOSED_PARTS
    parts = max(1, min(wanted, MOST_CELLS // (base.size - 1)))
    cells = max(8, parts * (base.size - 1) // 2)
    coarse = end(question, np.linspace(base[0], base[-1], cells + 1), ctx)
    if any(note.startswith(SLOW) for note in coarse.notes):
        parts = 1  # more cells would take longer to say the same
    return end(question, split_cells(base, parts), ctx), coarse


def _chain_before_exit(question: Asked, edges: FloatArray, ctx: Context) -> End:
    setting = question.setting
    operator = chain_with_exit(
        question.maps, setting.gradients, setting.temperature, edges, question.side, ctx.check
    )
    start = mass_at(operator, np.array([question.start]), np.ones(1))[: operator.cells]
    if not (start[~trapped_cells(operator)] > 0).any():
        end = _ended(operator.matrix, edges, start, ctx)
        end.log_rate = -math.inf
        end.notes.append("no sequence of updates leads out")
        return end
    law = quasi_stationary(operator, question.start, check=ctx.check)
    if not law.log_rate > UNDERFLOW:
        law = _tilted(operator, question, law, ctx)
    if not np.isfinite(law.density).all():
        raise ExperimentError(
            "No walkers are left in motion: all of them leave, or come to rest, faster than a law could form. Take a "
            "smaller temperature or another barrier."
        )
    masses = law.density * np.diff(edges)
    masses = masses / masses.sum()
    onward = operator.inside.T @ masses
    change = float(np.abs(onward / onward.sum() - masses).sum())
    end = End(edges, masses, *moments(edges, masses), law.log_rate, change, matrix=operator.matrix)
    if not law.converged:
        end.notes.append(NOT_SETTLED)
    never = math.exp(law.log_never_rate) if law.log_never_rate > -700 else 0.0
    if never > 1e-6 * math.exp(max(law.log_rate, -700)) and never > 0:
        end.notes.append(f"{never:.3g} of the walkers a step come to rest or leave elsewhere")
    return end


def _tilted(
    operator: TransferOperator, question: Asked, law: QuasiStationary, ctx: Context
) -> QuasiStationary:
    """A rate near the smallest doubles once more, on a law that does not underflow."""
    tilted = quasi_stationary(
        operator, question.start, escape_tilt(operator, question.start), check=ctx.check
    )
    return tilted if np.isfinite(tilted.density).all() and tilted.log_rate > -math.inf else law


def _closed_chain(question: Asked, edges: FloatArray, ctx: Context) -> End:
    chain = chain_on_edges(question.maps, edges, ctx.check)
    start = masses_of(TruncatedNormal(question.start, 0.0), edges)[0]
    return _ended(chain.matrix, edges, start, ctx)


def _ended(matrix: CellMatrix, edges: FloatArray, start: FloatArray, ctx: Context) -> End:
    law = stationary_law_of_chain(matrix, start, ctx.check)
    if not np.isfinite(law.masses).all():
        raise ExperimentError(
            f"All walkers leave the cells between {edges[0]:.6g} and {edges[-1]:.6g} in the end, so there is no "
            "stationary law. Widen w_min and w_max, take a smaller temperature, or set walls to reflecting."
        )
    end = End(edges, law.masses, *moments(edges, law.masses), mass_error=law.residual, matrix=matrix)
    if law.reason:
        end.notes.append(law.reason)
    return end


# --- diffusions -----------------------------------------------------------------------------------------------------


def _diffusion_ends(question: Asked, model: str, ctx: Context) -> tuple[End, End]:
    equation = question.setting.equation(model)
    barrier = {1: Barrier.RIGHT, -1: Barrier.LEFT, 0: Barrier.NONE}[question.side]
    try:
        coarse = refined_edges(at_least(question.edges, LEAST_CELLS), equation)
        found = []
        for edges in (halved(coarse), coarse):
            ctx.check()
            generator = generator_on_edges(equation, edges, barrier)
            if question.side:
                law = quasi_stationary_law(generator, question.start, check=ctx.check)
                notes = [] if law.converged else [f"not settled after {law.iterations} iterations"]
                if law.log_rate == -math.inf:
                    notes.append("no noise leads out")
                masses, log_rate = law.mass, law.log_rate
            else:
                masses, log_rate, notes = stationary_law(generator), math.nan, []
            total = float(masses.sum())
            mean, sd = moments_at_centres(edges, masses)
            found.append(End(edges, masses / total, mean, sd, log_rate, abs(total - 1.0), notes=notes))
    except ValueError as error:
        raise ExperimentError(f"The model {model} has no such law on these cells: {error}") from None
    return found[0], found[1]
