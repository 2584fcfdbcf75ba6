"""Chunk files: the finished points of a sweep, in files that are whole or not there.

How a sweep is cut depends on its size alone, never on who computes it, so that a resumed run finds its chunks again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tui_opt.result import Result, ResultDocument
from tui_opt.runner import files
from tui_opt.sweep import Sweep

MOST_CHUNKS = 1_000
_DOCUMENT = "document"
_ERROR = "error"

#: what became of a point: its result, or the sentence that says why it has none.
Answer = Result | str


def cut(sweep: Sweep) -> list[range]:
    """The points of each chunk, in order."""
    size = max(1, math.ceil(sweep.size / MOST_CHUNKS))
    return [range(first, min(first + size, sweep.size)) for first in range(0, sweep.size, size)]


def chunk_path(folder: Path, points: range) -> Path:
    """The file of a chunk."""
    return folder / f"{points.start:07d}.npz"


def save(folder: Path, points: range, answers: Mapping[int, Answer]) -> None:
    """Write a chunk's points; errors as for `files.write_arrays`."""
    files.write_arrays(chunk_path(folder, points), _pack(answers), sync=False)


def load(folder: Path, points: range) -> dict[int, Answer] | None:
    """A chunk's points from its file; None where the file is missing, damaged or of something else."""
    path = chunk_path(folder, points)
    if not path.exists():
        return None
    found: dict[int, Answer] = {}
    try:
        arrays = files.read_arrays(path)
        for point in points:
            if f"{point}|{_ERROR}" in arrays:
                found[point] = arrays[f"{point}|{_ERROR}"].tobytes().decode()
                continue
            document = ResultDocument.model_validate_json(arrays[f"{point}|{_DOCUMENT}"].tobytes())
            prefix = f"{point}|array|"
            values = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            found[point] = Result.from_document(document, values)
    except (OSError, ValueError, KeyError):
        return None
    return found


def _bytes(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(text.encode("utf-8", "backslashreplace"), dtype=np.uint8)


def _pack(answers: Mapping[int, Answer]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for point, result in answers.items():
        if isinstance(result, str):
            arrays[f"{point}|{_ERROR}"] = _bytes(result)
            continue
        arrays[f"{point}|{_DOCUMENT}"] = _bytes(result.document().model_dump_json())
        for name, values in result.values().items():
            arrays[f"{point}|array|{name}"] = values
    return arrays
