"""Processes that are cheap to start and may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TESTS

PATIENCE = 60.0


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

    def wait(self) -> int:
        """Wait for it to end."""
        deadline = time.monotonic() + PATIENCE
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                pytest.fail(f"The process did not end within {PATIENCE} s: {self.err.read_text()}")
            time.sleep(0.003)
        return code


@dataclass
class Forks:
    """The server that forks them."""

    folder: Path
    server: subprocess.Popen[str]
    count: int = 0
    started: list[Process] = field(default_factory=list)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request and its answer."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def start(self, *words: str | Path, ignore: tuple[int, ...] = (), worker: bool = False) -> Process:
        """Start `optexplore`, or a worker, with these words."""
        self.count += 1
        out, err = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        start = {
            "words": [*map(str, words)],
            "out": str(out),
            "err": str(err),
            "ignore": list(ignore),
            "worker": worker,
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


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty store."""
    return tmp_path / "store"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only the superuser can mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory, plugin_path: list[str]) -> Iterator[Forks]:
    """Forked processes of `optexplore`, which see the example plugin."""
    path = os.pathsep.join([*plugin_path, str(TESTS.parent)])
    server = subprocess.Popen(
        [sys.executable, str(TESTS / "faults" / "fork_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    made = Forks(tmp_path_factory.mktemp("forks"), server)
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
