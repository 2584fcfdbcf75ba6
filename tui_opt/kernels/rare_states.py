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
    """The number ε (A L + C) + ε² (G L + K), each constant a rational number and a sum of logarithms.

    Args:
        first_log: A.
        first: C.
        second_log: G.
        second: K.
    """

    first_log: Fraction
    first: tuple[Fraction, LogarithmSum]
    second_log: Fraction
    second: tuple[Fraction, LogarithmSum]

    def plus(self, other: Expansion, factor: Fraction = Fraction(1)) -> Expansion:
        """The sum with another number that is first multiplied."""
        return Expansion(
            self.first_log + factor * other.first_log,
            _added(self.first, other.first, factor),
            self.second_log + factor * other.second_log,
            _added(self.second, other.second, factor),
        )

    def first_term(self, log: float) -> float:
        """A L + C at L = `log`."""
        return float(self.first_log) * log + _number(self.first)

    def second_term(self, log: float) -> float:
        """G L + K at L = `log`."""
        return float(self.second_log) * log + _number(self.second)

    def constant_is_zero(self) -> bool:
        """Whether C is zero. A rational number other than 0 is no sum of logarithms (Lindemann), so each part is."""
        return self.first[0] == 0 and self.first[1].is_zero()


def _added(
    a: tuple[Fraction, LogarithmSum], b: tuple[Fraction, LogarithmSum], factor: Fraction
) -> tuple[Fraction, LogarithmSum]:
    return a[0] + factor * b[0], a[1] + b[1].times(factor)


def _number(constant: tuple[Fraction, LogarithmSum]) -> float:
    return float(constant[0]) + constant[1].in_nats()


def _logarithm(number: Fraction, factor: Fraction) -> list[tuple[int, Fraction]]:
    return [(number.numerator, factor), (number.denominator, -factor)]


def expanded_entropy(law: PowerLaw) -> Expansion:
    """Two terms of Shannon's entropy in nats of a law that is concentrated on one state as ε goes to 0.

    Raises:
        ValueError: at ε = 0 it is on no single state.
    """
    if sorted(p[0] for p in law)[-1] != 1:
        raise ValueError("At ε = 0 the law must be on a single state.")
    first, second = Fraction(0), Fraction(0)
    second_log, second_constant = Fraction(0), Fraction(0)
    first_logs: list[tuple[int, Fraction]] = []
    second_logs: list[tuple[int, Fraction]] = []
    for c0, a, b in law:
        if c0 == 1:
            continue
        first, second = first + a, second + b
        if a:
            first_logs += _logarithm(a, -a)
            second_logs += _logarithm(a, -b)
            second_log, second_constant = second_log + b, second_constant - b
        elif b:
            second_logs += _logarithm(b, -b)
            second_log += 2 * b
    return Expansion(
        first,
        (first, LogarithmSum.of(first_logs)),
        second_log,
        (second_constant + second - first**2 / 2, LogarithmSum.of(second_logs)),
    )


def log_inverse(epsilon: Fraction) -> float:
    """L = ln(1/ε), for ε of any size."""
    return math.log(epsilon.denominator) - math.log(epsilon.numerator)
