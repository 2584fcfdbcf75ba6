"""The middle of the screen: tabs, and under them the chart with its findings, or a page of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from tui_opt.tui.widgets.lines import Lines
from tui_opt.tui.widgets.picture import Picture
from tui_opt.tui.widgets.tab_line import TabLine

CHART, FINDINGS, THEORY, DATA, LOG = "chart", "findings", "theory", "data", "log"
TABS = (CHART, FINDINGS, THEORY, DATA, LOG)
PICTURE_SECONDS = 1.0
"""How long a picture of a film is shown: a map is too much for a slow line to get one more often."""


class Stage(Vertical, can_focus=True):
    """Shows one tab; on the chart's, one figure. It knows no run: it says what is to be drawn, and shows that."""

    DEFAULT_CSS = """
    Stage { layout: vertical; }
    Stage > ContentSwitcher { height: 1fr; }
    Stage #chart { layout: vertical; }
    Stage Picture { height: 1fr; }
    Stage #facts { height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "tab(-1)", "tab", show=False, id="stage.previous_tab"),
        Binding("right", "tab(1)", "tab", show=False, id="stage.next_tab"),
        Binding("up", "scroll_page('up')", "scroll", show=False, id="stage.up"),
        Binding("down", "scroll_page('down')", "scroll", show=False, id="stage.down"),
        Binding("pageup", "scroll_page('page_up')", "scroll", show=False, id="stage.page_up"),
        Binding("pagedown,space", "scroll_page('page_down')", "scroll", show=False, id="stage.page_down"),
        Binding("home", "scroll_page('home')", "scroll", show=False, id="stage.home"),
        Binding("end", "scroll_page('end')", "scroll", show=False, id="stage.end"),
    ]

    @dataclass
    class Wanted(Message):
        """A page is in sight and must be drawn: the tab and figure changed, or its size did."""

        place: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.figure = 0
        self._figures: tuple[str, ...] = ()
        self._film: tuple[int, ...] = ()
        self._playing: Timer | None = None

    def compose(self) -> ComposeResult:
        yield TabLine([name.capitalize() for name in TABS], id="tabs")
        with ContentSwitcher(initial=CHART):
            with Vertical(id=CHART):
                yield TabLine(id="figures")
                yield Picture(id="picture")
                yield Picture(id="facts")
            for name in TABS[1:]:
                yield Lines(id=name)

    # --- what is in sight -----------------------------------------------------------------------------------

    @property
    def tab(self) -> str:
        """The tab in sight."""
        return self.query_one(ContentSwitcher).current or CHART

    def show_tab(self, name: str) -> None:
        """Bring a tab into sight."""
        self.query_one("#tabs", TabLine).choose(TABS.index(name))
        self.query_one(ContentSwitcher).current = name
        self.post_message(self.Wanted(name))

    def set_figures(self, titles: Sequence[str], film: Sequence[int] = ()) -> None:
        """The figures there are to choose from, and those that can be played, in order.

        The chosen one stays if it is still there.
        """
        titles, self._film = tuple(titles), tuple(film)
        if titles == self._figures:
            return
        self._stop()
        self._figures = titles
        self.figure = max(0, min(self.figure, len(titles) - 1))
        line = self.query_one("#figures", TabLine)
        line.set([f"{i} {title}" for i, title in enumerate(titles, 1)], self.figure)
        line.display = len(titles) > 1

    def turn_figure(self, figures: int) -> None:
        """Go to another figure, round at the ends."""
        self._stop()
        if self._figures:
            self._choose_figure((self.figure + figures) % len(self._figures))

    def play(self) -> bool:
        """Show one picture of the film after the other, from the one in sight or else from the first; or stop that.

        Returns: whether there is a film.
        """
        if self._playing is not None:
            self._stop()
        elif len(self._film) > 1:
            if self.figure not in self._film[:-1] or self.tab != CHART:
                self._choose_figure(self._film[0])
            self._playing = self.set_interval(PICTURE_SECONDS, self._play_on)
        return len(self._film) > 1

    def _play_on(self) -> None:
        if self.tab != CHART or self.figure not in self._film[:-1]:
            self._stop()
            return
        self._choose_figure(self._film[self._film.index(self.figure) + 1])
        if self.figure == self._film[-1]:
            self._stop()

    def _stop(self) -> None:
        if self._playing is not None:
            self._playing.stop()
            self._playing = None

    def _choose_figure(self, index: int) -> None:
        self.figure = index
        self.query_one("#figures", TabLine).choose(index)
        if self.tab == CHART:
            self.post_message(self.Wanted(CHART))
        else:
            self.show_tab(CHART)

    @property
    def chart_size(self) -> tuple[int, int]:
        """Columns and rows of the chart."""
        size = self.query_one("#picture", Picture).size
        return size.width, size.height

    @property
    def fact_lines(self) -> int:
        """Lines under the chart. Their number never changes with what they say, so that the chart does not jump."""
        return self.query_one("#facts", Picture).size.height

    def page_width(self, name: str) -> int:
        """Columns of a page of text, without its scroll bar; 0 where it has no place yet."""
        return max(0, self.query_one(f"#{name}", Lines).size.width - 1)

    # --- what is given to it --------------------------------------------------------------------------------

    def put_chart(self, strips: list[Strip]) -> None:
        """Show a chart."""
        self.query_one("#picture", Picture).show(strips)

    def put_facts(self, strips: list[Strip]) -> None:
        """Show the lines under the chart."""
        self.query_one("#facts", Picture).show(strips)

    def put_page(self, name: str, strips: list[Strip]) -> None:
        """Show a page of text."""
        self.query_one(f"#{name}", Lines).show(strips)

    # --- events ---------------------------------------------------------------------------------------------

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        """A tab or a figure was clicked."""
        event.stop()
        if event.line.id == "tabs":
            self.show_tab(TABS[event.index])
        else:
            self._stop()
            self._choose_figure(event.index)

    def on_picture_resized(self, event: Picture.Resized) -> None:
        """The chart has another size now."""
        event.stop()
        self.post_message(self.Wanted(CHART))

    def on_lines_resized(self, event: Lines.Resized) -> None:
        """A page has another width: when the terminal has, and when the page is first in sight."""
        event.stop()
        if event.lines.id == self.tab:
            self.post_message(self.Wanted(self.tab))

    def action_tab(self, tabs: int) -> None:
        """Go to another tab, round at the ends."""
        self.show_tab(TABS[(TABS.index(self.tab) + tabs) % len(TABS)])

    def action_scroll_page(self, how: str) -> None:
        """Scroll the page in sight; on the chart's tab, up and down go through the figures."""
        if self.tab == CHART:
            if how in ("up", "down"):
                self.turn_figure(-1 if how == "up" else 1)
            return
        getattr(self.query_one(f"#{self.tab}", Lines), f"scroll_{how}")(animate=False)
