"""What importing costs: nothing heavy until something is drawn, and no matplotlib unless a file is."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "plotext", "matplotlib", "scipy", "numba", "torch", "textual")


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_importing_the_package_and_its_text_loads_nothing_heavy() -> None:
    assert (
        loaded_after("import tui_opt.render, tui_opt.render.text\ntui_opt.render.format_number(1.5)") == set()
    )


def test_drawing_for_a_terminal_loads_plotext_only_when_it_draws() -> None:
    assert loaded_after("import tui_opt.render.terminal") == {"numpy"}
    draw = (
        "from tui_opt.figure import Figure, Line\nfrom tui_opt.render import figure_text\n"
        "figure_text(Figure(name='f', title='t', layers=(Line(x=(0, 1), y=(0, 1)),)), {}, width=40, height=10)"
    )
    assert loaded_after(draw) == {"numpy", "plotext"}


def test_without_matplotlib_the_terminal_works_and_files_are_refused_in_a_sentence() -> None:
    script = """
import sys
sys.modules["matplotlib"] = None
from tui_opt.figure import Figure, Line
from tui_opt.render import RenderError, figure_text, save_figure
figure = Figure(name="f", title="t", layers=(Line(x=(0, 1), y=(0, 1)),))
assert "t" in figure_text(figure, {}, width=40, height=10).plain
try:
    save_figure(figure, {}, "never.png")
except RenderError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'optexplore[image]'" in found.stdout


def test_an_unknown_name_is_an_attribute_error() -> None:
    import tui_opt.render

    with pytest.raises(AttributeError, match="no attribute 'figure_txt'"):
        _ = tui_opt.render.figure_txt
    assert "figure_text" in dir(tui_opt.render)
