"""Pictures and pages of lines: what they show, and that only what changed is painted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.geometry import Size
from textual.pilot import Pilot
from textual.strip import Strip

from tui_opt.tui.strips import text_strips
from tui_opt.tui.widgets.lines import Lines
from tui_opt.tui.widgets.picture import Picture

SIZE = (40, 12)


class Sheet(App[None]):
    """A picture over a page, and the bytes that each repaint would send."""

    CSS = "Picture { height: 4; }"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.asked: list[Size] = []

    def compose(self) -> ComposeResult:
        yield Picture()
        yield Lines()

    def on_picture_resized(self, event: Picture.Resized) -> None:
        self.asked.append(event.size)

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            self.sent.append(renderable.render_segments(self.console))
        super()._display(screen, renderable)

    def seen(self) -> list[str]:
        """The screen's lines."""
        return [strip.text for strip in self.screen._compositor.render_strips()]


def written(sent: str) -> str:
    """The characters of what is sent to a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", sent)


def strips(*lines: str, width: int = 40) -> list[Strip]:
    return text_strips([Text(line, "bold") for line in lines], width)


def in_app(check: Callable[[Sheet, Pilot[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Sheet()
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            await check(app, pilot)

    asyncio.run(run())


def test_a_picture_asks_for_a_drawing_and_keeps_the_old_one_until_it_comes() -> None:
    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        picture = app.query_one(Picture)
        assert app.asked == [Size(40, 4)]
        picture.show(strips("one", "two"))
        await pilot.pause()
        assert [line.rstrip() for line in app.seen()[:4]] == ["one", "two", "", ""]
        await pilot.resize_terminal(30, 12)
        assert app.asked[-1] == Size(30, 4)
        assert app.seen()[0].rstrip() == "one"
        picture.show(strips("three", "two", width=30))
        await pilot.pause()
        assert [line.rstrip() for line in app.seen()[:2]] == ["three", "two"]

    in_app(check)


def test_only_changed_cells_of_a_picture_are_painted() -> None:
    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        picture = app.query_one(Picture)
        picture.show(strips("a" * 40, "b" * 40, "c" * 40))
        await pilot.pause()
        app.sent.clear()
        picture.show(strips("a" * 40, "b" * 20 + "X" + "b" * 19, "c" * 40))
        await pilot.pause()
        (sent,) = app.sent
        # Textual begins a line at the widget's left edge; what is right of the change is not sent again.
        assert written(sent) == "b" * 20 + "X"
        assert app.seen()[1] == "b" * 20 + "X" + "b" * 19
        app.sent.clear()
        picture.show(strips("a" * 40, "b" * 20 + "X" + "b" * 19, "c" * 40))
        await pilot.pause()
        assert app.sent == []

    in_app(check)


def test_a_page_scrolls_and_paints_only_what_changed_in_sight() -> None:
    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        page = app.query_one(Lines)
        numbered = [f"line {i}" for i in range(50)]
        page.show(strips(*numbered))
        await pilot.pause()
        assert [line[:7].rstrip() for line in app.seen()[4:]] == [f"line {i}" for i in range(8)]
        page.scroll_page_down(animate=False)
        page.scroll_down(animate=False)
        await pilot.pause()
        top = page.scroll_offset.y
        assert top == 9
        assert [line[:7] for line in app.seen()[4:6]] == ["line 9 ", "line 10"]
        app.sent.clear()
        page.show(strips(*numbered[:10], "line 1Z", *numbered[11:]))
        await pilot.pause()
        (sent,) = app.sent
        assert written(sent) == "line 1Z"
        app.sent.clear()
        page.show(strips("out of sight", *numbered[1:10], "line 1Z", *numbered[11:]))
        await pilot.pause()
        assert app.sent == []
        assert page.scroll_offset.y == top
        page.scroll_end(animate=False)
        await pilot.pause()
        assert app.seen()[-1][:7] == "line 49"

    in_app(check)


def test_a_page_that_becomes_shorter_shows_its_end() -> None:
    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        page = app.query_one(Lines)
        page.show(strips(*(f"line {i}" for i in range(50))))
        await pilot.pause()
        page.scroll_end(animate=False)
        await pilot.pause()
        page.show(strips(*(f"new {i}" for i in range(20))))
        await pilot.pause()
        assert page.scroll_offset.y == 12
        assert [line.rstrip(" ▁▂▃▄▅▆▇█")[:6] for line in app.seen()[4:]] == [
            f"new {i}" for i in range(12, 20)
        ]
        page.show(strips("only"))
        await pilot.pause()
        assert [line.rstrip() for line in app.seen()[4:]] == ["only", *[""] * 7]

    in_app(check)


def test_the_wheel_scrolls_a_page() -> None:
    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        page = app.query_one(Lines)
        page.show(strips(*(f"line {i}" for i in range(50))))
        await pilot.pause()
        await pilot._post_mouse_events([MouseScrollDown], page, (3, 3))
        await pilot.pause()
        assert page.scroll_offset.y > 0

    in_app(check)


def test_without_colour_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def check(app: Sheet, pilot: Pilot[None]) -> None:
        app.query_one(Picture).show(strips("one"))
        app.query_one(Lines).show(strips("two"))
        await pilot.pause()
        assert app.seen()[0].rstrip() == "one"
        assert app.seen()[4].rstrip() == "two"

    in_app(check)
