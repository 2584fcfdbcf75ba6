"""What a whole frame costs a slow line: colours change as seldom as the picture lets them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from tui_opt.figure import Figure, Heatmap, Histogram, Line, Path, Ref
from tui_opt.render.palette import Colors
from tui_opt.render.terminal import figure_text

X = np.linspace(0, 1, 200)
ARRAYS = {
    "x": X,
    **{f"y{k}": np.sin(6 * X + k) + 0.05 * np.random.default_rng(k).standard_normal(200) for k in range(4)},
    "z": np.sin(5 * X)[None, :] * np.cos(7 * X)[:, None] + X[None, :],
}


def ref(name: str) -> Ref:
    return Ref(array=name)


def sent(text: Text, system: Literal["256", "truecolor"]) -> int:
    """Bytes of a text with its escape codes."""
    console = Console(width=120, color_system=system, force_terminal=True, legacy_windows=False, _environ={})
    with console.capture() as capture:
        console.print(text, end="", soft_wrap=True)
    return len(capture.get().encode())


def frame(*layers: Line | Heatmap | Histogram | Path, colors: Colors = "256") -> Text:
    figure = Figure(name="f", title="Title", layers=layers)
    return figure_text(figure, ARRAYS, width=120, height=40, colors=colors)


def test_a_frame_of_curves_is_at_most_14_kilobytes() -> None:
    curves = [Line(x=ref("x"), y=ref(f"y{k}"), label=f"series {k}") for k in range(4)]
    assert sent(frame(*curves), "256") <= 14_000


@pytest.mark.parametrize("colors", ["256", "truecolor"])
def test_a_frame_of_a_heatmap_is_at_most_45_kilobytes(colors: Literal["256", "truecolor"]) -> None:
    heat = Heatmap(x=ref("x"), y=ref("x"), z=ref("z"), label="loss")
    assert sent(frame(heat, colors=colors), colors) <= 45_000


def test_blanks_between_two_pieces_of_one_colour_are_no_change() -> None:
    text = frame(Line(x=(0, 1, 2), y=(0, 1, 0)))
    rows = [line for line in text.split("\n") if "⠊" in line.plain or "⡠" in line.plain or "⡔" in line.plain]
    assert rows
    for row in rows:
        assert len([s for s in row.spans if getattr(s.style, "color", None)]) == 1
