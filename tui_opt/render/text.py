"""Findings and tables of a result for the terminal, with numbers that are never cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from rich import box
from rich.table import Table
from rich.text import Text

from tui_opt.render.numbers import format_number, format_uncertain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tui_opt.result import Cell, Finding, Result
    from tui_opt.result import Table as ResultTable

__all__ = ["Expectation", "data_table", "findings_table", "format_finding", "format_number", "format_uncertain"]

_NARROW = 72
_DOES_NOT_EXIST = "does not exist"
_WARNING = "warning"
_HOLDS, _FAILS, _UNKNOWN = "✓ holds", "✗ does not hold", "not measured"


class Expectation(Protocol):
    """What a source says of a finding, and how the run compares."""

    @property
    def finding(self) -> str | None:
        """Name of the finding; `None` where an array is meant."""

    @property
    def claimed(self) -> float | None:
        """The source's number where it differs from the expected one."""

    @property
    def value(self) -> float | None:
        """The expected number; `None` where only a range is."""

    @property
    def verdict(self) -> str:
        """`reproduced`, `corrected` or `not-reproduced`."""

    @property
    def holds(self) -> bool | None:
        """Whether the measured value is as expected."""

    @property
    def measured(self) -> float | None:
        """The run's value."""


def format_finding(finding: Finding) -> str:
    """A finding's value with its uncertainty and unit; `does not exist` where it is NaN."""
    if math.isnan(finding.value):
        return _DOES_NOT_EXIST
    if math.isinf(finding.value):
        return "infinite" if finding.value > 0 else "minus infinity"
    number = format_uncertain(finding.value, finding.stderr)
    return f"{number} {finding.unit}" if finding.unit else number


def _value(finding: Finding) -> Text:
    known = math.isfinite(finding.value)
    return Text(format_finding(finding), "bold" if known else "italic", no_wrap=True)


def _meaning(finding: Finding) -> Text:
    if finding.kind == _WARNING:
        return Text.assemble(("⚠ warning: ", "bold yellow"), finding.text)
    return Text(finding.text, "dim" if finding.kind == "accuracy" else "")


def _verdict(expectation: Expectation) -> Text:
    """The verdict of the source and whether this run agrees, in a mark, a word and a colour."""
    if expectation.holds is None:
        return Text(f"{expectation.verdict}: {_UNKNOWN}", "dim")
    word, color = (_HOLDS, "green") if expectation.holds else (_FAILS, "bold red")
    return Text.assemble(f"{expectation.verdict} ", (word, color))


def _expected(expectation: Expectation) -> Text:
    parts = []
    if expectation.value is not None:
        parts.append(f"expected {format_number(expectation.value)}")
    if expectation.claimed is not None:
        parts.append(f"claimed {format_number(expectation.claimed)}")
    if not expectation.finding and expectation.measured is not None:
        parts.append(f"measured {format_number(expectation.measured)}")
    return Text("\n".join(parts), no_wrap=True)


def findings_table(result: Result, width: int, expectations: Sequence[Expectation] | None = None) -> Table:
    """The findings with values, meanings, and what their sources say.

    Args:
        result: the result.
        width: cells across; under 72 each finding takes lines of its own instead of a row.
        expectations: what sources say; those of findings that are not in the result follow at the end.

    Returns:
        A rich table no wider than `width`, which breaks lines between words and never inside a number that fits a
        line.
    """
    by_finding: dict[str, list[Expectation]] = {}
    for expectation in expectations or ():
        by_finding.setdefault(expectation.finding or "", []).append(expectation)
    rows = [(f, by_finding.pop(f.name, [])) for f in result.findings.values()]
    others = [e for group in by_finding.values() for e in group]
    return _stacked(rows, others, width) if width < _NARROW else _wide(rows, others, width)


def _wide(
    rows: Sequence[tuple[Finding, list[Expectation]]], others: Sequence[Expectation], width: int
) -> Table:
    expected = bool(others) or any(e for _, e in rows)
    table = Table(box=box.SIMPLE_HEAD, width=width, pad_edge=False, padding=(0, 1))
    longest = max((len(f.name) for f, _ in rows), default=7)
    table.add_column("finding", min_width=min(longest, width // 4), overflow="fold")
    table.add_column("value", no_wrap=True, justify="right")
    table.add_column("meaning", ratio=1, overflow="fold")
    if expected:
        table.add_column("source", no_wrap=True)
        table.add_column("verdict", overflow="fold", min_width=14)
    for finding, expectations in rows:
        first = expectations[:1]
        table.add_row(finding.name, _value(finding), _meaning(finding), *_source_cells(first, expected))
        for expectation in expectations[1:]:
            table.add_row("", "", "", *_source_cells([expectation], expected))
    for expectation in others:
        table.add_row(expectation.finding or "", "", "", *_source_cells([expectation], expected))
    return table


def _source_cells(expectations: Sequence[Expectation], shown: bool) -> list[Text]:
    if not shown:
        return []
    if not expectations:
        return [Text(), Text()]
    return [_expected(expectations[0]), _verdict(expectations[0])]


def _stacked(
    rows: Sequence[tuple[Finding, list[Expectation]]], others: Sequence[Expectation], width: int
) -> Table:
    table = Table.grid()
    table.width = width
    table.add_column(overflow="fold")
    for finding, expectations in rows:
        name, value = Text(finding.name), _value(finding)
        if name.cell_len + 2 + value.cell_len <= width:
            table.add_row(Text.assemble(name, "  ", value))
        else:
            table.add_row(name)
            table.add_row(value)
        if finding.text:
            table.add_row(_indented(_meaning(finding), width))
        for expectation in expectations:
            table.add_row(_indented(_in_line(expectation), width))
    for expectation in others:
        table.add_row(_indented(_in_line(expectation), width))
    return table


def _in_line(expectation: Expectation) -> Text:
    source = _expected(expectation).plain.replace("\n", ", ")
    return Text.assemble(_verdict(expectation), f"  {source}" if source else "")


def _indented(text: Text, width: int) -> Table:
    inner = Table.grid(padding=(0, 0, 0, 2))
    inner.width = width
    inner.add_column(overflow="fold")
    inner.add_row(text)
    return inner


def data_table(table: ResultTable, width: int) -> Table:
    """A result's table; columns of numbers are set right and keep their width, words give way.

    Args:
        table: the table.
        width: cells across.

    Returns:
        A rich table of at most `width` cells where its numbers leave room for that.
    """
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=table.title or None)
    shown.title_justify = "left"
    for i, name in enumerate(table.columns):
        numeric = _is_numeric(row[i] for row in table.rows)
        shown.add_column(
            Text(name), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold", max_width=width
        )
    for row in table.rows:
        shown.add_row(*(Text(_cell(c)) for c in row))
    return shown


def _is_numeric(cells: Iterable[Any]) -> bool:
    known = [c for c in cells if c is not None]
    return bool(known) and all(isinstance(c, int | float) and not isinstance(c, bool) for c in known)


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else format_number(cell)
