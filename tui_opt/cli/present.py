"""A result on the screen: findings with what was expected of them, tables, figures, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.text import Text

from tui_opt.cli.screen import colors, unicode, width
from tui_opt.expectations import Outcome
from tui_opt.result import Result

FigureChoice = Literal["first", "all", "none"]
FIGURE_HEIGHT = 20
MOST_COLUMNS = 120
MOST_ROWS = 40


def print_result(
    console: Console, result: Result, outcomes: Sequence[Outcome] = (), *, figures: FigureChoice = "first"
) -> None:
    """Print a result.

    Args:
        console: where to.
        result: what to print.
        outcomes: its judged expectations.
        figures: which of its figures to draw.
    """
    from tui_opt.render.ledger import ledger
    from tui_opt.render.terminal import figure_text
    from tui_opt.render.text import data_table, findings_table

    columns = min(width(), MOST_COLUMNS)
    chosen = {"first": result.figures[:1], "all": result.figures, "none": []}[figures]
    values = result.values()
    for figure in chosen:
        console.print(
            figure_text(
                figure, values, width=columns, height=FIGURE_HEIGHT, colors=colors(console), unicode=unicode()
            ),
            soft_wrap=True,
        )
        console.print()
    console.print(findings_table(result, columns, unicode=unicode()))
    for name, table in result.tables.items():
        console.print()
        console.print(table.title or name.replace("_", " "), style="bold", markup=False)
        shown = table.model_copy(update={"rows": table.rows[:MOST_ROWS], "title": ""})
        console.print(data_table(shown, columns, unicode=unicode()))
        if len(table.rows) > MOST_ROWS:
            console.print(f"… {len(table.rows) - MOST_ROWS} more rows; `optexplore export` writes them all.")
    if outcomes:
        console.print()
        console.print(ledger([("", outcome) for outcome in outcomes], columns, unicode=unicode()))
    for warning in result.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
