"""The thread that draws: charts, tables and pages become strips there, and never on the interface's own thread."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui_opt.tui.letters import Drawn
from tui_opt.tui.mailbox import Mailbox

if TYPE_CHECKING:
    from textual.strip import Strip

Draw = Callable[[], "list[Strip]"]


class Drawer:
    """Draws one page after the other. Of several requests for one place only the newest is drawn.

    One thread, because plotext keeps one figure per process.

    Args:
        mailbox: where drawings go.
        failed: draws the sentence that stands for a page that could not be drawn.
    """

    def __init__(self, mailbox: Mailbox, failed: Callable[[str], list[Strip]]) -> None:
        self._mailbox = mailbox
        self._failed = failed
        self._wanted: dict[str, tuple[int, Draw]] = {}
        self._condition = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="drawing", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def close(self) -> None:
        """Draw no more."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def ask(self, place: str, ticket: int, draw: Draw) -> None:
        """Ask for a page; the drawing comes with its `ticket`, so that one that is out of date can be told."""
        with self._condition:
            self._wanted.pop(place, None)
            self._wanted[place] = (ticket, draw)
            self._condition.notify()

    def _next(self) -> tuple[str, int, Draw] | None:
        with self._condition:
            while not self._wanted and not self._closed:
                self._condition.wait()
            if self._closed:
                return None
            place = next(iter(self._wanted))
            return place, *self._wanted.pop(place)

    def _work(self) -> None:
        while (request := self._next()) is not None:
            place, ticket, draw = request
            try:
                strips = draw()
            except Exception:  # a page that cannot be drawn must not cost the others
                strips = self._failed(traceback.format_exc())
            self._mailbox.put(("drawn", place), Drawn(place, ticket, strips))
