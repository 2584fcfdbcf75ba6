"""Layers of a figure drawn on a canvas of terminal cells, and how they are told apart there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.cells import cell_len

from tui_opt.render.canvas import BLANK, Canvas, Cells
from tui_opt.render.palette import ASCII_MARKS, LINE_MARKS, POINT_MARKS, Colors, series_color
from tui_opt.render.reduce import bins, column_extremes, path_counts, point_counts
from tui_opt.render.wrap import clean

if TYPE_CHECKING:
    from tui_opt.figure import Rule
    from tui_opt.render.reduce import Floats
    from tui_opt.render.scene import Drawn, Scale, Scene

_SLOTS = 42  # colours and marks have repeated by then
RULE_INK = 2 * _SLOTS
LABEL_INK = RULE_INK + 1
_LONGEST_PATH = 4_000  # points; a longer one is rasterised before plotext sees it
_EIGHTHS = "▁▂▃▄▅▆▇█"
_MARKS_PER_CURVE = 5
# What covers little is drawn over what covers much, or points would vanish under bars.
_ORDER = ("band", "histogram", "line", "path", "scatter")


@dataclass(frozen=True)
class Look:
    """How a series looks: its ink, the character it is drawn with, and whether marks stand on its curve."""

    ink: int
    mark: str
    marked: bool


def looks(scene: Scene, *, unicode: bool) -> dict[int, Look]:
    """A look for each layer by its place in `scene.drawn`; curves get marks where there are several."""
    curves = [i for i, d in enumerate(scene.drawn) if d.kind in ("line", "path")]
    points = [i for i, d in enumerate(scene.drawn) if d.kind == "scatter"]
    found = {}
    for i, drawn in enumerate(scene.drawn):
        if drawn.kind == "heatmap":
            continue
        ink = 2 * (drawn.slot % _SLOTS)
        if not unicode:
            mark = ":" if drawn.kind == "band" else ASCII_MARKS[drawn.slot % len(ASCII_MARKS)]
            if drawn.kind == "scatter" and _shares_slot(scene, drawn):
                mark = ASCII_MARKS[(drawn.slot + 1) % len(ASCII_MARKS)]
        elif drawn.kind == "scatter":
            mark = POINT_MARKS[points.index(i) % len(POINT_MARKS)]
        elif drawn.kind == "band":
            ink, mark = ink + 1, "░"
        else:
            mark = LINE_MARKS[curves.index(i) % len(LINE_MARKS)] if i in curves else "█"
        found[i] = Look(ink, mark, unicode and i in curves and len(curves) > 1)
    return found
