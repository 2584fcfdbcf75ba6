"""Live mode: runs that the next change supersedes. They are ordinary run directories in a hidden folder of the store.

`.live/<app>/lock` is held by the app that asks for them, so what a dead app left is known by its free lock. Nothing in
there is flushed to the disk.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tui_opt.errors import OptexploreError, StoreError
from tui_opt.runner import files
from tui_opt.runner.lock import RunLock, is_locked
from tui_opt.runner.planning import Plan
from tui_opt.runner.queue import INTERACTIVE, withdraw
from tui_opt.runner.run_directory import RunDirectory, is_run_name
from tui_opt.runner.stamp import touch
from tui_opt.store import Store

FOLDER = ".live"
#: how long `keep` waits for a run to end; live runs are short.
KEEP_PATIENCE = 5.0
#: a folder this young may belong to an app that has not taken its lock yet.
_GRACE = 60.0


def is_scratch(path: Path) -> bool:
    """Whether a run directory is one of live mode."""
    return path.parent.parent.name == FOLDER


def requests(store: Path) -> list[RunDirectory]:
    """The live runs of all apps that are there, the newest first; most of them have ended or been superseded."""
    found = [path for app in _apps(store) if is_locked(app / "lock") for path in _runs(app)]
    return [
        RunDirectory(path, durable=False) for path in sorted(found, key=lambda path: path.name, reverse=True)
    ]


def remove_leftovers(store: Path) -> None:
    """Remove what apps left that ended without a chance to do so."""
    for app in _apps(store):
        with contextlib.suppress(OSError):
            if is_locked(app / "lock") or abs(time.time() - app.stat().st_mtime) < _GRACE:
                continue
            if not any(is_locked(path / "lock") for path in _runs(app)):
                shutil.rmtree(app, ignore_errors=True)


def _apps(store: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in (store / FOLDER).iterdir() if path.is_dir())


def _runs(app: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in app.iterdir() if is_run_name(path.name)]
    return []


class Scratch:
    """The live runs of one app: at most one of each experiment, the newest. For use from one thread.

    Args:
        store: the store whose interactive worker carries them out. Nothing is written before the first request.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock: RunLock | None = None
        self._newest: dict[str, RunDirectory] = {}
        self._superseded: list[RunDirectory] = []

    def request(self, plan: Plan) -> RunDirectory:
        """A new live run, queued for the interactive worker; the older one of the same experiment is given up.

        Raises:
            StoreError: the store cannot be written.
        """
        file = plan.file
        folder = self._folder()
        experiment = f"{file.scenario.name}/{file.experiment.name}"
        self._supersede(experiment)
        run = RunDirectory.create(
            folder,
            file.scenario.name,
            file.experiment.name,
            file.to_toml(),
            claim=False,
            durable=False,
            status={"lane": INTERACTIVE, "order": time.time(), "title": file.label},
        )
        self._newest[experiment] = run
        touch(self._store / FOLDER)
        return run

    def keep(self, run: RunDirectory) -> RunDirectory:
        """Make a live run an ordinary run of the store, once it has ended.

        Raises:
            StoreError: it is superseded, still computing, or the store cannot be written.
        """
        deadline = time.monotonic() + KEEP_PATIENCE
        while (state := run.status()["state"]) in ("queued", "running"):
            if time.monotonic() > deadline:
                raise StoreError(f"The run is still {state}. Keep it when it has ended.")
            time.sleep(0.02)
        kept = RunDirectory(self._store / run.id)
        try:
            if not run.lock.acquire():
                raise StoreError("The run is being worked on. Keep it when it has ended.")
            for path in run.path.rglob("*"):
                files.sync_path(path)
            os.rename(run.path, kept.path)
            files.sync_path(self._store)
        except OSError as error:
            raise StoreError(f"The run cannot be kept: {error.strerror or error}.") from None
        finally:
            run.lock.release()
        self._newest = {name: other for name, other in self._newest.items() if other.path != run.path}
        return kept

    def close(self) -> None:
        """Give up and remove all of them."""
        for experiment in list(self._newest):
            self._supersede(experiment)
        if self._lock is not None:
            folder = self._lock.path.parent
            if not any(is_locked(path / "lock") for path in _runs(folder)):
                shutil.rmtree(folder, ignore_errors=True)
            self._lock.release()  # what is still at work is removed as a leftover
            self._lock = None

    def _folder(self) -> Path:
        """The app's own folder, made at its first request."""
        if self._lock is not None and not self._lock.path.exists():  # somebody has removed the store
            self._lock.release()
            self._lock, self._newest = None, {}
        if self._lock is None:
            folder = self._store / FOLDER / secrets.token_hex(4)
            try:
                folder.mkdir(parents=True)
                lock = RunLock(folder / "lock")
                lock.acquire()
            except OSError as error:
                raise StoreError(
                    f"The store {self._store} cannot be written: {error.strerror or error}. "
                    "Free some space, or choose another folder with --out."
                ) from None
            self._lock = lock
            remove_leftovers(self._store)
        return self._lock.path.parent

    def _supersede(self, experiment: str) -> None:
        """Ask the newest run of an experiment to stop, and remove those that have."""
        older = self._newest.pop(experiment, None)
        if older is not None:
            with contextlib.suppress(OSError):
                if not _is_over(older):
                    older.request_cancel()
            self._superseded.append(older)
        self._superseded = [run for run in self._superseded if not _removed(run)]


def _is_over(run: RunDirectory) -> bool:
    """Whether nobody will work on a run any more; one that waits is withdrawn."""
    try:
        state = run.read_status_file()["state"]
    except StoreError:
        return True
    return state not in ("queued", "running") or (state == "queued" and withdraw(run, patience=0.0))


def _removed(run: RunDirectory) -> bool:
    """Remove a superseded run; False where it is still being worked on."""
    if not run.path.exists():
        return True
    if is_locked(run.path / "lock"):
        return False
    try:
        Store(run.path.parent).remove(run)
    except OptexploreError:
        return False
    return True
