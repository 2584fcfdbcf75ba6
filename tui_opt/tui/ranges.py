"""Evenly spaced lists of numbers, written `0.01 .. 0.025 / 16`: from .. to / how many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

MOST_VALUES = 100_000
#: fewer values than these are as short written out.
_FEWEST = 4
_LOG_DIGITS = 12  # of the inner values of a logarithmic range: 1 .. 1000 / 4 has 10 and 100 in it, exactly


@dataclass(frozen=True)
class Range:
    """`num` values from `low` to `high`, evenly spaced, or their logarithms where `log` is set."""

    low: float
    high: float
    num: int
    log: bool = False

    def values(self, *, whole: bool = False) -> tuple[float, ...]:
        """The values; the ends are exact. Whole ones are rounded and repeats are dropped."""
        found = tuple(_logarithmic(self) if self.log else _linear(self))
        return tuple(dict.fromkeys(round(v) for v in found)) if whole else found


def _decimal(value: float) -> Fraction:
    """The number that its shortest decimal text says, which is what the user meant."""
    return Fraction(repr(value))


def _linear(span: Range) -> Iterator[float]:
    """Each value is the double nearest to the exact decimal: 0.011, never 0.011000000000000001."""
    if span.num == 1:
        yield span.low
        return
    low, high = _decimal(span.low), _decimal(span.high)
    common = math.lcm(low.denominator, high.denominator)
    first = low.numerator * (common // low.denominator)
    width = high.numerator * (common // high.denominator) - first
    parts = span.num - 1
    for i in range(span.num):
        yield (first * parts + width * i) / (common * parts)  # a quotient of integers is rounded once


def _logarithmic(span: Range) -> Iterator[float]:
    start, parts = math.log(span.low), span.num - 1
    width = math.log(span.high) - start
    yield span.low
    for i in range(1, parts):
        yield float(f"{math.exp(start + width * i / parts):.{_LOG_DIGITS}g}")
    if parts:
        yield span.high


@lru_cache(maxsize=64)
def as_range(values: tuple[float, ...]) -> Range | None:
    """The range that gives exactly these values, whole ones for whole ones; None where none does."""
    if len(values) < _FEWEST or not all(type(v) is type(values[0]) and math.isfinite(v) for v in values):
        return None
    whole = type(values[0]) is int
    if max(abs(values[0]), abs(values[-1])) > 1e300:
        return None
    for log in (False, True):
        if log and (values[0] <= 0 or values[-1] <= 0):
            continue
        span = Range(values[0], values[-1], len(values), log)
        made = _logarithmic(span) if log else _linear(span)
        if whole:
            if span.values(whole=True) == values:
                return span
        elif all(a == b for a, b in zip(made, values, strict=True)):
            return span
    return None
