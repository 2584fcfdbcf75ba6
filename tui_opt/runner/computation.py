"""What a supervisor gives a computation: a thread of its own, and a run directory for what it says."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable
from typing import Any

from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.run_directory import RunDirectory


class DirectoryRecorder:
    """Puts what a computation says into its run directory."""

    def __init__(self, run: RunDirectory, tell: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.run = run
        self.tell = tell
        self.changed = changed
        self.partials = 0

    def message(self, text: str) -> None:
        self.run.event("message", text=text)
        self.run.log(text)
        self.changed()
        with contextlib.suppress(OSError, ValueError):
            self.tell(text)

    def partial(self, result: Result) -> None:
        try:
            self.run.write_partial(result)
        except OSError as error:
            self.run.log(f"No partial result was written: {error}.")
            return
        self.partials += 1

    def load_checkpoint(self) -> dict[str, Any]:
        path = self.run.path / "checkpoint.npz"
        try:
            return files.read_arrays(path) if path.exists() else {}
        except (OSError, ValueError) as error:
            self.message(f"The checkpoint cannot be read and is not used: {error}")
            return {}

    def save_checkpoint(self, arrays: dict[str, Any]) -> None:
        files.write_arrays(self.run.path / "checkpoint.npz", arrays, sync=self.run.durable)


class Computation(threading.Thread):
    """Runs the compute function and keeps what it returned or raised."""

    def __init__(self, work: Callable[[], Result]) -> None:
        super().__init__(name="compute", daemon=True)
        self._work = work
        self.ended = threading.Event()
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.trace = ""

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # handed to the supervising thread
            self.error = error
            self.trace = traceback.format_exc()
        finally:
            self.ended.set()
