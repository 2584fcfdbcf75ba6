"""The form, at the keyboard and with the mouse: what it does to its draft, and what stands on the screen."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.sample import EXPERIMENT, REGISTRY, SCENARIO, SWEPT, TEXT
from tui_opt import scenario_file
from tui_opt.scenario_file import read_text
from tui_opt.tui.draft import Draft
from tui_opt.tui.widgets.field import Field, note_about
from tui_opt.tui.widgets.form import Form
from tui_opt.tui.widgets.form_rows import ASCII, UNICODE, Row, fitted, pieces, role_at, rows_of
from tui_opt.tui.widgets.form_view import FormView


@pytest.fixture(autouse=True, scope="module")
def _sample() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario_file, "registry", lambda: REGISTRY)
        patch.setenv("LC_ALL", "C.UTF-8")
        yield


def fresh() -> Draft:
    return Draft.from_defaults(SCENARIO, EXPERIMENT)


class Harness(App[None]):
    """A form over a row of buttons."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.start = draft
        self.changes: list[Draft] = []

    def compose(self) -> ComposeResult:
        yield Form(self.start)
        yield Static("[ Run ]", id="run", markup=False)

    def on_mount(self) -> None:
        self.form.focus()

    def on_form_changed(self, message: Form.Changed) -> None:
        self.changes.append(message.draft)

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    @property
    def draft(self) -> Draft:
        assert self.form.draft is not None
        return self.form.draft

    def lines(self) -> list[str]:
        rows = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in row) for row in rows]

    def line(self, start: str) -> str:
        return next(line for line in self.lines() if line[2:].startswith(start))


Play = Callable[[Pilot[None], Harness], Awaitable[None]]


def play(scene: Play, draft: Draft | None = None, size: tuple[int, int] = (40, 30)) -> Harness:
    app = Harness(draft or fresh())

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await scene(pilot, app)

    asyncio.run(run())
    return app


async def type_text(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*("space" if c == " " else c for c in text))
    await pilot.pause()
    await pilot.pause()  # the note follows when the field has scrolled


# --- rows as data -------------------------------------------------------------------------------------------


def test_rows_stand_by_group_then_seed_and_device_then_the_sweep() -> None:
    rows = rows_of(Draft.from_file(read_text(SWEPT)), groups=True)
    assert [row.name for row in rows if row.kind == "group"] == [
        "system", "question", "range", "parameters", "tables", "run", "sweep",
    ]  # fmt: skip
    assert [row.name for row in rows[:5]] == ["system", "losses", "losses", "losses", "temperature"]
    assert [row.name for row in rows[-5:]] == ["seed", "device", "sweep", "temperature", "seed"]
    assert rows_of(fresh(), groups=False)[0] == Row("list", "losses")


@pytest.mark.parametrize("width", [26, 28, 34, 46, 60, 80])
@pytest.mark.parametrize("signs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_a_row_fits_its_width_and_ascii_ones_are_ascii(width: int, signs: Any) -> None:
    draft = Draft.from_file(read_text(SWEPT)).typed("losses", "exp(" * 30, 0).typed("start", "x" * 90)
    draft = draft.typed("steps", "1000000").put("left", -1.23456789012345e-300)
    for row in rows_of(draft, groups=True):
        for current in (False, True):
            text = "".join(text for text, _ in pieces(draft, row, width, current=current, signs=signs))
            assert len(text) <= width
            assert signs is UNICODE or text.isascii()


def test_signs_tell_what_is_current_changed_or_wrong_without_colour() -> None:
    draft = fresh().typed("steps", "300").typed("left", "x")
    drawn = {
        row.name: "".join(t for t, _ in pieces(draft, row, 40, current=row.name == "steps"))
        for row in rows_of(draft, groups=False)
    }
    assert drawn["steps"] == "›◆steps         ◂ 300 ▸"
    assert drawn["left"] == " !left          x"
    assert drawn["right"] == "  right         1 W"
    assert drawn["temperature"] == "  temperature T 0.02 K"


def test_the_mouse_finds_the_arrows_where_they_are_drawn() -> None:
    found = pieces(fresh(), Row("value", "steps"), 40, current=True)
    text = "".join(text for text, _ in found)
    assert role_at(found, text.index("◂")) == "lower"
    assert role_at(found, text.index("▸")) == "higher"
    assert role_at(found, text.index("100")) == "value"
    assert role_at(found, 39) == "space"


def test_help_is_wrapped_and_its_end_is_marked_where_it_does_not_fit() -> None:
    assert fitted("one two three four", 9, 2) == ["one two", "three…"]
    assert fitted("one two", 9, 2) == ["one two"]
    assert fitted("one two three", 7, 1) == ["one tw…"]
    assert fitted("one", 9, 0) == []


@pytest.mark.parametrize("text", ["W^2", "W+V", "exp(W", "", "W" * 200 + "+V"])
def test_a_note_has_always_as_many_lines_and_its_carets_stand_under_the_error(text: str) -> None:
    row = Row("entry", "losses", 0)
    lines = note_about(fresh(), row, text, width=30, column=4)
    assert len(lines) == 3
    assert all(len(line) <= 30 for line, _ in lines)
    if text == "W+V":
        assert lines[0][0] == "      ^"
    if text == "W^2":
        assert lines[1] == (" ok, in W; d/dW = 2*W", "note")
    assert len(note_about(fresh(), Row("value", "steps"), text, width=30, column=10)) == 2


# --- at the keyboard ----------------------------------------------------------------------------------------


def test_arrows_step_and_steps_of_a_row_are_undone_together() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("steps")
        await pilot.press("right", "right")
        assert app.draft.value("steps") == 200
        assert "◂ 200 ▸" in app.line("steps")
        await pilot.press("shift+right", "left")
        assert app.draft.value("steps") == 1500
        assert [d.value("steps") for d in app.changes] == [150, 200, 2000, 1500]
        app.form.go_to("temperature")
        await pilot.press("left")
        assert app.draft.value("temperature") == 0.015
        await pilot.press("u")
        assert app.draft.value("temperature") == 0.02
        assert app.draft.value("steps") == 1500
        await pilot.press("u")
        assert app.draft == fresh()
        await pilot.press("u")
        assert app.changes[-1] == fresh()
        await pilot.press("right", "backspace")
        assert app.draft == fresh()

    play(scene)


def test_enter_types_a_value_enter_takes_it_and_escape_does_not() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("temperature")
        await pilot.press("x")  # letters belong to the app
        assert not app.form.is_editing
        await pilot.press("enter")
        assert app.form.is_editing
        await type_text(pilot, "0.01 .. 0.02 / 3")
        await pilot.press("enter")
        assert app.draft.value("temperature") == (0.01, 0.015, 0.02)
        assert not app.form.is_editing
        assert app.query_one(FormView).has_focus
        await pilot.press("f2")
        assert app.query_one(Field).value == "0.01, 0.015, 0.02"
        await type_text(pilot, "7")
        await pilot.press("escape")
        assert app.draft.value("temperature") == (0.01, 0.015, 0.02)
        assert len(app.changes) == 1
        await pilot.press("enter", "5", "down")
        assert app.draft.value("temperature") == 5.0
        assert app.form.current == Row("value", "steps")

    play(scene)


def test_keys_that_arrive_in_one_go_lose_nothing() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        for key in ("down", "down", "down", "enter", "1", "2", "5"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        await pilot.press("enter")
        assert app.draft.value("steps") == 125
        app.form.go_to("losses", 1)
        for key in ("plus", "W"):
            app.post_message(events.Key(key, key if len(key) == 1 else "+"))
        await pilot.pause()
        await pilot.press("enter")
        assert app.draft.value("losses") == ("W^2", "(W-1)^2", "W")

    play(scene)


def test_the_cursor_goes_through_all_rows_and_to_what_is_wrong() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        names = []
        for _ in range(19):
            assert app.form.current is not None
            names.append(app.form.current.name)
            await pilot.press("down")
        assert names[:4] == ["losses", "losses", "temperature", "steps"]
        assert names[4:9] == ["start", "method", "models", "left", "right"]
        assert names[9:11] == ["verbose", "held_until"]
        assert names[11:17] == ["nodes", "nodes", "moves", "weights", "joint", "joint"]
        assert names[17:] == ["seed", "device"]
        assert app.form.current == Row("value", "device")
        assert not app.form.go_to_problem()
        app.form.show(app.draft.typed("right", "-3"))
        assert app.form.go_to_problem()
        assert app.form.current == Row("value", "left")

    play(scene)


def test_names_and_rows_are_edited_added_and_removed_one_by_one() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("nodes", 1)
        assert "room - t" in app.line("1 heat")
        await pilot.press("enter")
        await type_text(pilot, "+c")
        assert any("'c' is not known" in line for line in app.lines())
        await pilot.press("backspace")
        await type_text(pilot, "heat")
        await pilot.press("enter")
        assert app.draft.check().params.plain()["nodes"]["heat"] == "room - t+heat"
        await pilot.press("plus")
        await type_text(pilot, "third = heat/2")
        await pilot.press("enter")
        assert app.form.current == Row("entry", "nodes", 2)
        assert app.draft.check().params.plain()["nodes"]["third"] == "heat/2"
        await pilot.press("plus")
        await type_text(pilot, "nonsense")
        assert any("A name, then = and its value" in line for line in app.lines())
        await pilot.press("escape")
        assert app.form.current == Row("entry", "nodes", 2)
        await pilot.press("minus")
        assert list(app.draft.check().params.plain()["nodes"]) == ["room", "heat"]
        app.form.go_to("joint", 0)
        await pilot.press("enter", "ctrl+u")
        await type_text(pilot, "0.25, 0.25")
        await pilot.press("enter")
        assert app.draft.check().params.plain()["joint"] == [[0.25, 0.25], [0.0, 0.5]]
        await pilot.press("backspace")
        assert app.draft.is_default("joint", 0)

    play(scene, size=(60, 44))


def test_what_is_wrong_is_said_while_typing_and_stays_marked() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("steps")
        await pilot.press("enter")
        await type_text(pilot, "2.5")
        below = app.lines()[app.lines().index(app.line("steps")) + 1]
        assert "! '2.5' is not a whole number." in below
        await pilot.press("enter")
        assert app.changes[-1].has_problem("steps")
        assert app.line("steps").startswith("›!steps")
        assert any(line.startswith("! '2.5' is not a whole number.") for line in app.lines())
        await pilot.press("u")
        assert app.draft == fresh()

    play(scene)


def test_expressions_are_marked_added_and_removed() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        assert app.form.current == Row("entry", "losses", 0)
        await pilot.press("enter")
        await type_text(pilot, "+V")
        lines = app.lines()
        typed = next(i for i, line in enumerate(lines) if "W^2+V" in line)
        assert lines[typed + 1].index("^") == lines[typed].index("V")
        await pilot.press("escape", "plus")
        assert app.form.current == Row("entry", "losses", 1)
        await pilot.press("escape")
        assert app.draft == fresh()
        await pilot.press("home", "plus")
        await type_text(pilot, "W^4")
        await pilot.press("enter")
        assert app.draft.value("losses") == ("W^2", "W^4", "(W-1)^2")
        assert app.form.current == Row("entry", "losses", 1)
        await pilot.press("delete", "minus", "minus")
        assert app.draft.value("losses") == ("W^2",)
        await pilot.pause()
        assert any("needs at least 1 expression" in line for line in app.lines())
        await pilot.press("u", "u")
        assert app.draft.value("losses") == ("W^2", "W^4", "(W-1)^2")

    play(scene)


def test_enter_goes_through_choices_and_flags_and_types_devices() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("method")
        await pilot.press("enter", "enter", "left")
        assert app.draft.value("method") == "sampled"
        app.form.go_to("verbose")
        await pilot.press("enter")
        assert app.draft.value("verbose") is True
        app.form.go_to("device")
        await pilot.press("enter")
        await type_text(pilot, "cuda:1")
        await pilot.press("enter")
        assert app.draft.value("device") == "cuda:1"

    play(scene)


def test_a_list_of_choices_is_typed() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("models")
        await pilot.press("enter", "ctrl+u")
        await type_text(pilot, "fine")
        await pilot.press("enter")
        assert app.draft.value("models") == ("fine",)
        await pilot.press("right")
        assert app.draft.value("models") == ("coarse",)
        await pilot.press("enter", "ctrl+u")
        await type_text(pilot, "fine, finer")
        await pilot.press("enter")
        await pilot.pause()
        assert any("not 'finer'. Did you mean" in line for line in app.lines())
        await pilot.press("enter", "ctrl+u", "enter")
        await pilot.pause()
        assert any("Needs at least 1 choice" in line for line in app.lines())

    play(scene, size=(60, 30))


def test_delete_ends_a_sweep() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        assert "swept" in app.line("temperature")
        await pilot.press("end", "up")
        assert app.form.current == Row("axis", "temperature")
        assert any("× 21" in line for line in app.lines())
        await pilot.press("delete")
        assert app.draft.sweep is not None
        assert [axis.name for axis in app.draft.sweep.axes] == ["seed"]
        app.form.go_to("seed")
        await pilot.press("enter", "delete")
        assert app.draft.sweep is None

    play(scene, Draft.from_file(read_text(SWEPT)))


def test_another_draft_keeps_the_row_and_can_be_undone_and_defaults_come_back() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("steps")
        preset = Draft.from_file(read_text(TEXT))
        app.form.show(preset)
        assert app.form.current == Row("value", "steps")
        assert app.changes == []
        await pilot.press("right")
        assert app.draft.check().expectations == ()
        await pilot.press("u")
        assert app.draft.check().expectations != ()
        await pilot.press("u")
        assert app.draft == fresh()
        app.form.show(preset)
        app.form.reset()
        assert app.draft == fresh()
        app.form.show(None)
        await pilot.press("right", "enter", "plus", "delete", "backspace", "u", "down")
        assert app.form.draft is None

    play(scene)


# --- on the screen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(26, 9), (34, 14), (80, 20)])
def test_the_form_scrolls_inside_itself_and_leaves_the_buttons_alone(size: tuple[int, int]) -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        for key in ("end", "up", "up"):
            await pilot.press(key)
            await pilot.pause()
            assert any(line.startswith("›") for line in app.lines())
        app.form.go_to("right")
        await pilot.press("enter")
        await type_text(pilot, "x")
        lines = app.lines()
        assert lines[-1].startswith("[ Run ]")
        typed = next(i for i, line in enumerate(lines) if line.startswith("›"))
        assert "x" in lines[typed]
        assert "! 'x' is not a number." in lines[typed + 1]
        assert all(len(line) == size[0] for line in lines)
        await pilot.press("escape", "home")
        await pilot.pause()
        assert any("losses" in line for line in app.lines())

    play(scene, size=size)


def test_the_mouse_selects_steps_and_edits() -> None:
    async def scene(pilot: Pilot[None], app: Harness) -> None:
        async def click(mark: str, times: int = 1) -> None:
            line = app.line("steps")
            where = (line.index(mark), app.lines().index(line))
            await pilot.click(offset=where, times=times)
            await pilot.pause()

        await click("100")
        assert app.form.current == Row("value", "steps")
        assert app.changes == []
        await click("▸")
        assert app.draft.value("steps") == 150
        await click("◂")
        assert app.draft.value("steps") == 100
        await click("100", times=2)
        assert app.form.is_editing
        await type_text(pilot, "7")
        await pilot.click(offset=(4, app.lines().index(app.line("left"))))
        await pilot.pause()
        assert app.draft.value("steps") == 7
        assert app.form.current == Row("value", "left")

    play(scene)


def test_ascii_terminals_get_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTEXPLORE_ASCII", "1")

    async def scene(pilot: Pilot[None], app: Harness) -> None:
        app.form.go_to("steps")
        await pilot.press("right")
        assert "< 150 >" in app.line("steps")
        assert all(line.isascii() for line in app.lines())

    play(scene)


def test_the_form_imports_no_numerical_library() -> None:
    heavy = {"numpy", "scipy", "numba", "torch", "matplotlib", "plotext"}
    code = f"import sys, tui_opt.tui.widgets.form; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
