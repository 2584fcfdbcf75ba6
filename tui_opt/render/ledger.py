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

from tui_opt.render.ascii import to_ascii
from tui_opt.render.numbers import format_number, format_uncertain

if TYPE_CHECKING:
    from tui_opt.expectations import Outcome

NARROW = 90
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
    return Text(words if unicode else to_ascii(words), style)


def _holds(outcome: Outcome, *, unicode: bool) -> Text:
    words, style = ("✓ holds", "green") if outcome.holds else ("✗ does not hold", "bold red")
    return _text(words, style, unicode=unicode)


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
        width: cells across; narrow screens get a claim a block.
        unicode: write in ASCII only where false.

    Returns:
        Something rich can print; a number is never cut.
    """
    parts: list[RenderableType] = []
    for source, group in groupby(rows, key=lambda row: row[0]):
        if source:
            parts.append(_text(f"\n{source}" if parts else source, "bold", unicode=unicode))
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
            Text.assemble(outcome.expectation.verdict, "\n", _holds(outcome, unicode=unicode)),
        )
    return table


def _blocks(outcomes: Sequence[Outcome], width: int, *, unicode: bool) -> Table:
    table = Table.grid()
    table.width = width
    table.add_column(overflow="fold")
    for outcome in outcomes:
        table.add_row(_claim(outcome, unicode=unicode))
        claimed = outcome.expectation.claimed
        said = f", claimed {format_number(claimed)}" if claimed is not None else ""
        line = f"  {measured_text(outcome)} (expected {expected_text(outcome)}{said})  {outcome.expectation.verdict}  "
        table.add_row(Text.assemble(_text(line, unicode=unicode), _holds(outcome, unicode=unicode)))
    return table
