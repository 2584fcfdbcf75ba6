"""Runs that are met under way, however slow the machine is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TESTS, write_plugin_metadata
from tui_opt.scenario import registry

#: a run of the scenario `gated` that gets on, and would take five minutes.
GATED = 'scenario = "gated"\nexperiment = "scatter"\n[params]\nseconds = 300\nblocks = 600\nballs = 600\n'


class Gate:
    """What keeps runs of the scenario `gated` from their end."""

    def __init__(self, path: Path, folders: list[str]) -> None:
        self._path = path
        self._folders = folders

    def seen_from(self, path: str) -> str:
        """A `PYTHONPATH` on which the scenario is, too."""
        return os.pathsep.join([*self._folders, path])

    def open(self) -> None:
        """All runs that wait come to their end."""
        self._path.touch()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate that is closed, for this process and those it starts."""
    folders = [str(tmp_path / "gated"), str(TESTS / "gated_plugin")]
    write_plugin_metadata(tmp_path / "gated", {"gated": "gated:SCENARIO"}, name="gated")
    monkeypatch.setenv("OPTEXPLORE_TEST_GATE", str(tmp_path / "open"))
    for folder in reversed(folders):
        monkeypatch.syspath_prepend(folder)
    registry.cache_clear()
    yield Gate(tmp_path / "open", folders)
    registry.cache_clear()
