"""Ticks: round, inside the axis, told apart by their labels, and labelled with what they are."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.render.ascii import to_ascii
from tui_opt.render.ticks import tick_labels, ticks_between

LOW = st.floats(-1e12, 1e12)
SPAN = st.floats(1e-6, 1e12)


@given(LOW, SPAN, st.integers(1, 12))
def test_linear_ticks_are_evenly_spaced_inside_and_few(low: float, span: float, count: int) -> None:
    high = low + span
    ticks = ticks_between(low, high, count, log=False)
    slack = 1e-9 * max(abs(low), abs(high), span)
    assert 1 <= len(ticks) <= count + 4
    assert all(low - slack <= t <= high + slack for t in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(math.isclose(s, steps[0], rel_tol=1e-6, abs_tol=slack) for s in steps)


@given(st.floats(1e-290, 1e280), st.floats(1.0001, 1e10), st.integers(1, 12))
def test_log_ticks_are_inside_and_rise(low: float, ratio: float, count: int) -> None:
    ticks = ticks_between(low, low * ratio, count, log=True)
    assert ticks
    assert ticks == sorted(set(ticks))
    assert all(low * (1 - 1e-6) <= t <= low * ratio * (1 + 1e-6) for t in ticks)


@given(LOW, SPAN, st.integers(1, 12), st.booleans())
def test_labels_differ_and_say_where_their_ticks_are(low: float, span: float, count: int, log: bool) -> None:
    low = abs(low) + 1e-3 if log else low
    ticks = ticks_between(low, low + span, count, log=log)
    labels = tick_labels(ticks, log=log)
    assert len(set(labels)) == len(labels) or len(set(ticks)) < len(ticks)
    step = min((b - a for a, b in pairwise(ticks)), default=abs(ticks[0]))
    for tick, label in zip(ticks, labels, strict=True):
        plain = to_ascii(label).replace("x10^", "e")
        shown = 10.0 ** int(plain[3:]) if plain.startswith("10^") else float(plain)
        assert shown == pytest.approx(tick, rel=1e-5, abs=step / 2)


@pytest.mark.parametrize(
    ("low", "high", "count", "log", "labels"),
    [
        (0.0, 1.0, 5, False, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.1, 0.7, 6, False, ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
        (0.01, 0.025, 4, False, ["0.010", "0.015", "0.020", "0.025"]),
        (100.0, 1e4, 5, True, ["10²", "10³", "10⁴"]),
        (1e-300, 1e300, 6, True, ["10⁻³⁰⁰", "10⁻²⁰⁰", "10⁻¹⁰⁰", "10⁰", "10¹⁰⁰", "10²⁰⁰", "10³⁰⁰"]),
        (0.0, 3e6, 3, False, ["0", "1×10⁶", "2×10⁶", "3×10⁶"]),
        (-1.5, -0.001, 1, False, ["-1.5", "-1.0", "-0.5"]),
    ],
)
def test_labels_people_expect(low: float, high: float, count: int, log: bool, labels: list[str]) -> None:
    assert tick_labels(ticks_between(low, high, count, log=log), log=log) == labels


@pytest.mark.parametrize("ends", [(-1.7e308, 1.7e308), (0.0, 5e-324), (1.0, 1.0 + 2**-52), (1e300, 1.1e300)])
def test_ranges_at_the_end_of_the_doubles_have_ticks(ends: tuple[float, float]) -> None:
    ticks = ticks_between(*ends, 5, log=False)
    assert ticks
    assert all(ends[0] <= t <= ends[1] for t in ticks)
    assert len(tick_labels(ticks, log=False)) == len(ticks)
