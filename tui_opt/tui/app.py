"""The app: its store, its themes and its screens. What happens on the main screen is that screen's business."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.screen import Screen
from textual.scrollbar import ScrollBar, ScrollBarRender

from tui_opt.traces import unexpected
from tui_opt.tui.changed_cells import only_changes
from tui_opt.tui.desk import Desk
from tui_opt.tui.keyboard import Keyboard
from tui_opt.tui.mailbox import Mailbox
from tui_opt.tui.screens.main import MainScreen
from tui_opt.tui.settings import DEFAULT_THEME, Keeper
from tui_opt.tui.terminal import Terminal, chart_colors
from tui_opt.tui.themes import THEMES
from tui_opt.tui.unicode import knows_unicode


class AsciiScrollBar(ScrollBarRender):
    """A scroll bar of blanks, whose ends are not smoothed by parts of a block."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


class Mail(Message):
    """Letters from background threads have arrived."""


class OptexploreApp(App[None]):
    """Explore the dynamics of optimization.

    Args:
        store: the folder of runs.
        processes: processes that a sweep is computed on.
    """

    TITLE = "optexplore"
    # The main screen's, which is there from the first frame: a default screen's own would not be read.
    CSS_PATH = "screens/main.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "quit", show=False, system=True, id="app.quit"),
        Binding("ctrl+c", "leave", "quit", show=False, system=True, id="app.interrupt"),
        Binding("ctrl+p", "command_palette", "command palette", show=False, system=True, id="app.palette"),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, system=True, id="app.suspend"),
    ]

    def __init__(self, store: Path, processes: int = 1) -> None:
        super().__init__()
        self.store = store
        self.terminal = Terminal(
            knows_unicode(), chart_colors(self.console.color_system, no_color=self.no_color)
        )
        self._keyboard = Keyboard(self, super().on_event)
        self.mailbox = Mailbox(lambda: self.post_message(Mail()))
        self.desk = Desk(store, processes, self.mailbox)
        self.settings = Keeper(lambda work: self.desk.soon(work))
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in self.available_themes else DEFAULT_THEME
        self._main = MainScreen(self.desk, self.mailbox, self.terminal, self.settings)

    def get_default_screen(self) -> MainScreen:
        """The main screen is there from the first frame."""
        return self._main

    async def on_event(self, event: Event) -> None:
        """Keys are handed out one by one."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._keyboard.take(event)
        else:
            await super().on_event(event)

    def on_mail(self) -> None:
        """Hand the letters to the main screen, whatever screen is on top."""
        if self._exit or not self.is_running:
            return  # the widgets are being taken down
        for letter in self.mailbox.take():
            self._main.receive(letter)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers beside experiments, presets and keys."""
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Leave; runs under way are asked about", self.action_leave)

    def on_mount(self) -> None:
        """Tell the styles what the terminal can show."""
        self.set_class(not self.terminal.unicode, "-ascii")
        if not self.terminal.unicode:
            ScrollBar.renderer = AsciiScrollBar

    def watch_theme(self, theme: str) -> None:
        """Remember the theme."""
        self.settings.theme = theme

    def action_command_palette(self) -> None:
        """Open the command palette."""
        from tui_opt.tui.screens.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_leave(self) -> None:
        """Leave; runs under way are asked about first."""
        self._main.leave()

    async def action_quit(self) -> None:
        """The command palette's word for it."""
        self.action_leave()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, only_changes(renderable))

    def _fatal_error(self) -> None:
        """An error nobody thought of ends the app with a sentence; Textual would print its traceback."""
        error = sys.exc_info()[1] or self._exception
        if error is not None:
            self._exit_renderables.append(Text(f"optexplore: {unexpected(error)}"))
        self._return_code = 1
        self._close_messages_no_wait()

    def on_unmount(self) -> None:
        """Let the workers go on alone."""
        if self._main.bench is not None:
            self._main.bench.close()
        self.desk.close()
        self.desk.join(2.0)
