"""Strips of exact width from rich texts, and the regions in which two drawings differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.color import Color
from textual.filter import Monochrome
from textual.strip import Strip

from tui_opt.tui.strips import changed_regions, renderable_strips, text_strips

WIDTH = 12
BOLD = Style(bold=True)


def plain(*lines: str) -> list[Strip]:
    return text_strips([Text(line) for line in lines], WIDTH)


def test_texts_fill_the_width_and_keep_their_styles() -> None:
    strips = text_strips(
        [Text("dim", "dim").append("red", "red"), Text("whole", "bold"), Text("x" * 40)], WIDTH
    )
    assert [s.text for s in strips] == ["dimred      ", "whole       ", "x" * WIDTH]
    assert all(s.cell_length == WIDTH for s in strips)
    dim, red, blank = strips[0]
    assert (dim.style, red.style) == (Style(dim=True), Style(dim=True, color="red"))
    assert next(iter(strips[1])).style == BOLD
    assert blank.style == Style()


def test_every_segment_has_a_style_and_survives_monochrome() -> None:
    table = Table("a", "b", title="t")
    table.add_row("1", Text("two", "bold"))
    for strip in [*renderable_strips(table, WIDTH), *plain("", "x"), *text_strips([Text()], WIDTH)]:
        assert all(isinstance(segment.style, Style) for segment in strip)
        assert strip.cell_length == WIDTH
        Monochrome().apply(list(strip), Color(0, 0, 0))  # raises on a segment without a style


def test_neighbours_of_one_style_are_one_segment() -> None:
    (strip,) = text_strips([Text.assemble(*[("ab", "red")] * 3, "c")], 7)
    assert [s.text for s in strip] == ["ababab", "c"]


def test_same_drawings_differ_nowhere() -> None:
    old, new = plain("abc", "def"), plain("abc", "def")
    assert changed_regions(old, new, WIDTH) == []
    # Cut into segments differently, it is still the same drawing.
    cut = [Strip([Segment("a", Style()), Segment("bc" + " " * 9, Style())]), new[1]]
    assert changed_regions(old, cut, WIDTH) == []


def test_a_span_reaches_from_the_first_to_the_last_changed_cell() -> None:
    regions = changed_regions(plain("abcdef", "same"), plain("abXdeY", "same"), WIDTH)
    assert [tuple(r) for r in regions] == [(2, 0, 4, 1)]


def test_another_style_is_a_change() -> None:
    new = text_strips([Text.assemble("ab", ("c", "bold"), "d")], WIDTH)
    assert [tuple(r) for r in changed_regions(plain("abcd"), new, WIDTH)] == [(2, 0, 1, 1)]


def test_lines_that_come_and_go_and_wide_characters_differ_as_a_whole() -> None:
    assert [tuple(r) for r in changed_regions(plain("a"), plain("a", "b"), WIDTH)] == [(0, 1, WIDTH, 1)]
    assert [tuple(r) for r in changed_regions(plain("a", "b"), plain("a"), WIDTH)] == [(0, 1, WIDTH, 1)]
    assert [tuple(r) for r in changed_regions(plain("ab"), plain("a字"), WIDTH)] == [(0, 0, WIDTH, 1)]
    # A wide and a combining character add up to the right length with every cell in the wrong place.
    assert [tuple(r) for r in changed_regions(plain("字e\u0301"), plain("字e\u0302"), WIDTH)] == [
        (0, 0, WIDTH, 1)
    ]


LINE = st.text("ab ⠿", max_size=WIDTH)


@given(st.lists(st.tuples(LINE, LINE), max_size=5))
def test_painting_the_regions_gives_the_new_drawing(pairs: list[tuple[str, str]]) -> None:
    old, new = plain(*(a for a, _ in pairs)), plain(*(b for _, b in pairs))
    painted = [list(s.text) for s in old]
    for x, y, width, _ in changed_regions(old, new, WIDTH):
        painted[y][x : x + width] = new[y].text[x : x + width]
        assert old[y].text[x] != new[y].text[x]
        assert old[y].text[x + width - 1] != new[y].text[x + width - 1]
    assert ["".join(line) for line in painted] == [s.text for s in new]
