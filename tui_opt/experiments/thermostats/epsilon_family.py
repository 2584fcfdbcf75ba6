"""epsilon-family: the adjusted optimizing-ness against the entropy of starts that are more and more certain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from tui_opt.experiments.thermostats.discrete_params import EpsilonFamilyParams, many
from tui_opt.experiments.thermostats.epsilon_figures import add_figures
from tui_opt.experiments.thermostats.epsilon_limit import Limit, limit_of
from tui_opt.experiments.thermostats.laws import add_transitions
from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.kernels.entropies import as_written, exact_entropy
from tui_opt.kernels.finite_maps import Law, decorrelated, product, pushed
from tui_opt.kernels.logarithm_sums import LOG_2, LogarithmSum, quotient
from tui_opt.kernels.rare_states import log_inverse
from tui_opt.result import Result
from tui_opt.runner.context import Context

LAWS = ("before", "now", "next", "now_decorrelated", "next_decorrelated")
FITTED = 5
"""As many of the smallest ε are fitted as in the source."""


@dataclass(frozen=True)
class Member:
    """One start of the family: its entropies exactly, and what they say beside the limit."""

    epsilon: Fraction
    entropies: dict[str, LogarithmSum]

    @property
    def optimizing(self) -> LogarithmSum:
        """What the correlation takes from t+1."""
        return self.entropies["next_decorrelated"] - self.entropies["next"]

    @property
    def adjusted(self) -> LogarithmSum:
        """That, minus the mutual information."""
        return self.optimizing - (self.entropies["now_decorrelated"] - self.entropies["now"])

    def ratio(self) -> float:
        """The adjusted optimizing-ness over the entropy of the start."""
        return _ratio(self.adjusted, self.entropies["before"])

    def correction(self, limit: Fraction) -> float:
        """(limit - ratio)/ε, in which no digit of the ratio is lost."""
        missing = self.entropies["before"].times(limit) - self.adjusted
        return _ratio(missing.times(1 / self.epsilon), self.entropies["before"])


def _ratio(above: LogarithmSum, below: LogarithmSum) -> float:
    denominator = below.value()
    return math.nan if denominator == Decimal(0) else float(quotient(above.value(), denominator))


def compute(params: EpsilonFamilyParams, ctx: Context) -> Result:
    """Exact entropies for every ε, their ratio, and its limit and correction by an expansion in ε."""
    system = params.system()
    assert system is not None
    centre = params.centre_state(system)
    assert centre is not None
    result = Result()
    if unused := params.unused():
        result.warn(unused)
    epsilons = many(params.epsilon)
    members = []
    for done, epsilon in enumerate(epsilons):
        ctx.check()
        ctx.progress(done, len(epsilons), "entropies")
        members.append(member(system, centre, as_written(epsilon)))
    limit = limit_of(system, centre)
    _add_arrays(result, members, limit)
    _add_findings(result, members, limit)
    add_transitions(result, system)
    add_figures(result, limit)
    return result


def member(system: Thermostat, centre: tuple[int, int], epsilon: Fraction) -> Member:
    """The start with all but ε of each part's probability on its centre, and the laws that follow from it."""
    rows, columns = len(system.machines), len(system.rooms)
    before = product(_concentrated(rows, centre[0], epsilon), _concentrated(columns, centre[1], epsilon))
    now = pushed(before, system.target)
    apart = decorrelated(now, columns)
    laws = (before, now, pushed(now, system.target), apart, pushed(apart, system.target))
    return Member(epsilon, {name: exact_entropy(law) for name, law in zip(LAWS, laws, strict=True)})


def _concentrated(states: int, centre: int, epsilon: Fraction) -> Law:
    if states == 1:
        return (Fraction(1),)
    return tuple(1 - epsilon if state == centre else epsilon / (states - 1) for state in range(states))


def _add_arrays(result: Result, members: list[Member], limit: Limit) -> None:
    epsilon = np.array([float(m.epsilon) for m in members])
    result.add_array("epsilon", epsilon, ("epsilon",), text="share outside the centre of each part")

    def add(name: str, values: list[float], text: str, unit: str = "") -> None:
        result.add_array(name, np.array(values), ("epsilon",), unit=unit, text=text)

    words = ("at t-1", "at t", "at t+1", "at t, decorrelated", "at t+1 after decorrelating at t")
    for name, when in zip(LAWS, words, strict=True):
        add(f"entropy_{name}", [m.entropies[name].in_bits() for m in members], f"entropy {when}", "bits")
    add(
        "optimizing", [m.optimizing.in_bits() for m in members], "what the correlation takes from t+1", "bits"
    )
    add("adjusted", [m.adjusted.in_bits() for m in members], "adjusted optimizing-ness", "bits")
    add("ratio", [m.ratio() for m in members], "adjusted optimizing-ness over entropy at t-1")
    bit = float(LOG_2.value())
    series = [(limit.adjusted(m.epsilon) / bit, limit.before(m.epsilon) / bit) for m in members]
    add("adjusted_series", [a for a, _ in series], "adjusted optimizing-ness by two terms in ε", "bits")
    add("entropy_before_series", [b for _, b in series], "entropy at t-1 by two terms in ε", "bits")
    if limit.ratio is not None:
        correction = [m.correction(limit.ratio) for m in members]
        add("correction", correction, "(limit - ratio)/ε")
        add(
            "correction_series",
            [limit.correction(log_inverse(m.epsilon)) for m in members],
            "the same by the series",
        )


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
            result.add_finding("fitted_correction", smallest.correction(limit.ratio), text)
    result.add_finding("ratio_smallest", smallest.ratio(), f"ratio at ε = {float(smallest.epsilon):g}")
    certain = sum(math.isnan(m.ratio()) for m in members)
    if certain:
        result.warn(
            f"{certain} of {len(members)} starts are certain: without entropy at t-1 there is no ratio."
        )
    if limit.ratio is None or math.isnan(smallest.ratio()):
        result.add_missing("series_error", "There is no ratio to compare with its series.")
    else:
        exact = smallest.ratio()
        series = limit.adjusted(smallest.epsilon) / limit.before(smallest.epsilon)
        text = "relative difference of the ratio from its two-term series at the smallest ε"
        error = abs(series - exact) / abs(exact) if exact else abs(series)
        result.add_finding("series_error", error, text, kind="accuracy")
    _add_slopes(result, members)


def _add_slopes(result: Result, members: list[Member]) -> None:
    few = sorted({m.epsilon: m for m in members}.values(), key=lambda m: m.epsilon)[:FITTED]
    before = np.array([m.entropies["before"].in_bits() for m in few])
    adjusted = np.array([m.adjusted.in_bits() for m in few])
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
