"""Results: what is written reads back, numbers that are not finite included."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tui_opt import figure
from tui_opt.figure import (
    Axis,
    Band,
    Density,
    Figure,
    Heatmap,
    Histogram,
    Line,
    Path,
    Ref,
    Rule,
    Scatter,
    resolve,
)
from tui_opt.result import Finding, Result, ResultDocument, Table

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.text(min_size=1, max_size=8)


def same(a: float | None, b: float | None) -> bool:
    return a == b or (a is not None and b is not None and math.isnan(a) and math.isnan(b))


def through_json(document: ResultDocument) -> ResultDocument:
    """Out and back by the way of `result.json`, and by that of partial results, which must agree."""
    text = json.dumps(document.model_dump(mode="json"), allow_nan=False)
    back = ResultDocument.model_validate(json.loads(text))
    assert (
        ResultDocument.model_validate_json(document.model_dump_json()).model_dump_json()
        == back.model_dump_json()
    )
    return back


@given(NAMES, NUMBERS, st.none() | NUMBERS, st.sampled_from(["finding", "accuracy", "warning"]), st.text())
def test_a_finding_reads_back_as_it_was(
    name: str, value: float, stderr: float | None, kind: Any, text: str
) -> None:
    finding = Finding(name=name, value=value, stderr=stderr, kind=kind, text=text, unit="s")
    (back,) = through_json(ResultDocument(findings=[finding])).findings
    assert same(back.value, finding.value)
    assert same(back.stderr, finding.stderr)
    assert (back.name, back.kind, back.text, back.unit) == (name, kind, text, "s")


@pytest.mark.parametrize(("value", "name"), [(math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan")])
def test_a_number_that_is_not_finite_is_null_with_its_name(value: float, name: str) -> None:
    document = Finding(name="x", value=value, text="t").model_dump(mode="json")
    assert document == {"name": "x", "value": None, "nonfinite": name, "text": "t"}


def test_a_table_reads_back_and_its_rows_must_fit() -> None:
    result = Result()
    result.add_table("t", ("a", "b"), [("x", 1), (None, 2.5), (True, "nan")], title="T")
    back = through_json(result.document()).tables["t"]
    assert back == result.tables["t"]
    assert [[type(c) for c in row] for row in back.rows] == [[str, int], [type(None), float], [bool, str]]
    result.add_table("bad", ("a",), [(math.nan,), (-math.inf,)])
    assert through_json(result.document()).tables["bad"].rows == (("nan",), ("-inf",))
    with pytest.raises(ValidationError):
        Table(columns=("a", "b"), rows=(("only one",),))


def every_layer() -> tuple[Any, ...]:
    x, y = Ref(array="x"), Ref(array="z", index=(None, 0))
    return (
        Line(x=x, y=y, label="l"),
        Path(x=x, y=(1.0, math.nan, 3.0)),
        Scatter(x=x, y=y, error=y),
        Band(x=x, low=y, high=y),
        Histogram(edges=x, counts=(1.0,)),
        Density(x=x, y=(1.0, 2.0), counts=Ref(array="n"), label="d"),
        Heatmap(x=x, y=x, z=Ref(array="z"), scale="log", diverging=True, unit="m", low=1.0, high=2.0),
        Rule(axis="x", value=0.5),
    )


def test_a_figure_of_every_layer_reads_back() -> None:
    axis = Axis(label="x", unit="s", scale="log", low=0.1)
    drawn = Figure(name="f", title="F", x=axis, layers=every_layer(), notes=("Something is missing.",))
    (back,) = through_json(ResultDocument(figures=[drawn])).figures
    assert repr(back) == repr(drawn)  # equal but for NaN, which is not equal to itself
    kinds = {layer.kind for layer in back.layers}
    everything = {cls.model_fields["kind"].default for cls in vars(figure).values() if _is_layer(cls)}
    assert kinds == everything


def test_what_figures_did_not_always_have_is_written_only_where_it_is_set() -> None:
    plain = Figure(name="f", title="F", layers=(Heatmap(x=(1.0,), y=(1.0,), z=Ref(array="z")),))
    written = plain.model_dump(mode="json")
    assert "notes" not in written
    assert not {"low", "high"} & set(written["layers"][0])
    assert {"low", "high"} <= set(written["x"])  # an axis always had them


def _is_layer(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, figure.Spec) and "kind" in cls.model_fields


@given(st.lists(NUMBERS, max_size=5), NUMBERS)
def test_numbers_inside_a_figure_are_written_as_json_knows_them(numbers: list[float], value: float) -> None:
    layers = (Line(x=tuple(numbers), y=tuple(numbers)), Rule(axis="y", value=value))
    (back,) = through_json(ResultDocument(figures=[Figure(name="f", title="", layers=layers)])).figures
    line = back.layers[0]
    assert isinstance(line, Line)
    assert isinstance(line.x, tuple)
    for a, b in zip(numbers, line.x, strict=True):
        assert a == b or (not math.isfinite(a) and math.isnan(b))


def test_misspelt_pieces_of_a_figure_are_refused() -> None:
    for wrong in ({"kind": "lines", "x": [], "y": []}, {"kind": "line", "x": [], "y": [], "colour": "red"}):
        with pytest.raises(ValidationError):
            Figure.model_validate({"name": "f", "title": "", "layers": [wrong]})


def test_a_reference_picks_and_keeps_dims() -> None:
    arrays = {"z": np.arange(6.0).reshape(2, 3)}
    assert resolve(Ref(array="z", index=(1,)), arrays).tolist() == [3.0, 4.0, 5.0]
    assert resolve(Ref(array="z", index=(None, 2)), arrays).tolist() == [2.0, 5.0]
    assert resolve(Ref(array="z"), arrays).shape == (2, 3)
    with pytest.raises(KeyError, match="'y'"):
        resolve(Ref(array="y"), arrays)


def test_a_result_is_put_together_again_from_document_and_arrays() -> None:
    result = Result(headline=["a"])
    result.add_finding("a", 1.0, "one")
    result.add_finding("w", 2.0, "outside its domain", kind="warning")
    result.add_missing("none", "there is no barrier", unit="m")
    result.add_array("x", np.array([1.0, np.nan]), ("x",), unit="s", text="times")
    result.warn("outside its domain")
    assert result.warnings == ["outside its domain"]
    back = Result.from_document(through_json(result.document()), result.values())
    assert list(back.findings) == ["a", "w", "none"]
    assert math.isnan(back.findings["none"].value)
    assert back.arrays["x"].dims == ("x",)
    assert (back.arrays["x"].unit, back.arrays["x"].text) == ("s", "times")
    assert (back.warnings, back.headline) == (result.warnings, ["a"])
    assert Result.from_document(result.document(), {}).arrays == {}


def test_an_array_needs_a_dim_for_every_axis() -> None:
    with pytest.raises(ValueError, match="2 axes but 1 dims"):
        Result().add_array("x", np.zeros((2, 2)), ("x",))
