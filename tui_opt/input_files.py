"""Files and runs that parameters name: where they are.

A scenario file names them relative to itself or to the working directory; a run keeps the absolute place, so that it is
found again from anywhere. The id of a run stays as it is, for it is looked for in the store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tui_opt.param_spec import ParamSpec


def with_located_files(
    document: Mapping[str, Any], specs: Mapping[str, ParamSpec], source: Path
) -> Mapping[str, Any]:
    """A document in which the files and runs that its parameters and sweep name stand with their absolute places.

    Args:
        document: a parsed scenario file.
        specs: the declarations of its parameters.
        source: where it came from; files are looked for next to it first.
    """
    names = [name for name, spec in specs.items() if spec.is_path or spec.is_run]
    out = dict(document)
    for part in ("params", "sweep"):
        values = document.get(part)
        if isinstance(values, dict) and any(name in values for name in names):
            changed = {
                name: _located(values[name], source, specs[name].is_run) for name in names if name in values
            }
            out[part] = {**values, **changed}
    return out


def is_place(text: str) -> bool:
    """Whether what names a run is the place of its directory, and not an id."""
    return os.sep in text or "/" in text or text in (".", "..") or text.startswith("~")


def _located(value: Any, source: Path, is_run: bool) -> Any:
    if isinstance(value, list):
        return [_located(entry, source, is_run) for entry in value]
    if not isinstance(value, str) or not value or (is_run and not is_place(value)):
        return value
    try:
        path = Path(value).expanduser()
        beside, here = (source.parent / path).resolve(), path.resolve()
        return str(beside if source.is_file() and beside.exists() else here)
    except (OSError, ValueError, RuntimeError):  # no place of any file: whoever opens it says so
        return value
