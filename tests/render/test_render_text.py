"""Findings and tables: within their width, no number cut, verdicts in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable

from tui_opt.render.numbers import THIN_SPACE, format_number
from tui_opt.render.text import data_table, findings_table, format_finding
from tui_opt.render.wrap import clean, first_lines, shorten, wrap
from tui_opt.result import Finding, Result, Table


def printed(table: RichTable, width: int) -> list[str]:
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().split("\n")]


RESULT = Result()
RESULT.add_finding("escape_probability", 0.32482, "Leaving the pit within 1000 steps.")
RESULT.add_finding("mean_escape_steps", 2520.3, "Mean number of steps to escape.", unit="steps", stderr=18)
RESULT.add_missing("optimal_temperature", "There is no minimum to be reached here.")
RESULT.add_finding("kramers_steps", math.inf, "The barrier cannot be crossed.")
RESULT.add_finding("validity", 1.3, "The diffusion limit has left its domain.", kind="warning")


@pytest.mark.parametrize("width", [30, 44, 60, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_findings_keep_their_width_and_their_numbers(width: int, unicode: bool) -> None:
    lines = printed(findings_table(RESULT, width, unicode=unicode), 200)
    assert all(cell_len(line) <= width for line in lines)
    text = "\n".join(lines)
    steps = f"2{THIN_SPACE}520(18) steps" if unicode else "2520(18) steps"
    for whole in ("0.32482", steps, "does not exist", "infinite"):
        assert whole in text
    assert text.isascii() != unicode


def test_warnings_and_what_does_not_exist_are_said_in_words() -> None:
    text = " ".join(printed(findings_table(RESULT, 140), 140))
    assert "warning: The diffusion limit has left its domain." in text
    assert "There is no minimum to be reached here." in text


def test_nothing_found_is_an_empty_table() -> None:
    assert "".join(printed(findings_table(Result(), 80), 80)) == ""


@given(st.floats(), st.one_of(st.none(), st.floats(min_value=0)), st.integers(45, 120))
def test_every_value_is_printed_whole(value: float, stderr: float | None, width: int) -> None:
    finding = Finding(
        name="name", value=value, stderr=stderr, text="What it means in a sentence.", unit="bits"
    )
    table = findings_table(Result(findings={"name": finding}), width)
    lines = printed(table, width)
    assert format_finding(finding) in "\n".join(lines)


TABLE = Table(
    columns=("function", "w", "kind", "loss"),
    rows=(("L", 1.003127, "minimum of the pit", -0.86631), ("l0", 2520000, None, math.nan)),
    title="Stationary points",
)


@pytest.mark.parametrize("width", [18, 30, 40, 80])
def test_tables_keep_their_width_and_their_numbers(width: int) -> None:
    lines = printed(data_table(TABLE, width), 200)
    assert all(cell_len(line) <= width for line in lines)
    for whole in ("1.00313", "-0.86631", format_number(2520000), "nan"):
        assert whole in "\n".join(lines)


def test_columns_of_numbers_are_set_right() -> None:
    lines = printed(data_table(Table(columns=("n",), rows=((1,), (1000,))), 40), 40)
    assert lines[:3] == ["    n", "    1", f"1{THIN_SPACE}000"]


@given(st.text(), st.integers(1, 40), st.booleans())
def test_wrapped_text_fits_and_keeps_its_words(text: str, width: int, unicode: bool) -> None:
    cleaned = clean(text, unicode=unicode)
    lines = wrap(cleaned, width)
    widest = max((cell_len(c) for c in cleaned), default=1)
    assert all(cell_len(line) <= max(width, widest) for line in lines)
    assert "".join(lines).replace(" ", "") == cleaned.replace(" ", "")
    assert cell_len(shorten(cleaned, width)) <= max(width, widest)


def test_a_number_stays_on_one_line() -> None:
    assert wrap(f"about 2{THIN_SPACE}520 steps", 9) == ["about", f"2{THIN_SPACE}520", "steps"]


def test_cut_text_says_so() -> None:
    assert first_lines("one two three four", 9, 2) == ["one two", "three…"]
    assert first_lines("one two", 9, 2) == ["one two"]
    assert shorten("abc def", 6, unicode=False) == "abc..."


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert clean("a\x1b[31mb\tc\nd", unicode=True) == "a[31mb c d"
