"""Trying out whether a folder can be written, without making it or leaving anything in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tui_opt.runner.run_directory import NEW_MARK


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder of our own in `path`, or where it would be made; lists of runs do not show it. Gone at the end.

    Raises:
        OSError: nothing can be written there.
    """
    made = tempfile.mkdtemp(prefix=f"{NEW_MARK}doctor-", dir=existing(path))
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def unwritable(path: Path) -> str:
    """Why nothing can be written there, empty where it can."""
    try:
        with scratch(path) as place:
            (place / "file").write_bytes(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""
