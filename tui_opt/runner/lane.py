"""A lane of the queue as its worker sees it: which runs to try next, found with few looks at the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tui_opt.runner.live import FOLDER, is_scratch, requests
from tui_opt.runner.queue import INTERACTIVE, in_turn
from tui_opt.runner.run_directory import RunDirectory, is_run_name
from tui_opt.runner.stamp import read_stamp
from tui_opt.watch import Watch

#: the whole store is looked at this often all the same, for stamps that a network file system shows late.
ROUND = 3.0
#: the lane of runs that name none.
_DEFAULT = "cpu"


class Lane:
    """The waiting runs of one lane.

    Args:
        store: the folder of runs.
        name: the lane's name.
    """

    def __init__(self, store: Path, name: str) -> None:
        self.name = name
        self._store = store
        self._watch = Watch(store)
        self._due = 0.0
        #: the stamps before a look that found nothing to claim, None where one is owed.
        self._seen: tuple[tuple[int, ...], ...] | None = None
        #: what the last look at the store found.
        self.found: list[RunDirectory] = []

    def candidates(self, named: Sequence[str], *, drain: bool = False) -> list[RunDirectory]:
        """The runs to try to claim, in order.

        Args:
            named: what was just asked for, as paths in the store.
            drain: look at the store whether or not something seems to have changed.
        """
        paths = [self._store / name for name in named if _is_inside(name)]
        live = [RunDirectory(path, durable=False) for path in reversed(paths) if is_scratch(path)]
        if live and self.name == INTERACTIVE:
            self._seen = None  # what else waits is looked up after it
            return live
        if len(paths) == 1 and self._seen is not None:
            self._seen = None
            return [
                RunDirectory(paths[0])
            ]  # nothing waited a moment ago, so what was just queued is the next
        if not paths and not drain and self._seen == self._stamps() and time.monotonic() < self._due:
            return []
        return self._look()

    def claimed(self) -> None:
        """A candidate was claimed, so others may wait behind it."""
        self._seen = None

    def waiting(self) -> list[RunDirectory]:
        """The waiting runs, in order, after a look at the store."""
        self._watch.poll()
        rows = [row for row in in_turn(self._watch.rows) if (row.lane or _DEFAULT) == self.name]
        return [RunDirectory(Path(row.run_dir)) for row in rows]

    def _look(self) -> list[RunDirectory]:
        stamps = self._stamps()  # taken before, so that whatever comes meanwhile is looked at again
        live = requests(self._store) if self.name == INTERACTIVE else []
        self.found = [*live, *self.waiting()]
        self._seen, self._due = stamps, time.monotonic() + ROUND
        return self.found

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        live = read_stamp(self._store / FOLDER) if self.name == INTERACTIVE else ()
        return read_stamp(self._store), live


def _is_inside(name: str) -> bool:
    path = Path(name)
    return is_run_name(path.name) and not path.is_absolute() and ".." not in path.parts
