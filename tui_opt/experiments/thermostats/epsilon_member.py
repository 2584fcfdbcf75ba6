"""One start of the epsilon family: laws, entropies and ratio in fractions, and what the series makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tui_opt.experiments.thermostats.epsilon_limit import Limit
from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.kernels.entropies import exact_entropy
from tui_opt.kernels.finite_maps import Law, decorrelated, product, pushed
from tui_opt.kernels.logarithm_sums import LogarithmSum, quotient
from tui_opt.kernels.rare_states import log_inverse

LAWS = ("before", "now", "next", "now_decorrelated", "next_decorrelated")


@dataclass(frozen=True)
class Member:
    """One start of the family.

    Args:
        epsilon: the share outside the centre of each part.
        numbers: what is asked of it, by the name of the array that collects it; entropies in bits.
    """

    epsilon: Fraction
    numbers: Mapping[str, float]


def member(system: Thermostat, centre: tuple[int, int], epsilon: Fraction, limit: Limit) -> Member:
    """The start with all but ε of each part's probability on its centre, and the laws that follow from it."""
    rows, columns = len(system.machines), len(system.rooms)
    before = product(_concentrated(rows, centre[0], epsilon), _concentrated(columns, centre[1], epsilon))
    now = pushed(before, system.target)
    apart = decorrelated(now, columns)
    laws = (before, now, pushed(now, system.target), apart, pushed(apart, system.target))
    entropies = {name: exact_entropy(law) for name, law in zip(LAWS, laws, strict=True)}
    optimizing = entropies["next_decorrelated"] - entropies["next"]
    adjusted = optimizing - (entropies["now_decorrelated"] - entropies["now"])
    numbers = {f"entropy_{name}": value.in_bits() for name, value in entropies.items()}
    numbers |= {
        "epsilon": float(epsilon),
        "optimizing": optimizing.in_bits(),
        "adjusted": adjusted.in_bits(),
        "ratio": _ratio(adjusted, entropies["before"]),
        "adjusted_series": limit.adjusted(epsilon) / math.log(2),
        "entropy_before_series": limit.before(epsilon) / math.log(2),
    }
    if limit.ratio is not None:
        # The difference is taken exactly: the ratio rounded to a double may be the limit itself.
        missing = entropies["before"].times(limit.ratio) - adjusted
        numbers["correction"] = _ratio(missing.times(1 / epsilon), entropies["before"])
        numbers["correction_series"] = limit.correction(log_inverse(epsilon))
    return Member(epsilon, numbers)


def _concentrated(states: int, centre: int, epsilon: Fraction) -> Law:
    if states == 1:
        return (Fraction(1),)
    return tuple(1 - epsilon if state == centre else epsilon / (states - 1) for state in range(states))


def _ratio(above: LogarithmSum, below: LogarithmSum) -> float:
    denominator = below.value()
    return math.nan if denominator == Decimal(0) else float(quotient(above.value(), denominator))
