"""A child of a pool: computes the chunks it is told to over stdin, and ends when that does.

python -m tui_opt.runner.pool_child CHUNKS DEVICE THREADS
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tui_opt.errors import CancelledError
from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.context import Context
from tui_opt.runner.machine import (
    announced_compilation,
    kernel_cache,
    limited_threads,
    prepare_compilation,
    told_warnings,
)
from tui_opt.runner.sweeping import Compute, compute_chunk
from tui_opt.scenario_file import ScenarioFile, read_file

#: seconds between words about progress.
INTERVAL = 0.2
#: seconds to stop in order, once the parent is gone.
GRACE = 1.5
_PR_SET_PDEATHSIG = 1


class Parent:
    """The process this one works for: what it asks, and what it is told.

    Args:
        asks: descriptor to read from.
        hears: descriptor to write to.
    """

    def __init__(self, asks: int, hears: int) -> None:
        self._asks = asks
        self._hears = hears
        self.chunks: queue.SimpleQueue[range | None] = queue.SimpleQueue()
        self.gone = threading.Event()
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def _listen(self) -> None:
        with os.fdopen(self._asks, "rb") as lines:
            for line in lines:
                self.chunks.put(range(*json.loads(line)["chunk"]))
        self.gone.set()
        self.chunks.put(None)
        time.sleep(GRACE)
        os._exit(0)  # a computation that does not look must not outlive the run

    def tell(self, **said: Any) -> None:
        """Say something; safe from any thread."""
        with contextlib.suppress(OSError):
            os.write(self._hears, json.dumps(said).encode() + b"\n")


class _Recorder:
    """Sends messages to the parent, and keeps what a point has finished beside the chunk's file."""

    def __init__(self, parent: Parent, folder: Path, points: range) -> None:
        self._parent = parent
        self._path = folder / f"{points.start:07d}.checkpoint.npz"

    def message(self, text: str) -> None:
        self._parent.tell(message=text)

    def partial(self, result: Result) -> None:
        """The parent shows the sweep."""

    def load_checkpoint(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):  # a damaged one costs time, not the run
            return files.read_arrays(self._path)
        return {}

    def save_checkpoint(self, arrays: dict[str, Any]) -> None:
        files.write_arrays(self._path, arrays, sync=False)

    def forget_checkpoint(self) -> None:
        """The chunk is done."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Child:
    """Computes chunks of a sweep.

    Args:
        parent: whom it works for.
        folder: folder of chunk files, in the run directory.
        device: the device of the run.
        threads: threads it may use.
    """

    def __init__(self, parent: Parent, folder: Path, device: str, threads: int) -> None:
        self._parent = parent
        self._folder = folder
        self._device = device
        self._threads = threads
        self._context: Context | None = None
        self._first = 0

    def work(self) -> None:
        """Compute what is asked for until the parent is gone."""
        file = read_file(self._folder.parent / "scenario.toml")
        prepare_compilation()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        tell = self._tell_message
        with told_warnings(tell), announced_compilation(tell):
            compute = file.experiment.load_compute()
            with limited_threads(self._threads):
                while (points := self._parent.chunks.get()) is not None:
                    self._compute(file, points, compute)

    def _tell_message(self, text: str) -> None:
        self._parent.tell(message=text)

    def _compute(self, file: ScenarioFile, points: range, compute: Compute) -> None:
        assert file.sweep is not None
        recorder = _Recorder(self._parent, self._folder, points)
        ctx = Context(
            f"{file.scenario.name}/{file.experiment.name}",
            seed=file.seed,
            device=self._device,
            threads=self._threads,
            kernels=kernel_cache(),
            recorder=recorder,
            runs=self._folder.parent.parent,
        )
        self._first, self._context = points.start, ctx
        if self._parent.gone.is_set():
            ctx.cancel()
        try:
            compute_chunk(file, file.sweep, points, compute, ctx, self._folder)
        except CancelledError:
            ctx.checkpoint.flush()
        except OSError as error:
            self._parent.tell(error=[error.errno, error.strerror, str(error.filename or self._folder)])
        else:
            recorder.forget_checkpoint()
            self._parent.tell(done=points.start)

    def _watch(self) -> None:
        """Report progress now and then, and pass on that the parent is gone."""
        said = -1.0
        while not self._parent.gone.wait(INTERVAL):
            if self._context is not None:
                done = self._context.now.done - self._first
                if done != said and done >= 0:
                    self._parent.tell(progress=done)
                    said = done
        if self._context is not None:
            self._context.cancel()


def _die_with_the_parent() -> None:
    """Let the system end this process when the thread that started it does, where the system can.

    The end of the pipe says so too, but to nobody while a computation holds the interpreter.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def main() -> None:
    """Compute chunks until stdin ends."""
    folder, device, threads = sys.argv[1:]
    # The terminal's signals are for the parent, which passes on what they mean.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_parent()
    parent = Parent(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # what a computation prints goes to the log
    Child(parent, Path(folder), device, int(threads)).work()


if __name__ == "__main__":
    main()
