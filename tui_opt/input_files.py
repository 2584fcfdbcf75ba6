"""Files that parameters name: where they are, and checksums of what was read.

A scenario file names them relative to itself or to the working directory; a run keeps the absolute place, so that it is
found again from anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_opt.param_spec import ParamSpec

if TYPE_CHECKING:
    from tui_opt.params import Params


def with_located_files(
    document: Mapping[str, Any], specs: Mapping[str, ParamSpec], source: Path
) -> Mapping[str, Any]:
    """A document in which the files that its parameters and sweep name stand with their absolute places.

    Args:
        document: a parsed scenario file.
        specs: the declarations of its parameters.
        source: where it came from; files are looked for next to it first.
    """
    names = [name for name, spec in specs.items() if spec.is_path]
    out = dict(document)
    for part in ("params", "sweep"):
        values = document.get(part)
        if isinstance(values, dict) and any(name in values for name in names):
            changed = {name: _located(values[name], source) for name in names if name in values}
            out[part] = {**values, **changed}
    return out


def _located(value: Any, source: Path) -> Any:
    if isinstance(value, list):
        return [_located(entry, source) for entry in value]
    if not isinstance(value, str) or not value:
        return value
    try:
        path = Path(value).expanduser()
        beside, here = (source.parent / path).resolve(), path.resolve()
        return str(beside if source.is_file() and beside.exists() else here)
    except (OSError, ValueError, RuntimeError):  # no place of any file: whoever opens it says so
        return value


def checksums(params: Params) -> dict[str, dict[str, str]]:
    """`{"files": {place: SHA-256}}` of the files that parameters name; empty where there are none."""
    found = {}
    for name, spec in params.specs().items():
        place = getattr(params, name)
        if not spec.is_path or not place:
            continue
        try:
            with open(place, "rb") as file:
                found[place] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue  # the experiment says so when it reads the file
    return {"files": found} if found else {}
