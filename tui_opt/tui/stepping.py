"""One step up or down of a value, as the arrow keys take it.

Every parameter has a fixed grid of short decimals, and a step goes to the next point of it: so a step up and a step
down undo each other, and nobody meets 0.015000000000000001. Logarithmic parameters have 1, 1.5, 2, 3, 5, 7 in every
decade; for others the grain is 1, 2 or 5 times a power of ten, a tenth of the default or less, and coarser where the
value is large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from tui_opt.param_spec import ParamSpec

_FIFTEEN = Context(prec=15)
_PER_DECADE = tuple(map(Decimal, ("1", "1.5", "2", "3", "5", "7")))
_GRAINS_OF_BAND = 100  # up to this many grains from zero the finest grain holds
_WIDEST_BOUNDS = 100  # wider bounds than this say nothing about the grain
_COARSE = 10


def can_step(spec: ParamSpec, value: Any) -> bool:
    """Whether arrow keys change a value of this kind at all."""
    if isinstance(value, tuple | list):
        return len(value) == 1 and can_step(spec.of_entry(), value[0])
    if spec.kind in ("flag", "choice"):
        return True
    if spec.kind not in ("real", "integer"):
        return False
    return value is None or value in spec.words or isinstance(value, int | float)


def step(spec: ParamSpec, value: Any, up: bool, *, coarse: bool = False) -> Any:
    """The next value up or down, of the same type; the value itself where there is none.

    Args:
        spec: the declaration; its bounds are never left.
        value: an allowed value. A list is stepped only where it has one entry.
        up: to larger numbers, or on in a list of choices.
        coarse: by decades for logarithmic parameters, ten times as far for others.
    """
    if not can_step(spec, value):
        return value
    if isinstance(value, tuple | list):
        return (step(spec.of_entry(), value[0], up, coarse=coarse),)
    if spec.kind == "flag":
        return not value
    if spec.kind == "choice":
        return _cycled(spec.choices, value, up)
    if value is None or isinstance(value, str):
        return _from_word(spec, value, up)
    found = _stepped(spec, Decimal(repr(value)), up, coarse)
    return value if found is None else _typed(spec, found)


def _cycled(choices: tuple[str, ...], value: str, up: bool) -> str:
    if value not in choices:
        return choices[0]
    return choices[(choices.index(value) + (1 if up else -1)) % len(choices)]


def _from_word(spec: ParamSpec, value: str | None, up: bool) -> Any:
    """Words come before the numbers: up from the last one leads to a number in the middle of what is allowed."""
    place = spec.words.index(value) if value is not None else -1
    wanted = place + (1 if up else -1)
    if wanted < len(spec.words):
        return spec.words[wanted] if wanted >= 0 else value
    for number in (Decimal(0), Decimal(1), Decimal("0.1"), _bound(spec.low), _bound(spec.high)):
        if number is not None and _allowed(spec, number):
            return _typed(spec, number)
    return value


def _typed(spec: ParamSpec, number: Decimal) -> float | int:
    return int(number) if spec.kind == "integer" else float(number)


def _stepped(spec: ParamSpec, value: Decimal, up: bool, coarse: bool) -> Decimal | None:
    """The next allowed point of the grid, or the bound that stands before it."""
    found = _next(spec, value, up, coarse)
    if _allowed(spec, found):
        return found
    bound = _bound(spec.high if up else spec.low)
    inside = bound is not None and (value < bound if up else value > bound)
    # A decade is not cut short: the step back would lead elsewhere.
    return bound if inside and not (coarse and spec.log) else None


def _bound(bound: float | None) -> Decimal | None:
    return None if bound is None else Decimal(repr(bound))


def _allowed(spec: ParamSpec, number: Decimal) -> bool:
    value = _typed(spec, number)
    outside = (
        (spec.low is not None and value < spec.low)
        or (spec.high is not None and value > spec.high)
        or (spec.above is not None and value <= spec.above)
        or (spec.below is not None and value >= spec.below)
    )
    return not outside and (abs(value) < 2**63 if spec.kind == "integer" else math.isfinite(value))


def _next(spec: ParamSpec, value: Decimal, up: bool, coarse: bool) -> Decimal:
    if spec.log:
        return _next_log(spec, value, up, coarse)
    if spec.kind == "integer":
        return value + (1 if up else -1) * (_COARSE if coarse else 1)
    return _next_linear(value, up, _grain(spec) * (_COARSE if coarse else 1))


# --- logarithmic --------------------------------------------------------------------------------------------


def _next_log(spec: ParamSpec, value: Decimal, up: bool, coarse: bool) -> Decimal:
    whole = spec.kind == "integer"
    if value == 0:
        nearest = Decimal(1) if whole else Decimal("0.001")
        return nearest if up else -nearest
    if value < 0:
        return -_next_log(spec, -value, not up, coarse)
    if coarse:
        # Of more than 15 digits a double need not keep every one when it is shifted, and the step back would miss it.
        shifted = (value if whole else _FIFTEEN.plus(value)).scaleb(1 if up else -1)
        if not whole or shifted == shifted.to_integral_value():
            return shifted
        return value  # a tenth of it is no whole number
    return next(p for p in _points(value, up) if not whole or p == p.to_integral_value())


def _points(value: Decimal, up: bool) -> Iterator[Decimal]:
    """The grid's points beyond a positive value, in order; at last zero on the way down."""
    decade = value.adjusted()
    if up:
        for exponent in (decade, decade + 1):
            yield from (p for m in _PER_DECADE if (p := m.scaleb(exponent)) > value)
    else:
        for exponent in (decade, decade - 1):
            yield from (p for m in reversed(_PER_DECADE) if (p := m.scaleb(exponent)) < value)
        yield Decimal(0)


# --- linear -------------------------------------------------------------------------------------------------


def _grain(spec: ParamSpec) -> Decimal:
    """1, 2 or 5 times a power of ten: at most a tenth of the default, and a hundredth of narrow bounds."""
    default = spec.default[0] if isinstance(spec.default, list | tuple) and spec.default else spec.default
    number = isinstance(default, int | float) and not isinstance(default, bool) and default != 0
    grain = _round_down(Decimal(repr(abs(default))) / 10) if number else Decimal("0.1")
    low = spec.low if spec.low is not None else spec.above
    high = spec.high if spec.high is not None else spec.below
    if low is not None and high is not None and 0 < high - low <= _WIDEST_BOUNDS:
        grain = min(grain, _round_down(Decimal(repr(high - low)) / 100))
    return grain


def _round_down(value: Decimal) -> Decimal:
    exponent = value.adjusted()
    return max(p for m in (1, 2, 5) if (p := Decimal(m).scaleb(exponent)) <= value)


def _next_linear(value: Decimal, up: bool, grain: Decimal) -> Decimal:
    """The next multiple of the grain, which is wider far from zero: by ones to 100, by twos to 200, …"""
    outwards = up if value >= 0 else not up
    size = abs(value)
    if size == 0:
        return grain if up else -grain
    for width, end in _bands(grain):
        if size < end or (size == end and not outwards):
            multiple = size / width
            if outwards:
                whole = multiple.to_integral_value(ROUND_FLOOR) + 1
            else:
                whole = multiple.to_integral_value(ROUND_CEILING) - 1
            return (whole * width).copy_sign(value) if whole else Decimal(0)
    raise AssertionError("the bands have no end")


def _bands(grain: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    """Grains with where they end: each band begins at a multiple of its own grain, so that the points are one grid."""
    width = grain
    while True:
        yield width, width * _GRAINS_OF_BAND
        width = _round_down(width * 2) if width.normalize().as_tuple().digits != (2,) else width / 2 * 5
