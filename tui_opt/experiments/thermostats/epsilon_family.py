"""epsilon-family: the adjusted optimizing-ness against the entropy of starts that are more and more certain."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.thermostats.discrete_params import EpsilonFamilyParams, many
from tui_opt.experiments.thermostats.epsilon_figures import add_figures
from tui_opt.experiments.thermostats.epsilon_limit import Limit, limit_of
from tui_opt.experiments.thermostats.epsilon_member import Member, member
from tui_opt.experiments.thermostats.laws import add_transitions
from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.kernels.entropies import as_written
from tui_opt.result import Result
from tui_opt.runner.context import Context

FITTED = 5
"""As many of the smallest ε are fitted as in the source."""
_BITS = {
    "entropy_before": "entropy at t-1",
    "entropy_now": "entropy at t",
    "entropy_next": "entropy at t+1",
    "entropy_now_decorrelated": "entropy at t, decorrelated",
    "entropy_next_decorrelated": "entropy at t+1 after decorrelating at t",
    "optimizing": "what the correlation takes from t+1",
    "adjusted": "adjusted optimizing-ness",
    "adjusted_series": "adjusted optimizing-ness by two terms in ε",
    "entropy_before_series": "entropy at t-1 by two terms in ε",
}
_PURE = {
    "epsilon": "share outside the centre of each part",
    "ratio": "adjusted optimizing-ness over entropy at t-1",
    "correction": "(limit - ratio)/ε",
    "correction_series": "the same by the series",
}


def compute(params: EpsilonFamilyParams, ctx: Context) -> Result:
    """Exact entropies for every ε, their ratio, and its limit and correction by an expansion in ε."""
    system = params.system()
    assert system is not None
    centre = params.centre_state(system)
    assert centre is not None
    limit = limit_of(system, centre)
    epsilons = many(params.epsilon)
    members: list[Member] = []
    for done, epsilon in enumerate(epsilons):
        ctx.check()
        ctx.progress(done, len(epsilons), "entropies")
        members.append(member(system, centre, as_written(epsilon), limit))
        ctx.partial(lambda: _report(params, system, members, limit))
    return _report(params, system, members, limit)


def _report(params: EpsilonFamilyParams, system: Thermostat, members: list[Member], limit: Limit) -> Result:
    """What is known of the members there are."""
    result = Result()
    if unused := params.unused():
        result.warn(unused)
    for texts, unit in ((_PURE, ""), (_BITS, "bits")):
        for name, text in texts.items():
            if limit.ratio is not None or not name.startswith("correction"):
                values = np.array([m.numbers[name] for m in members])
                result.add_array(name, values, ("epsilon",), unit=unit, text=text)
    _add_findings(result, members, limit)
    add_transitions(result, system)
    add_figures(result, limit)
    return result


def _add_findings(result: Result, members: list[Member], limit: Limit) -> None:
    smallest = min(members, key=lambda m: m.epsilon)
    if limit.ratio is None:
        why = "The entropy at t-1 has no term of order ε, so the ratio has no limit by the expansion."
        for name in ("limit_ratio", "limit_correction", "fitted_correction"):
            result.add_missing(name, why)
    else:
        text = f"limit of the ratio for ε -> 0, exactly {limit.ratio}: {limit.words}"
        result.add_finding("limit_ratio", float(limit.ratio), text)
        slow = "The ratio nears its limit only as 1/ln(1/ε), which no term c ε describes."
        if limit.last_correction is None:
            result.add_missing("limit_correction", slow)
            result.add_missing("fitted_correction", slow)
        else:
            text = f"limit of (limit - ratio)/ε for ε -> 0, exactly {limit.last_correction}"
            result.add_finding("limit_correction", float(limit.last_correction), text)
            text = f"(limit - ratio)/ε at the smallest ε, {float(smallest.epsilon):g}"
            result.add_finding("fitted_correction", smallest.numbers["correction"], text)
    result.add_finding(
        "ratio_smallest", smallest.numbers["ratio"], f"ratio at ε = {float(smallest.epsilon):g}"
    )
    certain = sum(math.isnan(m.numbers["ratio"]) for m in members)
    if certain:
        result.warn(
            f"{certain} of {len(members)} starts are certain: without entropy at t-1 there is no ratio."
        )
    if limit.ratio is None or math.isnan(smallest.numbers["ratio"]):
        result.add_missing("series_error", "There is no ratio to compare with its series.")
    else:
        exact = smallest.numbers["ratio"]
        series = smallest.numbers["adjusted_series"] / smallest.numbers["entropy_before_series"]
        text = "relative difference of the ratio from its two-term series at the smallest ε"
        error = abs(series - exact) / abs(exact) if exact else abs(series)
        result.add_finding("series_error", error, text, kind="accuracy")
    _add_slopes(result, members)


def _add_slopes(result: Result, members: list[Member]) -> None:
    few = sorted({m.epsilon: m for m in members}.values(), key=lambda m: m.epsilon)[:FITTED]
    before = np.array([m.numbers["entropy_before"] for m in few])
    adjusted = np.array([m.numbers["adjusted"] for m in few])
    used = (before > 0) & (adjusted != 0)
    if np.unique(before[used]).size < 2:
        why = "A slope needs at least two values of ε at which neither quantity is zero."
        result.add_missing("log_slope", why)
        result.add_missing("linear_slope", why)
        return
    count = int(np.count_nonzero(used))
    x, y = np.log(before[used]), np.log(np.abs(adjusted[used]))
    text = f"slope of ln|adjusted| against ln S(t-1) over the {count} smallest ε"
    result.add_finding("log_slope", _slope(x, y), text)
    text = f"slope of the adjusted optimizing-ness against S(t-1) over the {count} smallest ε"
    result.add_finding("linear_slope", _slope(before[used], adjusted[used]), text)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """The least-squares slope."""
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))
