"""One line of choices: the tabs of the stage, the figures of a result, the buttons under the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

GAP = "  "


class TabLine(Widget):
    """Choices side by side, the current one marked; a click chooses. Where not all fit, those about the current one.

    Args:
        labels: the choices.
        marked: whether one of them is the current one; buttons have none.
    """

    DEFAULT_CSS = """
    TabLine { height: 1; width: 1fr; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab-line--current", "tab-line--other"}

    @dataclass
    class Chosen(Message):
        """A choice was clicked."""

        line: TabLine
        index: int

        @property
        def control(self) -> TabLine:
            return self.line

    def __init__(self, labels: Sequence[str] = (), *, marked: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self._labels = tuple(labels)
        self._marked = marked
        self._index = 0
        self._spans: list[tuple[int, int, int]] = []

    @property
    def index(self) -> int:
        """The current choice."""
        return self._index

    @property
    def labels(self) -> tuple[str, ...]:
        """The choices."""
        return self._labels

    def set(self, labels: Sequence[str], index: int) -> None:
        """Put other choices there, or mark another."""
        labels = tuple(labels)
        index = max(0, min(index, len(labels) - 1))
        if (labels, index) != (self._labels, self._index):
            self._labels, self._index = labels, index
            self.refresh()

    def choose(self, index: int) -> None:
        """Mark another choice."""
        self.set(self._labels, index)

    def on_resize(self, event: Resize) -> None:
        """Choices that fit are counted again."""
        self.refresh()

    def _window(self, width: int) -> tuple[int, int]:
        """First and last of the choices that are shown: all, or as many about the current one as fit."""
        cells = [self._cell(index) for index in range(len(self._labels))]
        if sum(map(len, cells)) + len(GAP) * (len(cells) - 1) <= width:
            return 0, len(cells) - 1
        first = last = self._index
        room = width - 4 - len(cells[self._index])
        while True:
            grown = False
            for side in (last + 1, first - 1):
                if 0 <= side < len(self._labels) and len(cells[side]) + len(GAP) <= room:
                    room -= len(cells[side]) + len(GAP)
                    first, last = min(first, side), max(last, side)
                    grown = True
            if not grown:
                return first, last

    def _cell(self, index: int) -> str:
        label = self._labels[index]
        # The mark is a character too, because colour alone would tell nobody who sees none.
        if not self._marked:
            return f" {label}"
        return f"[{label}]" if index == self._index else f" {label} "

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        self._spans = []
        if y or not self._labels:
            return Strip.blank(width, self.rich_style)
        first, last = self._window(width)
        current = self.get_component_rich_style("tab-line--current")
        other = self.get_component_rich_style("tab-line--other")
        segments: list[Segment] = []
        column = 0

        def add(text: str, style: Style) -> None:
            nonlocal column
            segments.append(Segment(text, style))
            column += len(text)

        if first > 0:
            add("< ", other)
        for index in range(first, last + 1):
            if index > first:
                add(GAP, self.rich_style)
            cell = self._cell(index)
            self._spans.append((column, column + len(cell), index))
            add(cell, current if self._marked and index == self._index else other)
        if last < len(self._labels) - 1:
            add(" >", other)
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def on_click(self, event: Click) -> None:
        """Choose what was clicked."""
        for start, end, index in self._spans:
            if start <= event.x < end:
                event.stop()
                self.post_message(self.Chosen(self, index))
