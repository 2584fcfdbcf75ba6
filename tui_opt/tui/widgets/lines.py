"""A page of lines that scrolls."""

from __future__ import annotations

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_opt.tui.strips import changed_regions


class Lines(ScrollView, can_focus=False):
    """Shows strips. Only those in sight are painted, and of these only what changed."""

    DEFAULT_CSS = """
    Lines { width: 1fr; height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strips: list[Strip] = []

    def show(self, strips: list[Strip]) -> None:
        """Put other lines in place of these; the place that is scrolled to stays."""
        width = self.size.width
        regions = changed_regions(self._strips, strips, width)
        count = len(self._strips)
        self._strips = strips
        if len(strips) != count:
            self.virtual_size = Size(max((s.cell_length for s in strips), default=0), len(strips))
        top = self.scroll_offset.y
        inside = Region(0, 0, width, self.size.height)
        seen = [region.translate((0, -top)).intersection(inside) for region in regions]
        if kept := [region for region in seen if region.area]:
            self.refresh(*kept)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = y + self.scroll_offset.y
        if 0 <= index < len(self._strips):
            return self._strips[index].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        return Strip.blank(width, self.rich_style)
