"""Laws of end-state that are points, though no cells show them as such."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.probability_current.end_state_laws import NAMES, End, Ends
from tui_opt.experiments.probability_current.end_state_question import Asked
from tui_opt.experiments.probability_current.setting import OPERATOR
from tui_opt.kernels.fokker_planck import MODELS
from tui_opt.kernels.sinks import drains, mean_log_slope, resting_places, some_lead_away
from tui_opt.result import Result

NEAR_CELLS = 2
NEAR_MASS = 1e-9
"""Mass within `NEAR_CELLS` of a place by which a law is known to come there."""
NONE = 1e-12
"""A mean of ln|f_j'| below which steps do not lead away; at 0 walkers come near without end, too."""


@dataclass(frozen=True)
class Sink:
    """A place where all datapoints rest, and which models have all their mass end there.

    Attributes:
        w: the place.
        log_slope: mean of ln|f_j'| of the updates.
        models: that do.
    """

    w: float
    log_slope: float
    models: frozenset[str]


def sinks_of(question: Asked) -> tuple[Sink, ...]:
    """The sinks in the cells; none with an exit, where the law is that of walkers who are still under way."""
    if question.side:
        return ()
    setting, edges = question.setting, question.edges
    system, temperature = setting.system, setting.temperature
    found = []
    ends = float(edges[0]), float(edges[-1])
    for w in resting_places(system.gradients, system.curvatures, *ends, setting.check):
        at = np.array([w])
        plain, made = system.curvatures(at)[:, 0], setting.curvatures(at)[:, 0]
        if not (np.isfinite(plain).all() and np.isfinite(made).all()):
            continue
        log_slope = mean_log_slope(made, temperature)
        models = {
            name
            for name, model in MODELS.items()
            if drains(model, made if model.second_order else plain, temperature)
        }
        if log_slope < NONE and some_lead_away(made, temperature):
            models.add(OPERATOR)
        if models:
            found.append(Sink(w, log_slope if abs(log_slope) > NONE else 0.0, frozenset(models)))
    return tuple(found)


def drained(ends: Ends, sinks: tuple[Sink, ...], model: str) -> list[Sink]:
    """The sinks that a model's law comes to."""
    end = ends.found.get(model)
    if end is None or (model == OPERATOR and ends.point):
        return []
    width = NEAR_CELLS * float(ends.question.edges[1] - ends.question.edges[0])
    return [sink for sink in sinks if model in sink.models and _mass_near(end, sink.w, width) > NEAR_MASS]


def _mass_near(end: End, w: float, width: float) -> float:
    low, high = end.cdf(np.array([w - width, w + width]))
    return float(high - low)


def add_sinks(result: Result, ends: Ends, sinks: tuple[Sink, ...]) -> None:
    """Say which laws are points, and take back what the cells' laws would say of which diffusion is the nearest."""
    for sink in drained(ends, sinks, OPERATOR):
        result.findings.pop("closest_ks", None)
        result.warn(
            f"Every datapoint rests at W = {sink.w:.6g}, and steps do not lead away on average: the mean of ln|f'|, f "
            f"the update, is {sink.log_slope:.3g}. In the end all walkers that come near are there. The exact chain's "
            "law on cells is as wide as they make it, and narrower on more of them."
        )
    for sink in sinks:
        names = [NAMES[m] for m in ends.found if m != OPERATOR and sink in drained(ends, sinks, m)]
        if names:
            result.warn(
                f"All mass ends at W = {sink.w:.6g} by {', '.join(names)}: the density cannot be integrated up to "
                "there, and how much of it the cells show elsewhere depends on their width."
            )
