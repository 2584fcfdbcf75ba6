"""Numbers as people write them: rounded correctly, grouped by thousands, with their uncertainty in parentheses."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

THIN_SPACE = "\u202f"  # narrow and no-break: a terminal cell wide, and no line ends inside a number
DOUBLE_DIGITS = 17
_DEFAULT_DIGITS = 6
_EXACT_INTEGER_DIGITS = 15
_FIXED_FROM = -4  # the decimal exponent below which a number is written as a power of ten
_PRECISION = 900  # holds every digit of every finite double, the smallest included
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def superscript(exponent: int) -> str:
    """The exponent in superscript digits."""
    return str(exponent).translate(_SUPERSCRIPTS)


def group_thousands(digits: str) -> str:
    """Separate the integer part of a plain decimal number by thousands."""
    sign = "-" if digits.startswith("-") else ""
    whole, dot, fraction = digits.removeprefix("-").partition(".")
    return sign + f"{int(whole):,}".replace(",", THIN_SPACE) + dot + fraction


def decimal_exponent(number: Decimal) -> int:
    """The power of ten of the leading digit, 0 for zero."""
    return number.adjusted() if number else 0


def round_to(number: Decimal, unit_exponent: int) -> Decimal:
    """The multiple of `10**unit_exponent` nearest to `number`, ties to even."""
    with localcontext() as context:
        context.prec = _PRECISION
        return number.quantize(Decimal(1).scaleb(unit_exponent), rounding=ROUND_HALF_EVEN)


def _nonfinite(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return "0" if text == "-0" else text


def _times_power(mantissa: str, exponent: int) -> str:
    return f"{mantissa}×10{superscript(exponent)}"


def format_number(value: float, digits: int = _DEFAULT_DIGITS) -> str:
    """A number with at most `digits` significant digits and no trailing zeros.

    Args:
        value: any number; integers of up to 15 digits are written in full.
        digits: significant digits, 1 to 17.

    Returns:
        Fixed notation with thin spaces between thousands where the number has at most `digits` digits before the
        point and at most four zeros after it, `1.23×10⁻⁵` otherwise; `inf`, `-inf` or `nan`.

    Raises:
        ValueError: `digits` is out of range.
    """
    if not 1 <= digits <= DOUBLE_DIGITS:
        raise ValueError(f"{digits} significant digits were asked for; a double has 1 to {DOUBLE_DIGITS}.")
    if isinstance(value, int) and abs(value) < 10**_EXACT_INTEGER_DIGITS:
        return group_thousands(str(int(value)))
    value = float(value)
    if not math.isfinite(value):
        return _nonfinite(value)
    exact = Decimal(value)
    rounded = round_to(exact, decimal_exponent(exact) - digits + 1)
    exponent = decimal_exponent(rounded)
    with localcontext() as context:
        context.prec = _PRECISION
        if _FIXED_FROM <= exponent < max(digits, _DEFAULT_DIGITS):
            return group_thousands(_plain(rounded.normalize()))
        return _times_power(_plain(rounded.scaleb(-exponent).normalize()), exponent)


def format_uncertain(value: float, stderr: float | None) -> str:
    """A number with its standard error in the concise notation: `0.3243(15)` is 0.3243 with standard error 0.0015.

    The error is rounded to two significant digits and the number to the same place. An error that reaches over the
    point keeps its point: `12.3(1.5)`.

    Args:
        value: the estimate.
        stderr: its standard error, at least 0, or `None` where there is none.

    Returns:
        The concise notation, as a power of ten where the rounded digits would lie before the point; the two numbers
        apart, `a ± b`, where one of them is not finite or the error is beyond double precision.
    """
    if stderr is None:
        return format_number(value)
    value, stderr = float(value), float(stderr)
    if not (math.isfinite(value) and math.isfinite(stderr)):
        return f"{format_number(value)} ± {format_number(stderr)}"
    if stderr == 0:
        return f"{format_number(value, DOUBLE_DIGITS - 1)}(0)"
    error = Decimal(abs(stderr))
    unit = decimal_exponent(round_to(error, decimal_exponent(error) - 1)) - 1
    leading = max(decimal_exponent(Decimal(value)) if value else unit, unit + 1)
    if leading - unit >= DOUBLE_DIGITS:
        return f"{format_number(value, DOUBLE_DIGITS - 1)} ± {format_number(stderr, 2)}"
    centre, error = round_to(Decimal(value), unit), round_to(error, unit)
    leading = max(n.adjusted() for n in (centre, error) if n)
    if leading >= _FIXED_FROM and unit <= 0:
        return _concise(centre, error)
    with localcontext() as context:
        context.prec = _PRECISION
        return _times_power(_concise(centre.scaleb(-leading), error.scaleb(-leading)), leading)


def _concise(centre: Decimal, error: Decimal) -> str:
    shown = format(error, "f")
    if error < 1:
        shown = shown.partition(".")[2].lstrip("0")
    text = format(centre, "f")
    if not centre:
        text = text.removeprefix("-")
    return f"{group_thousands(text)}({shown})"
