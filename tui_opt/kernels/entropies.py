"""Entropies of finite laws: exactly for rational probabilities, and stably for doubles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.logarithm_sums import LogarithmSum

_LARGEST_DENOMINATOR = 10**6


def exact_entropy(law: Sequence[Fraction]) -> LogarithmSum:
    """Shannon's entropy -Σ p ln p of rational probabilities.

    Args:
        law: probabilities that add up to 1; zeros are allowed.

    Raises:
        ValueError: one is negative, or they do not add up to 1.

    Reference: Shannon (1948), A mathematical theory of communication, section 6.
    """
    if sum(law) != 1 or min(law) < 0:
        raise ValueError("A law has probabilities of at least 0 that add up to 1.")
    common = math.lcm(*(p.denominator for p in law))
    # -Σ p ln p = ln D - Σ p ln(pD): whole numbers only, and equal probabilities meet in one term.
    counts = ((int(p * common), -p) for p in law if p)
    return LogarithmSum.of([(common, Fraction(1)), *counts])


def entropy(law: NDArray[np.float64]) -> float:
    """Shannon's entropy in nats from doubles, accurate also where nearly all of the mass is in one state.

    The mass q outside the largest state is added up by itself, and the largest one's part is -(1-q) log1p(-q): where
    1-q is formed first, its rounding costs the entropy all digits below 1e-16/q.

    Args:
        law: probabilities of any shape; zeros are allowed. The largest one is taken as what the others leave.

    Raises:
        ValueError: one is negative or not finite, or they do not add up to 1 within rounding.
    """
    values = np.sort(np.ravel(law))
    if not np.all(np.isfinite(values)) or values[0] < 0 or abs(math.fsum(values) - 1) > 1e-12 * values.size:
        raise ValueError("A law has probabilities of at least 0 that add up to 1.")
    others = values[:-1]
    others = others[others > 0]
    rest = math.fsum(others)
    return math.fsum([*(-others * np.log(others)), -(1 - rest) * math.log1p(-rest)])


def as_written(number: float) -> Fraction:
    """The rational number that somebody meant by a double: 1/3 by 0.3333333333333333, 1/10 by 0.1.

    It is the closest one with a denominator of at most a million, if the double is that one rounded; otherwise the
    shortest decimal that rounds to the double.
    """
    simple = Fraction(number).limit_denominator(_LARGEST_DENOMINATOR)
    return simple if float(simple) == number else Fraction(repr(number))
