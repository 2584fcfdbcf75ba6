"""Every key there is, by the part of the screen it belongs to: read from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui_opt.tui.keys import key_text
from tui_opt.tui.screens.dialog import Dialog

KEY_WIDTH = 16


def sections(screen: Screen[Any], *, unicode: bool) -> list[tuple[str, list[tuple[str, str]]]]:
    """Keys and what they do, for the screen and for each pane on it that has keys of its own."""
    app = screen.app
    found = [("Everywhere", _keys(app, (screen, app), unicode=unicode))]
    for title, selector in (
        ("Scenarios", "#tree"),
        ("Chart and pages", "#stage"),
        ("Parameters", "#form"),
        ("Runs", "#runs"),
    ):
        found.extend((title, _keys(app, (widget,), unicode=unicode)) for widget in screen.query(selector))
    return [(title, keys) for title, keys in found if keys]


def _keys(app: App[Any], nodes: Iterable[Widget | App[Any]], *, unicode: bool) -> list[tuple[str, str]]:
    """The bindings of these nodes, keys that do the same in one line.

    Those without a name of ours are left out: they are what every list does anyway.
    """
    by_words: dict[str, list[str]] = {}
    for node in nodes:
        for _, binding in node._bindings:
            if binding.id and binding.description:
                shown = key_text(app, binding, unicode=unicode)
                keys = by_words.setdefault(binding.tooltip or binding.description, [])
                if shown not in keys:
                    keys.append(shown)
    return [(" ".join(keys), words) for words, keys in by_words.items()]


class HelpScreen(Dialog[None]):
    """The keys, scrolling where there are more than fit."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "close", key_display="esc", id="help.close"),
    ]

    def __init__(self, over: Screen[Any], *, unicode: bool) -> None:
        super().__init__()
        self._unicode = unicode
        self._over = over

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog tall"):
            yield Static(self._keys())

    def on_mount(self) -> None:
        """Scroll at once."""
        self.query_one(VerticalScroll).focus()

    def _keys(self) -> Group:
        parts: list[RenderableType] = []
        for title, keys in sections(self._over, unicode=self._unicode):
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(width=KEY_WIDTH)
            table.add_column()
            for key, words in keys:
                table.add_row(Text(f"  {key}", "bold"), Text(words))
            parts += [Text(title, "bold"), table, Text()]
        return Group(*parts, Text("esc closes this page", "dim"))

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
