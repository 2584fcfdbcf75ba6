"""Stores with runs that wait, and workers that are processes of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import DROP, TESTS
from tui_opt.runner.planning import Plan, plan
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_text

PATIENCE = 120.0


def planned(text: str = DROP, *overrides: str) -> Plan:
    """A run that may be queued."""
    return plan(read_text(text, "test.toml", overrides), threads=1)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"In vain: {what}")
        time.sleep(0.005)


def state(run: RunDirectory) -> str:
    """A run's state, made true."""
    return str(run.status()["state"])


def wait_for_state(run: RunDirectory, *states: str) -> str:
    """Wait until a run is in one of some states; which."""
    wait_for(lambda: state(run) in states, f"{run.id} is {state(run)}, not {' or '.join(states)}")
    return state(run)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty store."""
    return tmp_path / "store"


@pytest.fixture
def visible_plugin(monkeypatch: pytest.MonkeyPatch, plugin_path: list[str]) -> None:
    """Processes that are started from here see the example plugin."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*plugin_path, str(TESTS.parent)]))


@pytest.fixture
def workforce(store: Path, visible_plugin: None) -> Iterator[Workforce]:
    """Workers for the store, gone with the test."""
    made = Workforce(store)
    yield made
    made.close()
    assert made.join(PATIENCE)
