"""The ledger: every number whole, every verdict in words, within the width, also in ASCII."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len
from rich.console import Console

from tui_opt.expectations import Expectation, Outcome
from tui_opt.render.ledger import expected_text, ledger, measured_text

CLAIMS = [
    (
        "a.toml",
        Expectation(finding="p", value=0.8101095992, tolerance=1e-10, claimed=0.81, claim="A run of five."),
    ),
    (
        "a.toml",
        Expectation(
            finding="q", value=2.0, tolerance=0.1, verdict="corrected", claimed=3.0, note="Because ½."
        ),
    ),
    ("b.toml", Expectation(array="r", index=(1, 2), min=1.0, max=2.0, verdict="not-reproduced")),
]
ROWS = [
    ("a.toml", Outcome(CLAIMS[0][1], 0.81010959920, None, holds=True)),
    ("a.toml", Outcome(CLAIMS[1][1], 2.5, 0.03, holds=False)),
    ("b.toml", Outcome(CLAIMS[2][1], None, None, holds=False, why="There is no such array.")),
]


def printed(width: int, *, unicode: bool = True) -> list[str]:
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(ledger(ROWS, width, unicode=unicode))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 89, 90, 120, 160])
def test_nothing_is_cut(width):
    lines = printed(width)
    assert all(cell_len(line) <= width for line in lines)
    text = "\n".join(lines)
    for whole in (
        "a.toml",
        "b.toml",
        "0.8101095992",
        "2.500(30)",
        "not measured",
        "r[1,2]",
        "There is no such array.",
    ):
        assert whole in text
    assert text.count("✓ holds") == 1
    assert text.count("a.toml") == 1


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [1, 2, 12, 24, 40, 59, 89, 90])
def test_no_line_is_wider_than_asked_on_a_wider_screen(width, unicode):
    console = Console(width=200, color_system=None, highlight=False)
    rows = [(f"a/long/path/of/{source}", outcome) for source, outcome in ROWS]
    with console.capture() as capture:
        console.print(ledger(rows, width, unicode=unicode))
    assert max(map(cell_len, capture.get().splitlines())) <= width


def test_numbers_are_not_broken_at_their_thin_spaces():
    large = Expectation(finding="steps", value=12_345.0, claimed=12_345.0)
    shown = measured_text(Outcome(large, 12_345.0, None, holds=True))
    assert "\u202f" in shown
    for width in range(cell_len(shown) + 2, 60):
        console = Console(width=width, color_system=None, highlight=False)
        with console.capture() as capture:
            console.print(ledger([("", Outcome(large, 12_345.0, None, holds=True))], width))
        assert shown in capture.get()


@pytest.mark.parametrize("width", [70, 100])
def test_ascii_is_ascii(width):
    text = "\n".join(printed(width, unicode=False))
    assert text.isascii()
    assert "x does not hold" in text


def test_digits_reach_to_the_tolerance_and_no_further():
    tight = Expectation(finding="p", value=0.25, tolerance=1e-12)
    assert measured_text(Outcome(tight, 0.2500000000001, None, holds=True)) == "0.2500000000001"
    loose = Expectation(finding="p", value=0.25, tolerance=0.01)
    assert measured_text(Outcome(loose, 0.2500000000001, None, holds=True)) == "0.25"


def test_what_was_expected_in_words():
    assert expected_text(ROWS[0][1]) == "0.8101096 ± 1×10⁻¹⁰"
    assert expected_text(ROWS[2][1]) == "from 1 to 2"
    assert (
        expected_text(Outcome(Expectation(finding="p", value=math.nan), math.nan, None, holds=True))
        == "does not exist"
    )
