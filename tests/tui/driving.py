"""The app under a pilot: press keys, and wait until something stands on the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tui_opt.tui.app import OptexploreApp
from tui_opt.tui.screens.main import MainScreen
from tui_opt.tui.workbench import Workbench

PATIENCE = 120.0


class Driver:
    """An app that runs without a terminal."""

    def __init__(self, app: OptexploreApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def main(self) -> MainScreen:
        return self.app._main

    @property
    def bench(self) -> Workbench:
        assert self.main.bench is not None
        return self.main.bench

    @property
    def text(self) -> str:
        """What stands on the screen."""
        rows = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in row) for row in rows)

    def said_in(self, selector: str) -> str:
        """What stands in a part of the screen, as one line however it was broken."""
        part = self.main.query_one(selector).region
        rows = [row[part.x : part.right] for row in self.text.split("\n")[part.y : part.bottom]]
        return " ".join(" ".join(rows).replace("│", " ").split())

    def type(self, *keys: str) -> None:
        """Keys in one breath, without waiting for what they do; a word of several letters is a key by its name."""
        for key in keys:
            single = len(key) == 1
            self.app.post_message(Key(_character_to_key(key) if single else key, key if single else None))

    async def press(self, *keys: str) -> None:
        """Press keys in one breath, and wait until all is done: one by one, the screen is drawn after each."""
        self.type(*keys[:-1])
        await self.pilot.press(keys[-1])

    async def until(self, condition: Callable[[], object] | str) -> None:
        """Wait until a text stands on the screen, or a condition holds."""
        holds = (lambda: condition in self.text) if isinstance(condition, str) else condition
        deadline = time.monotonic() + PATIENCE
        began = time.process_time()
        while not holds():
            assert time.monotonic() < deadline, f"{condition} did not come true:\n{self.text}"
            await asyncio.sleep(
                max(0.02, 4 * (time.process_time() - began))
            )  # looking is a fifth of the work
            began = time.process_time()

    async def open(self, scenario: str, experiment: str) -> None:
        """Open an experiment by the filter, as one who knows its name does."""
        await self.press("slash", *f"{scenario} {experiment}".replace(" ", " "))
        await self.press("enter")
        await self.until(lambda: self.main.query_one("#tree").has_focus)
        await self.press("enter")
        await self.until(
            lambda: self.bench.draft is not None and self.bench.draft.experiment.name == experiment
        )


@asynccontextmanager
async def driving(store: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Driver]:
    """The app on a store, fully mounted."""
    app = OptexploreApp(store)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.main.bench is not None and driver.main.presets)
        yield driver
        app.desk.close()
        app.desk.join(10.0)
