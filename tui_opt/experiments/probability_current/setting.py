"""What every experiment of probability-current asks about: datapoints, and what one step does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.kernels.callables import Check, TermField, unchecked
from tui_opt.kernels.emit import specialise
from tui_opt.kernels.ensembles import Walk, plain_walk, repeated_walk, tabulated_walk
from tui_opt.kernels.fokker_planck import MODELS, Equation, fokker_planck
from tui_opt.kernels.one_step import EXACT_FLOW, effective_gradients, updated
from tui_opt.kernels.tabulated import tabulate
from tui_opt.kernels.update_slopes import effective_curvatures
from tui_opt.kernels.walkers import first_passage
from tui_opt.result import Result
from tui_opt.runner.context import Context

OPERATOR = "operator"
DIFFUSION_LIMIT = 0.5
"""T max|g'| above which a gradient changes too much within one step for a diffusion to describe it."""
WORTH_COMPILING = 5e8
"""Walker steps from which a specialised kernel, which takes a second to compile once, is faster than the tape."""


def system_of(losses: Sequence[str], gradients: Sequence[str]) -> System:
    """The datapoints by their gradients where any are given, else by their losses."""
    return System.from_gradients(gradients) if gradients else System.from_texts(losses)


def require_order(low: float, high: float) -> None:
    """Refuse ends of cells that are in the wrong order, as one given end and one found may be."""
    if not low < high:
        raise ExperimentError(
            f"The cells would reach from {low:g} to {high:g}: w_min must be below w_max. Set both, or leave both on "
            "auto."
        )


@dataclass(frozen=True)
class Setting:
    """Datapoints and what one step does with them.

    Attributes:
        system: gradients g_j with exact derivatives.
        temperature: T.
        substeps: smaller steps on the same datapoint; 0 is the exact flow.
        check: called now and then.
    """

    system: System
    temperature: float
    substeps: int = 1
    check: Check = unchecked

    @cached_property
    def maps(self) -> TermField:
        """f_j, the update on each datapoint."""
        return updated(self.system.gradients, self.temperature, self.substeps, self.check)

    @cached_property
    def gradients(self) -> TermField:
        """(w - f_j) / T: the gradients whose plain step the update is."""
        return effective_gradients(self.system.gradients, self.temperature, self.substeps, self.check)

    @cached_property
    def curvatures(self) -> TermField:
        """Their derivatives."""
        return effective_curvatures(
            self.system.gradients, self.system.curvatures, self.temperature, self.substeps, self.check
        )

    def equation(self, model: str) -> Equation:
        """The Fokker-Planck equation of a diffusion model.

        The first-order models are made of G and S² of the g_j themselves, however many substeps there are: the
        question is which of them describes the update. The second-order one is that of the update that is made.
        """
        gradients: TermField = self.system.gradients
        curvatures: TermField = self.system.curvatures
        if MODELS[model].second_order:
            gradients, curvatures = self.gradients, self.curvatures
        return fokker_planck(MODELS[model], gradients, curvatures, self.temperature)

    def validity(self, w: FloatArray) -> float:
        """T max|g_j'| over places w[n]."""
        with np.errstate(invalid="ignore"):
            return float(self.temperature * np.nanmax(np.abs(self.system.curvatures(w)), initial=0.0))

    def walk(self, ctx: Context, stream: str, walker_steps: float, low: float, high: float) -> Walk:
        """Walkers of the update.

        Args:
            ctx: context of the run.
            stream: names their random stream.
            walker_steps: how many there will be.
            low, high: the places they may visit, where the exact flow is tabulated.
        """
        key = ctx.key(stream)
        if self.substeps == EXACT_FLOW:
            return tabulated_walk(tabulate(self.maps, low, high, ctx.check), key)
        if self.substeps > 1:
            return repeated_walk(self.system.gradient_program, self.temperature, self.substeps, key)
        if ctx.kernels is not None and walker_steps >= WORTH_COMPILING:
            return plain_walk(specialise(self.system.gradient_tape, ctx.kernels), self.temperature, key)
        return plain_walk(partial(first_passage, self.system.gradient_program), self.temperature, key)


def add_validity(
    result: Result, validity: float, models: Sequence[str], where: str = "over the cells"
) -> None:
    """T max|g'|, with a warning where a diffusion model is asked for beyond its domain."""
    text = f"T max|g'| {where}: a diffusion needs it well below 1"
    result.add_finding("validity", validity, text, kind="accuracy")
    diffusions = [m for m in models if m != OPERATOR]
    if diffusions and validity > DIFFUSION_LIMIT:
        result.warn(
            f"T max|g'| is {validity:.3g}, so a gradient changes too much within one step: the "
            f"diffusion models ({', '.join(diffusions)}) are outside their domain. "
            "Trust the operator, or take a smaller T."
        )
