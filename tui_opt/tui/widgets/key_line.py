"""The last line: the keys that do something now, read from the bindings of whatever has the focus."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui_opt.render.wrap import clean

PANES = ("1-4", "panes")


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

    def on_mount(self) -> None:
        """Read the keys again whenever the focus moves."""
        self.screen.bindings_updated_signal.subscribe(self, self._read)
        self._read(self.screen)

    def _read(self, screen: Screen[object]) -> None:
        first: dict[str, str] = {}  # of several keys that do the same, the first
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled:
                key = clean(self.app.get_key_display(binding), unicode=self._unicode)
                first.setdefault(binding.description, key)
        keys = [(key, words) for words, key in first.items()]
        if screen.has_class("narrow"):  # where one pane is shown at a time, the others must be known of
            keys.insert(0, PANES)
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base, key_style = self.rich_style, self.get_component_rich_style("key-line--key")
        segments: list[Segment] = []
        used = 0
        for key, words in self._keys if y == 0 else []:
            length = len(key) + len(words) + 3
            if used + length > width:
                break
            segments += [Segment(f" {key}", key_style), Segment(f" {words} ", base)]
            used += length
        return Strip(segments).adjust_cell_length(width, base)
