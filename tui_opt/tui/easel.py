"""What is to be drawn on the stage, and when: pages are asked of the drawer, and shown when they come."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tui_opt.tui import painting
from tui_opt.tui.drawing import Drawer
from tui_opt.tui.widgets.stage import CHART, THEORY, Stage

if TYPE_CHECKING:
    from tui_opt.scenario import Scenario
    from tui_opt.tui.letters import Drawn
    from tui_opt.tui.mailbox import Mailbox
    from tui_opt.tui.run_view import RunView
    from tui_opt.tui.terminal import Terminal

FACTS = "facts"
#: a partial heatmap is drawn once a second: it is many bytes on a slow line.
HEATMAP_INTERVAL = 1.0


class Easel:
    """Draws one view of a run and one scenario's theory, whichever page is in sight.

    Args:
        stage: where it is shown.
        mailbox: where drawings arrive.
        terminal: what can be shown.
    """

    def __init__(self, stage: Stage, mailbox: Mailbox, terminal: Terminal) -> None:
        self.view: RunView | None = None
        self.scenario: Scenario | None = None
        self._stage = stage
        self._terminal = terminal
        self._drawer = Drawer(mailbox, painting.failed)
        self._tickets: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._chart_drawn = 0.0
        self._chart_waits = False

    def start(self) -> None:
        """Begin to draw."""
        self._drawer.start()
        self.draw()

    def close(self) -> None:
        """Draw no more."""
        self._drawer.close()

    # --- what is to be drawn --------------------------------------------------------------------------------

    def set_view(self, view: RunView | None, *, same_picture: bool = False) -> None:
        """Show another run, or the newest of the same one.

        Args:
            view: what to show, None for nothing.
            same_picture: whether the chart is the same as before, and only what stands about it is new.
        """
        self.view = view
        figures = view.result.figures if view is not None and view.result is not None else ()
        moments = {place: f.moment for place, f in enumerate(figures) if f.moment is not None}
        names = [figure.name.replace("_", " ") for figure in figures]
        self._stage.set_figures(names, film=sorted(moments, key=moments.__getitem__))
        if not same_picture:
            self._draw_chart()
        self._draw_facts()
        if self._stage.tab not in (CHART, THEORY):
            self._draw_page(self._stage.tab)

    def set_scenario(self, scenario: Scenario) -> None:
        """Whose theory page is shown."""
        if scenario is not self.scenario:
            first, self.scenario = self.scenario is None, scenario
            if self._stage.tab == THEORY:
                self._draw_page(THEORY)
            elif first:
                self._draw_chart(at_once=True)

    def draw(self) -> None:
        """Draw what is in sight: it came there, or has another size."""
        if self._stage.tab == CHART:
            self._draw_chart(at_once=True)
            self._draw_facts()
        else:
            self._draw_page(self._stage.tab)

    def _draw_page(self, name: str) -> None:
        width, unicode = self._stage.page_width(name), self._terminal.unicode
        if width < 1:
            return  # it asks when it has a place
        if name == THEORY:
            self._ask(name, partial(painting.theory, self.scenario, width, unicode=unicode))
        else:
            self._ask(name, partial(painting.page, name, self.view, width, unicode=unicode))

    def _draw_chart(self, *, at_once: bool = False) -> None:
        width, height = self._stage.chart_size
        if self._stage.tab != CHART or width < 1 or height < 1:
            return
        moment = time.monotonic()
        left = self._chart_drawn + HEATMAP_INTERVAL - moment
        if not at_once and left > 0 and self._is_costly():
            if not self._chart_waits:
                self._chart_waits = True
                self._stage.set_timer(left, self._draw_late)
            return
        self._chart_drawn = moment
        size, colors, unicode = (width, height), self._terminal.colors, self._terminal.unicode
        self._ask(
            CHART,
            partial(
                painting.chart,
                self.view,
                self._stage.figure,
                *size,
                colors,
                picked=self.scenario is not None,
                unicode=unicode,
            ),
        )

    def _draw_late(self) -> None:
        self._chart_waits = False
        self._draw_chart(at_once=True)

    def _is_costly(self) -> bool:
        view, chosen = self.view, self._stage.figure
        if view is None or view.final or view.result is None or chosen >= len(view.result.figures):
            return False
        return any(layer.kind == "heatmap" for layer in view.result.figures[chosen].layers)

    def _draw_facts(self) -> None:
        width, lines = self._stage.chart_size[0], self._stage.fact_lines
        if width > 0:
            self._ask(FACTS, partial(painting.facts, self.view, width, lines, unicode=self._terminal.unicode))

    def _ask(self, place: str, draw: painting.Paint) -> None:
        ticket = self._tickets[place] = self._tickets.get(place, 0) + 1
        self._drawer.ask(place, ticket, draw)

    # --- what has been drawn --------------------------------------------------------------------------------

    def put(self, drawn: Drawn) -> None:
        """Show a page that has come, unless a newer one is shown already."""
        if drawn.ticket < self._shown.get(drawn.place, 0):
            return
        self._shown[drawn.place] = drawn.ticket
        if drawn.place == CHART:
            self._stage.put_chart(drawn.strips)
        elif drawn.place == FACTS:
            self._stage.put_facts(drawn.strips)
        else:
            self._stage.put_page(drawn.place, drawn.strips)
