"""Drafts: from defaults and files to checked files and back, with every problem under its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tui.sample import EXPERIMENT, REGISTRY, SCENARIO, SWEPT, TEXT
from tui_opt import scenario_file
from tui_opt.param_spec import ParamSpec
from tui_opt.problems import ParameterErrors
from tui_opt.scenario_file import read_file, read_text
from tui_opt.tui.draft import Draft, Feedback, Unread, expression_note

PRESETS = sorted(Path("scenarios").resolve().rglob("*.toml"))


@pytest.fixture(autouse=True, scope="module")
def _sample() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario_file, "registry", lambda: REGISTRY)
        yield


def fresh() -> Draft:
    return Draft.from_defaults(SCENARIO, EXPERIMENT)


def keys(draft: Draft) -> list[str]:
    return [problem.key for problem in draft.problems]


def sentence(name: str, text: str, entry: int | None = None, draft: Draft | None = None) -> str:
    found = (draft or fresh()).feedback(name, text, entry)
    return found.sentence if found else ""


def test_defaults_make_the_file_that_says_nothing() -> None:
    named = 'scenario = "sample"\nexperiment = "every-kind"\n'
    assert fresh().check() == read_text(named)
    assert all(fresh().is_default(name) for name in fresh().specs)


@pytest.mark.parametrize("text", [TEXT, SWEPT])
def test_a_file_comes_back_as_it_was(text: str) -> None:
    file = read_text(text)
    draft = Draft.from_file(file)
    assert draft.check() == file
    assert read_text(draft.to_toml()) == file
    assert draft.changed_from(file) == ()


def test_every_preset_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_opt import scenario

    monkeypatch.setattr(scenario_file, "registry", scenario.registry)
    assert PRESETS
    for path in PRESETS:
        file = read_file(path)
        draft = Draft.from_file(file)
        assert draft.check() == file
        for name in draft.specs:
            for entry in range(len(draft.values[name])) if draft.has_entries(name) else (None,):
                assert draft.typed(name, draft.text(name, entry), entry) == draft


def test_edits_make_new_drafts_and_leave_the_old_one() -> None:
    draft = fresh()
    edited = draft.typed("steps", "1e4").typed("temperature", "0.1, 0.2").typed("seed", "3")
    assert edited.check().params.plain()["steps"] == 10_000
    assert edited.check().params.plain()["temperature"] == [0.1, 0.2]
    assert edited.check().seed == 3
    assert draft == fresh()
    assert [name for name in edited.specs if not edited.is_default(name)] == ["temperature", "steps", "seed"]
    assert edited.reset() == draft
    assert edited.reset_value("seed").reset_value("steps").reset_value("temperature") == draft


def test_a_whole_number_is_a_real_one_where_reals_are_asked_for() -> None:
    assert type(fresh().value("left")) is float
    assert fresh().typed("left", "-1") == fresh()


def test_expectations_hold_for_the_parameters_they_came_with() -> None:
    file = read_text(TEXT)
    loaded = Draft.from_file(file)
    changed = loaded.typed("steps", "400")
    assert changed.check().expectations == ()
    assert changed.check().title == ""
    assert changed.changed_from(file) == ("steps",)
    assert changed.typed("steps", "300").check() == file
    assert loaded.typed("seed", "8").check().expectations == ()
    assert loaded.typed("device", "cpu").check().expectations == file.expectations
    assert loaded.typed("temperature", "0.01 .. 0.013 / 4").check() == file


def test_every_problem_is_there_at_once_under_its_field() -> None:
    draft = fresh().typed("temperature", "0.1, -1").typed("steps", "many").typed("losses", "W+V", 1)
    draft = draft.typed("left", "3").typed("seed", "-1").typed("device", "gpu")
    assert set(keys(draft)) == {"seed", "device", "losses[1]", "temperature[1]", "steps", "left"}
    assert draft.values["steps"] == Unread("many", "'many' is not a number.")
    with pytest.raises(ParameterErrors) as caught:
        draft.check()
    assert tuple(caught.value.problems) == draft.problems
    assert draft.has_problem("temperature")
    assert draft.has_problem("losses", 1)
    assert not draft.has_problem("losses", 0)
    assert not draft.has_problem("losses")
    assert draft.complaint("temperature") == Feedback("-1 must be above 0 and at most 10.")
    assert draft.complaint("left") == Feedback("Must be below right = 1.")
    assert draft.complaint("steps") == Feedback("'many' is not a number.")
    assert draft.text("steps") == "many"


def test_a_sweep_is_kept_until_it_is_dropped() -> None:
    draft = Draft.from_file(read_text(SWEPT))
    assert draft.sweep is not None
    assert draft.sweep.shape == (21, 2)
    one = draft.drop_axis("temperature")
    assert one.sweep is not None
    assert [axis.name for axis in one.sweep.axes] == ["seed"]
    assert one.drop_axis("seed").check() == fresh().check()
    assert "sweep" in one.changed_from(read_text(SWEPT))


def test_problems_of_a_sweep_stand_under_its_axis() -> None:
    draft = Draft.from_file(read_text(SWEPT))
    assert draft.sweep is not None
    axes = (type(draft.sweep.axes[0])("temperature", (0.1, -1.0)),)
    draft = Draft(SCENARIO, EXPERIMENT, draft.values, type(draft.sweep)(axes))
    assert keys(draft) == ["sweep.temperature[1]"]
    assert draft.has_problem("sweep.temperature")
    assert draft.complaint("sweep.temperature") is not None
    assert not draft.has_problem("temperature")


def test_expressions_are_added_and_removed_down_to_the_least() -> None:
    draft = fresh().add_entry("losses", 1, "W^4")
    assert draft.value("losses") == ("W^2", "W^4", "(W-1)^2")
    assert draft.remove_entry("losses", 1) == fresh()
    one = fresh().remove_entry("losses", 0)
    assert one.remove_entry("losses", 0) is one
    assert not draft.is_default("losses", 1)
    assert draft.is_default("losses", 0)
    assert draft.reset_value("losses", 2) is draft
    assert draft.reset_value("losses", 1).value("losses", 1) == "(W-1)^2"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("temperature", "0.5", ""),
        ("temperature", "0", "Must be above 0 and at most 10."),
        ("temperature", "0.1, 20", "20 must be above 0 and at most 10."),
        ("temperature", "[]", "Must not be an empty list"),
        ("start", "minimun", "'minimun' is not a number. Did you mean 'minimum'?"),
        ("steps", "2.5", "'2.5' is not a whole number."),
        ("method", "exakt", "Did you mean 'exact'?"),
        ("verbose", "maybe", "'maybe' is neither true nor false."),
        ("held_until", "", ""),
        ("held_until", "-1", "Must be at least 0."),
        ("left", "2", "Must be below right = 1."),
        ("right", "-2", "left must be below right = -2."),
        ("seed", "-1", "Must be at least 0"),
        ("device", "cuda:1", ""),
        ("device", "cuda:x", "Must be auto, cpu, cuda, or cuda:N"),
    ],
)  # fmt: skip
def test_what_is_typed_is_judged_in_a_sentence(name: str, text: str, said: str) -> None:
    found = sentence(name, text)
    assert said in found
    assert bool(found) == bool(said)
    assert "\n" not in found


def test_a_change_is_not_blamed_for_what_was_wrong_before() -> None:
    broken = fresh().typed("left", "3")
    assert sentence("steps", "5", draft=broken) == ""


@pytest.mark.parametrize(
    ("text", "said", "columns"),
    [
        ("exp(W", "This bracket is never closed", (3, 4)),
        ("1+sinn(W)", "Did you mean 'sin'?", (2, 6)),
        ("W*V", "the variable is W", (2, 3)),
        ("", "The expression is empty", (0, 0)),
    ],
)
def test_the_place_of_an_error_in_an_expression_is_known(
    text: str, said: str, columns: tuple[int, int]
) -> None:
    found = fresh().feedback("losses", text, 0)
    assert found is not None
    assert said in found.sentence
    assert (found.start, found.end) == columns
    assert "\n" not in found.sentence


def test_a_good_expression_gives_a_sign_of_life() -> None:
    spec = ParamSpec("losses", "expression", (), "Losses.", many=True, variables=("W", "V"))
    assert expression_note(spec, "W^2") == "ok, in W; d/dW = 2*W"
    assert expression_note(spec, "W*V") == "ok, in W, V"
    assert expression_note(spec, "2*pi") == "ok, a constant"
    assert expression_note(spec, "W+") == ""


@given(st.sampled_from(sorted(fresh().specs)), st.text(max_size=30))
@example("joint", "0")
def test_no_text_is_too_strange_to_type(name: str, text: str) -> None:
    draft = fresh()
    entry = 0 if draft.has_entries(name) else None
    typed = draft.typed(name, text, entry)
    said = draft.feedback(name, text, entry)
    wrong = typed.has_problem(name, entry) or typed.has_problem(
        name
    )  # a row of another length: the list's, not its own
    assert wrong == (said is not None and not said.sentence.startswith("left "))
    assert typed.typed(name, typed.text(name, entry), entry) == typed
    assert len(typed.shown(name, 12, entry)) <= 12
