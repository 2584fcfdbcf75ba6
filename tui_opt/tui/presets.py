"""The scenario files that ship with the package, as the tree shows them: by experiment, with their titles."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Preset:
    """A scenario file by its title; it is checked when it is opened."""

    path: Path
    scenario: str
    experiment: str
    title: str


def read_presets(folder: Path, scenarios: Iterable[str]) -> Mapping[tuple[str, str], list[Preset]]:
    """Presets by scenario and experiment, in the order of their file names; a file that is no TOML is left out."""
    found: dict[tuple[str, str], list[Preset]] = {}
    for scenario in scenarios:
        for path in sorted((folder / scenario).glob("*.toml")):
            try:
                document = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            experiment = document.get("experiment")
            if document.get("scenario") != scenario or not isinstance(experiment, str):
                continue
            title = document.get("title") or path.stem
            found.setdefault((scenario, experiment), []).append(
                Preset(path, scenario, experiment, str(title))
            )
    return found
