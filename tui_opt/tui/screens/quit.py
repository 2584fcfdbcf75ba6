"""Leaving while runs are under way: leave them running, cancel them, or stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tui_opt.tui.screens.dialog import Dialog
from tui_opt.tui.widgets.tab_line import TabLine
from tui_opt.tui.words import amount

ANSWERS = ("leave", "cancel", "stay")
MOST_NAMES = 6


class QuitScreen(Dialog[str]):
    """Answers `leave`, `cancel` or `stay`."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,enter", "answer('leave')", "leave them running", key_display="l", id="quit.leave"),
        Binding("c", "answer('cancel')", "cancel them", id="quit.cancel"),
        Binding("s,escape,q", "answer('stay')", "stay", key_display="s", id="quit.stay"),
    ]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = list(names)

    def compose(self) -> ComposeResult:
        count = len(self._names)
        shown = self._names[:MOST_NAMES] + (["…"] if count > MOST_NAMES else [])
        verb = "is" if count == 1 else "are"
        with Vertical(classes="dialog"):
            yield Static(f"{amount(count, 'run')} {verb} under way: {', '.join(shown)}.", markup=False)
            yield Static("They go on without the app, and the next one shows them.", markup=False)
            yield TabLine(["l leave running", "c cancel", "s stay"], marked=False)

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        """An answer was clicked."""
        event.stop()
        self.dismiss(ANSWERS[event.index])

    def action_answer(self, answer: str) -> None:
        """Answer."""
        self.dismiss(answer)
