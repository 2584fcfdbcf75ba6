"""A small file that names the runs that were just queued or taken up again, so that pollers look at one file only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

STAMP = ".queue"
_MOST_BYTES = 65_536


def touch(store: Path, run_id: str = "") -> None:
    """Tell pollers to look at a run. Where that cannot be written they look all the same, only later."""
    with contextlib.suppress(OSError):
        descriptor = os.open(store / STAMP, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(descriptor).st_size >= _MOST_BYTES:
                os.ftruncate(descriptor, 0)
            os.write(descriptor, os.fsencode(f"{run_id}\n"))  # one write: lines of two writers never mix
        finally:
            os.close(descriptor)


def read_stamp(store: Path) -> tuple[int, ...]:
    """Equal while nothing was queued: its size changes even where the clock of the file system stands still."""
    try:
        found = os.stat(f"{store}/{STAMP}")
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


class Named:
    """The runs that a store's stamp has named since the last look.

    Args:
        store: the folder of runs.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._seen: tuple[int, ...] | None = None
        self._place = 0

    def new(self) -> list[str] | None:
        """Their names; None where any run may have changed, as at the first look."""
        stamp = read_stamp(self._store)
        if stamp == self._seen:
            return []
        before, self._seen = self._seen, stamp
        if not before or not stamp or stamp[0] != before[0] or stamp[2] < self._place:
            self._place = stamp[2] if stamp else 0
            return None
        try:
            with open(self._store / STAMP, "rb") as file:
                file.seek(self._place)
                data = file.read()
        except OSError:
            return None
        whole = data[: data.rfind(b"\n") + 1]
        self._place += len(whole)
        return [os.fsdecode(line) for line in whole.split(b"\n") if line]
