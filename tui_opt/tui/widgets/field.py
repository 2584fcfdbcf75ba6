"""The one line in which a form's current value is typed, and what is said about it at every key."""

from __future__ import annotations

from rich.cells import cell_len
from textual.widgets import Input

from tui_opt.tui.draft import Draft
from tui_opt.tui.widgets.form_rows import Row, fitted

Note = tuple[str, str]


class Field(Input):
    """A line of text without a frame, over the value that is edited. It does not blink: idle terminals get no bytes."""

    DEFAULT_CSS = """
    Field {
        layer: field;
        position: absolute;
        display: none;
        height: 1;
        border: none;
        padding: 0;
        background: $surface-lighten-2;

        &:focus { border: none; background: $surface-lighten-2; }
    }
    """

    def __init__(self) -> None:
        super().__init__(compact=True)
        self.cursor_blink = False

    def begin(self, text: str, *, replace: bool) -> None:
        """Show a text; the first key replaces it, or goes on at its end."""
        self.select_on_focus = replace
        with self.prevent(Input.Changed):
            self.value = text
        self.cursor_position = len(text)
        self.display = True
        self.screen.set_focus(
            self
        )  # at once: `focus()` would leave the next keys to whoever has the focus now

    def end(self) -> None:
        """Hide again."""
        self.display = False


def note_lines(row_is_expression: bool) -> int:
    """How many lines a note has: always the same for a row, so that nothing moves while typing."""
    return 3 if row_is_expression else 2


def note_about(
    draft: Draft, row: Row, text: str, *, width: int, column: int, scrolled: int = 0
) -> list[Note]:
    """What is said below a value that is being typed.

    Args:
        draft: the draft before the edit.
        row: the row that is edited.
        text: what is typed so far.
        width: columns of a line.
        column: where the text begins.
        scrolled: columns of the text that have left the field on the left.

    Returns:
        Lines with the names of their styles. For an expression the first points to the place of the error.
    """
    spec = draft.spec(row.name, row.entry)
    expression = spec.kind == "expression"
    lines = note_lines(expression)
    feedback = draft.feedback(row.name, text, row.entry)
    found: list[Note] = []
    if expression:
        carets = ""
        if feedback and feedback.start is not None and feedback.end is not None:
            start, end = cell_len(text[: feedback.start]), cell_len(text[: feedback.end])
            carets = _carets(start, end, width, column - scrolled, column)
        found.append((carets, "error" if carets else "note"))
    if feedback is not None:
        found += [
            (f" {line}", "error") for line in fitted(f"! {feedback.sentence}", width - 1, lines - len(found))
        ]
    else:
        said = draft.note(row.name, text, row.entry)
        found += [(f" {line}", "note") for line in fitted(said, width - 1, lines - len(found))]
    return found + [("", "note")] * (lines - len(found))


def _carets(start: int, end: int, width: int, origin: int, least: int) -> str:
    """Carets under the columns of an error, at the nearest edge where those are out of sight."""
    first = min(max(origin + start, least), width - 1)
    last = min(max(origin + end, first + 1), width)
    return " " * first + "^" * (last - first)
