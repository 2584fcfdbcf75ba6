"""What stands on the pages of the stage beside the chart, as rich renderables: findings, data, log, theory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import chop_cells
from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text

from tui_opt.durations import duration
from tui_opt.render.ledger import ledger
from tui_opt.render.numbers import format_number
from tui_opt.render.text import data_table, findings_table, format_finding
from tui_opt.render.wrap import clean, shorten, wrap
from tui_opt.tui.run_view import ArrayGlimpse, glimpses
from tui_opt.tui.words import home_relative, trouble

if TYPE_CHECKING:
    from tui_opt.result import Finding
    from tui_opt.tui.run_view import RunView

THEORY_WIDTH = 92
MOST_ROWS = 200
MOST_VALUES = 6
HEADLINES = 4
STATE_STYLES = {"running": "cyan", "done": "dim", "failed": "red", "lost": "red", "cancelled": "yellow"}
_NOTHING = "No run is shown yet. Press r to run what the form says."


def _words(text: str, width: int, style: str = "", *, unicode: bool) -> Text:
    lines = wrap(clean(text, unicode=unicode), max(1, width))
    return Text("\n".join(lines), style)


def standing(view: RunView, width: int, *, unicode: bool) -> Text:
    """How the run stands: its state, how far it is and how long that will take, or how long it took."""
    status, state = view.status, view.state
    words = f"{state}{' (live)' if view.live else ''}"
    if state == "running":
        progress, eta = status.get("progress"), status.get("eta")
        if isinstance(progress, int | float):
            words += f" {progress:.0%}"
        if isinstance(eta, int | float):
            words += f"   {duration(eta)} to go"
        what = status.get("what") or (view.log[-1] if view.log else "")
        if what:
            words += f"   {what}"
    elif state == "done" and isinstance(status.get("elapsed"), int | float):
        words += f" in {duration(status['elapsed'])}"
    elif trouble(view):
        words += f": {trouble(view)}"
    return Text(shorten(clean(words, unicode=unicode), width, unicode=unicode), STATE_STYLES.get(state, ""))


def headline(view: RunView, width: int, lines: int, *, unicode: bool) -> list[Text]:
    """The most telling findings, each a line under the chart, then the claim of the source and our verdict."""
    result = view.result
    if result is None:
        return []
    shown = [result.findings[n] for n in result.headline if n in result.findings]
    shown = shown or [f for f in result.findings.values() if f.kind == "finding"][:HEADLINES]
    parts = [_headline_part(finding, unicode=unicode) for finding in shown]
    out = _flowed(parts, width)
    for outcome in view.outcomes[:1]:
        verdict = f"{outcome.expectation.verdict}{'' if outcome.holds else ', and does not hold'}"
        claim = outcome.expectation.claim or outcome.expectation.target
        out += [
            Text(line, "dim") for line in wrap(clean(f"claim: {claim}  {verdict}", unicode=unicode), width)
        ]
    for warning in result.warnings[:1]:
        out += [Text(line, "yellow") for line in wrap(clean(f"warning: {warning}", unicode=unicode), width)]
    return out[:lines]


def _headline_part(finding: Finding, *, unicode: bool) -> Text:
    name = finding.name.replace("_", " ")
    text = Text(f"{clean(name, unicode=unicode)} ", "dim")
    return text.append(clean(format_finding(finding), unicode=unicode), "bold")


def _flowed(parts: Sequence[Text], width: int) -> list[Text]:
    """Parts side by side, as many as fit on a line; a part is never cut."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 3 + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], "   ", part)
        else:
            lines.append(part)
    return lines


def findings(view: RunView | None, width: int, *, unicode: bool) -> RenderableType:
    """Every finding with its uncertainty and meaning, what was expected of it, and the warnings."""
    if view is None or view.result is None:
        return _waiting(view, width, unicode=unicode)
    parts: list[RenderableType] = [findings_table(view.result, width, unicode=unicode)]
    if not view.final:
        parts.insert(0, _words("Partial: the run goes on.", width, "italic", unicode=unicode))
    if view.outcomes:
        parts += [Text(), Text("what the source says", "bold")]
        parts.append(ledger([("", outcome) for outcome in view.outcomes], width, unicode=unicode))
    for warning in view.result.warnings:
        parts += [Text(), _words(f"warning: {warning}", width, "yellow", unicode=unicode)]
    return Group(*parts)


def data(view: RunView | None, width: int, *, unicode: bool) -> RenderableType:
    """The tables of a result, and what its arrays are, with their first numbers."""
    if view is None or view.result is None:
        return _waiting(view, width, unicode=unicode)
    result = view.result
    parts: list[RenderableType] = []
    for name, table in result.tables.items():
        title = table.title or name.replace("_", " ")
        parts.append(_words(title, width, "bold", unicode=unicode))
        shown = table.model_copy(update={"rows": table.rows[:MOST_ROWS], "title": ""})
        parts.append(data_table(shown, width, unicode=unicode))
        if len(table.rows) > MOST_ROWS:
            parts.append(Text(f"{len(table.rows) - MOST_ROWS:,} more rows", "dim"))
        parts.append(Text())
    parts.append(Text("arrays", "bold"))
    for glimpse in glimpses(view, MOST_VALUES):
        parts += _array_lines(glimpse, width, unicode=unicode)
    where = f"{home_relative(view.run.path)}/arrays.npz" if view.final else "of the newest partial result"
    parts += [Text(), _words(where, width, "dim", unicode=unicode)]
    return Group(*parts)


def _array_lines(glimpse: ArrayGlimpse, width: int, *, unicode: bool) -> list[RenderableType]:
    sizes = zip(glimpse.dims, glimpse.shape, strict=True)
    shape = ", ".join(f"{dim} {n:,}".replace(",", "\u202f") for dim, n in sizes) or "one number"
    unit = f" [{glimpse.unit}]" if glimpse.unit else ""
    head = f"{glimpse.name}{unit}  {shape}  {glimpse.dtype}"
    lines: list[RenderableType] = [_words(head, width, unicode=unicode)]
    if glimpse.text:
        lines.append(Padding(_words(glimpse.text, width - 2, "dim", unicode=unicode), (0, 0, 0, 2)))
    if glimpse.first:
        more = "  …" if math.prod(glimpse.shape) > len(glimpse.first) else ""
        numbers = "  ".join(map(_number, glimpse.first)) + more
        lines.append(Padding(_words(numbers, width - 2, unicode=unicode), (0, 0, 0, 2)))
    return lines


def _number(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value) if isinstance(value, int | float) else str(value)


def log(view: RunView | None, width: int, *, unicode: bool) -> RenderableType:
    """What the run said, and how it ended."""
    if view is None:
        return _words(_NOTHING, width, unicode=unicode)
    lines = [_words(f"{view.run.id}  {view.state}", width, "bold", unicode=unicode)]
    error = view.status.get("error")
    if error:
        lines.append(_words(str(error), width, "bold red", unicode=unicode))
    lines += [Text(row) for line in view.log for row in _whole(line, width, unicode=unicode)]
    if not view.log:
        lines.append(Text("The run has said nothing.", "dim"))
    return Group(*lines)


def _whole(line: str, width: int, *, unicode: bool) -> list[str]:
    """A line as it was written, blanks included, cut where it is wider than the page."""
    return chop_cells(clean(line, unicode=unicode), max(1, width)) or [""]


def theory(page: str, width: int, *, unicode: bool) -> RenderableType:
    """A scenario's theory page."""
    if not page:
        return Text("This scenario has no theory page.")
    text = page if unicode else clean_lines(page)
    return Markdown(text, hyperlinks=False, code_theme="ansi_dark")


def clean_lines(text: str) -> str:
    """A text of several lines in ASCII."""
    return "\n".join(clean(line, unicode=False) for line in text.split("\n"))


def _waiting(view: RunView | None, width: int, *, unicode: bool) -> RenderableType:
    if view is None:
        return _words(_NOTHING, width, unicode=unicode)
    if view.active:
        words = (
            "The run waits for its turn."
            if view.state == "queued"
            else "Nothing is there to show yet; the run goes on."
        )
        return _words(words, width, unicode=unicode)
    return _words(trouble(view) or "This run left nothing to show.", width, "bold red", unicode=unicode)
