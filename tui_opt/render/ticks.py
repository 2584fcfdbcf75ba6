"""Places and labels of axis ticks: round numbers on linear axes, decades as powers on logarithmic ones."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from tui_opt.render.numbers import format_number, superscript

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LARGEST_PLAIN = 1e5
_SMALLEST_PLAIN = 1e-4
_FEW_DECADES = 1.3
_LONGEST_LABEL = 12
_MORE_INTERVALS = 4


def nice_step(span: float, count: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that divides `span` into at most `count` intervals."""
    raw = span / max(count, 1)
    exponent = math.floor(math.log10(raw))
    if exponent < -307:
        return raw
    scale = 10.0**exponent
    # The tolerance keeps 0.1 + 0.2 from asking for the next larger step.
    return next((s * scale for s in _STEPS if s * scale >= raw * (1 - 1e-9)), 10.0 * scale)


def linear_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers between `low` and `high`, about `count` intervals; both ends where there are no round numbers."""
    half = high / 2 - low / 2  # the whole range can overflow
    if not half > 0:
        return [low]
    step = 2 * nice_step(half, count)
    if not (math.isfinite(step) and step > 0):
        return [low, high]
    step = nice_step(2 * half, count) if math.isfinite(2 * half) else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if abs(first) > 2**52 or abs(last) > 2**52 or last < first:
        return [low, high]
    exact = Decimal(repr(step))
    return [float(k * exact) for k in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten between `low` and `high`, every n-th where they are many; round numbers within few decades."""
    first, last = math.log10(low), math.log10(high)
    if last - first >= _FEW_DECADES:
        lowest, highest = math.ceil(first - 1e-9), math.floor(last + 1e-9)
        stride = max(1, math.ceil((highest - lowest) / max(count, 1)))
        start = math.ceil(lowest / stride) * stride
        return [float(f"1e{k}") for k in range(start, highest + 1, stride)]
    mantissas = [
        float(f"{m}e{k}")
        for k in range(math.floor(first), math.floor(last) + 1)
        for m in (1, 2, 5)
        if low * (1 - 1e-9) <= float(f"{m}e{k}") <= high * (1 + 1e-9)
    ]
    return mantissas if len(mantissas) >= 2 else linear_ticks(low, high, count)


def ticks_between(low: float, high: float, count: int, *, log: bool) -> list[float]:
    """Ticks of a linear or logarithmic axis from `low` to `high`, for about `count` intervals."""
    place = log_ticks if log else linear_ticks
    ticks = place(low, high, count)
    # One tick tells no scale: ask for more until there are two.
    for finer in range(count + 1, count + _MORE_INTERVALS):
        if len(ticks) >= 2 and ticks != [low, high]:
            break
        ticks = place(low, high, finer)
    return ticks


def tick_labels(values: Sequence[float], *, log: bool) -> list[str]:
    """One label per tick, all with as many decimals as their spacing needs.

    Args:
        values: ticks in rising order.
        log: write exact powers of ten as `10⁻³`.

    Returns:
        Labels such as `0.015`, `2×10⁵`, `10⁻³`.
    """
    if log and values and all(_is_power_of_ten(v) for v in values):
        return [f"10{superscript(Decimal(repr(v)).adjusted())}" for v in values]
    largest = max((abs(v) for v in values), default=0.0)
    if largest == 0:
        return ["0" for _ in values]
    if log and values[-1] >= 10 * values[0]:
        return [_shortest(v) for v in values]
    spacing = min((b - a for a, b in pairwise(values)), default=largest)
    if _SMALLEST_PLAIN <= largest < _LARGEST_PLAIN:
        labels = _with_decimals(values, 0, spacing)
    else:
        labels = _with_decimals(values, math.floor(math.log10(largest)), spacing)
    if max(len(label) for label in labels) > _LONGEST_LABEL or len(set(labels)) < len(labels):
        return _distinct(values)
    return labels


def _distinct(values: Sequence[float]) -> list[str]:
    """The shortest labels that tell the ticks apart."""
    attempts = ([_shortest(v) for v in values], [f"{v:.10g}" for v in values])
    return next((a for a in attempts if len(set(a)) == len(a)), [repr(v) for v in values])


def _is_power_of_ten(value: float) -> bool:
    return value > 0 and Decimal(repr(value)).normalize().as_tuple().digits == (1,)


def _shortest(value: float) -> str:
    if value == 0:
        return "0"
    plain = _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN
    return f"{value:.6g}" if plain else format_number(value, 3).replace("1×10", "10", 1)


def _with_decimals(values: Sequence[float], exponent: int, spacing: float) -> list[str]:
    """Fixed notation in units of `10**exponent`, with the fewest decimals that write every tick exactly."""
    unit = Decimal(1).scaleb(exponent)
    scaled = [Decimal(repr(v)) / unit for v in values]
    resolution = -math.floor(math.log10(spacing)) + exponent + 1 if spacing > 0 else 1
    decimals = max(0, resolution)
    while decimals > 0 and all(s == round(s, decimals - 1) for s in scaled):
        decimals -= 1
    power = f"×10{superscript(exponent)}" if exponent else ""
    return ["0" if round(s, decimals) == 0 else f"{s:.{decimals}f}{power}" for s in scaled]
