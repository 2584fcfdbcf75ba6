"""The flows of the app, each with real workers and a real store: open, run, watch, cancel, keep, attach, resume."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.tui.conftest import GATED, Gate
from tests.tui.driving import Driver, driving
from tests.tui.still import StillDesk, drive_still
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import read_file, read_text
from tui_opt.store import Store
from tui_opt.tui.widgets.run_list import RunList
from tui_opt.tui.widgets.stage import Stage

SCATTER = (
    'scenario = "bouncing-ball"\nexperiment = "scatter"\n'
    "[params]\nseconds = {seconds}\nblocks = 40\nballs = 400\n"
)
DROP = 'scenario = "bouncing-ball"\nexperiment = "drop"\ntitle = "One drop"\n[params]\nheight = 1.0\n'


@pytest.fixture(autouse=True)
def _processes(monkeypatch: pytest.MonkeyPatch, plugin_path: list[str], tmp_path: Path) -> None:
    """Workers see the example plugin; settings and saved files are the test's own."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*plugin_path, str(root)]))
    monkeypatch.setenv("OPTEXPLORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)


Flow = Callable[[Driver], Awaitable[None]]


def drive(store: Path, flow: Flow, size: tuple[int, int] = (120, 40)) -> None:
    async def main() -> None:
        async with driving(store, size) as driver:
            await flow(driver)

    asyncio.run(main())


def test_a_cheap_experiment_runs_live_steps_and_is_kept(tmp_path: Path) -> None:
    async def flow(d: Driver) -> None:
        await d.open("bouncing-ball", "drop")
        await d.until("done (live)")
        await d.until("Peak heights")
        first = d.bench.view
        assert first is not None
        assert first.live
        assert first.result is not None
        await d.press("down")  # from the heights, which are several, to what steps
        before = d.bench.draft
        await d.press("right")
        assert d.bench.draft is not before
        await d.until(lambda: d.bench.view is not None and d.bench.view.run.path != first.run.path)
        await d.until(lambda: d.bench.view is not None and d.bench.view.final)
        assert Store(tmp_path / "runs").rows() == []
        await d.press("k")
        await d.until("Kept as")
        await d.until(lambda: len(Store(tmp_path / "runs").rows()) == 1)

    drive(tmp_path / "runs", flow)
    (row,) = Store(tmp_path / "runs").rows()
    assert row.state == "done"
    assert RunDirectory(Path(row.run_dir)).result().arrays["peak"].values.size


def test_a_run_streams_is_cancelled_and_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    (tmp_path / "slow.toml").write_text(SCATTER.format(seconds=60))

    async def flow(d: Driver) -> None:
        await d.press("o", *"slow.toml")
        await d.press("enter")
        await d.until(lambda: d.bench.draft is not None and d.bench.draft.experiment.name == "scatter")
        await d.press("r")
        await d.until(lambda: d.bench.view is not None and d.bench.view.result is not None)
        assert d.bench.view is not None
        assert not d.bench.view.final
        await d.until("Rest times")
        await d.until("to go")
        await d.press("x")
        await d.until(lambda: d.bench.view is not None and d.bench.view.state == "cancelled")
        await d.press("4")
        await d.press("g")
        await d.until(lambda: d.bench.view is not None and d.bench.view.state in ("queued", "running"))
        await d.press("x")
        runs = d.main.query_one(RunList)
        await d.until(lambda: runs.current is not None and runs.current.state == "cancelled")
        await d.press("delete")
        await d.until("Delete ")
        await d.press("y")
        await d.until(lambda: Store(store).rows() == [])

    drive(store, flow)


def test_a_run_of_somebody_else_is_found_shown_and_its_parameters_taken(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    settled = plan(read_text(DROP), threads=1)
    assert execute(begin(settled, store), settled).state == "done"

    async def flow(d: Driver) -> None:
        await d.until(lambda: d.main.query_one(RunList).current is not None)
        await d.press("4", "enter")
        await d.until("Peak heights")
        assert d.main.query_one("#stage").has_focus
        await d.press("right")
        await d.until("rest_time")
        await d.until("4.06371")  # (1 + 0.8) / (1 - 0.8) * sqrt(2 / 9.81)
        await d.press("right")
        await d.until("A ball")
        await d.press("right")
        await d.until("peak")
        await d.press("right")
        await d.until("The run has said nothing.")
        await d.press("4", "equals_sign")
        await d.until(lambda: d.bench.draft is not None and d.bench.draft.title == "One drop")
        assert d.bench.draft is not None
        assert d.bench.draft.value("height") == 1.0

    drive(store, flow)


def test_a_form_is_saved_and_opened_again(tmp_path: Path) -> None:
    async def flow(d: Driver) -> None:
        await d.open("bouncing-ball", "drop")
        await d.press("down", "right")
        changed = d.bench.draft
        assert changed is not None
        await d.press("s")
        await d.until("Save the form")
        await d.press("enter")
        await d.until("Saved as")
        await d.press("d")
        assert d.bench.draft is not None
        assert d.bench.draft.values != changed.values
        await d.press("o", *"drop.toml", "enter")
        await d.until(lambda: d.bench.draft is not None and d.bench.draft.values == changed.values)
        await d.press("s", "enter")
        await d.until("exists; press enter again")
        await d.press("escape")

    drive(tmp_path / "runs", flow)
    assert read_file(tmp_path / "drop.toml").experiment.name == "drop"


def test_wrong_input_is_a_sentence_and_no_run(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('scenario = "toy-sgd"\nexperiment = "escap"\n')

    async def flow(d: Driver) -> None:
        await d.press("r")
        await d.until("Pick an experiment first")
        await d.press("x")
        await d.until("Nothing is running here")
        await d.press("o", *"bad.toml", "enter")
        await d.until("Did you mean 'escape'?")
        await d.press("escape")
        await d.press("o", *"none.toml", "enter")
        await d.until("There is no file")
        await d.press("escape")
        await d.open("toy-sgd", "landscape")
        await d.press("enter")
        await d.press("home", *["delete"] * 20, *"exp(W", "enter")
        await d.press("escape", "r")
        assert Store(tmp_path / "runs").rows() == []

    drive(tmp_path / "runs", flow)


def test_quitting_asks_only_where_runs_are_under_way_and_leaves_them(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "runs"
    monkeypatch.setenv("PYTHONPATH", gate.seen_from(os.environ["PYTHONPATH"]))
    (tmp_path / "slow.toml").write_text(GATED)

    async def flow(d: Driver) -> None:
        await d.press("o", *"slow.toml", "enter")
        await d.until(lambda: d.bench.draft is not None)
        await d.press("r")
        await d.until(lambda: d.bench.view is not None and d.bench.view.state == "running")
        await d.until(lambda: d.app.desk.active_of_ours())
        await d.press("q")
        await d.until("under way")
        await d.press("s")
        await d.until(lambda: "under way" not in d.text)
        await d.press("q", "l")
        await d.until(lambda: d.app._exit)

    drive(store, flow)

    async def again(d: Driver) -> None:
        # A new app finds the run under way and shows it without being asked.
        await d.until(lambda: d.bench.view is not None and d.bench.view.result is not None)
        assert d.bench.view is not None
        assert d.bench.view.state == "running"
        gate.open()
        await d.until(lambda: d.bench.view is not None and d.bench.view.state == "done")
        await d.press("q")
        await d.until(lambda: d.app._exit)

    drive(store, again)
    assert [row.state for row in Store(store).rows()] == ["done"]


def test_one_pane_at_a_time_in_a_small_terminal(tmp_path: Path) -> None:
    async def flow(d: Driver) -> None:
        assert d.main.narrow
        await d.open("bouncing-ball", "drop")
        assert "restitution" in d.text
        assert "Scenarios" not in d.text
        await d.press("2")
        await d.until("Peak heights")
        assert "restitution" not in d.text
        await d.press("4")
        assert "no runs yet" in d.text
        await d.press("1")
        assert "bouncing-ball" in d.text
        for line in d.text.split("\n"):
            assert len(line) <= 80
        await d.press("question_mark")
        await d.until("Everywhere")
        await d.press("escape")
        await d.pilot.resize_terminal(130, 45)
        await d.until(lambda: not d.main.narrow)
        await d.until(lambda: "restitution" in d.text and "Scenarios" in d.text)

    drive(tmp_path / "runs", flow, size=(80, 24))


def test_tabs_figures_and_zoom(tmp_path: Path) -> None:
    async def flow(d: Driver) -> None:
        await d.open("toy-sgd", "landscape")
        await d.until("stationary points")
        stage = d.main.query_one(Stage)
        await d.press("right_square_bracket")
        assert stage.figure == 1
        await d.until("Mean gradient G")
        await d.press("left_square_bracket")
        assert stage.figure == 0
        await d.press("z")
        await d.until(lambda: "Parameters" not in d.text and "system" not in d.text)
        await d.press("3")
        await d.until(lambda: "system" in d.text)

    drive(tmp_path / "runs", flow)


def test_pictures_over_time_are_played_once_and_stopped_by_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_opt.tui.widgets.stage.PICTURE_SECONDS", 0.05)

    async def flow(d: Driver) -> None:
        await d.open("toy-sgd", "landscape")
        await d.until("stationary points")
        await d.press("a")
        await d.until("no pictures over time")
        stage, seen = d.main.query_one(Stage), list[int]()
        choose = stage._choose_figure
        monkeypatch.setattr(stage, "_choose_figure", lambda figure: (seen.append(figure), choose(figure)))
        stage.set_figures(["now", "first", "other", "second"], film=[1, 3, 0])
        stage.turn_figure(2)
        seen.clear()
        await d.press("a")
        await d.until(lambda: stage.figure == 0)
        await d.pilot.pause(0.2)
        assert seen == [1, 3, 0]
        stage.turn_figure(1)
        monkeypatch.setattr("tui_opt.tui.widgets.stage.PICTURE_SECONDS", 60.0)
        for stop in ("a", "right_square_bracket"):
            await d.press("a")
            assert stage._playing is not None
            await d.press(stop)
            assert stage._playing is None

    drive(tmp_path / "runs", flow)


def test_live_mode_and_theme_are_remembered(tmp_path: Path) -> None:
    async def flow(d: Driver) -> None:
        await d.press("l")
        await d.until("Live mode is off")
        await d.open("bouncing-ball", "drop")
        await d.until("~0.1 s")
        assert d.bench.view is None
        d.app.theme = "optexplore-light"

    async def again(d: Driver) -> None:
        assert d.app.theme == "optexplore-light"
        assert not d.bench.live

    drive(tmp_path / "runs", flow)
    drive(tmp_path / "runs", again)


def test_the_palette_opens_an_experiment() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.press("ctrl+p")
        await d.until("Search for commands")
        await d.press(*"escape-law")
        await d.until("toy-sgd escape-law")
        await d.press("down", "enter")
        await d.until(lambda: d.bench.draft is not None and d.bench.draft.experiment.name == "escape-law")

    drive_still(flow)


def test_the_filter_goes_to_the_experiment_it_names_wherever_the_cursor_was() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        for name in ("escape-law", "escape"):  # "escape" fits both, and a typed part of it others
            await d.press("slash", *name, "enter", "enter")
            await d.until(
                lambda name=name: d.bench.draft is not None and d.bench.draft.experiment.name == name
            )
            await d.press("slash", "escape")

    drive_still(flow)


def test_a_store_that_cannot_be_read_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def flow(d: Driver) -> None:
        await d.until("cannot be read")
        await d.press("escape")
        await d.until(lambda: "cannot be read" not in d.text)
        await asyncio.sleep(0.8)
        assert "cannot be read" not in d.text
        await d.open("bouncing-ball", "drop")
        await d.press("r")
        await d.until("cannot be written")

    drive(tmp_path / "file", flow)


def test_an_error_nobody_thought_of_ends_the_app_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(tmp_path / "cache"))
    said = []

    async def flow(d: Driver) -> None:
        def broken() -> None:
            raise RuntimeError("never thought of")

        monkeypatch.setattr(d.bench, "run", broken)
        await d.press("r")
        said.extend(str(renderable) for renderable in d.app._exit_renderables)

    with pytest.raises(RuntimeError, match="never thought of"):  # the pilot raises it again
        drive(tmp_path / "runs", flow)
    assert len(said) == 1
    assert said[0].startswith("optexplore: something unexpected went wrong (RuntimeError: never thought of).")
    assert "Traceback" in (tmp_path / "cache" / "last-error.txt").read_text()
