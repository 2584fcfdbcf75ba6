"""A question with yes and no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tui_opt.tui.screens.dialog import Dialog
from tui_opt.tui.widgets.tab_line import TabLine


class ConfirmScreen(Dialog[bool]):
    """Asks before something cannot be undone.

    Args:
        question: the question.
        yes: what is done, in a word.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes"),
        Binding("n,escape,q", "answer(False)", "no", key_display="n", id="confirm.no"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False)
            yield TabLine([f"y {self._yes}", "n keep"], marked=False)

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        """An answer was clicked."""
        event.stop()
        self.dismiss(event.index == 0)

    def action_answer(self, answer: bool) -> None:
        """Answer."""
        self.dismiss(answer)
