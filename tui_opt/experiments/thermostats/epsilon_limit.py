"""The limit of the adjusted optimizing-ness over the entropy of the start, and how it is approached."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.kernels.rare_states import (
    Expansion,
    concentrated,
    decorrelated,
    expanded_entropy,
    log_inverse,
    product,
    pushed,
)


@dataclass(frozen=True)
class Limit:
    """Two terms in ε of both quantities.

    Args:
        above: of the adjusted optimizing-ness.
        below: of the entropy at t-1.
    """

    above: Expansion
    below: Expansion

    @cached_property
    def ratio(self) -> Fraction | None:
        """The limit of the ratio: of the terms ε ln(1/ε)."""
        return self.above.first_log / self.below.first_log if self.below.first_log else None

    @cached_property
    def _rest(self) -> Expansion:
        """The adjusted optimizing-ness minus the limit times the entropy."""
        assert self.ratio is not None
        return self.above.plus(self.below, -self.ratio)

    @cached_property
    def last_correction(self) -> Fraction | None:
        """The limit of (limit - ratio)/ε, where the terms of order ε agree altogether."""
        if self.ratio is None or not self._rest.first.is_zero():
            return None
        return -self._rest.second_log / self.below.first_log

    @property
    def words(self) -> str:
        """How the limit is approached."""
        if self.last_correction is not None:
            return "all terms of order ε agree, and the ratio differs from it by a multiple of ε"
        return "only the terms ε ln(1/ε) agree, and the ratio nears it as 1/ln(1/ε)"

    def correction(self, log: float) -> float:
        """(limit - ratio)/ε by the series, at L = ln(1/ε) = `log`, without the terms that vanish with ε."""
        rest, inverse = self._rest, self.below.first_term(log)
        if self.last_correction is None:
            return float("nan")
        return -rest.second_term(log) / inverse

    def adjusted(self, epsilon: Fraction) -> float:
        """The adjusted optimizing-ness by two terms, in nats."""
        return _value(self.above, epsilon)

    def before(self, epsilon: Fraction) -> float:
        """The entropy at t-1 by two terms, in nats."""
        return _value(self.below, epsilon)


def _value(expansion: Expansion, epsilon: Fraction) -> float:
    log, small = log_inverse(epsilon), float(epsilon)
    return small * (expansion.first_term(log) + small * expansion.second_term(log))


def limit_of(system: Thermostat, centre: tuple[int, int]) -> Limit:
    """Expand the entropies of all five laws."""
    columns = len(system.rooms)
    before = product(concentrated(len(system.machines), centre[0]), concentrated(columns, centre[1]))
    now = pushed(before, system.target)
    apart = decorrelated(now, columns)
    entropies = [
        expanded_entropy(law)
        for law in (now, pushed(now, system.target), apart, pushed(apart, system.target))
    ]
    minus = Fraction(-1)
    above = entropies[3].plus(entropies[0]).plus(entropies[1], minus).plus(entropies[2], minus)
    return Limit(above, expanded_entropy(before))
