"""The command palette, for hasty fingers and tiny terminals."""

from __future__ import annotations

from textual.command import CommandList, CommandPalette

from tui_opt.tui.screens.dialog import Dialog


class Palette(CommandPalette, Dialog[None]):
    """Textual's palette, closed once, and whose list is only moved in where there is room for it."""

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)
