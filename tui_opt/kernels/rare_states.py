"""Entropies of laws with all but a share of order ε in one state: two terms of their expansion, exactly.

With L = ln(1/ε) and rational coefficients,

    S = ε (A L + C) + ε² (G L + K) + O(ε³ L).

A state of probability a ε + b ε² adds a ε L - a ε ln a + ε² b (L - ln a - 1), one of probability b ε² adds
2 b ε² L - b ε² ln b, and the state that holds the rest 1 - q adds q - q²/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from tui_opt.kernels.logarithm_sums import LogarithmSum

Power = tuple[Fraction, Fraction, Fraction]
"""A probability c0 + c1 ε + c2 ε²; higher powers are left out."""
PowerLaw = tuple[Power, ...]
_NOTHING: Power = (Fraction(0), Fraction(0), Fraction(0))


def concentrated(states: int, centre: int) -> PowerLaw:
    """The law 1 - ε on one state, with ε in equal shares on the others; of a single state, all of it."""
    if states == 1:
        return ((Fraction(1), Fraction(0), Fraction(0)),)
    share = (Fraction(0), Fraction(1, states - 1), Fraction(0))
    rest = (Fraction(1), Fraction(-1), Fraction(0))
    return tuple(rest if state == centre else share for state in range(states))


def _sum(powers: Sequence[Power]) -> Power:
    return (
        sum((p[0] for p in powers), Fraction(0)),
        sum((p[1] for p in powers), Fraction(0)),
        sum((p[2] for p in powers), Fraction(0)),
    )


def _times(p: Power, q: Power) -> Power:
    return (p[0] * q[0], p[0] * q[1] + p[1] * q[0], p[0] * q[2] + p[1] * q[1] + p[2] * q[0])


def product(rows: PowerLaw, columns: PowerLaw) -> PowerLaw:
    """The law of two independent parts, row by row."""
    return tuple(_times(p, q) for p in rows for q in columns)


def decorrelated(law: PowerLaw, columns: int) -> PowerLaw:
    """The law with the same marginals and independent parts."""
    rows = tuple(_sum(law[i : i + columns]) for i in range(0, len(law), columns))
    return product(rows, tuple(_sum(law[c::columns]) for c in range(columns)))


def pushed(law: PowerLaw, target: Sequence[int]) -> PowerLaw:
    """The law one step later under a map of the states."""
    after: list[list[Power]] = [[] for _ in law]
    for state, power in enumerate(law):
        after[target[state]].append(power)
    return tuple(_sum(powers) if powers else _NOTHING for powers in after)


@dataclass(frozen=True)
class Expansion:
    """The number ε (A L + C) + ε² (G L + K), with A and G rational.

    Args:
        first_log: A.
        first: C.
        second_log: G.
        second: K.
    """

    first_log: Fraction
    first: LogarithmSum
    second_log: Fraction
    second: LogarithmSum

    def plus(self, other: Expansion, factor: Fraction = Fraction(1)) -> Expansion:
        """The sum with another number that is first multiplied."""
        return Expansion(
            self.first_log + factor * other.first_log,
            self.first + other.first.times(factor),
            self.second_log + factor * other.second_log,
            self.second + other.second.times(factor),
        )

    def first_term(self, log: float) -> float:
        """A L + C at L = `log`."""
        return float(self.first_log) * log + self._constants[0]

    def second_term(self, log: float) -> float:
        """G L + K at L = `log`."""
        return float(self.second_log) * log + self._constants[1]

    @cached_property
    def _constants(self) -> tuple[float, float]:
        return self.first.in_nats(), self.second.in_nats()


def expanded_entropy(law: PowerLaw) -> Expansion:
    """Two terms of Shannon's entropy in nats of a law that is concentrated on one state as ε goes to 0.

    Raises:
        ValueError: at ε = 0 it is on no single state.
    """
    if max(p[0] for p in law) != 1:
        raise ValueError("At ε = 0 the law must be on a single state.")
    first, second_log = Fraction(0), Fraction(0)
    outside = Fraction(0)
    first_part, second_part = LogarithmSum({}), LogarithmSum({})
    for c0, a, b in law:
        if c0 == 1:
            continue
        first, outside = first + a, outside + b
        if a:
            first_part += LogarithmSum.log(a).times(-a)
            second_part += LogarithmSum.log(a).times(-b) + LogarithmSum({}, -b)
            second_log += b
        elif b:
            second_part += LogarithmSum.log(b).times(-b)
            second_log += 2 * b
    first_part += LogarithmSum({}, first)
    second_part += LogarithmSum({}, outside - first**2 / 2)
    return Expansion(first, first_part, second_log, second_part)


def log_inverse(epsilon: Fraction) -> float:
    """L = ln(1/ε), for ε of any size."""
    return math.log(epsilon.denominator) - math.log(epsilon.numerator)
