"""The tree of scenarios, their experiments, and the presets of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

if TYPE_CHECKING:
    from tui_opt.scenario import Scenario
    from tui_opt.tui.presets import Preset


@dataclass(frozen=True)
class Place:
    """What a node stands for: a scenario, one of its experiments, or a preset."""

    scenario: str
    experiment: str = ""
    preset: Preset | None = None


class ScenarioTree(Tree[Place]):
    """Scenarios and experiments at once; presets when they have been read. A filter leaves what matches it."""

    DEFAULT_CSS = """
    ScenarioTree { padding: 0; scrollbar-size-horizontal: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "up", show=False, id="tree.up"),
        Binding("down", "cursor_down", "down", show=False, id="tree.down"),
        Binding("enter", "select_cursor", "open an experiment or a preset", show=False, id="tree.pick"),
        Binding("right", "open_node", "show what is under it", show=False, id="tree.open"),
        Binding("left", "close_node", "hide that, or go up", show=False, id="tree.close"),
    ]

    @dataclass
    class Picked(Message):
        """An experiment, or a preset, was chosen."""

        place: Place

    def __init__(self, scenarios: Mapping[str, Scenario], *, unicode: bool, id: str | None = None) -> None:
        super().__init__("scenarios", id=id)
        self.show_root = False
        self.auto_expand = False
        self.guide_depth = 2
        self._unicode = unicode
        if not unicode:
            self.ICON_NODE, self.ICON_NODE_EXPANDED = "+ ", "- "
            self.show_guides = False
        self._scenarios: Mapping[str, Scenario] = scenarios
        self._presets: Mapping[tuple[str, str], Sequence[Preset]] = {}
        self._filter = ""
        self._open: set[tuple[str, str]] = set()
        self._arriving: TreeNode[Place] | None = None
        self._fill()

    def load(self, scenarios: Mapping[str, Any], presets: Mapping[tuple[str, str], Sequence[Preset]]) -> None:
        """Take in all scenarios, plugins' included, and the presets."""
        self._scenarios, self._presets = scenarios, presets
        self._fill()

    def filter(self, text: str) -> None:
        """Leave what holds every word of the text in its name, its title or its preset's title."""
        if text != self._filter:
            self._filter = text
            self._fill()

    # --- filling --------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Build the nodes again: the cursor goes to what the filter names, else stays on its place if that is left."""
        # A cursor that has not arrived yet is still on the line of some other node.
        under = self._arriving or self.cursor_node
        kept = under.data if under is not None else None
        words = self._filter.lower().split()
        self.clear()
        for scenario in self._scenarios.values():
            self._fill_scenario(scenario, words)
        target = self._first_experiment(words[-1]) if words else None
        if target is None and kept is not None:
            target = self._find(kept)
        target = target or self._first_experiment()
        self._arriving = target
        if target is not None:
            self.call_after_refresh(self._put_cursor, target)

    def _put_cursor(self, node: TreeNode[Place]) -> None:
        if node is self._arriving:
            self._arriving = None
            if self.last_line >= 0:  # which lets the new nodes know their lines
                self.move_cursor(node)

    def _fill_scenario(self, scenario: Scenario, words: list[str]) -> None:
        rows = []
        for experiment in scenario.experiments:
            said = f"{scenario.name} {scenario.title} {experiment.name} {experiment.title}".lower()
            presets = self._presets.get((scenario.name, experiment.name), ())
            # A word may stand in the experiment's names or in the preset's own title.
            matching = [p for p in presets if all(w in f"{said} {p.title.lower()}" for w in words)]
            whole = all(w in said for w in words)
            if whole or matching:
                rows.append((experiment.name, matching if words and not whole else list(presets), not whole))
        if not rows:
            return
        top = self.root.add(scenario.name, Place(scenario.name), expand=True)
        for name, presets, found_by_preset in rows:
            place = Place(scenario.name, name)
            if not presets:
                top.add_leaf(name, place)
                continue
            expanded = found_by_preset or (scenario.name, name) in self._open
            node = top.add(name, place, expand=expanded)
            for preset in presets:
                node.add_leaf(preset.title, Place(scenario.name, name, preset))

    def _all_nodes(self) -> list[TreeNode[Place]]:
        found: list[TreeNode[Place]] = []
        waiting = list(self.root.children)
        while waiting:
            node = waiting.pop(0)
            found.append(node)
            waiting = list(node.children) + waiting
        return found

    def _find(self, place: Place) -> TreeNode[Place] | None:
        return next((node for node in self._all_nodes() if node.data == place), None)

    def _first_experiment(self, beginning: str = "") -> TreeNode[Place] | None:
        """The first experiment whose name begins so."""
        named = ((node, node.data) for node in self._all_nodes() if node.data is not None)
        return next(
            (n for n, place in named if place.experiment and place.experiment.startswith(beginning)), None
        )

    # --- choosing -------------------------------------------------------------------------------------------

    def action_select_cursor(self) -> None:
        """Choose what is under the cursor, also where nodes were built again and it has not been drawn there yet."""
        if self._arriving is not None:
            self._put_cursor(self._arriving)
        super().action_select_cursor()

    def on_tree_node_selected(self, event: Tree.NodeSelected[Place]) -> None:
        """Enter or a click: a scenario opens and closes, the rest is chosen."""
        event.stop()
        place = event.node.data
        if place is None:
            return
        if not place.experiment:
            event.node.toggle()
            return
        if place.preset is None and event.node.children and not event.node.is_expanded:
            event.node.expand()
        self.post_message(self.Picked(place))

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Place]) -> None:
        """Remember what is open, for the next time the nodes are built."""
        if event.node.data is not None:
            self._open.add((event.node.data.scenario, event.node.data.experiment))

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Place]) -> None:
        """Likewise."""
        if event.node.data is not None:
            self._open.discard((event.node.data.scenario, event.node.data.experiment))

    def action_open_node(self) -> None:
        """Open the node under the cursor."""
        if self.cursor_node is not None and self.cursor_node.children:
            self.cursor_node.expand()

    def action_close_node(self) -> None:
        """Close it, or go up to what holds it."""
        node = self.cursor_node
        if node is None:
            return
        if node.children and node.is_expanded:
            node.collapse()
        elif node.parent is not None and node.parent is not self.root:
            self.move_cursor(node.parent)
