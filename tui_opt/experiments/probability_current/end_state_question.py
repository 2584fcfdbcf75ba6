"""What end-state is asked: where walkers start, where they exit if anywhere, and the cells that hold every law."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.pits import Question
from tui_opt.experiments.probability_current.params import EndStateParams
from tui_opt.experiments.probability_current.setting import OPERATOR, Setting, require_order, system_of
from tui_opt.kernels.callables import TermField
from tui_opt.kernels.end_states import interval_of_law
from tui_opt.kernels.fokker_planck_generator import Barrier
from tui_opt.kernels.invariance import Reach, invariant_hull, reachable_interval
from tui_opt.kernels.reflection import reflected_maps
from tui_opt.kernels.stationary import minima, sharpest_pit
from tui_opt.runner.context import Context

SEARCHED = (-10.0, 10.0)
"""Where the stationary points of the mean loss are looked for, unless w_min and w_max say."""
MARGIN = 0.05
"""Room beside what the walkers reach, in units of its width: cells keep the moments of a step away from their ends."""
LEAST_WIDTH = 1e-3
MOST_WIDTH = 8.0
"""Widest cells for diffusions, in units of the width that the walkers reach."""


@dataclass(frozen=True)
class Asked:
    """The question with all places found.

    Attributes:
        setting: datapoints and update.
        params: as the user asked.
        start: where walkers start.
        side: 1 or -1 where they exit beyond edges[-1] or below edges[0]; 0 without an exit.
        edges: [cells + 1], equal cells for the densities.
        walls: places that throw walkers back; an infinite one is no wall.
        clipped: whether walkers can reach beyond the far end of the cells.
    """

    setting: Setting
    params: EndStateParams
    start: float
    side: int
    edges: FloatArray
    walls: tuple[float, float] = (-np.inf, np.inf)
    clipped: bool = False

    @property
    def barrier(self) -> float:
        return float(self.edges[-1] if self.side > 0 else self.edges[0])

    @property
    def reflecting(self) -> bool:
        return bool(np.isfinite(self.walls).any())

    @property
    def maps(self) -> TermField:
        """The update on each datapoint, with the walls."""
        return reflected_maps(self.setting.maps, *self.walls) if self.reflecting else self.setting.maps


def asked(params: EndStateParams, ctx: Context) -> Asked:
    """Find start, exit and cells.

    Raises:
        ExperimentError: no start or exit can be found, they lie outside the cells, or walkers diverge.
    """
    setting = Setting(
        system_of(params.losses, params.gradients), params.temperature, params.substeps, ctx.check
    )
    found = _with_exit(params, setting) if params.barrier != "none" else _closed(params, setting)
    found = _with_room_for_diffusions(found, ctx)
    for place in params.compare:
        if not found.edges[0] <= place <= found.edges[-1]:
            raise ExperimentError(
                f"compare names W = {place:g}, outside the cells from {found.edges[0]:.6g} to {found.edges[-1]:.6g}. "
                "Compare places within them, or widen w_min and w_max."
            )
    return found


def _question(params: EndStateParams, setting: Setting) -> Question:
    low = SEARCHED[0] if params.w_min == "auto" else float(params.w_min)
    high = SEARCHED[1] if params.w_max == "auto" else float(params.w_max)
    require_order(low, high)
    question = Question(setting.system, params.start, params.barrier, low, high)
    if params.barrier != "none" and sharpest_pit(question.points) is None:
        # The ends of the cells may leave out the minimum behind the barrier.
        low, high = min(low, SEARCHED[0]), max(high, SEARCHED[1])
        question = Question(setting.system, params.start, params.barrier, low, high)
    return question


def _start(params: EndStateParams, question: Question) -> float:
    if params.start != "minimum":
        return float(params.start)
    wells = minima(question.points)
    if len(wells) > 1:
        return question.pit.w
    if wells:
        return wells[0].w
    if params.w_min != "auto" and params.w_max != "auto":
        return 0.5 * (question.w_min + question.w_max)
    raise ExperimentError(
        f"The mean loss has no minimum between W = {question.w_min:g} and {question.w_max:g}, so there is no place to "
        "start from. Give start as a number, or w_min and w_max."
    )


def _with_exit(params: EndStateParams, setting: Setting) -> Asked:
    question = _question(params, setting)
    if params.barrier == "auto":
        try:
            way = question.way(params.temperature, setting.gradients)
        except ExperimentError as error:
            raise ExperimentError(
                f"{error} For the stationary law without an exit set barrier to none."
            ) from None
        start, barrier = way.start, way.barrier
    else:
        start, barrier = _start(params, question), float(params.barrier)
        if start == barrier:
            raise ExperimentError(
                f"start and barrier are both {start:g}; walkers need a place to start that is not the exit."
            )
    side = 1 if barrier > start else -1
    reach = reachable_interval(setting.gradients, params.temperature, start, barrier)
    margin = MARGIN * (reach.high - reach.low)
    far_end = params.w_min if side > 0 else params.w_max
    near_end = params.w_max if side > 0 else params.w_min
    if near_end != "auto" and side * (barrier - float(near_end)) > 0:
        raise ExperimentError(
            f"The barrier at {barrier:.6g} lies outside the cells, which end at {float(near_end):g}. Move it, or leave "
            f"{'w_max' if side > 0 else 'w_min'} on auto."
        )
    if far_end != "auto":
        far = float(far_end)
        if side * (start - far) < 0:
            raise ExperimentError(
                f"The start W = {start:.6g} lies outside the cells, which end at {far:g}. Choose a start between them "
                "and the barrier."
            )
    else:
        far = reach.low - margin if side > 0 else reach.high + margin
    low, high = (far, barrier) if side > 0 else (barrier, far)
    wall = far if params.walls == "reflecting" and far_end != "auto" else -side * np.inf
    walls = (wall, np.inf) if side > 0 else (-np.inf, wall)
    edges = np.linspace(low, high, params.cells + 1)
    return Asked(setting, params, start, side, edges, walls, reach.clipped and far_end == "auto")


def _closed(params: EndStateParams, setting: Setting) -> Asked:
    question = _question(params, setting)
    start = _start(params, question)
    given = params.w_min != "auto" and params.w_max != "auto"
    if params.walls == "reflecting" and not given:
        raise ExperimentError("Reflecting walls stand at w_min and w_max: give both as numbers.")
    low, high = question.w_min, question.w_max
    if not given:
        hull = _hull(params, setting, start)
        margin = max(MARGIN * (hull.high - hull.low), LEAST_WIDTH * max(1.0, abs(start)))
        low = hull.low - margin if params.w_min == "auto" else low
        high = hull.high + margin if params.w_max == "auto" else high
    require_order(low, high)
    if not low <= start <= high:
        raise ExperimentError(
            f"The start W = {start:.6g} lies outside the cells from {low:.6g} to {high:.6g}. Choose a start between "
            "them."
        )
    walls = (low, high) if params.walls == "reflecting" else (-np.inf, np.inf)
    return Asked(setting, params, start, 0, np.linspace(low, high, params.cells + 1), walls)


def _hull(params: EndStateParams, setting: Setting, start: float) -> Reach:
    hull = invariant_hull(setting.gradients, params.temperature, start)
    if hull.clipped:
        raise ExperimentError(
            f"At T = {params.temperature:g} updates from W = {start:.6g} lead farther and farther away, so there is no "
            "law on a bounded interval. Take a smaller temperature, or give w_min and w_max, with reflecting walls if "
            "nothing is to leave."
        )
    return hull


def _with_room_for_diffusions(found: Asked, ctx: Context) -> Asked:
    """Diffusions have tails where no sequence of updates leads; ends that the user gave stay where they are."""
    params, edges = found.params, found.edges
    low, high = float(edges[0]), float(edges[-1])
    barrier = {1: Barrier.RIGHT, -1: Barrier.LEFT, 0: Barrier.NONE}[found.side]
    for model in params.models:
        if model == OPERATOR:
            continue
        most = MOST_WIDTH * float(edges[-1] - edges[0]) / (high - low)
        wider = interval_of_law(
            found.setting.equation(model), low, high, most, barrier, found.start, ctx.check
        )
        low = wider[0] if params.w_min == "auto" else low
        high = wider[1] if params.w_max == "auto" else high
    if (low, high) == (edges[0], edges[-1]):
        return found
    return replace(found, edges=np.linspace(low, high, params.cells + 1))
