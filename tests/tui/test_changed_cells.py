"""What is sent for a repaint: the changed cells and nothing else, and the terminal shows the same screen."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import numpy as np
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Horizontal

from tui_opt.tui.changed_cells import only_changes
from tui_opt.tui.strips import text_strips
from tui_opt.tui.widgets.picture import Picture

WIDTH, HEIGHT = 40, 6
_CODE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|([^\x1b])")


class Sheet(App[None]):
    """Two pictures side by side, and the terminal that they are painted on."""

    CSS = "Picture { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.terminal = [[" "] * WIDTH for _ in range(HEIGHT)]
        self.sent = 0

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Picture(id="left")
            yield Picture(id="right")

    def _display(self, screen: Any, renderable: Any) -> None:
        renderable = only_changes(renderable)
        if hasattr(renderable, "render_segments"):
            self._write(renderable.render_segments(self.console))
        super()._display(screen, renderable)

    def _write(self, data: str) -> None:
        row = column = 0
        for numbers, command, char in _CODE.findall(data):
            if command == "H":
                row, column = (int(n) - 1 for n in numbers.split(";"))
            elif char == "\n":
                row, column = row + 1, 0
            elif char:
                self.terminal[row][column] = char
                column += 1
                self.sent += 1

    def seen(self) -> list[str]:
        return [strip.text for strip in self.screen._compositor.render_strips()]


def drawing(rng: np.random.Generator, old: list[str]) -> list[str]:
    """The same lines with a few other characters here and there."""
    cells = np.array([list(line) for line in old])
    changed = rng.random(cells.shape) < rng.choice([0.0, 0.01, 0.3])
    cells[changed] = rng.choice(list("⠿█x"), np.count_nonzero(changed))
    return ["".join(line) for line in cells]


def changes(before: list[str], after: list[str]) -> int:
    """Cells between the first and the last that differ, of all lines."""
    count = 0
    for old, new in zip(before, after, strict=True):
        differ = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        count += differ[-1] - differ[0] + 1 if differ else 0
    return count


def test_the_terminal_shows_the_screen_and_only_changes_were_sent() -> None:
    async def run() -> None:
        app = Sheet()
        rng = np.random.default_rng(4)
        shown = {name: [" " * (WIDTH // 2)] * HEIGHT for name in ("left", "right")}
        async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:

            async def show(name: str, lines: list[str]) -> None:
                app.sent = 0
                strips = text_strips([Text(line) for line in lines], WIDTH // 2)
                app.query_one(f"#{name}", Picture).show(strips)
                await pilot.pause()

            for name, lines in shown.items():
                await show(name, lines)
            for name in rng.choice(["left", "right"], 30):
                before = shown[name]
                shown[name] = drawing(rng, before)
                await show(name, shown[name])
                assert ["".join(line) for line in app.terminal] == app.seen()
                assert app.seen() == [a + b for a, b in zip(shown["left"], shown["right"], strict=True)]
                assert app.sent == changes(before, shown[name])

    asyncio.run(run())
