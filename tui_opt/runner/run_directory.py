"""A run directory: the one protocol of app, batch, sweeps and remote workers.

scenario.toml  status.json  meta.json  events.jsonl  log.txt  lock  control
partial.npz  checkpoint.npz  chunks/  arrays.npz  previews/  result.json (written last)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui_opt.errors import StoreError
from tui_opt.runner import files
from tui_opt.runner.lock import RunLock, is_locked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tui_opt.result import Result, ResultDocument

SCHEMA = 1
State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
_STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
_DOCUMENT = "__document__"
_PREVIEW = "previews/preview.npz"
PREVIEW_BYTES = 2_000_000  # arrays larger than this get a preview no larger than this
NEW_MARK = ".new-"
_RUN_NAME = re.compile(r"\d{8}T\d{6}Z-.+-[0-9a-f]{6}", re.DOTALL)


def now() -> str:
    """The time in UTC as everybody writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_run_name(name: str) -> bool:
    """Whether a directory's name is one that `RunDirectory.create` gives: `<stamp>Z-<scenario>-<experiment>-<id>`."""
    return _RUN_NAME.fullmatch(name) is not None


class RunDirectory:
    """One run on disk. Readers need no lock; whoever works on the run holds `lock`.

    Args:
        path: its directory.
        durable: whether what it writes is flushed to the disk; a run that nobody would miss need not wait for that.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self.durable = durable
        self.lock = RunLock(path / "lock")
        self._append = threading.Lock()

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    def is_ours(self) -> bool:
        """Whether optexplore made this directory: it has a run's name, and a scenario file or a status of ours in it.

        Nothing else may be removed, or even locked, on the strength of its name.
        """
        if not is_run_name(self.id) or self.path.is_symlink() or not self.path.is_dir():
            return False
        if (self.path / "scenario.toml").is_file():
            return True
        schema = (files.read_json(self.path / "status.json") or {}).get("schema")
        return isinstance(schema, int) and not isinstance(schema, bool)

    # --- beginning ------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        store: Path,
        scenario: str,
        experiment: str,
        toml: str,
        *,
        claim: bool,
        durable: bool = True,
        status: Mapping[str, Any] | None = None,
    ) -> RunDirectory:
        """Make a run in a store, whole or not at all.

        Args:
            store: folder of run directories, made if it is missing.
            scenario: name of the scenario.
            experiment: name of the experiment.
            toml: the resolved scenario file.
            claim: hold the run's lock from the first moment, for whoever runs it at once.
            durable: as for the class.
            status: what its status says from the first moment, besides its state.

        Raises:
            StoreError: the store cannot be written.
        """
        try:
            store.mkdir(parents=True, exist_ok=True)
            while True:
                stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
                name = f"{stamp}-{scenario}-{experiment}-{secrets.token_hex(3)}"
                run = cls._appear(store, name, toml, claim=claim, durable=durable, status=status or {})
                if run is not None:
                    return run
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                f"The store {store} cannot be written: {reason}. Free some space, or choose another folder with --out."
            ) from None

    @classmethod
    def _appear(
        cls, store: Path, name: str, toml: str, *, claim: bool, durable: bool, status: Mapping[str, Any]
    ) -> RunDirectory | None:
        """Fill a hidden directory and rename it to its name; None where that name is taken."""
        new = store / f"{NEW_MARK}{name}"
        lock = RunLock(new / "lock")
        try:
            new.mkdir()
        except FileExistsError:
            return None
        try:
            lock.acquire()  # held while it is hidden, so that nobody clears it away as the rest of a crash
            files.write_text(new / "scenario.toml", toml, sync=durable)
            # A claimed run is running from its first moment: killed before it says so itself, it is lost, not queued.
            state = "running" if claim else "queued"
            first = {"state": state, "created": now(), "progress": 0.0, **status}
            cls(new, durable=durable).write_status(first, sync=True)
            os.rename(new, store / name)
        except BaseException as error:
            lock.release()
            shutil.rmtree(new, ignore_errors=True)
            if isinstance(error, OSError) and (store / name).exists():
                return None
            raise
        if durable:
            files.sync_path(store)
        run = cls(store / name, durable=durable)
        if claim:
            # The lock belongs to the open file, so it lives on under the new name.
            lock.path = run.lock.path
            run.lock = lock
        else:
            lock.release()
        return run

    # --- status ---------------------------------------------------------------------------------------------

    def write_status(self, status: Mapping[str, Any], *, sync: bool) -> None:
        """Replace `status.json`. State changes are flushed to disk, progress is not."""
        files.write_json(self.path / "status.json", {"schema": SCHEMA, **status}, sync=sync and self.durable)

    def status(self) -> dict[str, Any]:
        """What `status.json` says, with `state` made true where the process that wrote it died.

        A run that says it is running while nobody holds its lock is `done` if its result is there, which is written
        last, and `lost` otherwise.

        Raises:
            StoreError: it is missing, damaged, or written by a newer version.
        """
        status = self.read_status_file()
        if status["state"] == "running" and not is_locked(self.path / "lock"):
            # It may have ended between the two looks.
            status = self.read_status_file()
            if status["state"] == "running" and (self.path / "result.json").exists():
                status |= {"state": "done", "progress": 1.0}
            elif status["state"] == "running":
                status["state"] = "lost"
                status["error"] = (
                    f"Its process ended without a word. `optexplore runs resume {self.id}` goes on with it."
                )
        return status

    def read_status_file(self) -> dict[str, Any]:
        """`status.json` as it stands; errors as for `status`."""
        status = files.read_json(self.path / "status.json")
        if status is None:
            raise StoreError(f"{self.path} is not a run: its status.json is missing or damaged.")
        self._check_schema(status, "status.json")
        if status.get("state") not in _STATES:
            raise StoreError(f"{self.path} has a status.json that says no state this version knows.")
        return status

    def _check_schema(self, document: Mapping[str, Any], name: str) -> None:
        schema = document.get("schema")
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise StoreError(
                f"{self.path / name} does not say its schema, so it was not written by optexplore."
            )
        if schema > SCHEMA:
            raise StoreError(
                f"{self.path / name} has schema {schema}, newer than the {SCHEMA} this version reads. "
                "Upgrade optexplore."
            )

    # --- log, control ---------------------------------------------------------------------------------------

    def event(self, kind: str, **details: Any) -> None:
        """Append a line to `events.jsonl`. A full disk costs the line, not the run."""
        line = (
            json.dumps({"schema": SCHEMA, "time": now(), "kind": kind, **details}, ensure_ascii=False) + "\n"
        )
        self._append_text("events.jsonl", line)

    def log(self, text: str) -> None:
        """Append to `log.txt`."""
        self._append_text("log.txt", text if text.endswith("\n") else text + "\n")

    def _append_text(self, name: str, text: str) -> None:
        with self._append:
            try:
                # One write to a file opened for appending: lines of two writers never mix.
                descriptor = os.open(
                    self.path / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
                )
                try:
                    os.write(descriptor, text.encode("utf-8", "backslashreplace"))
                finally:
                    os.close(descriptor)
            except OSError:
                return

    def events(self) -> list[dict[str, Any]]:
        """The last events, newest last; torn or foreign lines are left out."""
        found = []
        for line in files.tail(self.path / "events.jsonl"):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    def request_cancel(self) -> None:
        """Ask whoever works on this run to stop; seen within a tenth of a second."""
        request = {"schema": SCHEMA, "request": "cancel", "time": now()}
        files.write_json(self.path / "control", request, sync=self.durable)

    def cancel_requested(self) -> bool:
        """Whether somebody asked for a stop."""
        path = self.path / "control"
        return path.exists() and (files.read_json(path) or {}).get("request") == "cancel"

    def begin_attempt(self) -> None:
        """Forget an old request and what an interrupted write left, before a run is taken up again.

        Only for whoever has just taken the lock of a run that ended: once others can see the run as running, a request
        may be meant for this attempt.
        """
        (self.path / "control").unlink(missing_ok=True)
        self._clear_temporary()

    def _clear_temporary(self) -> None:
        """Remove what interrupted writes left; a request may be on its way from another process at this moment."""
        for folder in (self.path, self.path / "chunks", self.path / "previews"):
            for stray in folder.glob(f"{files.TEMPORARY_MARK}*"):
                if not stray.name.endswith("-control"):
                    stray.unlink(missing_ok=True)

    # --- results --------------------------------------------------------------------------------------------

    def write_partial(self, result: Result) -> int:
        """Replace the partial result; returns its size in bytes."""
        return self._write_described("partial.npz", result)

    def partial(self) -> Result | None:
        """The newest partial result, if there is one that can be read."""
        return self._read_described("partial.npz")

    def _write_described(self, name: str, result: Result) -> int:
        """Write a result whole into one file, and not flushed to the disk: it can be had again."""
        import numpy as np

        document = np.frombuffer(result.document().model_dump_json().encode(), dtype=np.uint8)
        arrays = {_DOCUMENT: document, **result.values()}
        files.write_arrays(self.path / name, arrays, sync=False)
        return sum(a.nbytes for a in arrays.values())

    def _read_described(self, name: str) -> Result | None:
        from tui_opt.result import Result, ResultDocument

        try:
            arrays = files.read_arrays(self.path / name)
            document = ResultDocument.model_validate_json(arrays.pop(_DOCUMENT).tobytes())
        except (OSError, ValueError, KeyError):
            return None
        return Result.from_document(document, arrays)

    def write_result(self, result: Result, extra: Mapping[str, Any]) -> None:
        """Write arrays, what draws large ones fast, then `result.json`, whose presence means that the run is done."""
        files.write_arrays(self.path / "arrays.npz", result.values(), sync=self.durable)
        self._write_preview(result)
        document = {"schema": SCHEMA, **result.document().model_dump(mode="json"), **extra}
        files.write_json(self.path / "result.json", document, sync=self.durable)
        (self.path / "partial.npz").unlink(missing_ok=True)
        (self.path / "checkpoint.npz").unlink(missing_ok=True)

    def _write_preview(self, result: Result) -> None:
        from tui_opt.reduction import reduced, size

        (self.path / _PREVIEW).unlink(missing_ok=True)
        if size(result) <= PREVIEW_BYTES:
            return
        small = reduced(result, PREVIEW_BYTES)
        # A run does without a preview, so a disk that has room for no more than its arrays does not make it fail.
        with contextlib.suppress(OSError):
            if size(small) <= PREVIEW_BYTES:
                (self.path / _PREVIEW).parent.mkdir(exist_ok=True)
                self._write_described(_PREVIEW, small)

    def preview(self) -> Result | None:
        """A small result that draws all figures, whatever the size of the arrays.

        Returns:
            Of a run that is done its result, with arrays reduced where they are large; of another its partial result;
            `None` where there is neither.

        Raises:
            StoreError: the result is damaged, or written by a newer version.
        """
        if not (self.path / "result.json").exists():
            return self.partial()
        if (small := self._read_described(_PREVIEW)) is not None:
            return small
        from tui_opt.reduction import reduced
        from tui_opt.result import Result

        document = self._described()
        values = self._mapped(document)
        if sum(values[name].nbytes for name in values) <= PREVIEW_BYTES:
            return self.result()
        return reduced(Result.from_document(document, values), PREVIEW_BYTES)

    def glimpse(self, name: str, rows: int) -> NDArray[Any]:
        """The first rows of an array of the result, or of the partial one, without reading the rest.

        Raises:
            StoreError: there is no such array, or it cannot be read.
        """
        import numpy as np

        values: Mapping[str, NDArray[Any]]
        if (self.path / "result.json").exists():
            values = self._mapped(self._described(), (name,))
        else:
            partial = self.partial()
            values = partial.values() if partial is not None else {}
        if name not in values:
            raise StoreError(f"The run {self.id} has no array {name!r}.")
        array = values[name]
        return np.array(array[:rows] if array.ndim else array)

    def _described(self) -> ResultDocument:
        """`result.json` as a result without arrays; errors as for `result_document`."""
        from pydantic import ValidationError

        from tui_opt.result import ResultDocument  # a list of runs does without it

        try:
            return ResultDocument.model_validate(self.result_document())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise StoreError(f"{self.path / 'result.json'} is damaged: {place}: {first['msg']}.") from None

    def _mapped(
        self, document: ResultDocument, names: tuple[str, ...] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The arrays of the result, all or the named ones, as maps of their file."""
        from tui_opt.runner.mapped import mapped_arrays

        try:
            values = mapped_arrays(self.path / "arrays.npz", names)
        except (OSError, ValueError) as error:
            raise StoreError(f"The arrays of {self.id} cannot be read: {error}") from None
        self._check_shapes(document, values)
        return values

    def _check_shapes(self, document: ResultDocument, values: Mapping[str, NDArray[Any]]) -> None:
        for name, array in values.items():
            if name in document.arrays and document.arrays[name].shape != array.shape:
                raise StoreError(
                    f"The arrays of {self.id} are not those of its result.json: {name} has the shape {array.shape}, "
                    f"not {document.arrays[name].shape}."
                )

    def result_document(self) -> dict[str, Any]:
        """`result.json` as it stands.

        Raises:
            StoreError: the run has no result, or a damaged or newer one.
        """
        path = self.path / "result.json"
        document = files.read_json(path)
        if document is None:
            state = self.status()["state"]
            if path.exists():
                raise StoreError(
                    f"{path} is damaged. Run it again with `optexplore --batch {self.path}/scenario.toml`."
                )
            raise StoreError(f"The run {self.id} has no result: it is {state}.")
        self._check_schema(document, "result.json")
        return document

    def result(self, arrays: tuple[str, ...] | None = None) -> Result:
        """The stored result, with all its arrays or the named ones; errors as for `result_document`."""
        from tui_opt.result import Result

        document = self._described()
        try:
            values = files.read_arrays(self.path / "arrays.npz", arrays)
        except (OSError, ValueError) as error:
            raise StoreError(f"The arrays of {self.id} cannot be read: {error}") from None
        self._check_shapes(document, values)
        return Result.from_document(document, values)

    def free_space(self) -> None:
        """Remove what a run that failed for want of space does not need."""
        for name in ("partial.npz", "arrays.npz", _PREVIEW):
            (self.path / name).unlink(missing_ok=True)
        self._clear_temporary()
