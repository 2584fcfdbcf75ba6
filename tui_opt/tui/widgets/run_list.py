"""The runs of the store, newest first, with their state: a list of lines, of which only those in sight are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_opt.durations import duration
from tui_opt.render.wrap import clean

if TYPE_CHECKING:
    from tui_opt.store import RunRow

#: a mark for every state, and another for terminals that know ASCII only.
MARKS = {
    "queued": ("◌", "."),
    "running": ("●", "*"),
    "done": ("✓", "+"),
    "failed": ("✗", "x"),
    "cancelled": ("○", "o"),
    "lost": ("?", "?"),
    "unreadable": ("!", "!"),
}


def order(rows: Sequence[RunRow]) -> list[RunRow]:
    """Running ones first, then the queue in its order, then what has ended, newest first."""
    running = [r for r in rows if r.state == "running"]
    queued = sorted((r for r in rows if r.state == "queued"), key=lambda r: (r.order or 0.0, r.id))
    ended = [r for r in rows if r.state not in ("running", "queued")]
    return [*reversed(running), *queued, *reversed(ended)]


def fact(row: RunRow, place: int | None = None) -> str:
    """What is told of a run beside its name: how far it is, its place in the queue, how long it took, or its state."""
    if row.state == "running":
        eta = f" {duration(row.eta)}" if row.eta is not None else ""
        return f"{row.progress:.0%}{eta}"
    if row.state == "done":
        return "" if row.elapsed is None else duration(row.elapsed)
    return row.state if place is None else f"{row.state} {place}"


def words(row: RunRow) -> str:
    """A run in full, for where there is room: its title or name, when it was made, and what went wrong with it."""
    parts = [f"{row.scenario} {row.experiment}", row.title or "defaults", local_time(row.created)]
    return "   ".join(part for part in (*parts, row.state, " ".join((row.error or "").split())) if part)


def local_time(stamp: str) -> str:
    """A stamp in UTC as the clock on the wall, with the day where it is not today; empty where it is none."""
    try:
        moment = datetime.fromisoformat(stamp).astimezone()
    except ValueError:
        return ""
    today = moment.date() == datetime.now(moment.tzinfo).date()
    return f"{moment:%H:%M}" if today else f"{moment:%Y-%m-%d %H:%M}"


class RunList(ScrollView, can_focus=True):
    """Runs line by line. The cursor stays on its run when others come and go."""

    DEFAULT_CSS = """
    RunList { scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-list--cursor",
        "run-list--shown",
        "run-list--running",
        "run-list--done",
        "run-list--failed",
        "run-list--dim",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False, id="runs.up"),
        Binding("down", "move(1)", "down", show=False, id="runs.down"),
        Binding("pageup", "move_page(-1)", "page up", show=False, id="runs.page_up"),
        Binding("pagedown", "move_page(1)", "page down", show=False, id="runs.page_down"),
        Binding("home", "move(-1000000)", "first", show=False, id="runs.first"),
        Binding("end", "move(1000000)", "last", show=False, id="runs.last"),
        Binding("enter", "open", "look at it", id="runs.open"),
        Binding("equals_sign", "parameters", "its parameters", id="runs.parameters"),
        Binding("g", "resume", "go on with it", id="runs.resume"),
        Binding("delete", "remove", "delete", id="runs.remove"),
        Binding("shift+up", "reorder(-1)", "earlier", show=False, id="runs.earlier"),
        Binding("shift+down", "reorder(1)", "later", show=False, id="runs.later"),
    ]

    @dataclass
    class Asked(Message):
        """Something is to be done with a run: `open`, `parameters`, `resume`, `remove`, `earlier`, `later`."""

        what: str
        row: RunRow

    @dataclass
    class Pointed(Message):
        """The cursor is on another run, or on one that has changed."""

        row: RunRow

    def __init__(self, *, unicode: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._unicode = unicode
        self._rows: list[RunRow] = []
        self._cursor = 0
        self._queue: dict[str, int] = {}
        self._shown = ""

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else None

    def load(self, rows: Sequence[RunRow]) -> None:
        """Show these runs; only lines that changed are drawn again."""
        kept = self.current
        before = self._rows
        self._rows = order(rows)
        if kept is not None:
            places = {row.id: i for i, row in enumerate(self._rows)}
            # While nobody uses the list, a cursor at the top stays there, so that a new run comes under it.
            at_top = self._cursor == 0 and not self.has_focus
            self._cursor = 0 if at_top else places.get(kept.id, self._cursor)
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        if self.current != kept:
            self._point()
        self._queue = {row.id: n for n, row in enumerate((r for r in self._rows if r.state == "queued"), 1)}
        if len(before) != len(self._rows):
            self.virtual_size = Size(1, len(self._rows))
            self.refresh()
            return
        for i, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new:
                self._refresh_row(i)

    def mark(self, run_id: str) -> None:
        """Mark the run that the stage shows."""
        if run_id != self._shown:
            self._shown = run_id
            self.refresh()

    # --- drawing --------------------------------------------------------------------------------------------

    def _refresh_row(self, index: int) -> None:
        y = index - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width  # without the scroll bar, if there is one
        index = y + self.scroll_offset.y
        base = self.rich_style
        if not 0 <= index < len(self._rows):
            words = "no runs yet" if y == 0 and not self._rows else ""
            return Strip([Segment(words, self._style("dim"))]).adjust_cell_length(width, base)
        row = self._rows[index]
        mark = MARKS.get(row.state, ("?", "?"))[0 if self._unicode else 1]
        right = clean(fact(row, self._queue.get(row.id)), unicode=self._unicode)
        if width >= 60:
            right = f"{right}  {local_time(row.created)}"
        name = row.experiment if width < 40 else f"{row.scenario} {row.experiment}"
        if row.title:
            name += f"  {row.title}" if width >= 40 else f" {row.title}"
        room = max(0, width - 3 - cell_len(right) - (1 if right else 0))
        name = set_cell_size(clean(name, unicode=self._unicode), room)
        base += self._style("shown") if row.id == self._shown else base
        if index == self._cursor:
            base += self._style("cursor") if self.has_focus else base
        tone = {"running": "running", "done": "done", "failed": "failed", "lost": "failed"}.get(
            row.state, "dim"
        )
        pointer = ">" if index == self._cursor and self.has_focus else " "
        segments = [
            Segment(pointer, base),
            Segment(f"{mark} ", self._style(tone) + base if index != self._cursor else base),
            Segment(name, base),
            Segment(f" {right}" if right else "", base),
        ]
        return Strip([s for s in segments if s.text]).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-list--{name}")

    def on_focus(self) -> None:
        """The cursor shows."""
        self._refresh_row(self._cursor)
        self._point()

    def on_blur(self) -> None:
        """The cursor hides."""
        self._refresh_row(self._cursor)

    # --- moving ---------------------------------------------------------------------------------------------

    def _point(self) -> None:
        if self.has_focus and self.current is not None:
            self.post_message(self.Pointed(self.current))

    def _go(self, index: int) -> None:
        index = max(0, min(index, len(self._rows) - 1))
        if index == self._cursor:
            return
        old, self._cursor = self._cursor, index
        self._refresh_row(old)
        self._refresh_row(index)
        self._point()
        top, height = self.scroll_offset.y, self.size.height
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self._go(self._cursor + lines)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by a page."""
        self._go(self._cursor + pages * max(1, self.size.height - 1))

    def _asked(self, what: str) -> None:
        row = self.current
        if row is not None:
            self.post_message(self.Asked(what, row))

    def action_open(self) -> None:
        """Look at the run."""
        self._asked("open")

    def action_parameters(self) -> None:
        """Make its parameters the form's."""
        self._asked("parameters")

    def action_resume(self) -> None:
        """Go on with it."""
        self._asked("resume")

    def action_remove(self) -> None:
        """Delete it."""
        self._asked("remove")

    def action_reorder(self, places: int) -> None:
        """Move it in the queue."""
        self._asked("earlier" if places < 0 else "later")

    def on_click(self, event: Click) -> None:
        """A click puts the cursor there; a second one opens."""
        index = event.y + self.scroll_offset.y
        if 0 <= index < len(self._rows):
            self._go(index)
            if event.chain > 1:
                self._asked("open")
