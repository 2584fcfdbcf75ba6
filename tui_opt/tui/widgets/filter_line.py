"""The line into which the words of the tree's filter are typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.widgets import Input


class FilterLine(Input):
    """Words that the tree's entries must have. Escape takes the filter away."""

    DEFAULT_CSS = """
    FilterLine { height: 1; border: none; padding: 0 1; background: $panel; }
    FilterLine:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "take the filter away", show=False, id="filter.close"),
        Binding("down", "submit", "to the tree", show=False, id="filter.down"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="filter", compact=True, id=id)
        self.cursor_blink = False

    def on_resize(self) -> None:
        """Keep the cursor in sight, and before it as much as there is room for."""
        self.scroll_to(x=0, animate=False, force=True, immediate=True)
        self.scroll_to_region(
            Region(self.cursor_position, 0, 1, 1), animate=False, force=True, immediate=True
        )

    async def action_close(self) -> None:
        """Take the filter away, and this line with it."""
        self.value = ""
        self.screen.set_focus(self.screen.query_one("#tree"))
        await self.remove()
