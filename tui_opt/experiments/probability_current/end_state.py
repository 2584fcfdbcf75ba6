"""end-state: the law each model ends with, and how fast walkers escape from it where there is a way out."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.probability_current.end_state_figures import add_figures
from tui_opt.experiments.probability_current.end_state_findings import add_findings
from tui_opt.experiments.probability_current.end_state_laws import NAMES, End, Ends, end_of, exact_law
from tui_opt.experiments.probability_current.end_state_question import asked
from tui_opt.experiments.probability_current.end_state_sinks import Sink, add_sinks, drained, sinks_of
from tui_opt.experiments.probability_current.end_state_walkers import SETTLED, Walked, walked
from tui_opt.experiments.probability_current.params import EndStateParams
from tui_opt.experiments.probability_current.setting import OPERATOR, add_validity
from tui_opt.kernels.end_states import difference_beyond_a_cell
from tui_opt.kernels.laws import moments
from tui_opt.kernels.refinement import coarsened
from tui_opt.result import Result
from tui_opt.runner.context import Context

GRID_ERROR_WORTH_A_WARNING = 0.02
"""Change on half as many cells, of a rate relative to it, of a law relative to its spread."""
CHANCE = 1.95
"""√n times the Kolmogorov-Smirnov distance of n samples from their own law, exceeded once in 1000 times."""
CONTRADICTION = 2.0
"""Times that distance at which the law on cells is wrong: chance exceeds it once in 10^13 times."""
LEAST_EXPECTED = 5.0
"""Escapes expected from which on their number is compared."""


def compute(params: EndStateParams, ctx: Context) -> Result:
    """The law of every model, and walkers beside it, each the others' check."""
    question = asked(params, ctx)
    ends, sinks = Ends(question, exact_law(question)), sinks_of(question)
    work = len(params.models) + (2 if params.walkers else 0)
    for done, model in enumerate(params.models):
        ctx.progress(done, work, model)
        try:
            ends.found[model] = end_of(question, model, ctx)
        except ExperimentError as error:
            ends.reasons[model] = str(error)
        ctx.partial(lambda: _result(ends, sinks, None))
    if not ends.found:
        raise ExperimentError(next(iter(ends.reasons.values())))
    sample = None
    if params.walkers:
        done = len(params.models)
        sample = walked(
            question, ends.chain, ctx, lambda share: ctx.progress(done + 2 * share, work, "walkers")
        )
    return _result(ends, sinks, sample)


def _result(ends: Ends, sinks: tuple[Sink, ...], sample: Walked | None) -> Result:
    result = Result()
    question = ends.question
    edges = question.edges
    singular = ends.exact is not None and ends.exact.singular
    result.add_array("w", 0.5 * (edges[1:] + edges[:-1]), ("w",), unit="W", text="middles of the cells")
    result.add_array("w_edge", edges, ("w_edge",), unit="W", text="ends of the cells")
    for model, end in ends.found.items():
        density = coarsened(end.masses, end.edges, edges) / np.diff(edges)
        text = f"density, {NAMES[model]}"
        if singular and model == OPERATOR:
            text = "mass over width of the cells; the exact law has no density"
        result.add_array(f"density_{model}", density, ("w",), unit="1/W", text=text)
        text = f"distribution function, {NAMES[model]}"
        result.add_array(f"cdf_{model}", end.cdf(edges), ("w_edge",), text=text)
    add_findings(result, ends)
    if sample is not None:
        _add_walkers(result, ends, sample)
    for model, end in ends.found.items():
        _add_accuracy(result, model, end)
    _add_table(result, ends)
    _add_warnings(result, ends, sinks, sample)
    add_sinks(result, ends, sinks)
    add_figures(result, question, singular)
    return result


# --- walkers --------------------------------------------------------------------------------------------------------


def _add_walkers(result: Result, ends: Ends, sample: Walked) -> None:
    """What walkers say, and how far the exact chain is from it in standard errors."""
    plan, chain = sample.plan, ends.chain
    if sample.left < 2:
        result.warn(
            f"Only {sample.left} of {ends.question.params.walkers} walkers are left in the cells at step "
            f"{plan.snapshot}; take fewer steps or more walkers to compare their law."
        )
    when = f"of the {sample.left} walkers left at step {plan.snapshot}"
    result.add_finding("mean_monte_carlo", sample.mean, f"mean {when}", unit="W", stderr=sample.mean_error)
    text = f"standard deviation {when}"
    result.add_finding("sd_monte_carlo", sample.sd, text, unit="W", stderr=sample.sd_error)
    result.add_array("cdf_monte_carlo", sample.cdf, ("w_edge",), text=f"distribution function {when}")
    if ends.question.side:
        _add_counted_rate(result, ends, sample)
    if chain is None or plan.law is None or sample.left < 2:
        return
    mean, sd = moments(chain.edges, plan.law)
    width = float(chain.edges[1] - chain.edges[0])
    for name, away, error in (
        ("mean", sample.mean - mean, sample.mean_error),
        ("sd", sample.sd - sd, sample.sd_error),
    ):
        if error > 0 and sd > width:  # cells say little of a narrower law
            text = f"deviation of the walkers' {name} from the exact chain's at that step, in standard errors"
            result.add_finding(f"{name}_z_operator", away / error, text, kind="accuracy")
    distance = difference_beyond_a_cell(sample.edges, sample.counts, chain.edges, plan.law)
    text = (
        "largest difference of the walkers' distribution function from the exact chain's at that step, shifts within "
        f"a cell aside; chance exceeds {CHANCE / math.sqrt(sample.left):.2g} once in 1000 times"
    )
    result.add_finding("ks_monte_carlo", distance, text, kind="accuracy")
    text = f"largest difference of the exact chain's distribution function at step {plan.snapshot} from its end state's"
    result.add_finding("unsettled", plan.distance, text, kind="accuracy")


def _add_counted_rate(result: Result, ends: Ends, sample: Walked) -> None:
    escapes, chain = sample.escapes, ends.chain
    name = "escape_rate_monte_carlo"
    if not escapes.at_risk > 0:
        text = "No walker was left by the time that the law had settled."
        if sample.plan.distance > SETTLED:
            text = "The law had not settled by the last step that walkers were looked at."
        result.add_missing(name, text, unit="1/steps")
        return
    text = f"{escapes.count} escapes in {escapes.at_risk:.3g} walker steps after step {sample.plan.burn_in}"
    result.add_finding(name, escapes.rate, text, unit="1/steps", stderr=escapes.error)
    if chain is not None and math.isfinite(chain.log_rate):
        expected = escapes.at_risk * math.exp(chain.log_rate)
        if expected >= LEAST_EXPECTED:
            text = f"escapes counted less the {expected:.4g} of the exact chain, in standard errors"
            z = (escapes.count - expected) / math.sqrt(expected)
            result.add_finding("rate_z_operator", z, text, kind="accuracy")


# --- accuracy and warnings ------------------------------------------------------------------------------------------


def _add_accuracy(result: Result, model: str, end: End) -> None:
    name = NAMES[model]
    text = f"deviation of the total from 1, {name}"
    if model == OPERATOR:
        text = "what one step changes of the law, summed over the cells, the exact chain"
    result.add_finding(f"mass_error_{model}", end.mass_error, text, kind="accuracy")
    text = f"Wasserstein distance to the law on half as many cells, {name}"
    if end.notes:
        text += f" ({'; '.join(end.notes)})"
    result.add_finding(f"grid_error_{model}", end.grid_error, text, unit="W", kind="accuracy")
    if math.isfinite(end.rate_error):
        text = f"relative change of the rate of escape on half as many cells, {name}"
        result.add_finding(f"rate_error_{model}", end.rate_error, text, kind="accuracy")


def _add_table(result: Result, ends: Ends) -> None:
    """All models side by side."""
    quantities = {
        "mean": "stationary_mean", "sd": "stationary_sd", "KS": "ks", "W1": "distance", "mean G": "mean_gradient",
    }  # fmt: skip
    if ends.question.side:
        quantities |= {"escape rate": "escape_rate", "ln ratio to the chain": "log_rate_ratio"}
    if ends.question.params.compare:
        quantities |= {"ln density ratio": "log_density_ratio"}
    rows = []
    for model in ends.found:
        found = [result.findings.get(f"{name}_{model}") for name in quantities.values()]
        rows.append((model, *(f.value if f is not None else None for f in found)))
    title = "Quasi-stationary laws and rates of escape" if ends.question.side else "Stationary laws"
    result.add_table("models", ("model", *quantities), rows, title=title)


def _add_warnings(result: Result, ends: Ends, sinks: tuple[Sink, ...], sample: Walked | None) -> None:
    question = ends.question
    add_validity(result, question.setting.validity(question.edges), question.params.models)
    for model, reason in ends.reasons.items():
        result.add_missing(f"stationary_mean_{model}", reason, unit="W")
        result.add_missing(f"stationary_sd_{model}", reason, unit="W")
        result.warn(reason)
    if question.clipped:
        result.warn(
            "Walkers can run away from the exit without end; the cells were cut, and what leaves them counts as lost."
        )
    for model, end in ends.found.items():
        if end.rate_error > GRID_ERROR_WORTH_A_WARNING:
            result.warn(
                f"The rate of escape of {NAMES[model]} changes by {end.rate_error:.2g} of itself on half as many "
                "cells. Take more cells."
            )
        wide = end.sd > float(question.edges[1] - question.edges[0]) and not drained(ends, sinks, model)
        if wide and end.grid_error > GRID_ERROR_WORTH_A_WARNING * end.sd:
            result.warn(
                f"The law of {NAMES[model]} changes by {end.grid_error / end.sd:.2g} of its spread on half as many "
                "cells. Take more cells."
            )
        for note in end.notes if model == OPERATOR else []:
            result.warn(f"{note[0].upper()}{note[1:].rstrip('.')}.")
    chain = ends.chain
    if chain is not None and ends.point and not chain.notes:
        advice = "" if question.side else " For the law before they get there, set a barrier."
        result.warn(
            f"The walkers come to rest at W = {chain.mean:.6g}: the end state is a point, narrower than a cell.{advice}"
        )
    if sample is None:
        return
    if sample.lost > 0:
        text = "share of the walkers at no finite place that did not pass the exit"
        result.add_finding("lost_walkers", sample.lost, text, kind="warning")
    distance = result.findings.get("ks_monte_carlo")
    chance = CHANCE / math.sqrt(max(sample.left, 1))
    if distance is not None and distance.value > CONTRADICTION * chance:
        result.warn(
            f"The walkers' distribution function is {distance.value:.2g} away from the exact chain's on these cells, "
            f"where chance allows {chance:.2g}: the cells are too wide for this law. Trust the walkers, or take more "
            "cells."
        )
    if sample.plan.distance > 2 * SETTLED:
        more = sample.plan.snapshot == question.params.steps
        result.warn(
            f"At step {sample.plan.snapshot} the law from the start is still {sample.plan.distance:.2g} away from the "
            "end state by distribution function: walkers are compared with the exact chain at that step. "
            + ("Take more steps to see them settle." if more else "Too few are left later on.")
        )
