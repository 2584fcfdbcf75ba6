"""A page of lines that scrolls."""

from __future__ import annotations

from dataclasses import dataclass

from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_opt.tui.strips import changed_regions


class Lines(ScrollView, can_focus=False):
    """Shows strips. Only those in sight are painted, and of these only what changed.

    It scrolls by the wheel and by the `scroll_…` methods. Focus, and with it keys, belong to whoever holds it.
    """

    DEFAULT_CSS = """
    Lines { width: 1fr; height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    @dataclass
    class Resized(Message):
        """The page has another width, and what was laid out for the last one must be laid out again."""

        lines: Lines

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def on_resize(self, event: Resize) -> None:
        """Ask for lines of this width."""
        if event.size.area:
            self.post_message(self.Resized(self))

    def show(self, strips: list[Strip]) -> None:
        """Put other lines in place of these; the place that is scrolled to stays, as far as there are lines."""
        old, self._strips = self._strips, strips
        top = self.scroll_offset.y
        if len(strips) != len(old):
            self.virtual_size = Size(0, len(strips))
        if self.scroll_offset.y != top:
            return  # everything is painted anyway
        seen = slice(top, top + self.size.height)
        regions = changed_regions(old[seen], strips[seen], self.size.width)
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = y + self.scroll_offset.y
        if 0 <= index < len(self._strips):
            return self._strips[index].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        return Strip.blank(width, self.rich_style)
