"""The lines about the stage and the list of runs, on their own: what they show in whatever room they have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widget import Widget

from tui_opt.durations import duration
from tui_opt.store import RunRow
from tui_opt.tui.presets import read_presets
from tui_opt.tui.screens.files import completed
from tui_opt.tui.widgets.run_list import RunList, fact, order
from tui_opt.tui.widgets.status_line import MOST_LINES, StatusLine
from tui_opt.tui.widgets.tab_line import TabLine
from tui_opt.tui.words import home_relative, state_words


class One(App[None]):
    """One widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.heard: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.heard.append(event.index)

    def on_run_list_asked(self, event: RunList.Asked) -> None:
        self.heard.append((event.what, event.row.id))

    def lines(self) -> list[str]:
        rows = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in row).rstrip() for row in rows]


def see(widget: Widget, size: tuple[int, int], look: Callable[[One, object], Awaitable[None]]) -> None:
    async def main() -> None:
        app = One(widget)
        async with app.run_test(size=size) as pilot:
            await look(app, pilot)

    asyncio.run(main())


def row(name: str, state: str = "done", **changes: object) -> RunRow:
    made = RunRow(name, f"/store/{name}", "toy-sgd", "escape", state, 0.0, name, None, 0.4)
    return replace(made, **changes)


# --- tabs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(8, 60, 3))
def test_the_current_tab_is_always_whole(width: int) -> None:
    line = TabLine(["Chart", "Findings", "Theory", "Data", "Log"])

    async def look(app: One, pilot) -> None:
        for index in range(5):
            line.choose(index)
            await pilot.pause()
            text = app.lines()[0]
            assert len(text) <= width
            if width >= len(line.labels[index]) + 6:
                assert f"[{line.labels[index]}]" in text

    see(line, (width, 3), look)


def test_a_click_chooses_the_tab_under_it() -> None:
    line = TabLine(["Chart", "Findings", "Log"])

    async def look(app: One, pilot) -> None:
        text = app.lines()[0]
        await pilot.click(TabLine, offset=(text.index("Findings") + 2, 0))
        await pilot.click(TabLine, offset=(text.index("Log"), 0))
        await pilot.click(TabLine, offset=(len(text) + 8, 0))
        assert app.heard == [1, 2]

    see(line, (60, 3), look)


# --- the status line ----------------------------------------------------------------------------------------


def test_a_wrong_thing_is_said_until_it_is_read_and_in_full() -> None:
    line = StatusLine(unicode=True)

    async def look(app: One, pilot) -> None:
        line.show("toy-sgd › escape", "cpu 2 threads   1 running   runs ~/optexplore")
        await pilot.pause()
        assert "toy-sgd › escape" in app.lines()[0]
        assert app.lines()[0].endswith("1 running   runs ~/optexplore")
        line.say("The temperature must be a number above 0, not -1. " * 2 + "END", wrong=True)
        await pilot.pause()
        said = " ".join(app.lines()[: line.size.height])
        assert "END" in said
        assert "(esc)" in said
        line.say("something harmless")
        assert line.is_wrong
        line.say("word " * 500, wrong=True)
        await pilot.pause()
        assert line.size.height == MOST_LINES
        assert line.dismiss()
        assert not line.dismiss()
        await pilot.pause()
        assert line.size.height == 1

    see(line, (90, 8), look)


def test_parts_that_do_not_fit_are_left_out_whole() -> None:
    line = StatusLine(unicode=False)

    async def look(app: One, pilot) -> None:
        line.show("toy-sgd › escape", "cpu 2 threads   12 running   runs ~/optexplore")
        await pilot.pause()
        assert app.lines()[0].endswith("cpu 2 threads   12 running")
        assert app.lines()[0].isascii()

    see(line, (58, 2), look)


# --- runs ---------------------------------------------------------------------------------------------------


def test_running_ones_come_first_then_the_queue_in_its_order_then_the_newest() -> None:
    rows = [
        row("a"),
        row("b", "queued", order=2.0),
        row("c", "failed"),
        row("d", "running"),
        row("e", "queued", order=1.0),
    ]
    assert [r.id for r in order(rows)] == ["d", "e", "b", "c", "a"]


def test_what_is_told_of_a_run() -> None:
    assert fact(row("a", "running", progress=0.434, eta=12.2)) == "43% 12.2 s"
    assert fact(row("a", "running", progress=0.0)) == "0%"
    assert fact(row("a", elapsed=0.41)) == "0.4 s"
    assert fact(row("a", elapsed=None)) == ""
    assert fact(row("a", "lost")) == "lost"


def test_the_cursor_stays_on_its_run_and_only_changed_lines_are_painted() -> None:
    runs = RunList(unicode=True)
    rows = [row(f"run-{k:03d}") for k in range(300)]

    async def look(app: One, pilot) -> None:
        runs.load(rows)
        runs.focus()
        await pilot.press("down", "down", "down")
        chosen = runs.current
        assert chosen is not None
        assert chosen.id == "run-296"
        runs.load([*rows, row("run-300", "running")])
        assert runs.current == chosen
        await pilot.press("end")
        await pilot.pause()
        assert runs.current is not None
        assert runs.current.id == "run-000"
        assert app.lines()[-1].startswith(">")
        painted: list[object] = []
        runs.refresh = lambda *regions, **_: painted.extend(regions)  # type: ignore[method-assign,assignment]
        changed = [*rows[:5], replace(rows[5], elapsed=3.0), *rows[6:], row("run-300", "running")]
        runs.load(changed)
        runs.load(changed)
        assert [region.height for region in painted] == [1]  # type: ignore[attr-defined]
        await pilot.press("enter", "g", "delete", "shift+up", "shift+down", "equals_sign")
        asked = [what for what, _ in app.heard]  # type: ignore[misc]
        assert asked == ["open", "resume", "remove", "earlier", "later", "parameters"]

    see(runs, (40, 12), look)


def test_a_scroll_bar_covers_nothing_of_a_line() -> None:
    runs = RunList(unicode=True)

    async def look(app: One, pilot) -> None:
        runs.load([row(f"run-{k}", created="2026-03-04T05:06:07+00:00") for k in range(30)])
        await pilot.pause()
        bar = runs.vertical_scrollbar.size.width
        assert bar > 0
        whole = {line[: 80 - bar].rstrip()[-len("2026-03-04 05:06") :][:10] for line in app.lines()}
        assert whole == {"2026-03-04"}

    see(runs, (80, 8), look)


def test_an_empty_store_says_so_and_no_key_asks_anything() -> None:
    runs = RunList(unicode=True)

    async def look(app: One, pilot) -> None:
        runs.load([])
        runs.focus()
        await pilot.press("down", "enter", "delete", "pagedown", "home")
        assert app.heard == []
        assert app.lines()[0] == "no runs yet"

    see(runs, (30, 5), look)


# --- words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (0.044, "0.04 s"), (3.21, "3.2 s"), (9.96, "10.0 s"), (45.2, "45.2 s"), (59.97, "1:00"),
     (725, "12:05"),
     (3600 * 3 + 300, "3:05:00"), (3723, "1:02:03"), (4 * 86_400.0, "4 days"), (6.4e7, "741 days")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_expected_times_are_no_more_exact_than_an_estimate() -> None:
    assert state_words(0.003) == "0.1 s"
    assert state_words(1.234) == "1.2 s"
    assert state_words(75.0) == "1:15"


def test_paths_below_home_are_written_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_relative(tmp_path / "optexplore") == "~/optexplore"
    assert home_relative(Path("/elsewhere")) == "/elsewhere"


# --- files --------------------------------------------------------------------------------------------------


def test_presets_are_read_by_experiment_and_broken_files_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "toy-sgd"
    folder.mkdir()
    (folder / "a.toml").write_text('scenario = "toy-sgd"\nexperiment = "escape"\ntitle = "First"\n')
    (folder / "b.toml").write_text('scenario = "toy-sgd"\nexperiment = "escape"\n')
    (folder / "c.toml").write_text('scenario = "other"\nexperiment = "escape"\n')
    (folder / "d.toml").write_text("not = [toml")
    found = read_presets(tmp_path, ["toy-sgd", "lorenz"])
    assert {key: [p.title for p in presets] for key, presets in found.items()} == {
        ("toy-sgd", "escape"): ["First", "b"]
    }


def test_paths_are_completed_to_folders_and_scenario_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "mine.toml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    assert completed("in") == "inner/"
    assert completed("inner/m") == "inner/mine.toml"
    assert completed("no") is None
    assert completed("inner/mine.toml") is None
    assert completed("nowhere/x") is None
    assert completed(f"{tmp_path}/in") == f"{tmp_path}/inner/"
