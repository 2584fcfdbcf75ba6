"""Listing a store of 5,000 runs, against reading as many small files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from tui_opt.runner.run_directory import RunDirectory
from tui_opt.store import Store

RUNS = 5_000
ROUNDS = 5


def _fill(store: Store) -> None:
    """Finished runs without results: a list looks at nothing else."""
    template = RunDirectory.create(store.path, "toy-sgd", "escape", "", claim=False)
    template.write_status({"state": "done", "progress": 1.0, "created": "2026-01-01"}, sync=False)
    status = (template.path / "status.json").read_bytes()
    for i in range(RUNS - 1):
        folder = store.path / f"20260101T000000Z-toy-sgd-escape-{i:06x}"
        folder.mkdir()
        (folder / "status.json").write_bytes(status)


def _seconds(store: Store) -> float:
    began = time.perf_counter()
    assert len(store.rows()) == RUNS
    return time.perf_counter() - began


def _read_all(path: Path) -> float:
    began = time.perf_counter()
    for folder in path.iterdir():
        if folder.is_dir():
            (folder / "status.json").read_bytes()
    return time.perf_counter() - began


def measure() -> list[dict[str, Any]]:
    """The first list, which makes the index; later ones; and the best of reading every status file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        _fill(store)
        first = _seconds(store)
        later = min(_seconds(store) for _ in range(ROUNDS))
        peer = min(_read_all(store.path) for _ in range(ROUNDS))
    return [
        {"name": f"first list of {RUNS} runs", "seconds": first, "over reading every status": first / peer},
        {"name": f"later list of {RUNS} runs", "seconds": later, "over reading every status": later / peer},
    ]
