"""Checksums of the files and runs that parameters name, for the provenance of what was read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tui_opt.errors import OptexploreError
from tui_opt.runner.earlier import find_run

if TYPE_CHECKING:
    from tui_opt.params import Params


def checksums(params: Params, folder: Path | None = None) -> dict[str, dict[str, str]]:
    """`{"files": {place: SHA-256}}` of the files that parameters name, and of the arrays of runs; empty without any.

    Args:
        params: of a run.
        folder: where the run stands.
    """
    found = {}
    for name, spec in params.specs().items():
        place = getattr(params, name)
        if spec.is_run and isinstance(place, str):
            place = _arrays_of(place, folder)
        elif not spec.is_path:
            continue
        if not place:
            continue
        try:
            with open(place, "rb") as file:
                found[place] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue  # the experiment says so when it reads the file
    return {"files": found} if found else {}


def _arrays_of(given: str, folder: Path | None) -> str:
    """The file with the arrays of a run, empty where it is not found; the experiment says so when it reads it."""
    try:
        return str(find_run(given, folder).path / "arrays.npz")
    except OptexploreError:
        return ""
