"""From a view of a run to strips: what the drawer's thread does. Nothing here touches a widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text

from tui_opt.render.palette import Colors
from tui_opt.render.wrap import clean, wrap
from tui_opt.tui.strips import renderable_strips, text_strips
from tui_opt.tui.words import trouble

if TYPE_CHECKING:
    from textual.strip import Strip

    from tui_opt.scenario import Scenario
    from tui_opt.tui.run_view import RunView

Paint = Callable[[], "list[Strip]"]

FIRST_MINUTE = (
    "Pick an experiment in the tree and press enter.",
    "Press r to run it; cheap ones run by themselves (l turns that off).",
    "Change a number with the left and right arrows and watch the chart.",
)
PICKED = ("Press r to run it, or change a value: a cheap one runs by itself in live mode (l).",)
FAILED_WIDTH = 76


def chart(
    view: RunView | None,
    figure: int,
    width: int,
    height: int,
    colors: Colors,
    *,
    picked: bool,
    unicode: bool,
) -> list[Strip]:
    """The chosen figure of the newest result, or a sentence where there is none."""
    from tui_opt.render.terminal import figure_text

    if view is None or view.result is None or not view.result.figures:
        return text_strips(_instead(view, width, height, picked=picked, unicode=unicode), width)
    result = view.result
    chosen = result.figures[min(figure, len(result.figures) - 1)]
    drawn = figure_text(
        chosen,
        result.values(),
        width=width,
        height=height,
        colors=colors,
        unicode=unicode,
        partial=not view.final,
    )
    return text_strips(list(drawn.split("\n")), width)


def _instead(view: RunView | None, width: int, height: int, *, picked: bool, unicode: bool) -> list[Text]:
    """What stands in the middle where no chart is."""
    if view is None:
        sentences: tuple[str, ...] = PICKED if picked else FIRST_MINUTE
    elif why := trouble(view):
        sentences = (why,)
    elif view.state == "queued":
        sentences = ("The run waits for its turn.",)
    elif view.active:
        sentences = ("The run has begun; nothing is there to draw yet.",)
    else:
        sentences = ("This run has no figures.",)
    lines = [line for s in sentences for line in wrap(clean(s, unicode=unicode), max(1, width - 4))]
    above = max(0, (height - len(lines)) // 3)
    return [Text("")] * above + [Text(f"  {line}") for line in lines]


def facts(view: RunView | None, width: int, lines: int, *, unicode: bool) -> list[Strip]:
    """The lines under the chart: how the run stands, and its most telling findings."""
    from tui_opt.tui.pages import headline, standing

    if view is None or lines < 1:
        return text_strips([], width)
    rows = [standing(view, width, unicode=unicode)]
    rows += headline(view, width, lines - 1, unicode=unicode)
    return text_strips(rows[:lines], width)


def page(name: str, view: RunView | None, width: int, *, unicode: bool) -> list[Strip]:
    """A page of text: `findings`, `data` or `log`."""
    from tui_opt.tui import pages

    paint = {"findings": pages.findings, "data": pages.data, "log": pages.log}[name]
    return renderable_strips(paint(view, width, unicode=unicode), width)


def theory(scenario: Scenario | None, width: int, *, unicode: bool) -> list[Strip]:
    """The theory page of a scenario."""
    from tui_opt.tui import pages

    if scenario is None:
        return text_strips([Text("Pick an experiment to read its scenario's theory.")], width)
    wide = min(width, pages.THEORY_WIDTH)
    return renderable_strips(pages.theory(scenario.theory(), wide, unicode=unicode), wide)


def failed(trace: str) -> list[Strip]:
    """The sentence in place of a page that could not be drawn; the details go to a file."""
    from tui_opt.traces import kept

    sentence = f"This page could not be drawn. {kept(trace)}"
    return text_strips([Text(line) for line in wrap(sentence, FAILED_WIDTH)], FAILED_WIDTH)
