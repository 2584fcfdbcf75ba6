"""Whatever is typed, the app goes on: sequences of random keys and sizes, with workers that compute at once."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from tests.conftest import DROP, SCATTER
from tests.tui.driving import Driver, driving
from tui_opt.runner import workforce
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import claim, enqueue
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import read_file, read_text

SEQUENCES = 20
FEW_SEQUENCES = 8
LENGTH = 15
SIZES = [(120, 40), (80, 24), (200, 60), (40, 10), (5, 3)]
MOVES = [*"1234"] * 3 + ["up", "down", "left", "right", "enter", "tab", "escape", "space"] * 4
MOVES += [
    "shift+tab",
    "shift+up",
    "shift+down",
    "shift+left",
    "shift+right",
    "home",
    "end",
    "pageup",
    "pagedown",
]
WORK = [*"rxlkdsogyunz+-=[]?/.", "delete", "backspace", "f2", "f5", "insert", "ctrl+p"]
TYPED = [*"0123456789.,eEW()*^- abcpt"]


class AtOnce:
    """Workers that do no more than the cheapest runs, at once and in this process."""

    def __init__(self, store: Path, **settings: object) -> None:
        pass

    def ensure(self, lane: str) -> None:
        """Nobody is started."""

    def warm(self, scenario: str, experiment: str) -> None:
        """Nothing is imported."""

    def wake(self, lane: str, run: RunDirectory | None = None) -> None:
        """Carry the run out."""
        assert run is not None
        settled = plan(read_file(run.path / "scenario.toml"), threads=1)
        if settled.expected_seconds < 0.01 and settled.file.sweep is None and claim(run):
            execute(run, settled)

    def close(self) -> None:
        """Nobody is let go."""


def fill(store: Path) -> None:
    """Runs in several states."""
    for text in (DROP, SCATTER, SCATTER + "[params]\nfail_at = 3\n", DROP + "[params]\nheight = 1.0\n"):
        settled = plan(read_text(text), threads=1)
        execute(begin(settled, store), settled)
    enqueue(plan(read_text(SCATTER + "[params]\nseconds = 9.0\n")), store)
    store.joinpath("20260101T000000Z-toy-sgd-escape-aaaaaa").mkdir()


def sequence(pick: random.Random) -> list[str]:
    """Keys, and now and then another size."""
    keys = pick.choices([*MOVES, *WORK, *TYPED], k=LENGTH)
    return [key if pick.random() > 0.03 else "resize" for key in keys]


async def play(driver: Driver, pick: random.Random) -> None:
    """Type a sequence, in bursts that leave the app little time in between."""
    for key in sequence(pick):
        if driver.app._exit:
            return
        if key == "resize":
            await driver.pilot.resize_terminal(*pick.choice(SIZES))
            continue
        character = " " if key == "space" else key if len(key) == 1 else None
        driver.app.post_message(Key(key if character in (None, " ") else _character_to_key(key), character))
        if pick.random() < 0.5:
            await asyncio.sleep(0.01)
    await driver.pilot.pause()


@pytest.mark.parametrize(
    ("seed", "sequences"),
    [(0, FEW_SEQUENCES), *(pytest.param(seed, SEQUENCES, marks=pytest.mark.slow) for seed in range(30))],
)
def test_random_keys_do_not_end_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin_path: list[str], seed: int, sequences: int
) -> None:
    for name in ("HOME", "OPTEXPLORE_CONFIG_DIR", "OPTEXPLORE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setattr(workforce, "Workforce", AtOnce)
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "runs")

    async def main() -> None:
        pick = random.Random(seed)
        played = 0
        while played < sequences:
            async with driving(tmp_path / "runs", pick.choice(SIZES[:3])) as driver:
                while played < sequences and not driver.app._exit:
                    await play(driver, pick)
                    played += 1

    asyncio.run(main())
    trace = tmp_path / "OPTEXPLORE_CACHE_DIR" / "last-error.txt"
    assert not trace.exists(), trace.read_text()
    assert os.listdir(tmp_path / "runs")


def test_of_two_answers_in_one_breath_the_first_counts(tmp_path: Path) -> None:
    async def main() -> None:
        async with driving(tmp_path / "runs") as driver:
            for opening in ("question_mark", "o", "ctrl+p"):
                below = driver.app.screen
                await driver.press(opening)
                await driver.until(lambda below=below: driver.app.screen is not below)
                for _ in range(2):
                    driver.app.post_message(Key("escape", None))
                await driver.pilot.pause()
                assert driver.app.screen is below

    asyncio.run(main())
