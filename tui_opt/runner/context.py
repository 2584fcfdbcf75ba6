"""What a computation sees of the world: progress, partial results, cancelling, randomness, checkpoints, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tui_opt.errors import CancelledError
from tui_opt.result import Result
from tui_opt.runner.streams import generator, stream_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PARTIAL_INTERVAL = 0.25
PARTIAL_SHARE = 0.02
PARTIAL_MOST_BYTES = 2_000_000


class Recorder(Protocol):
    """Where a context puts what a computation says. The run directory is one; in memory there is another."""

    def message(self, text: str) -> None:
        """A sentence for the log."""

    def partial(self, result: Result) -> None:
        """The newest partial result."""

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        """What the last checkpoint holds."""

    def save_checkpoint(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Replace the checkpoint."""


class Silent:
    """A recorder that keeps nothing, for runs in memory."""

    def message(self, text: str) -> None:
        """Nothing is said."""

    def partial(self, result: Result) -> None:
        """Nothing is shown."""

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        """There is none."""
        return {}

    def save_checkpoint(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Nothing is kept."""


@dataclass
class Progress:
    """How far a computation is: `done` of `total` in units of its own, and what it is at."""

    done: float = 0.0
    total: float = 1.0
    what: str = ""

    @property
    def fraction(self) -> float:
        """Between 0 and 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


class Pieces(Protocol):
    """Finished pieces of a computation, as the computation sees them."""

    def get(self, key: str) -> NDArray[Any] | None:
        """A finished piece, or None where it is still to do."""

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep a finished piece; the array must not be changed afterwards."""

    def drop(self, prefix: str) -> None:
        """Forget the pieces whose key begins so, once what they were for is itself kept."""

    def flush(self) -> None:
        """Write what is not written yet."""


class Checkpoint:
    """Finished pieces of a long computation, by key. A resumed run finds them again.

    Pieces are kept in memory and written at most every `interval` seconds, and when a run is stopped. Where they cannot
    be written, as on a full disk, the run says so once and goes on without.
    """

    def __init__(self, recorder: Recorder, interval: float = 5.0) -> None:
        self._recorder = recorder
        self._interval = interval
        self._pieces: dict[str, NDArray[Any]] | None = None
        self._written = time.monotonic()
        self._dirty = False
        self._said = False
        self._lock = threading.Lock()
        # Of its own, because flushing to a disk takes long, and nobody else should wait for it.
        self._writing = threading.Lock()

    def _loaded(self) -> dict[str, NDArray[Any]]:
        if self._pieces is None:
            self._pieces = self._recorder.load_checkpoint()
        return self._pieces

    def get(self, key: str) -> NDArray[Any] | None:
        """A finished piece, or None where it is still to do."""
        with self._lock:
            return self._loaded().get(key)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep a finished piece; the array must not be changed afterwards."""
        with self._lock:
            self._loaded()[key] = array
            self._dirty = True
            due = time.monotonic() - self._written >= self._interval
        if due and self._writing.acquire(blocking=False):  # otherwise another thread is at it
            try:
                self._write()
            finally:
                self._writing.release()

    def drop(self, prefix: str) -> None:
        """Forget the pieces whose key begins so, once what they were for is itself kept."""
        with self._lock:
            for key in [k for k in self._loaded() if k.startswith(prefix)]:
                del self._loaded()[key]
                self._dirty = True

    def flush(self) -> None:
        """Write what is not written yet."""
        with self._writing:
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._written = time.monotonic()
            if not self._dirty:
                return
            self._dirty = False
            pieces = dict(self._loaded())
        try:
            self._recorder.save_checkpoint(pieces)
        except OSError as error:
            with self._lock:
                self._dirty = True
            if not self._said:
                self._said = True
                reason = error.strerror or error
                self._recorder.message(
                    f"The checkpoint cannot be written ({reason}); the run goes on without."
                )


class PrefixedPieces:
    """A part of another checkpoint, whose keys all begin with a prefix that the user of this one does not see."""

    def __init__(self, whole: Pieces, prefix: str) -> None:
        self._whole = whole
        self._prefix = prefix

    def get(self, key: str) -> NDArray[Any] | None:
        """A finished piece, or None where it is still to do."""
        return self._whole.get(self._prefix + key)

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep a finished piece."""
        self._whole.put(self._prefix + key, array)

    def drop(self, prefix: str) -> None:
        """Forget the pieces whose key begins so."""
        self._whole.drop(self._prefix + prefix)

    def flush(self) -> None:
        """Write what is not written yet."""
        self._whole.flush()


class Context:
    """Handed to a compute function; safe to use from its helper threads.

    Args:
        experiment: `scenario/experiment`, part of every random stream's key.
        seed: the run's seed.
        device: `cpu` or `cuda:N`.
        threads: how many threads it may use.
        kernels: folder where specialised kernels are kept.
        recorder: where messages, partial results and checkpoints go.
        runs: folder of runs that this one stands in, where others are found.
    """

    def __init__(
        self,
        experiment: str,
        *,
        seed: int = 0,
        device: str = "cpu",
        threads: int = 1,
        kernels: Path | None = None,
        recorder: Recorder | None = None,
        runs: Path | None = None,
    ) -> None:
        self.experiment = experiment
        self.seed = seed
        self.device = device
        self.threads = threads
        self.kernels = kernels
        self.runs = runs
        self.now = Progress()
        self._recorder: Recorder = recorder or Silent()
        self.checkpoint: Pieces = Checkpoint(self._recorder)
        self._cancelled = threading.Event()
        self._began = time.monotonic()
        self._partial_spent = 0.0
        self._partial_next = 0.0
        self._partial_busy = threading.Lock()

    # --- asked by the computation ---------------------------------------------------------------------------

    def check(self) -> None:
        """Stop here if somebody asked to; call it at least every 100 ms.

        Raises:
            CancelledError: let it pass through.
        """
        if self._cancelled.is_set():
            raise CancelledError

    def progress(self, done: float, total: float, what: str = "") -> None:
        """Say how far the computation is. Costs nothing; may be called as often as one likes."""
        self.now = Progress(done, total, what or self.now.what)

    def message(self, text: str) -> None:
        """Put a sentence into the run's log."""
        self._recorder.message(text)

    def partial(self, make: Callable[[], Result]) -> None:
        """Show a partial result.

        Args:
            make: builds it; called only when it is time to show one (at most four a second, 2 % of the run's time).
        """
        started = time.monotonic()
        if started < self._partial_next or not self._partial_busy.acquire(blocking=False):
            return  # too early, or another thread is at it
        try:
            from tui_opt.reduction import reduced, size  # takes NumPy

            result = reduced(make(), PARTIAL_MOST_BYTES)
            if size(result) <= PARTIAL_MOST_BYTES:
                self._recorder.partial(result)
            ended = time.monotonic()
            self._partial_spent += ended - started
            earliest = self._began + self._partial_spent / PARTIAL_SHARE
            self._partial_next = max(started + PARTIAL_INTERVAL, earliest)
        finally:
            self._partial_busy.release()

    def rng(self, stream: str, block: int = 0) -> np.random.Generator:
        """A generator of its own for (seed, experiment, stream, block)."""
        return generator(self.seed, self.experiment, stream, block)

    def key(self, stream: str, block: int = 0) -> int:
        """A 64-bit key for a kernel's counter-based generator, likewise."""
        return stream_key(self.seed, self.experiment, stream, block)

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """Answers in the order of the items, computed on `threads` threads, with `check` between them.

        Kernels must release the interpreter lock. The order of the answers, and so every reduction over them, does not
        depend on the number of threads.
        """
        if self.threads <= 1:
            for item in items:
                self.check()
                yield function(item)
            return

        def guarded(item: Item) -> Answer:
            self.check()
            return function(item)

        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(guarded, item) for item in items]
            try:
                for future in futures:
                    yield future.result()
                    self.check()
            finally:
                for future in futures:
                    future.cancel()

    # --- asked by whoever supervises it ---------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the computation to stop at its next `check`."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancelled.is_set()
