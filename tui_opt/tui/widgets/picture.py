"""A drawing that fills its place: it says how large that is, and shows what was drawn for it."""

from __future__ import annotations

from dataclasses import dataclass

from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui_opt.tui.strips import changed_regions


class Picture(Widget):
    """Shows strips; only cells that changed are painted again. The old drawing stays until there is a new one."""

    DEFAULT_CSS = """
    Picture { width: 1fr; }
    """

    @dataclass
    class Resized(Message):
        """The place has another size, and needs a new drawing."""

        picture: Picture
        size: Size

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def show(self, strips: list[Strip]) -> None:
        """Put a drawing in place of the last."""
        seen = slice(0, self.size.height)
        regions = changed_regions(self._strips[seen], strips[seen], self.size.width)
        self._strips = strips
        if regions:
            self.refresh(*regions)

    def on_resize(self, event: Resize) -> None:
        """Ask for a drawing of this size."""
        if event.size.area:
            self.post_message(self.Resized(self, event.size))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if 0 <= y < len(self._strips):
            return self._strips[y].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        return Strip.blank(width, self.rich_style)
