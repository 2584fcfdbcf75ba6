"""A store: a folder of run directories, with an index that makes lists fast. The directories are the truth."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui_opt.errors import StoreError, UsageError
from tui_opt.index import Index
from tui_opt.runner.lock import is_locked
from tui_opt.runner.run_directory import NEW_MARK, RunDirectory, is_run_name

#: a running one is looked at again at every list: it turns lost without a trace in its directory.
_REMEMBERED = ("done", "failed", "cancelled", "running")
_GRACE = 60.0
_REMOVED = "removed-"


@dataclass(frozen=True)
class RunRow:
    """A line of a store's list.

    `error` is the run's own sentence, or why its directory cannot be read; `eta` the seconds still to go, `what` it is
    at, `partial` the number of its newest partial result, `lane` the part of the queue it was put into, and `order` its
    place there while it waits.
    """

    id: str
    run_dir: str
    scenario: str
    experiment: str
    state: str
    progress: float
    created: str
    started: str | None
    elapsed: float | None
    error: str | None = None
    eta: float | None = None
    what: str = ""
    partial: int | None = None
    lane: str = ""
    order: float | None = None
    title: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON takes it; what stands behind `elapsed` only where it is known."""
        out = asdict(self)
        for name in _OPTIONAL:
            if out[name] in (None, ""):
                del out[name]
        return out


_OPTIONAL = ("error", "eta", "what", "partial", "lane", "order", "title")


#: a row with the stamp of the status it was read from.
Entry = tuple[str, RunRow]


def in_order(rows: Iterable[RunRow]) -> list[RunRow]:
    """Rows as lists show them, the oldest run first."""
    return sorted(rows, key=lambda row: (row.created, row.id))


class Store:
    """Runs under one folder. Reading writes nothing but the index, and works where even that cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = Index(path)

    # --- reading --------------------------------------------------------------------------------------------

    def rows(self) -> list[RunRow]:
        """All runs, oldest first. A damaged one has the state `unreadable`; what has no run's name is ignored."""
        known = self.remembered()
        fresh: list[tuple[str, str, RunRow]] = []
        rows = []
        found = dict(self.stamps())
        for name, stamp in found.items():
            before = known.get(name)
            entry = self.look(name, stamp, before)
            if entry is None:
                continue
            if before is None or before[0] != stamp:
                fresh.append((name, *entry))
            rows.append(entry[1])
        self.remember(fresh, [name for name in known if name not in found])
        return in_order(rows)

    def look(self, name: str, stamp: str, known: Entry | None) -> Entry | None:
        """A run's row with the stamp it was read at; None where the run is gone.

        Args:
            name: its directory.
            stamp: its stamp now.
            known: the row as it was read before, which stands while the stamp does.
        """
        row = known[1] if known is not None and known[0] == stamp else self._read(name)
        if row.state in ("running", "lost"):
            worked_on = is_locked(self.path / name / "lock")
            if worked_on != (row.state == "running"):
                row = self._read(name)
        if row.state == "unreadable" and not (self.path / name).exists():
            return None  # removed since it was seen
        return stamp, row

    def stamps(self) -> Iterator[tuple[str, str]]:
        """Each directory with its stamp."""
        return ((name, self.stamp(name)) for name in self.names())

    def names(self) -> list[str]:
        """The directories that have the name of a run.

        Raises:
            StoreError: the store is there and cannot be read.
        """
        try:
            with os.scandir(self.path) as entries:
                return [e.name for e in entries if is_run_name(e.name) and e.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The store {self.path} cannot be read: {error.strerror}.") from None

    def stamp(self, name: str) -> str:
        """A text that changes whenever the status of a run is replaced."""
        try:
            status = os.stat(f"{self.path}/{name}/status.json")
        except OSError:
            return "none"
        # A rename brings a new inode, so a clock that was set back cannot hide a change.
        return f"{status.st_ino}/{status.st_mtime_ns}/{status.st_size}"

    def _read(self, name: str) -> RunRow:
        run = RunDirectory(self.path / name)
        scenario, experiment = _names(name)
        try:
            status = run.status()
        except StoreError as error:
            return RunRow(
                name, str(run.path), scenario, experiment, "unreadable", 0.0, "", None, None, str(error)
            )
        return RunRow(
            id=name,
            run_dir=str(run.path),
            scenario=scenario,
            experiment=experiment,
            state=str(status["state"]),
            progress=_number(status.get("progress")) or 0.0,
            created=str(status.get("created", "")),
            started=status.get("started") if isinstance(status.get("started"), str) else None,
            elapsed=_number(status.get("elapsed")),
            error=str(status["error"]) if status.get("error") else None,
            eta=_number(status.get("eta")),
            what=str(status.get("what") or ""),
            partial=None if (partial := _number(status.get("partial"))) is None else int(partial),
            lane=str(status.get("lane") or ""),
            order=_number(status.get("order")) if status["state"] == "queued" else None,
            title=str(status.get("title") or ""),
        )

    def find(self, beginning: str) -> RunDirectory:
        """The run whose id is, or begins or ends with, the given text; the ending after the last dash is enough.

        Raises:
            UsageError: there is no such run, or more than one, or it is a directory that only has the name of one.
        """
        names = [name for name, _ in self.stamps()]
        chosen = [n for n in names if n == beginning] or [n for n in names if n.startswith(beginning)]
        chosen = chosen or [n for n in names if n.endswith(f"-{beginning}")]
        if len(chosen) == 1 and beginning:
            run = RunDirectory(self.path / chosen[0])
            _refuse_foreign(run)
            return run
        if not chosen:
            raise UsageError(
                f"There is no run {beginning!r} in {self.path}. `optexplore runs list` shows those there are."
            )
        shown = ", ".join(sorted(chosen)[:5]) + (", …" if len(chosen) > 5 else "")
        raise UsageError(f"{beginning!r} could be any of {len(chosen)} runs: {shown}. Give more of the id.")

    # --- removing -------------------------------------------------------------------------------------------

    def remove(self, run: RunDirectory) -> None:
        """Delete a run.

        Raises:
            UsageError: a process is working on it, or it is no run.
            StoreError: it cannot be deleted.
        """
        _refuse_foreign(run)  # before the lock, which would leave a file in somebody else's folder
        doomed = run.path.with_name(f"{NEW_MARK}{_REMOVED}{run.id}")
        try:
            if not run.lock.acquire(timeout=0.1):
                raise UsageError(
                    f"The run {run.id} is being worked on. Cancel it first: optexplore runs cancel {run.id}"
                )
            # Out of sight in one step, so that a crash half-way leaves no half run in the list.
            os.rename(run.path, doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            raise StoreError(f"The run {run.id} cannot be removed: {error.strerror}.") from None
        finally:
            run.lock.release()

    def prune(self, *, keep: int, states: Iterable[str], dry: bool) -> list[RunRow]:
        """Delete the oldest runs of the given states beyond the newest `keep`, and the remains of unfinished writes.

        Returns:
            The runs deleted, or those that would be with `dry`.
        """
        wanted = set(states)
        candidates = [
            row for row in self.rows() if row.state in wanted and RunDirectory(self.path / row.id).is_ours()
        ]
        doomed = candidates[: max(0, len(candidates) - keep)]
        if dry:
            return doomed
        for row in doomed:
            with contextlib.suppress(UsageError):  # claimed by somebody since it was listed
                self.remove(RunDirectory(self.path / row.id))
        for stray in self.path.glob(f"{NEW_MARK}*"):
            if _is_remnant(stray.name) and _is_abandoned(stray):
                shutil.rmtree(stray, ignore_errors=True)
        return doomed

    def size(self) -> int:
        """Bytes of all files in the store."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    # --- what is remembered ---------------------------------------------------------------------------------

    def remembered(self) -> dict[str, Entry]:
        """The rows that the index knows."""
        try:
            return {
                name: (stamp, RunRow(*_moved(values, os.path.join(self.path, name))))
                for name, stamp, values in self._index.read()
            }
        except (TypeError, LookupError):
            self._index.discard()
            return {}

    def remember(self, fresh: list[tuple[str, str, RunRow]], gone: list[str]) -> None:
        """Keep what was read, and forget the runs that are gone."""
        lasting = [
            (name, stamp, list(asdict(row).values()))
            for name, stamp, row in fresh
            if row.state in _REMEMBERED and name.isprintable()
        ]
        self._index.write(lasting, gone)


def _refuse_foreign(run: RunDirectory) -> None:
    """Somebody may have named a folder of documents as a store; nothing in it is ours to touch."""
    if not run.is_ours():
        raise UsageError(f"{run.path} is not a run of optexplore; remove it yourself if it is in the way.")


def _moved(values: list[Any], path: str) -> list[Any]:
    """A remembered row with the place it is at now: a store may be moved or seen from another machine."""
    return [values[0], path, *values[2:]]


def _number(value: Any) -> float | None:
    """A finite number, or None for anything else that a status file may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_remnant(name: str) -> bool:
    """Whether a hidden name is one that we give: to a run that is being made or removed, or to the doctor's trials."""
    rest = name.removeprefix(NEW_MARK)
    return is_run_name(rest.removeprefix(_REMOVED)) or re.fullmatch(r"doctor-\w{8}", rest) is not None


def _is_abandoned(hidden: Path) -> bool:
    """Whether an unfinished directory is the rest of a crash: nobody holds its lock, and it was not made just now."""
    try:
        age = abs(
            time.time() - hidden.stat().st_mtime
        )  # a clock that was set back must not protect it for ever
    except OSError:
        return False
    return age > _GRACE and not is_locked(hidden / "lock")


def _names(directory: str) -> tuple[str, str]:
    """Scenario and experiment from a run directory's name, `<stamp>-<scenario>-<experiment>-<id>`.

    Both may hold dashes, so the scenario file would say for sure; a list must not open thousands of them. The registry
    knows the names there are.
    """
    from tui_opt.scenario import registry

    _, _, rest = directory.partition("-")
    middle, _, _ = rest.rpartition("-")
    for name in registry().scenarios:
        if middle.startswith(f"{name}-"):
            return name, middle.removeprefix(f"{name}-")
    scenario, _, experiment = middle.rpartition("-")
    return scenario, experiment
