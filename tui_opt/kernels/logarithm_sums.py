"""Sums of rational multiples of logarithms of whole numbers, and a rational number, exact until a number is asked for.

Entropies of rational laws are such sums, and so are all their differences. A difference may be much smaller than its
parts, or zero: both are decided here, not guessed from rounded numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

_FIRST_DIGITS = 50
_KEPT_DIGITS = 25
"""Digits of a value that are right at least, far more than a double holds."""
_LARGEST_FACTORED = 10**8
_MOST_SHOWN_TERMS = 4
_LARGEST_SHOWN = 10**6


@dataclass(frozen=True)
class LogarithmSum:
    """The number r + Σ c_n ln n.

    Args:
        terms: the coefficient c_n of each whole number n >= 2; none of them zero.
        constant: r.
    """

    terms: Mapping[int, Fraction]
    constant: Fraction = Fraction(0)

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, Fraction]], constant: Fraction = Fraction(0)) -> LogarithmSum:
        """The sum of c ln n over pairs (n, c) with whole n >= 1, in which an n may come more than once, and r."""
        terms: dict[int, Fraction] = {}
        for number, coefficient in pairs:
            if number > 1:
                terms[number] = terms.get(number, Fraction(0)) + coefficient
        return cls({number: c for number, c in terms.items() if c}, constant)

    @classmethod
    def log(cls, number: Fraction) -> LogarithmSum:
        """The logarithm of a positive rational number."""
        return cls.of([(number.numerator, Fraction(1)), (number.denominator, Fraction(-1))])

    def __add__(self, other: LogarithmSum) -> LogarithmSum:
        return LogarithmSum.of([*self.terms.items(), *other.terms.items()], self.constant + other.constant)

    def __sub__(self, other: LogarithmSum) -> LogarithmSum:
        return self + other.times(Fraction(-1))

    def times(self, factor: Fraction) -> LogarithmSum:
        """The sum times a rational number."""
        terms = ((number, factor * c) for number, c in self.terms.items())
        return LogarithmSum.of(terms, factor * self.constant)

    def independent(self) -> LogarithmSum:
        """The same number over pairwise coprime whole numbers.

        Logarithms of pairwise coprime numbers are independent over the rationals, since no product of powers of them
        is 1 (unique factorisation). A rational number other than 0 is no such sum either, since powers of e are
        irrational. So the number is zero only if no term is left.
        """
        base = coprime_base(self.terms)
        found: dict[int, Fraction] = {}
        for number, coefficient in self.terms.items():
            for factor in base:
                power = 0
                while number % factor == 0:
                    number //= factor
                    power += 1
                if power:
                    found[factor] = found.get(factor, Fraction(0)) + power * coefficient
        return LogarithmSum({factor: c for factor, c in found.items() if c}, self.constant)

    def is_zero(self) -> bool:
        """Whether the number is zero, decided exactly."""
        return self.constant == 0 and (not self.terms or not self.independent().terms)

    def value(self) -> Decimal:
        """The number in nats, right to at least 25 digits; more digits are taken where terms cancel."""
        digits = _FIRST_DIGITS
        decided = False
        while True:
            context = _context(digits)
            total = context.divide(Decimal(self.constant.numerator), Decimal(self.constant.denominator))
            size = context.abs(total)
            for number, c in self.terms.items():
                ratio = context.divide(Decimal(c.numerator), Decimal(c.denominator))
                term = context.multiply(ratio, _ln(number, digits))
                total, size = context.add(total, term), context.add(size, context.abs(term))
            lost = context.multiply(size, Decimal(len(self.terms) + 2).scaleb(_KEPT_DIGITS - digits))
            if context.compare(context.abs(total), lost) > 0 or not size:
                return total
            # More digits are cheaper than deciding, and mostly enough.
            if not decided and digits > _FIRST_DIGITS:
                if self.is_zero():
                    return Decimal(0)
                decided = True
            digits *= 2

    def in_bits(self) -> float:
        """The number in units of ln 2, rounded to a double."""
        return float(quotient(self.value(), LOG_2.value()))

    def in_nats(self) -> float:
        """The number, rounded to a double."""
        return float(self.value())

    def bits_in_words(self) -> str:
        """The number in bits as a formula such as `2 log2(3) - 4/9`, empty where it would be long or is none."""
        if self.constant or any(number > _LARGEST_FACTORED for number in self.terms):
            return ""
        powers: dict[int, Fraction] = {}
        for number, c in self.terms.items():
            for prime, power in prime_factors(number).items():
                powers[prime] = powers.get(prime, Fraction(0)) + power * c
        shown = [(prime, c) for prime, c in sorted(powers.items(), reverse=True) if c]
        long = any(max(abs(c.numerator), c.denominator, prime) > _LARGEST_SHOWN for prime, c in shown)
        if long or len(shown) > _MOST_SHOWN_TERMS:
            return ""
        text = ""
        for prime, c in shown:
            size = abs(c)
            part = str(size) if prime == 2 else f"log2({prime})" if size == 1 else f"{size} log2({prime})"
            sign = ("-" if c < 0 else "") if not text else (" - " if c < 0 else " + ")
            text += sign + part
        return text or "0"


def _context(digits: int) -> Context:
    # Exponents as wide as they go: probabilities may be as small as the user likes.
    return Context(prec=digits, Emin=-(10**9), Emax=10**9)


@lru_cache(maxsize=4096)
def _ln(number: int, digits: int) -> Decimal:
    """The logarithm to so many digits, kept because entropies and their differences share their numbers."""
    return _context(digits).ln(Decimal(number))


LOG_2 = LogarithmSum({2: Fraction(1)})


def quotient(above: Decimal, below: Decimal) -> Decimal:
    """The quotient to 50 digits, for numbers of any size."""
    return _context(_FIRST_DIGITS).divide(above, below)


def coprime_base(numbers: Iterable[int]) -> Sequence[int]:
    """Pairwise coprime whole numbers above 1 of whose powers all the given ones are products.

    Found with greatest common divisors alone, so numbers of hundreds of digits need not be factored.

    Reference: Bernstein (2005), Factoring into coprimes in essentially linear time; this is its simple quadratic form.
    """
    base: list[int] = []
    waiting = list(numbers)
    while waiting:
        number = waiting.pop()
        if number == 1:
            continue
        for i, known in enumerate(base):
            common = math.gcd(number, known)
            if common > 1:
                base.pop(i)
                waiting += [common, number // common, known // common]
                break
        else:
            base.append(number)
    return base


def prime_factors(number: int) -> Mapping[int, int]:
    """The powers of the primes in a whole number, by trial division."""
    found: dict[int, int] = {}
    factor = 2
    while factor * factor <= number:
        while number % factor == 0:
            found[factor] = found.get(factor, 0) + 1
            number //= factor
        factor += 1
    if number > 1:
        found[number] = found.get(number, 0) + 1
    return found
