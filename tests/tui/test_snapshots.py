"""Screens as they were looked at and found good: SVG pictures, of an app in which time stands still.

After a deliberate change: UPDATE_SNAPSHOTS=1 python -m pytest tests/tui/test_snapshots.py, and look at what changed.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.tui.driving import Driver
from tests.tui.still import ROWS, RUN, StillDesk, drive_still
from tui_opt.tui.widgets.run_list import order

SNAPSHOTS = Path(__file__).parent / "snapshots"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
PLACE = [row.id for row in order(ROWS)].index(RUN)
PINNED = re.search(r"^textual==(.+)$", CONSTRAINTS.read_text(), re.MULTILINE)

pytestmark = pytest.mark.skipif(
    PINNED is None or PINNED[1] != version("textual"),
    reason="the pictures were taken with the Textual of constraints.txt",
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("OPTEXPLORE_CONFIG_DIR", str(tmp_path))


async def compare(d: Driver, name: str) -> None:
    """The screen settles into the picture: what is debounced or drawn in a thread arrives late on a busy machine."""
    await d.pilot.pause(0.2)
    path = SNAPSHOTS / f"{name}.svg"
    svg = d.app.export_screenshot(title=name, simplify=True)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    expected, attempts = path.read_text(encoding="utf-8"), 0
    while svg != expected and attempts < 50:
        attempts += 1
        await d.pilot.pause(0.1)
        svg = d.app.export_screenshot(title=name, simplify=True)
    assert svg == expected, f"{name} looks different: compare with {path}"


async def open_done_run(d: Driver) -> None:
    await d.press("4", *["down"] * PLACE, "enter")
    await d.until("Probability of leaving the pit")
    await d.until("done in")


def test_first_minute_small() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await compare(d, "first-minute-80x24")

    drive_still(flow, (80, 24))


def test_chart_and_form() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.open("toy-sgd", "escape")
        await open_done_run(d)
        await d.press("3", "down", "down")
        await compare(d, "chart-120x40")

    drive_still(flow)


def test_running_heatmap_small() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.open("toy-sgd", "escape")
        await d.press("r")
        await d.until("to go")
        await d.press("right_square_bracket")
        await d.until("density")
        await d.pilot.pause(1.2)  # a partial heatmap is drawn once a second
        await compare(d, "heatmap-80x24")

    drive_still(flow, (80, 24))


def test_findings() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await open_done_run(d)
        await d.press("right")
        await d.until("probability of escape")
        await compare(d, "findings-80x24")

    drive_still(flow, (80, 24))


def test_an_expression_with_an_error() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.open("toy-sgd", "landscape")
        await d.press("enter", "end", *"+ exq(W)")
        await d.until("mean 'exp'?")
        await compare(d, "expression-80x24")

    drive_still(flow, (80, 24))


def test_runs() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.press("4")
        await compare(d, "runs-80x24")

    drive_still(flow, (80, 24))


def test_help() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.press("question_mark")
        await d.until("Everywhere")
        await compare(d, "help-80x24")

    drive_still(flow, (80, 24))


def test_quit_dialog() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        desk.started = {"e": "toy-sgd escape", "c": "toy-sgd escape", "a": "toy-sgd trajectory"}
        await d.press("q")
        await d.until("under way")
        await compare(d, "quit-80x24")

    drive_still(flow, (80, 24))


def test_without_colour_and_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("OPTEXPLORE_ASCII", "1")

    async def flow(d: Driver, desk: StillDesk) -> None:
        await open_done_run(d)
        assert {char for char in d.text if not char.isascii()} == set()
        await compare(d, "ascii-no-color-100x30")

    drive_still(flow, (100, 30))
