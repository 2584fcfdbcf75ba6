"""Axes and colour maps as scales: a range, linear or logarithmic, and places in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tui_opt.figure import Axis

if TYPE_CHECKING:
    from tui_opt.resolution import Floats


@dataclass(frozen=True)
class Scale:
    """An axis with its range in data units; `log` axes hold positive numbers only."""

    axis: Axis
    low: float
    high: float

    @property
    def log(self) -> bool:
        """Whether equal ratios take equal lengths."""
        return self.axis.scale == "log"

    def unit(self, values: Floats) -> Floats:
        """Places along the axis, 0 at `low` and 1 at `high`; NaN for what a logarithmic axis cannot hold."""
        low, high = self.low, self.high
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.where(values > 0, np.log10(values), np.nan)
            # The same function as for the values: another differs in the last bit, and puts the ends outside.
            low, high = np.log10(np.array([low, high])).tolist()
        if not math.isfinite(high - low):
            values, low, high = values / 4, low / 4, high / 4
        with np.errstate(over="ignore", invalid="ignore"):
            placed: Floats = (values - low) / (high - low)
        return placed

    def edges(self, count: int) -> Floats:
        """Borders of `count` equal pieces of the axis, in data units."""
        if self.log:
            return np.logspace(math.log10(self.low), math.log10(self.high), count + 1)
        t = np.linspace(0, 1, count + 1)
        return self.low * (1 - t) + self.high * t


@dataclass(frozen=True)
class ValueRange:
    """The values at the two ends of a map; logarithmic ones are positive."""

    low: float
    high: float
    log: bool

    def unit(self, values: Floats) -> Floats:
        """Places in the map, 0 at `low` and 1 at `high`."""
        low, high = self.low, self.high
        if self.log:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        if not math.isfinite(high - low):
            values, low, high = values / 4, low / 4, high / 4
        placed: Floats = (
            (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
        )
        return placed

    def middle(self) -> float:
        """The value half-way through the map."""
        if self.log:
            return float(10 ** ((math.log10(self.low) + math.log10(self.high)) / 2))
        return self.low / 2 + self.high / 2


def cell_edges(centres: Floats, *, log: bool) -> Floats:
    """Borders of cells with these rising centres, half-way between them (in the logarithm on a log axis)."""
    places = np.log10(centres) if log else centres
    if len(places) == 1:
        half = 0.5 if log or places[0] == 0 else abs(places[0]) * 0.05
        borders = np.array([places[0] - half, places[0] + half])
    else:
        middle = places[:-1] / 2 + places[1:] / 2
        first, last = 2 * places[0] - middle[0], 2 * places[-1] - middle[-1]
        borders = np.concatenate([[first], middle, [last]])
    result: Floats = 10.0**borders if log else borders
    return result


def with_room(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Limits that are apart, for a constant too."""
    if log:
        if math.log10(high) - math.log10(low) > 1e-12:
            return low, high
        return max(low / 3, 5e-324), min(high * 3, 1.7e308)
    spread = max(abs(low), abs(high))
    if high / 2 - low / 2 > spread * 1e-14 and high - low > 1e-320:
        return low, high
    room = min(max(spread * 0.1, 1e-300), 1e307) if spread else 1.0
    return low - room if low > -1.6e308 else low, high + room if high < 1.6e308 else high
