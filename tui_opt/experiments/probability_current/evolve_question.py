"""What evolve is asked: the initial law, the times that are kept, and the cells that hold every law until then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.experiments.probability_current.setting import OPERATOR, Setting, require_order, system_of
from tui_opt.kernels.diffusion_reach import interval_of_diffusion
from tui_opt.kernels.laws import TruncatedNormal
from tui_opt.kernels.reach import CELLS, reachable
from tui_opt.runner.context import Context

PARTS = 4
"""Parts of a cell on which the exact chain is taken where time allows: a step puts its images on cells, and where
the noise is less than a cell that widens the law."""
PART_STEPS = 2e7
"""Parts of cells times steps for which time allows."""
MOST_CELLS = 64_000


@dataclass(frozen=True)
class Asked:
    """The question with its cells.

    Attributes:
        setting: datapoints and update.
        params: as the user asked.
        law: of the walkers at the beginning.
        times: [t], steps at which laws are kept.
        edges: [cells + 1], equal cells.
        clipped: whether walkers can reach beyond the cells, which were cut.
    """

    setting: Setting
    params: EvolveParams
    law: TruncatedNormal
    times: FloatArray
    edges: FloatArray
    clipped: bool

    @property
    def held(self) -> float:
        """Share of the initial law that lies in the cells."""
        below, up_to = self.law.cdf(self.edges[[0, -1]])
        return float(up_to - below)

    @property
    def parts(self) -> int:
        """Parts of a cell on which the exact chain is taken."""
        return parts_of(self.params)


def asked(params: EvolveParams, ctx: Context) -> Asked:
    """Find cells and times.

    Raises:
        ExperimentError: the ends of the cells are in the wrong order.
    """
    setting = Setting(
        system_of(params.losses, params.gradients), params.temperature, params.substeps, ctx.check
    )
    least = -np.inf if params.initial_min == "none" else float(params.initial_min)
    law = TruncatedNormal(params.initial_mean, params.initial_sd, least)
    times = np.unique(np.append(np.arange(0, params.steps, params.output_every), params.steps))
    low, high, clipped = _interval(params, setting, law, ctx)
    require_order(low, high)
    edges = np.linspace(low, high, params.cells + 1)
    return Asked(setting, params, law, times.astype(np.float64), edges, clipped)


def parts_of(params: EvolveParams) -> int:
    """As many parts of a cell, up to `PARTS`, as a quick run allows."""
    affordable = min(PART_STEPS / params.steps, MOST_CELLS) / params.cells
    return int(min(max(affordable, 1), PARTS))


def _interval(
    params: EvolveParams, setting: Setting, law: TruncatedNormal, ctx: Context
) -> tuple[float, float, bool]:
    low, high, clipped = 0.0, 0.0, False
    if "auto" in (params.w_min, params.w_max):
        cells = min(CELLS, params.cells * parts_of(params))
        reach = reachable(setting.maps, law, params.steps, ctx.check, cells)
        low, high, clipped = reach.low, reach.high, reach.clipped
        for model in params.models:
            if model == OPERATOR or clipped:
                continue
            equation = setting.equation(model)
            try:
                low, high = interval_of_diffusion(equation, law, params.steps, low, high, ctx.check)
            except ValueError:  # the model cannot be set up there, which is said when its turn comes
                continue
    low = low if params.w_min == "auto" else float(params.w_min)
    high = high if params.w_max == "auto" else float(params.w_max)
    return low, high, clipped
