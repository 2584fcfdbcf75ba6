"""The command palette: every experiment, every preset, and what the screen's own keys do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui_opt.tui.screens.panes import PaneScreen
from tui_opt.tui.widgets.scenario_tree import Place, ScenarioTree


class PlaceCommands(Provider):
    """Opens an experiment or a preset by a few letters of its name, and does what the keys do."""

    def _all(self) -> Iterator[tuple[str, str, Any]]:
        main = self.screen
        if not isinstance(main, PaneScreen):
            return

        def opening(place: Place) -> Any:
            return partial(main.post_message, ScenarioTree.Picked(place))

        seen = set()
        for active in main.active_bindings.values():
            binding = active.binding
            if active.enabled and active.node is main and binding.id and not binding.system:
                words = binding.tooltip or binding.description
                if words not in seen:
                    seen.add(words)
                    key = self.app.get_key_display(binding)
                    yield words.capitalize(), f"key {key}", partial(main.run_action, binding.action)
        for scenario in main.scenarios.values():
            for experiment in scenario.experiments:
                place = Place(scenario.name, experiment.name)
                yield f"{scenario.name} {experiment.name}", experiment.title, opening(place)
        for (system, question), presets in main.presets.items():
            for preset in presets:
                place = Place(system, question, preset)
                yield f"{system} {question}: {preset.title}", "preset", opening(place)

    async def discover(self) -> Hits:
        """What stands there before anything is typed."""
        for name, help_text, call in self._all():
            if help_text != "preset":
                yield DiscoveryHit(name, call, help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches the letters typed."""
        matcher = self.matcher(query)
        for name, help_text, call in self._all():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), call, help=help_text)
