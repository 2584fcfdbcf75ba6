"""Parameters that are tables of names with values, or rows of numbers."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from tests.tui.sample import EXPERIMENT, REGISTRY, SCENARIO
from tui_opt import scenario_file
from tui_opt.cli.catalogue import default_text, template
from tui_opt.cli.schema import file_schema, parameter_schema
from tui_opt.param_spec import is_name
from tui_opt.param_values import Table, as_lists, as_table
from tui_opt.params import Matrix, Numbers, Params, Texts, matrix, table
from tui_opt.problems import ParameterErrors
from tui_opt.scenario_file import ScenarioFileError, read_text
from tui_opt.tui.draft import Draft, Feedback, Unread
from tui_opt.tui.typed import UnreadableError, read_value, write_value


class Tables(Params):
    """One of every kind."""

    nodes: Texts = table({"a": "b-a", "b": "a*t"}, variables=("t",), help="Nodes.")
    weights: Numbers = table({"x": 1}, low=0, unit="kg", help="Weights.")
    moves: Texts = table({"high, hot": "off, hot"}, help="Moves.")
    joint: Matrix = matrix(((1, 0), (0, 1)), low=0, help="Joint law.")


@pytest.fixture(autouse=True)
def _sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_file, "registry", lambda: REGISTRY)


def fresh() -> Draft:
    return Draft.from_defaults(SCENARIO, EXPERIMENT)


# --- values ---------------------------------------------------------------------------------------------------


def test_tables_keep_their_order_and_do_not_change() -> None:
    made = Tables.check({"nodes": {"z": "a", "a": "z+t"}, "weights": {"x": 2, "y": 3.5}})
    assert isinstance(made.nodes, Table)
    assert made.nodes.names() == ("z", "a")
    assert dict(made.nodes) == {"z": "a", "a": "z+t"}
    assert dict(made.weights) == {"x": 2.0, "y": 3.5}
    assert type(dict(made.weights)["x"]) is float
    assert made.plain()["nodes"] == {"z": "a", "a": "z+t"}
    assert Tables.check(made.plain()) == made
    assert Tables() == Tables.check({})
    assert hash(made) == hash(Tables.check(made.plain()))


def test_rows_are_tuples_of_numbers() -> None:
    made = Tables.check({"joint": [[1, 2, 3]]})
    assert made.joint == ((1.0, 2.0, 3.0),)
    assert made.plain()["joint"] == [[1.0, 2.0, 3.0]]


def test_values_go_to_plain_ones_and_back() -> None:
    nested = as_table({"a": [1, [2]], "b": "x"})
    assert nested == (("a", (1, (2,))), ("b", "x"))
    assert as_lists(nested) == {"a": [1, [2]], "b": "x"}
    assert as_table({1: 2}) == {1: 2}


@pytest.mark.parametrize(
    ("name", "value", "key", "words"),
    [
        ("nodes", {"q": "z*2"}, "params.nodes.q", "'z' is not known here; the variables are q, t"),
        ("nodes", {"sin": "1"}, "params.nodes.sin", "'sin' is a function"),
        ("nodes", {"a-b": "1"}, "params.nodes.a-b", "cannot be a name"),
        ("nodes", {"a": 3}, "params.nodes.a", "must be an expression in a, t, not 3"),
        ("nodes", ["a"], "params.nodes", "must be a table of names, each with an expression in the names, t"),
        ("nodes", {}, "params.nodes", "needs at least 1 name"),
        ("weights", {"x": -1}, "params.weights.x", "must be a number at least 0, not -1"),
        ("weights", {"x": True}, "params.weights.x", "must be a number at least 0"),
        ("moves", {"a=b": "c"}, "params.moves.a=b", "has no ="),
        ("moves", {" ": "c"}, "params.moves. ", "not empty"),
        ("moves", "a", "params.moves", "a table of names, each with a text"),
        ("joint", [[1, 2], [3]], "params.joint", "rows of different lengths (2, 1)"),
        ("joint", [[1, 2], [3, -4]], "params.joint[1]", "must be a number at least 0, not -4"),
        ("joint", [], "params.joint", "must not be an empty list"),
        ("joint", [[], []], "params.joint[0]", "must not be an empty list"),
        ("joint", [1, 2], "params.joint[0]", "a list of numbers at least 0, not 1"),
        ("joint", {"a": [1]}, "params.joint", "rows of equal length"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(name: str, value: Any, key: str, words: str) -> None:
    with pytest.raises(ParameterErrors) as caught:
        Tables.check({name: value})
    problem = caught.value.problems[0]
    assert problem.key == key
    assert words in str(problem)


def test_names_are_those_that_expressions_can_have() -> None:
    assert [name for name in ("a", "x_1", "exp", "1a", "for", "e", "a b", "") if is_name(name)] == [
        "a",
        "x_1",
        "e",
    ]


# --- files ----------------------------------------------------------------------------------------------------

HEAD = 'scenario = "sample"\nexperiment = "every-kind"\n'


def test_a_file_comes_back_as_it_was() -> None:
    text = HEAD + '[params]\njoint = [[1, 0]]\n[params.nodes]\nb = "room"\nroom = "b"\n'
    file = read_text(text)
    assert dict(file.params.plain()["nodes"]) == {"b": "room", "room": "b"}
    assert read_text(file.to_toml()) == file
    assert file.label == "nodes × 2, joint × 1"


def test_an_override_sets_one_name_of_a_table_in_the_file() -> None:
    text = HEAD + '[params.nodes]\nb = "room"\nroom = "b"\n'
    file = read_text(text, overrides=["params.nodes.room=b*2"])
    assert file.params.plain()["nodes"] == {"b": "room", "room": "b*2"}
    with pytest.raises(ScenarioFileError, match=r"params\.nodes\.room: .*'c' is not known"):
        read_text(text, overrides=["params.nodes.room=c"])


def test_tables_and_rows_can_be_swept() -> None:
    text = HEAD + "[sweep]\nweights = [{a = 1}, {a = 2, b = 3}]\njoint = [[[1, 0]], [[0, 1]]]\n"
    file = read_text(text)
    assert file.sweep is not None
    points = [file.at_point(values).params.plain() for values in file.sweep.points()]
    assert [(p["weights"], p["joint"]) for p in points] == [
        ({"a": 1.0}, [[1.0, 0.0]]),
        ({"a": 1.0}, [[0.0, 1.0]]),
        ({"a": 2.0, "b": 3.0}, [[1.0, 0.0]]),
        ({"a": 2.0, "b": 3.0}, [[0.0, 1.0]]),
    ]
    assert read_text(file.to_toml()) == file
    with pytest.raises(ScenarioFileError, match=r"sweep\.weights\[1\]"):
        read_text(HEAD + "[sweep]\nweights = [{a = 1}, {a = -1}]\n")


def test_a_new_file_has_the_defaults_within_params() -> None:
    text = template(SCENARIO, EXPERIMENT)
    document = tomllib.loads(text)
    assert document["params"]["nodes"] == {"room": "room - heat", "heat": "room - t"}
    assert document["params"]["moves"] == {"high, hot": "off, hot"}
    assert document["params"]["joint"] == [[0.5, 0], [0, 0.5]]
    assert replace(read_text(text), source="") == read_text(HEAD)
    assert default_text(EXPERIMENT.params.specs()["weights"]) == '{"a": 1}'


def test_the_schema_says_what_is_allowed() -> None:
    properties = parameter_schema(EXPERIMENT)["properties"]
    assert properties["nodes"]["type"] == "object"
    assert properties["nodes"]["additionalProperties"] == {"type": "string"}
    assert properties["nodes"]["minProperties"] == 1
    assert properties["nodes"]["default"] == {"room": "room - heat", "heat": "room - t"}
    assert properties["weights"]["additionalProperties"] == {"type": "number", "minimum": 0}
    number = {"type": "number", "minimum": 0, "maximum": 1}
    row = {"type": "array", "items": number, "minItems": 1}
    assert properties["joint"].items() >= {"type": "array", "items": row, "minItems": 1}.items()
    swept = file_schema([(SCENARIO, EXPERIMENT)])["oneOf"][0]["properties"]["sweep"]["properties"]
    assert swept["joint"]["items"]["items"] == row  # a list of values, and no range


# --- drafts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "entry"), [("nodes", 0), ("moves", 0), ("weights", 0), ("joint", 1)])
def test_the_text_of_an_entry_typed_again_changes_nothing(name: str, entry: int) -> None:
    draft = fresh()
    assert draft.typed(name, draft.text(name, entry), entry) == draft
    spec = draft.spec(name, entry)
    value = draft.value(name, entry)
    assert read_value(spec, write_value(spec, value)) == value


def test_a_pair_is_typed_as_a_name_and_its_value() -> None:
    draft = fresh().typed("nodes", "room = heat*2", 0)
    assert draft.check().params.plain()["nodes"] == {"room": "heat*2", "heat": "room - t"}
    assert not draft.is_default("nodes", 0)
    assert draft.is_default("nodes", 1)
    assert draft.reset_value("nodes", 0) == fresh()
    assert draft.shown("nodes", 40, 0) == "room = heat*2"
    assert fresh().typed("weights", "a=2.5", 0).check().params.plain()["weights"] == {"a": 2.5}
    with pytest.raises(UnreadableError, match="A name, then = and its value"):
        read_value(draft.spec("weights", 0), "2.5")


def test_a_renamed_name_is_asked_for_elsewhere() -> None:
    draft = fresh().typed("nodes", "warm = warm - heat", 0)
    assert [p.key for p in draft.problems] == ["nodes[1]"]
    assert "'room' is not known" in str(draft.problems[0])
    assert draft.typed("nodes", "heat = warm - t", 1).problems == ()


def test_what_is_wrong_with_an_entry_stands_at_the_entry() -> None:
    draft = fresh().typed("nodes", "nonsense", 1)
    assert isinstance(draft.value("nodes", 1), Unread)
    assert draft.text("nodes", 1) == "nonsense"
    assert draft.has_problem("nodes", 1)
    assert draft.complaint("nodes", 1) == Feedback("A name, then = and its value are needed.")
    twice = fresh().typed("nodes", "room = 1", 1)
    assert [p.key for p in twice.problems] == ["nodes[1]"]
    assert "there twice" in str(twice.problems[0])
    row = fresh().typed("joint", "0.5, x", 1)
    assert [p.key for p in row.problems] == ["joint[1]"]
    high = fresh().typed("joint", "0.5, 2", 1)
    assert [p.key for p in high.problems] == ["joint[1]"]
    ragged = fresh().typed("joint", "0.5", 1)
    assert [p.key for p in ragged.problems] == ["joint"]
    negative = fresh().typed("weights", "a = -1", 0)
    assert [p.key for p in negative.problems] == ["weights[0]"]


def test_the_place_of_an_error_is_one_in_the_whole_text() -> None:
    text = "room = heat + hat"
    said = fresh().feedback("nodes", text, 0)
    assert said is not None
    assert said.start is not None
    assert text[said.start : said.end] == "hat"
    assert fresh().note("nodes", "room = 2*room", 0) == "ok, in room; d/droom = 2"
    assert fresh().note("weights", "a = 3", 0) == "ok: a name = number at least 0"
    assert fresh().feedback("nodes", "sin = 2", 0) is not None
    assert fresh().feedback("joint", "0.1, 0.9", 0) is None
    assert fresh().feedback("joint", "0.1, 9", 0) is not None


def test_entries_are_added_and_removed() -> None:
    draft = fresh().add_entry("nodes", 2, "third = heat")
    assert draft.check().params.plain()["nodes"] == {
        "room": "room - heat",
        "heat": "room - t",
        "third": "heat",
    }
    assert draft.remove_entry("nodes", 2) == fresh()
    assert fresh().remove_entry("moves", 0).check().params.plain()["moves"] == {}
    assert fresh().remove_entry("weights", 0) == fresh()
    rows = fresh().add_entry("joint", 0, "0, 0").check().params.plain()["joint"]
    assert rows == [[0, 0], [0.5, 0], [0, 0.5]]
