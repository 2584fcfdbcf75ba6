"""Keys that arrive together, as over a slow line, do what they would do one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from tests.tui.driving import Driver, driving
from tui_opt.tui import keyboard


def type_at_once(driver: Driver, *keys: str) -> None:
    """Type keys without waiting for what they do; a word of several letters is a key by its name."""
    for key in keys:
        single = len(key) == 1
        driver.app.post_message(Key(_character_to_key(key) if single else key, key if single else None))


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTEXPLORE_CONFIG_DIR", str(tmp_path / "config"))


def test_a_way_through_the_app_in_one_breath(tmp_path: Path) -> None:
    async def main() -> None:
        async with driving(tmp_path / "runs") as driver:
            type_at_once(driver, "l", "/", *"escape-law", "enter", "enter", "3", "home")
            type_at_once(driver, "enter", *" + foo", *["backspace"] * 3, *"W^2", "enter")
            await driver.until("W^2")
            await driver.until(lambda: not driver.bench.live)
            await driver.pilot.pause()
            draft = driver.bench.draft
            assert draft is not None
            assert draft.experiment.name == "escape-law"
            assert draft.value("losses")[0] == "-exp(-(W-2)^2) + W^2"

    asyncio.run(main())


def test_letters_typed_with_the_filters_key_are_no_commands(tmp_path: Path) -> None:
    async def main() -> None:
        async with driving(tmp_path / "runs") as driver:
            type_at_once(driver, "/", *"qqlx")
            await driver.until(
                lambda: driver.app.focused is not None and driver.app.focused.id == "filter-line"
            )
            await driver.until(lambda: driver.app.focused.value == "qqlx")  # type: ignore[union-attr]
            assert not driver.app._exit
            assert driver.bench.live

    asyncio.run(main())


def test_letters_wait_while_the_screen_is_busy(tmp_path: Path) -> None:
    """A letter that went ahead of the filter's key would go to the tree, and be lost."""

    async def main() -> None:
        async with driving(tmp_path / "runs") as driver:
            driver.main.call_later(asyncio.sleep, 0.8)
            type_at_once(driver, "/", *"toy")
            await driver.until(
                lambda: driver.app.focused is not None and driver.app.focused.id == "filter-line"
            )
            await driver.until(lambda: driver.app.focused.value.endswith("oy"))  # type: ignore[union-attr]
            assert driver.app.focused.value == "toy"  # type: ignore[union-attr]

    asyncio.run(main())


def test_a_key_is_not_held_up_by_a_widget_that_was_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all the patience there is, one that waited for a widget that is gone would never be handed out."""
    monkeypatch.setattr(keyboard, "PATIENCE", 1e6)

    async def main() -> None:
        async with driving(tmp_path / "runs") as driver:
            for _ in range(3):
                type_at_once(driver, "/", "a", "escape", "?", "escape", "o", "escape", "4")
            await driver.until(lambda: driver.app.focused is not None and driver.app.focused.id == "runs")

    asyncio.run(main())
