"""A screen of four panes: all of them side by side, or in a narrow terminal the one that has the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual.events import Resize
from textual.screen import Screen

from tui_opt.scenario import built_in

if TYPE_CHECKING:
    from tui_opt.scenario import Scenario
    from tui_opt.tui.presets import Preset

NARROW: Final = 100
WIDE: Final = 160
PANES: Final = {"scenarios": "tree", "stage": "stage", "parameters": "form", "runs": "runs"}
"""Of each pane, what takes the keys."""


class PaneScreen(Screen[None]):
    """The panes, and what there is to be opened in them.

    Attributes:
        scenarios: by name.
        presets: by scenario and experiment.
    """

    def __init__(self) -> None:
        super().__init__()
        self.presets: Mapping[tuple[str, str], Sequence[Preset]] = {}
        self.scenarios: Mapping[str, Scenario] = built_in()

    def on_resize(self, event: Resize) -> None:
        """One pane at a time where there is no room for all."""
        self.set_class(event.size.width < NARROW, "narrow")
        self.set_class(event.size.width >= WIDE, "wide")

    @property
    def narrow(self) -> bool:
        """Whether one pane is shown at a time."""
        return self.has_class("narrow")

    @property
    def pane_with_keys(self) -> str | None:
        """The pane in which the focus is."""
        if self.focused is None:
            return None
        names = {"tree": "scenarios", "runs": "runs", "stage": "stage", "parameters": "parameters"}
        return next((names[node.id] for node in self.focused.ancestors_with_self if node.id in names), None)

    def show_pane(self, name: str, *, focus: bool = True) -> None:
        """Bring a pane into sight, and the keys to it."""
        for pane in PANES:
            self.set_class(pane == name, f"pane-{pane}")
        if focus:
            found = self.query(f"#{PANES[name]}")
            if found:
                widget = found.first()
                # At once, and not when Textual finds the time: the next key may be meant for this pane already.
                self.set_focus(getattr(widget, "focus_target", widget))

    def on_descendant_focus(self) -> None:
        """In a narrow terminal the pane with the keys is the one in sight."""
        pane = self.pane_with_keys
        if pane is not None:
            self.show_pane(pane, focus=False)
            self.set_class(pane == "stage" and self.has_class("zoomed"), "zoomed")

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self.show_pane(name)

    def selected_run(self) -> Path | None:
        """The run under the cursor of the list, where the list has the keys."""
        from tui_opt.tui.widgets.run_list import RunList

        focused = self.focused
        if isinstance(focused, RunList) and focused.current is not None:
            return Path(focused.current.run_dir)
        return None
