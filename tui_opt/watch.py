"""Looking at a store again and again: a few times a second, whatever the number of runs that have ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tui_opt.runner.stamp import Named
from tui_opt.store import Entry, RunRow, Store, in_order

#: a run that has ended is looked at this often all the same, should a network file system hide what happened to it.
ROUND = 5.0
_ACTIVE = ("queued", "running", "lost", "unreadable")


class Watch:
    """The rows of a store, kept up to date.

    Runs that are under way are looked at in every poll. Those that have ended change only where somebody takes them up
    again, whom the store's stamp names, so they are looked at when it does, and a share of them in every poll.
    """

    def __init__(self, store: Path) -> None:
        self._store = Store(store)
        self._known: dict[str, Entry] = {}
        self._names: list[str] = []
        self._folder: tuple[int, ...] = ()
        self._folder_due = 0.0
        self._named = Named(store)
        self._turn = 0
        self._polled = 0.0
        self._rows: list[RunRow] = []
        self._begun = False

    @property
    def rows(self) -> list[RunRow]:
        """All rows as of the last poll, oldest first."""
        return self._rows

    def poll(self) -> list[RunRow] | None:
        """All rows, oldest first, where anything changed since the last poll, else None.

        Raises:
            StoreError: the store cannot be read.
        """
        if not self._begun:
            self._known = self._store.remembered()
        remembered = dict(self._known) if not self._begun else {}
        moment = time.monotonic()
        chosen = self._chosen(moment, self._named.new())
        before = {name: self._known.get(name) for name in chosen}
        gone = set(self._known).difference(self._names)
        for name in gone:
            del self._known[name]
        changed = bool(gone)
        for name in chosen:
            changed |= self._look(name, before[name])
        first, self._begun = not self._begun, True
        self._polled = moment
        if first:
            fresh = [(name, *entry) for name, entry in self._known.items() if remembered.get(name) != entry]
            self._store.remember(fresh, [name for name in remembered if name not in self._known])
        if not (changed or first):
            return None
        self._rows = in_order(row for _, row in self._known.values())
        return self._rows

    def _look(self, name: str, before: Entry | None) -> bool:
        """Look at one run; whether that brought something new."""
        entry = self._store.look(name, self._store.stamp(name), before)
        if entry is None:
            return self._known.pop(name, None) is not None
        self._known[name] = entry
        return before is None or entry[1] != before[1]

    def _chosen(self, moment: float, named: list[str] | None) -> list[str]:
        """The runs to look at now: all where nobody knows which were queued, else those and the ones under way."""
        folder = self._folder_stamp()
        if named is None or named or folder != self._folder or moment >= self._folder_due:
            self._names = self._store.names()
            # Taken before the names were read, so that whatever appears meanwhile is seen the next time.
            self._folder, self._folder_due = folder, moment + ROUND
        if named is None:
            return list(self._names)
        active = [name for name in self._names if self._is_active(name)]
        share = min(1.0, (moment - self._polled) / ROUND)
        count = min(len(self._names), 1 + int(share * len(self._names)))
        turn = [self._names[(self._turn + i) % len(self._names)] for i in range(count)]
        self._turn += count
        there = set(self._names).intersection(named)
        return list(dict.fromkeys([*active, *there, *turn]))

    def _is_active(self, name: str) -> bool:
        entry = self._known.get(name)
        return entry is None or entry[1].state in _ACTIVE

    def _folder_stamp(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._store.path)
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_nlink
