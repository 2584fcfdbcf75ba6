"""Several GPUs: which of them a run takes, and how they share its chunks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final, Generic, Literal, TypeVar

from tui_opt.device import Gpu
from tui_opt.errors import CancelledError, OptexploreError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Worker = TypeVar("Worker")

LEAST_FREE: Final = 2 << 30
"""Bytes of memory that a further GPU must have free to be of use."""


def devices_of(device: str, wanted: int | Literal["all"], here: Sequence[Gpu]) -> list[str]:
    """The devices that share a run's chunks: its own first, then GPUs with the most free memory.

    Args:
        device: the run's own, `cpu` or `cuda:N`.
        wanted: how many GPUs.
        here: those there are.
    """
    if device == "cpu":
        return [device]
    own = int(device.partition(":")[2] or 0)
    others = [gpu for gpu in here if gpu.index != own and gpu.memory_free >= LEAST_FREE]
    others.sort(key=lambda gpu: (-gpu.memory_free, gpu.index))
    more = len(others) if wanted == "all" else wanted - 1
    return [device, *(f"cuda:{gpu.index}" for gpu in others[:more])]


def workers_on(
    devices: Sequence[str], make: Callable[[str], Worker], say: Callable[[str], None]
) -> list[Worker]:
    """A worker for each device; the first must be made, another that cannot is left out with a sentence."""
    made = [make(devices[0])]
    for device in devices[1:]:
        try:
            made.append(make(device))
        except Exception as error:  # whatever a driver or a library finds wrong with it
            say(f"{device} is left out: {_first_line(error)}")
    return made


def shared(
    items: Sequence[Item],
    workers: Sequence[Worker],
    work: Callable[[Item, Worker], Answer],
    say: Callable[[str], None],
    *,
    in_background: bool = False,
) -> Iterator[Answer]:
    """Answers in the order of the items, each by whichever worker is free.

    A worker that fails is left out, and its item goes to the others. The last one's error is raised.

    Args:
        items: what is to be done.
        workers: each does one item at a time, in a thread of its own.
        work: does an item.
        say: is told which worker was left out, and why.
        in_background: a single worker has a thread of its own too, so that its next item does not wait for whoever
            uses the answers.
    """
    if len(workers) == 1 and not in_background:
        for item in items:
            yield work(item, workers[0])
        return
    pool = _Pool(items, workers, work, say)
    try:
        for future in pool.futures:
            yield future.result()
    finally:
        pool.end()


class _Pool(Generic[Item, Worker, Answer]):
    def __init__(
        self,
        items: Sequence[Item],
        workers: Sequence[Worker],
        work: Callable[[Item, Worker], Answer],
        say: Callable[[str], None],
    ) -> None:
        self.futures: list[Future[Answer]] = [Future() for _ in items]
        self._items, self._work, self._say = items, work, say
        self._waiting = deque(range(len(items)))
        self._unfinished = len(items)
        self._workers = len(workers)
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), name=f"chunks-{k}", daemon=True)
            for k, worker in enumerate(workers)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        with self._changed:
            self._unfinished = 0
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next(self) -> int | None:
        """The next item's number; waits while there is none, for another worker may fail and give its own back."""
        with self._changed:
            while self._unfinished and not self._waiting:
                self._changed.wait()
            return self._waiting.popleft() if self._unfinished else None

    def _serve(self, worker: Worker) -> None:
        while (number := self._next()) is not None:
            try:
                answer = self._work(self._items[number], worker)
            except BaseException as error:  # it is raised where the answers are asked for
                self._failed(number, error)
                return
            with self._changed:
                self._unfinished = max(0, self._unfinished - 1)
                if not self.futures[number].done():
                    self.futures[number].set_result(answer)
                self._changed.notify_all()

    def _failed(self, number: int, error: BaseException) -> None:
        ours = isinstance(error, CancelledError | OptexploreError) or not isinstance(error, Exception)
        with self._changed:
            self._workers -= 1
            left_out = self._workers > 0 and not ours
            if left_out:
                self._waiting.appendleft(number)
            else:
                self._unfinished = 0
                for future in self.futures:
                    if not future.done():
                        future.set_exception(error)
            self._changed.notify_all()
        if left_out:
            self._say(f"A device is left out, the others go on: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
