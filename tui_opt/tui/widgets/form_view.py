"""The rows of a form on the screen: one widget draws them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_opt.tui.draft import Draft
from tui_opt.tui.widgets.form_rows import Row, Signs, pieces, role_at, rows_of


class FormView(ScrollView, can_focus=True, inherit_bindings=False):
    """All rows of a draft, one of them the current one; below it, while it is edited, a note about what is typed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "form--current",
        "form--heading",
        "form--label",
        "form--value",
        "form--unit",
        "form--changed",
        "form--error",
        "form--arrow",
        "form--note",
    }
    DEFAULT_CSS = """
    FormView {
        height: 1fr;
        width: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        background: transparent;

        & > .form--heading { color: $text-muted; }
        & > .form--label { color: $text-muted; }
        & > .form--value { color: $foreground; }
        & > .form--unit { color: $text-muted; }
        & > .form--changed { color: $text-accent; text-style: bold; }
        & > .form--error { color: $text-error; text-style: bold; }
        & > .form--arrow { color: $text-accent; text-style: bold; }
        & > .form--note { color: $text-muted; }
        & > .form--current { background: $surface-lighten-1; }
        &:focus > .form--current { background: $primary-muted; text-style: bold; }
    }
    """

    @dataclass
    class Pressed(Message):
        """The mouse was pressed on a row; `role` is what stands there."""

        row: Row
        role: str
        twice: bool

    @dataclass
    class Moved(Message):
        """The rows were scrolled, or their place on the screen changed."""

    def __init__(self, signs: Signs, take_key: Callable[[events.Key], bool]) -> None:
        """Draw with these signs; `take_key` sees every key before it goes anywhere else, and may keep it."""
        super().__init__()
        self.signs = signs
        self._take_key = take_key
        self.rows: list[Row] = []
        self.current = 0
        self._draft: Draft | None = None
        self._note: Sequence[tuple[str, str]] = ()
        self._pressed: tuple[Row, str] | None = None
        self._styles: dict[tuple[str, bool], Style] = {}

    # --- what is shown -------------------------------------------------------------------------------------

    def show(self, draft: Draft | None, row: Row | None = None) -> None:
        """Show a draft with this row the current one; where it has no such row, the nearest."""
        place = self.current
        self._draft = draft
        self._lay_out()
        if row in self.rows:
            place = self.rows.index(row)
        self.select(place)
        self.refresh()

    def select(self, place: int, direction: int = 1) -> None:
        """Make the row at `place` the current one, or the next in that direction that can be."""
        stops = [i for i, row in enumerate(self.rows) if row.can_be_current]
        if not stops:
            self.current = 0
            return
        ahead = [i for i in stops if (i >= place if direction > 0 else i <= place)]
        if ahead:
            self.current = ahead[0] if direction > 0 else ahead[-1]
        else:
            self.current = stops[-1] if direction > 0 else stops[0]
        self.reveal()
        self.refresh()

    def note(self, lines: Sequence[tuple[str, str]]) -> None:
        """Lines below the current row, each with the name of its style; none ends it."""
        grown = len(lines) != len(self._note)
        self._note = lines
        if grown:
            self._size_lines()
            self.reveal()
        self.refresh()

    def reveal(self) -> None:
        """Scroll the current row, and the note below it, into sight; at the first row, what stands above it too."""
        first = 0 if self.current <= self._first_stop else self.current
        lines = self.current - first + 1 + len(self._note)
        self.scroll_to_region(
            Region(0, first, 1, min(lines, max(self.size.height, 1))), animate=False, force=True
        )

    @property
    def current_row(self) -> Row | None:
        """The row the cursor is on."""
        return self.rows[self.current] if self.current < len(self.rows) else None

    @property
    def columns(self) -> int:
        """The width of a row, which is that of the widget without its scroll bar."""
        return self.scrollable_content_region.width

    @property
    def line_of_current(self) -> int:
        """The current row's line, counted from the top of the widget."""
        return self.current - round(self.scroll_offset.y)

    @property
    def _first_stop(self) -> int:
        return next((i for i, row in enumerate(self.rows) if row.can_be_current), 0)

    def _lay_out(self) -> None:
        """Make the rows; headings are left out where there is no room for them."""
        if self._draft is None:
            self.rows = []
        else:
            self.rows = rows_of(self._draft, groups=True)
            if len(self.rows) > self.container_size.height > 0:
                self.rows = rows_of(self._draft, groups=False)
        self._size_lines()

    def _size_lines(self) -> None:
        self.virtual_size = Size(self.columns, len(self.rows) + len(self._note))

    # --- drawing -------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one line of the widget."""
        width = self.columns
        line = y + round(self.scroll_offset.y)
        place = line - self.current - 1
        if 0 <= place < len(self._note):
            text, role = self._note[place]
            return self._strip([(text, role)], width, current=False)
        row = line if line <= self.current else line - len(self._note)
        if self._draft is None or not 0 <= row < len(self.rows):
            return self._strip([], width, current=False)
        current = row == self.current
        found = pieces(self._draft, self.rows[row], width, current=current, signs=self.signs)
        return self._strip(found, width, current=current)

    def _strip(self, found: Sequence[tuple[str, str]], width: int, *, current: bool) -> Strip:
        segments = [Segment(text, self._style(role, current)) for text, role in found]
        return Strip(segments).adjust_cell_length(width, self._style("space", current))

    def _style(self, role: str, current: bool) -> Style:
        """The style of a piece. Every piece has one: without colours, a segment that has none cannot be drawn."""
        if (role, current) not in self._styles:
            self._styles[role, current] = self._made_style(role, current)
        return self._styles[role, current]

    def _made_style(self, role: str, current: bool) -> Style:
        style = self.get_component_rich_style("form--current") if current else self.rich_style
        name = {"lower": "arrow", "higher": "arrow", "current": "arrow"}.get(role, role)
        component = f"form--{name}"
        if component in self.COMPONENT_CLASSES and name != "current":
            own = self.get_component_rich_style(component)
            style = style + Style(color=own.color, bold=own.bold or None)
        return style

    def notify_style_update(self) -> None:
        """Forget the styles of another theme, or of another focus."""
        self._styles.clear()
        super().notify_style_update()

    # --- what happens to it --------------------------------------------------------------------------------

    def on_resize(self) -> None:
        row = self.current_row
        self._lay_out()
        if row in self.rows:
            self.current = self.rows.index(row)
        self.call_after_refresh(self.reveal)
        self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that what stands over the rows has to move with them."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def on_key(self, event: events.Key) -> None:
        if self._take_key(event):
            event.stop()
            event.prevent_default()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Remember what was pressed: with the release the note may be gone, and the rows have moved."""
        self._pressed = None
        line = event.y + round(self.scroll_offset.y)
        if line > self.current:
            line = max(line - len(self._note), self.current)
        if self._draft is None or not 0 <= line < len(self.rows) or not self.rows[line].can_be_current:
            return
        current = line == self.current
        found = pieces(self._draft, self.rows[line], self.columns, current=current, signs=self.signs)
        self._pressed = (self.rows[line], role_at(found, event.x))

    def on_click(self, event: events.Click) -> None:
        if self._pressed is not None:
            self.post_message(self.Pressed(*self._pressed, twice=event.chain > 1))
