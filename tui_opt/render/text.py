"""Findings and tables of a result for the terminal, with numbers that are never cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from tui_opt.render.numbers import format_number, format_uncertain
from tui_opt.render.wrap import clean, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tui_opt.result import Cell, Finding, Result
    from tui_opt.result import Table as ResultTable

__all__ = [
    "data_table",
    "findings_table",
    "format_finding",
    "format_number",
    "format_uncertain",
]

_DOES_NOT_EXIST = "does not exist"
_GAP = "  "
_LEAST_ROOM = 28  # for sentences beside names and values
_LEAST_WORDS = 6
_LEAST_HEADER = 6


def format_finding(finding: Finding) -> str:
    """A finding's value with its uncertainty and unit; `does not exist` where it is NaN."""
    if math.isnan(finding.value):
        return _DOES_NOT_EXIST
    if math.isinf(finding.value):
        return "infinite" if finding.value > 0 else "minus infinity"
    number = format_uncertain(finding.value, finding.stderr)
    return f"{number} {finding.unit}" if finding.unit else number


def _meaning(finding: Finding) -> tuple[str, str]:
    if finding.kind == "warning":
        return f"warning: {finding.text}", "bold yellow"
    return finding.text, "dim" if finding.kind == "accuracy" else ""


@dataclass(frozen=True)
class _Entry:
    """A finding's name, its value, and styled sentences about it."""

    name: str
    value: str
    value_style: str
    sentences: tuple[tuple[str, str], ...]


def _entry(
    name: str, value: str, value_style: str, sentences: Iterable[tuple[str, str]], *, unicode: bool
) -> _Entry:
    shown = tuple((clean(text, unicode=unicode), style) for text, style in sentences if text)
    return _Entry(clean(name, unicode=unicode), clean(value, unicode=unicode), value_style, shown)


def _entries(result: Result, *, unicode: bool) -> list[_Entry]:
    entries = []
    for finding in result.findings.values():
        style = "bold" if math.isfinite(finding.value) else "italic"
        value = format_finding(finding)
        entries.append(_entry(finding.name, value, style, [_meaning(finding)], unicode=unicode))
    return entries


def findings_table(result: Result, width: int, *, unicode: bool = True) -> Table:
    """The findings with values and meanings.

    Args:
        result: the result.
        width: cells across, at least 1. Where names and values leave too little room for sentences, these stand
            below instead of beside them.
        unicode: write in ASCII only where false.

    Returns:
        A rich table no wider than `width`, in which a number is cut only where it is wider than a line.
    """
    entries = _entries(result, unicode=unicode)
    names = max((cell_len(e.name) for e in entries), default=0)
    values = max((cell_len(e.value) for e in entries), default=0)
    room = width - names - values - 2 * len(_GAP)
    return _beside(entries, room) if room >= _LEAST_ROOM else _below(entries, width)


def _lines(sentences: Iterable[tuple[str, str]], width: int) -> Text:
    # Wrapped here: rich would break lines at the thin spaces inside numbers.
    lines = (Text(line, style) for sentence, style in sentences for line in wrap(sentence, width))
    return Text("\n").join(lines)


def _grid() -> Table:
    grid = Table.grid(padding=(0, len(_GAP), 0, 0), pad_edge=False)
    grid.collapse_padding = True
    return grid


def _beside(entries: Sequence[_Entry], room: int) -> Table:
    table = _grid()
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    for entry in entries:
        table.add_row(Text(entry.name), Text(entry.value, entry.value_style), _lines(entry.sentences, room))
    return table


def _below(entries: Sequence[_Entry], width: int) -> Table:
    table = _grid()
    table.add_column(no_wrap=True)
    indent = _GAP if width > _LEAST_ROOM else ""
    for entry in entries:
        head = [(entry.name, ""), (entry.value, entry.value_style)]
        if cell_len(entry.name) + len(_GAP) + cell_len(entry.value) <= width:
            table.add_row(Text(entry.name).append(_GAP).append(entry.value, entry.value_style))
        else:
            table.add_row(_lines([pair for pair in head if pair[0]], width))
        body = _lines(entry.sentences, width - len(indent))
        if body:
            table.add_row(Text("\n").join(Text(indent).append_text(line) for line in body.split("\n")))
    return table


def data_table(table: ResultTable, width: int, *, unicode: bool = True) -> Table:
    """A result's table; columns of numbers are set right and keep their width, words give way.

    Args:
        table: the table.
        width: cells across, at least 1.
        unicode: write in ASCII only where false.

    Returns:
        A rich table no wider than `width`. Where its numbers do not fit side by side, each row becomes a block of
        lines `column  value`.
    """
    names = [clean(name, unicode=unicode) for name in table.columns]
    cells = [[clean(_cell(c), unicode=unicode) for c in row] for row in table.rows]
    title = clean(table.title, unicode=unicode)
    numeric = [_is_numeric(row[i] for row in table.rows) for i in range(len(names))]
    widths = _column_widths(names, cells, numeric, width)
    if widths is None:
        return _blocks(names, cells, title, width)
    shown = _grid()
    shown.title, shown.title_justify = (title or None), "left"
    for right in numeric:
        shown.add_column(no_wrap=True, justify="right" if right else "left")
    for row, style in [(names, "dim"), *((row, "") for row in cells)]:
        shown.add_row(*(_lines([(cell, style)], w) for cell, w in zip(row, widths, strict=True)))
    return shown


def _column_widths(
    names: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], width: int
) -> list[int] | None:
    """A width for each column, words sharing what numbers leave; `None` where that is too little."""
    longest = [max((cell_len(row[i]) for row in cells), default=0) for i in range(len(names))]
    wanted = [max(cells_width, cell_len(name)) for cells_width, name in zip(longest, names, strict=True)]
    least = [
        max(cells_width, min(cell_len(name), _LEAST_HEADER)) if right else min(_LEAST_WORDS, full)
        for cells_width, name, right, full in zip(longest, names, numeric, wanted, strict=True)
    ]
    spare = width - len(_GAP) * (len(names) - 1) - sum(least)
    if spare < 0:
        return None
    given = [max(w, 1) for w in least]
    while spare > 0 and any(g < w for g, w in zip(given, wanted, strict=True)):
        for i, w in enumerate(wanted):
            if given[i] < w and spare > 0:
                given[i], spare = given[i] + 1, spare - 1
    return given


def _blocks(names: Sequence[str], cells: Sequence[Sequence[str]], title: str, width: int) -> Table:
    shown = _grid()
    shown.add_column(no_wrap=True)
    if title:
        shown.add_row(_lines([(title, "bold")], width))
    for row in cells:
        pairs = [(f"{name}{_GAP}{cell}", "") for name, cell in zip(names, row, strict=True)]
        shown.add_row(_lines([*pairs, (" ", "")], width))
    return shown


def _is_numeric(cells: Iterable[Cell]) -> bool:
    known = [c for c in cells if c is not None]
    return bool(known) and all(isinstance(c, int | float) and not isinstance(c, bool) for c in known)


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else format_number(cell)
