"""The ledger of claims: what a source says, what we find, and whether our verdict holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui_opt.render.numbers import format_number, format_uncertain
from tui_opt.render.wrap import clean, wrap

if TYPE_CHECKING:
    from tui_opt.expectations import Outcome

NARROW = 90
NARROWEST = 20
INDENT = "  "
LEAST_DIGITS = 6
MOST_DIGITS = 13


def measured_text(outcome: Outcome) -> str:
    """The measured value with its uncertainty."""
    if outcome.measured is None:
        return "not measured"
    if math.isnan(outcome.measured):
        return "does not exist"
    if outcome.stderr is not None or not math.isfinite(outcome.measured):
        return format_uncertain(outcome.measured, outcome.stderr)
    return format_number(outcome.measured, _digits(outcome))


def _digits(outcome: Outcome) -> int:
    """Enough digits to see that the tolerance is kept, and no more than a double has."""
    e = outcome.expectation
    allowed = max(e.tolerance, e.relative * abs(e.value or 0.0))
    if not allowed or not outcome.measured:
        return LEAST_DIGITS
    places = math.ceil(math.log10(max(abs(outcome.measured) / allowed, 1.0)))
    return min(MOST_DIGITS, max(LEAST_DIGITS, places + 1))


def expected_text(outcome: Outcome) -> str:
    """The expected value with its tolerance, or the range."""
    e = outcome.expectation
    if e.value is not None:
        if math.isnan(e.value):
            return "does not exist"
        allowed = max(e.tolerance, e.relative * abs(e.value))
        return (
            f"{format_number(e.value, 8)} ± {format_number(allowed, 2)}"
            if allowed
            else format_number(e.value, 8)
        )
    low = "" if e.min is None else f"from {format_number(e.min)}"
    high = "" if e.max is None else f"to {format_number(e.max)}"
    return " ".join(part for part in (low, high) if part)


def _text(words: str, style: str = "", *, unicode: bool) -> Text:
    return Text(clean(words, unicode=unicode), style)


def _holds(outcome: Outcome) -> tuple[str, str]:
    return ("✓ holds", "green") if outcome.holds else ("✗ does not hold", "bold red")


def _claim(outcome: Outcome, *, unicode: bool) -> Text:
    parts = [
        _text(outcome.expectation.claim or outcome.expectation.target, unicode=unicode),
        _text(outcome.expectation.note, "dim", unicode=unicode),
        _text(outcome.why, "yellow", unicode=unicode),
    ]
    return Text("\n").join(part for part in parts if part)


def ledger(rows: Sequence[tuple[str, Outcome]], width: int, *, unicode: bool = True) -> Group:
    """Claims, under the files they stand in.

    Args:
        rows: where each claim stands (empty where that is plain) and what became of it.
        width: cells across, at least 1; narrow screens get a claim a block.
        unicode: write in ASCII only where false.

    Returns:
        Something rich can print, no wider than `width`; a number is cut only where it is wider than a line.
    """
    parts: list[RenderableType] = []
    for source, group in groupby(rows, key=lambda row: row[0]):
        if source:
            heading = _lines(source, width, "bold", unicode=unicode)
            parts.append(Text("\n").append_text(heading) if parts else heading)
        outcomes = [outcome for _, outcome in group]
        draw = _blocks if width < NARROW else _table
        parts.append(draw(outcomes, width, unicode=unicode))
    return Group(*parts)


def _table(outcomes: Sequence[Outcome], width: int, *, unicode: bool) -> Table:
    # Fixed widths, so that the tables of several files line up.
    table = Table(
        box=box.SIMPLE_HEAD if unicode else box.ASCII_DOUBLE_HEAD,
        width=width,
        pad_edge=False,
        padding=(0, 1),
        header_style="dim",
    )
    table.add_column("claim", ratio=1, overflow="fold")
    table.add_column("claimed", no_wrap=True, justify="right", min_width=8)
    table.add_column("ours", no_wrap=True, justify="right", min_width=16)
    table.add_column("verdict", min_width=16)
    for outcome in outcomes:
        claimed = outcome.expectation.claimed
        table.add_row(
            _claim(outcome, unicode=unicode),
            _text("" if claimed is None else format_number(claimed), unicode=unicode),
            _text(measured_text(outcome), unicode=unicode),
            Text.assemble(outcome.expectation.verdict, "\n", _text(*_holds(outcome), unicode=unicode)),
        )
    return table


def _blocks(outcomes: Sequence[Outcome], width: int, *, unicode: bool) -> Text:
    return Text("\n").join(_block(outcome, width, unicode=unicode) for outcome in outcomes)


def _block(outcome: Outcome, width: int, *, unicode: bool) -> Text:
    e = outcome.expectation
    claimed = f", claimed {format_number(e.claimed)}" if e.claimed is not None else ""
    numbers = f"{measured_text(outcome)} (expected {expected_text(outcome)}{claimed})"
    verdict, style = _holds(outcome)
    sentences = [
        (e.claim or e.target, "", ""),
        (e.note, "dim", ""),
        (outcome.why, "yellow", ""),
        (numbers, "", INDENT),
        (f"{e.verdict}  {verdict}", style, INDENT),
    ]
    lines = (
        _lines(words, width, style, indent if width > NARROWEST else "", unicode=unicode)
        for words, style, indent in sentences
        if words
    )
    return Text("\n").join(lines)


def _lines(words: str, width: int, style: str, indent: str = "", *, unicode: bool) -> Text:
    # Wrapped here: rich would break lines at the thin spaces inside numbers.
    lines = wrap(clean(words, unicode=unicode), width - len(indent))
    return Text("\n").join(Text(indent + line, style) for line in lines)
