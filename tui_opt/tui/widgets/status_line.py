"""The first line: what is open, how busy the machine is, where the runs are; and sentences, until they are read."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_opt.render.wrap import clean, first_lines, shorten

NAME = "optexplore"
#: how long a sentence stays that is not about something wrong.
NOTICE_SECONDS = 5.0
#: a long sentence about something wrong takes at most so many lines.
MOST_LINES = 5


class StatusLine(Widget):
    """Shows `left` and `right`, or a sentence in their place; one about something wrong stays until it is read."""

    DEFAULT_CSS = """
    StatusLine { height: 1; width: 1fr; background: $panel; color: $foreground; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"status-line--name", "status-line--wrong", "status-line--notice"}

    def __init__(self, *, unicode: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._unicode = unicode
        self._left, self._right = "", ""
        self._notice, self._wrong = "", False
        self._timer: Timer | None = None

    @property
    def notice(self) -> str:
        """The sentence that stands there, empty for none."""
        return self._notice

    @property
    def is_wrong(self) -> bool:
        """Whether the sentence is about something wrong."""
        return bool(self._notice) and self._wrong

    def show(self, left: str, right: str) -> None:
        """What stands there when nothing is to be said."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            if not self._notice:
                self.refresh()

    def point(self, text: str) -> None:
        """What the cursor is on, in place of what is open; until there is something else to show."""
        self.show(text, self._right)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Say a sentence; one about something wrong is not replaced by one that is not."""
        if self.is_wrong and not wrong:
            return
        text = " ".join(text.split())
        if (text, wrong) != (self._notice, self._wrong):
            self._notice, self._wrong = text, wrong
            self._make_room()
            self.refresh()
            if self._timer is not None:
                self._timer.stop()
            self._timer = None if wrong else self.set_timer(NOTICE_SECONDS, self.dismiss)

    def dismiss(self) -> bool:
        """Take the sentence away; False where none stood there."""
        if not self._notice:
            return False
        self._notice, self._wrong = "", False
        self._make_room()
        self.refresh()
        return True

    def on_resize(self) -> None:
        """A sentence may need another number of lines."""
        self._make_room()

    def _lines(self) -> list[str]:
        """The lines of the sentence; only one about something wrong may have several."""
        width = max(1, self.size.width - 2)
        text = clean(self._notice, unicode=self._unicode)
        if not self.is_wrong:
            return [shorten(text, width, unicode=self._unicode)]
        return first_lines(f"{text} (esc)", width, MOST_LINES, unicode=self._unicode)

    def _make_room(self) -> None:
        lines = len(self._lines()) if self.is_wrong else 1
        if self.styles.height is None or self.styles.height.value != lines:
            self.styles.height = lines

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if self._notice:
            lines = self._lines()
            kind = "status-line--wrong" if self._wrong else "status-line--notice"
            style = self.get_component_rich_style(kind)
            text = f" {lines[y]} " if y < len(lines) else ""
            return Strip([Segment(text, style)]).adjust_cell_length(width, style if self._wrong else base)
        if y:
            return Strip.blank(width, base)
        name = self.get_component_rich_style("status-line--name")
        left = clean(self._left, unicode=self._unicode)
        right = clean(self._right, unicode=self._unicode)
        head = f" {NAME} "
        parts = [Segment(head, name), Segment(f" {left}", base)]
        room = width - sum(s.cell_length for s in parts) - 2
        shown = _fitting(right, room)
        gap = max(0, width - sum(s.cell_length for s in parts) - len(shown) - 1)
        return Strip([*parts, Segment(" " * gap + shown + " ", base or Style())]).adjust_cell_length(
            width, base
        )


def _fitting(text: str, room: int) -> str:
    """The last of the parts that three blanks separate, as many as fit: none is cut."""
    parts = text.split("   ")
    while parts and len("   ".join(parts)) > room:
        parts.pop()
    return "   ".join(parts)
