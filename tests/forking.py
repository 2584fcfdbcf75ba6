"""Processes that are cheap to start and may be killed: a server has imported everything, and forks them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120.0
SERVER = Path(__file__).parent / "fork_server.py"


@dataclass
class Process:
    """An `optexplore` that was forked."""

    server: Forks
    pid: int
    out: Path
    err: Path

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit code, None while it runs, minus the number of the signal that ended it."""
        code: int | None = self.server.ask({"poll": self.pid})["code"]
        return code

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for it to end."""
        deadline = time.monotonic() + patience
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                pytest.fail(f"The process did not end within {patience} s: {self.err.read_text()}")
            time.sleep(0.003)
        return code


@dataclass
class Forks:
    """The server that forks them.

    Args:
        folder: for what they write to stdout and stderr.
        server: the process.
        checkpoints: seconds between two checkpoints of a run; None leaves it as it is.
    """

    folder: Path
    server: subprocess.Popen[str]
    checkpoints: float | None = None
    started: list[Process] = field(default_factory=list)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request and its answer."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def start(
        self,
        *words: str | Path,
        ignore: tuple[int, ...] = (),
        worker: bool = False,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Process:
        """Start `optexplore`, or a worker, with these words, an environment and a working directory."""
        number = len(self.started) + 1
        out, err = (self.folder / f"{number}.{name}" for name in ("out", "err"))
        start = {
            "words": [*map(str, words)],
            "out": str(out),
            "err": str(err),
            "ignore": list(ignore),
            "worker": worker,
            "environment": None if environment is None else dict(environment),
            "folder": None if folder is None else str(folder),
            "checkpoints": self.checkpoints,
        }
        process = Process(self, self.ask({"start": start})["pid"], out, err)
        self.started.append(process)
        return process

    def worker(self, store: Path, lane: str = "cpu", *words: str) -> Process:
        """Start a worker that drains a lane, and exits."""
        return self.start("--store", store, "--lane", lane, *words, worker=True)

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a process that may end by itself."""
        process = self.start(*words)
        code = process.wait()
        return code, process.out.read_text(), process.err.read_text()

    def rows(self, store: Path) -> list[dict[str, Any]]:
        """What `runs list` says; it must always work."""
        code, out, err = self.run("runs", "list", "--json", "--out", store)
        assert (code, err) == (0, "")
        rows: list[dict[str, Any]] = json.loads(out)
        return rows


@contextlib.contextmanager
def serving(folder: Path, environment: Mapping[str, str]) -> Iterator[Forks]:
    """A server with an environment, and nothing left of what it forked."""
    server = subprocess.Popen(
        [sys.executable, str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(environment),
    )
    made = Forks(folder, server)
    assert server.stdout is not None
    assert server.stdin is not None
    assert json.loads(server.stdout.readline()) == {"ready": True}
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send(signal.SIGKILL)
    server.stdin.close()
    server.wait(PATIENCE)
    server.stdout.close()
