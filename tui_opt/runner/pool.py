"""A sweep on several processes of this machine: chunks are handed out over pipes, and their files are gathered.

The process that holds the run's lock is the only one that decides anything. Its children know one chunk at a time,
write the file of that chunk, and end when their pipe does, so none outlives it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_opt.errors import StoreError
from tui_opt.runner.chunks import Answer, chunk_path, load, save
from tui_opt.runner.context import Context
from tui_opt.runner.machine import available_memory
from tui_opt.runner.memory import memory_needed
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep

#: a chunk whose process dies is given to another, so many times in all.
ATTEMPTS = 3
#: seconds that children have to stop and to keep what they have, before they are killed.
GRACE = 2.0
_LOOK = 0.05
_READ = 65_536

Finished = Iterator[tuple[range, dict[int, Answer]]]


def pooled(
    file: ScenarioFile, sweep: Sweep, chunks: Sequence[range], ctx: Context, folder: Path, processes: int
) -> Finished:
    """The chunks as they are finished; those whose file is there already come first.

    Args:
        file: the scenario file, whose text stands in the run directory.
        sweep: its axes.
        chunks: the points of each chunk.
        ctx: context of the whole sweep.
        folder: folder of chunk files, in the run directory.
        processes: how many children, at most.

    Raises:
        OSError: a chunk file could not be written.
        CancelledError: the run was asked to stop; the children have stopped too.
    """
    todo = []
    for points in chunks:
        ctx.check()
        answers = load(folder, points)
        if answers is None:
            todo.append(points)
        else:
            yield points, answers
    if todo:
        pool = _Pool(ctx, folder, sweep.size, min(processes, len(todo), _fitting(file, ctx)))
        yield from pool.work(todo)


def _fitting(file: ScenarioFile, ctx: Context) -> int:
    """How many processes fit into memory, each with the largest point."""
    _, largest = memory_needed(file)
    return max(1, available_memory() // max(1, file.experiment.estimate(largest).bytes))


@dataclass
class _Child:
    """A process of the pool, and the chunk it is at."""

    process: subprocess.Popen[bytes]
    points: range | None = None
    done: float = 0.0
    rest: bytes = b""

    def tell(self, request: dict[str, Any]) -> None:
        """Send a request; a child that is dead shows that at its own pipe."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()


class _Pool:
    def __init__(self, ctx: Context, folder: Path, size: int, processes: int) -> None:
        self._ctx = ctx
        self._folder = folder
        self._size = size
        self._processes = processes
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._todo: deque[range] = deque()
        self._deaths: dict[int, int] = {}
        self._said: set[str] = set()
        self._finished: list[range] = []

    def work(self, todo: Sequence[range]) -> Finished:
        """Compute chunks; each is yielded once its file is there."""
        self._todo.extend(todo)
        left, before = sum(map(len, todo)), self._size - sum(map(len, todo))
        try:
            while left:
                self._ctx.check()
                self._hand_out()
                for key, _ in self._selector.select(_LOOK):
                    self._hear(key.data)
                for points in self._finished:
                    answers = load(self._folder, points)
                    if answers is None:
                        raise StoreError(f"The chunk {chunk_path(self._folder, points)} cannot be read back.")
                    left -= len(points)
                    before += len(points)
                    yield points, answers
                self._finished.clear()
                self._ctx.progress(before + sum(c.done for c in self._children if c.points), self._size)
        finally:
            self._dismiss()

    # --- children -------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Give every idle child a chunk, starting children where there are too few."""
        for child in self._children:
            if child.points is None and self._todo:
                self._give(child, self._todo.popleft())
        while self._todo and len(self._children) < self._processes:
            self._give(self._start(), self._todo.popleft())

    def _give(self, child: _Child, points: range) -> None:
        child.points, child.done = points, 0.0
        child.tell({"chunk": [points.start, points.stop]})

    def _start(self) -> _Child:
        # A new interpreter and not a fork: this process has threads, and may hold a GPU.
        threads = max(1, self._ctx.threads // self._processes)
        words = [str(self._folder), self._ctx.device, str(threads)]
        with open(self._folder.parent / "log.txt", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tui_opt.runner.pool_child", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        child = _Child(process)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        self._children.append(child)
        return child

    def _hear(self, child: _Child) -> None:
        """Take in what a child says; where its pipe has ended, so has the child."""
        assert child.process.stdout is not None
        try:
            data = os.read(child.process.stdout.fileno(), _READ)
        except BlockingIOError:
            return
        *lines, child.rest = (child.rest + data).split(b"\n")
        for line in lines:
            self._take(child, json.loads(line))
        if not data:
            self._bury(child)

    def _take(self, child: _Child, said: dict[str, Any]) -> None:
        if "done" in said and child.points is not None:
            self._finished.append(child.points)
            child.points = None
        elif "progress" in said:
            child.done = said["progress"]
        elif "message" in said and said["message"] not in self._said:
            self._said.add(said["message"])
            self._ctx.message(said["message"])
        elif "error" in said:
            raise OSError(*said["error"])

    def _bury(self, child: _Child) -> None:
        """Hand the chunk of a dead child to another; a chunk that has killed several is given up."""
        self._forget(child)
        code = child.process.wait()
        points = child.points
        if points is None:
            return
        deaths = self._deaths[points.start] = self._deaths.get(points.start, 0) + 1
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if deaths < ATTEMPTS:
            self._ctx.message(f"A process of the pool ended {how}; its points are given to another.")
            self._todo.appendleft(points)
            return
        sentence = (
            f"the process that computed this point ended {deaths} times, the last time {how}. "
            "Use fewer processes if memory is short."
        )
        save(self._folder, points, dict.fromkeys(points, sentence))
        self._finished.append(points)

    def _forget(self, child: _Child) -> None:
        assert child.process.stdout is not None
        self._selector.unregister(child.process.stdout)
        self._children.remove(child)
        child.process.stdout.close()
        if child.process.stdin is not None:
            with contextlib.suppress(OSError):
                child.process.stdin.close()

    def _dismiss(self) -> None:
        """End the children: the end of their pipe tells them to stop, and who does not is killed."""
        children = list(self._children)
        for child in children:
            self._forget(child)
        deadline = time.monotonic() + GRACE
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._selector.close()
