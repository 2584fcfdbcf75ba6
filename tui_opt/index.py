"""The index of a store: rows remembered in SQLite, made again whenever it is missing, damaged or of another version."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INDEX = ".index.sqlite"
INDEX_VERSION = 2
_PASSING = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
)  # fmt: skip

#: a run's name, its stamp, and the values of its row.
Remembered = tuple[str, str, list[Any]]


class Index:
    """What is remembered of a store's runs. It may forget at any time; nothing in it is the truth.

    Args:
        store: the folder of runs.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / INDEX

    def read(self) -> list[Remembered]:
        """What there is; nothing where the index is missing, damaged or busy."""
        if not self._path.exists():
            return []
        try:
            with contextlib.closing(self._connect()) as connection:
                entries = connection.execute("SELECT name, stamp, row FROM runs").fetchall()
                return [(name, stamp, json.loads(row)) for name, stamp, row in entries]
        except sqlite3.DatabaseError as error:
            self.discard(error)
        except (ValueError, TypeError):
            self.discard()
        return []

    def write(self, fresh: Sequence[Remembered], gone: Sequence[str]) -> None:
        """Keep rows, and forget the runs that are gone."""
        if not fresh and not gone:
            return
        entries = [(name, stamp, json.dumps(values)) for name, stamp, values in fresh]
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", entries)
                connection.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in gone])
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self.discard(error)

    def discard(self, error: sqlite3.DatabaseError | None = None) -> None:
        """Remove an index that cannot be used, unless it only cannot be used now. The next list writes a new one."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if error is not None and code in _PASSING:
            return
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0.5, isolation_level=None)
        # A rollback journal, because write-ahead logging needs shared memory that network file systems lack.
        connection.execute("PRAGMA synchronous = OFF")
        if connection.execute("PRAGMA user_version").fetchone()[0] != INDEX_VERSION:
            connection.execute("DROP TABLE IF EXISTS runs")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, stamp TEXT, row TEXT)"
            )
            connection.execute(f"PRAGMA user_version = {INDEX_VERSION}")
        return connection
