"""A small file that changes whenever a run was queued or taken up again, so that pollers need to look at one file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

STAMP = ".queue"
_MOST_BYTES = 4096


def touch(store: Path) -> None:
    """Tell pollers to look. Where that cannot be written they look all the same, only later."""
    with contextlib.suppress(OSError):
        descriptor = os.open(store / STAMP, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # Its size changes even where two changes fall into one tick of the file system's clock.
            if os.fstat(descriptor).st_size >= _MOST_BYTES:
                os.ftruncate(descriptor, 0)
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)


def read_stamp(store: Path) -> tuple[int, ...]:
    """Equal while nothing was queued."""
    try:
        found = os.stat(f"{store}/{STAMP}")
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
