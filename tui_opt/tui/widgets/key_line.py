"""The last line: the keys that do something now, read from the bindings of whatever has the focus."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui_opt.tui.keys import key_text

PANES = ("1-4", "panes")
#: the bindings that always show, at the right end.
PINNED = ("help", "leave")


class KeyLine(Widget):
    """Keys and what they do, as many as fit; none is cut."""

    DEFAULT_CSS = """
    KeyLine { height: 1; width: 1fr; background: $panel; color: $foreground; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key"}

    def __init__(self, *, unicode: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._unicode = unicode
        self._keys: list[tuple[str, str]] = []
        self._pinned: list[tuple[str, str]] = []

    def on_mount(self) -> None:
        """Read the keys again whenever the focus moves."""
        self.screen.bindings_updated_signal.subscribe(self, self._read)
        self._read(self.screen)

    def _read(self, screen: Screen[object]) -> None:
        first: dict[str, str] = {}  # of several keys that do the same, the first
        pinned: dict[str, str] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled:
                key = key_text(self.app, binding, unicode=self._unicode)
                (pinned if binding.id in PINNED else first).setdefault(binding.description, key)
        keys = [(key, words) for words, key in first.items()]
        if screen.has_class("narrow"):  # where one pane is shown at a time, the others must be known of
            keys.insert(0, PANES)
        last = [(key, words) for words, key in pinned.items()]
        if (keys, last) != (self._keys, self._pinned):
            self._keys, self._pinned = keys, last
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base, key_style = self.rich_style, self.get_component_rich_style("key-line--key")
        if y:
            return Strip.blank(width, base)
        right = [part for item in self._pinned for part in _drawn(item, key_style, base)]
        room = width - sum(part.cell_length for part in right)
        left: list[Segment] = []
        for item in self._keys:
            parts = _drawn(item, key_style, base)
            room -= sum(part.cell_length for part in parts)
            if room < 0:
                break
            left += parts
        used = sum(part.cell_length for part in (*left, *right))
        return Strip([*left, Segment(" " * max(0, width - used), base), *right]).adjust_cell_length(
            width, base
        )


def _drawn(item: tuple[str, str], key_style: Style, base: Style) -> list[Segment]:
    key, words = item
    return [Segment(f" {key}", key_style), Segment(f" {words} ", base)]
