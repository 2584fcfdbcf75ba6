"""What runs rely on in the file system of a store, tried out: locks, renames, the clock."""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tui_opt.doctor.check import Check
from tui_opt.doctor.scratch import scratch, unwritable
from tui_opt.runner import files
from tui_opt.runner.lock import RunLock, is_locked

GROUP = "store"
MOST_SKEW = 2.0
ELSEWHERE = "Choose a store on a local disk with --out or OPTEXPLORE_RUNS_DIR."

#: takes the lock of the named file, says so, and holds it until its stdin closes.
HOLDER = (
    "import fcntl, os, sys\n"
    "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
    "try:\n"
    "    fcntl.flock(fd, fcntl.LOCK_EX)\n"
    "    print('held', flush=True)\n"
    "except OSError as error:\n"
    "    print(error.strerror, flush=True)\n"
    "sys.stdin.read()\n"
)


def promises(path: Path) -> Iterator[Check]:
    """Locks, renames and the clock, tried out in the store; nothing where it cannot be written at all."""
    try:
        with scratch(path) as place:
            yield locks(place)
            yield renames(place)
            yield clock(place)
    except OSError as error:
        if not unwritable(path):
            yield Check(
                GROUP, "promises", "problem", f"trying it out failed: {error.strerror or error}", ELSEWHERE
            )


def locks(place: Path, holder_code: str = HOLDER) -> Check:
    """Two processes: a lock must keep the other out, and be free when its holder is killed."""
    path = place / "lock"
    command = [sys.executable, "-I", "-S", "-c", holder_code, str(path)]
    # A pipe that closes with us ends the holder, should we be killed half-way.
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        said = _first_line(holder, 5.0)
        if said != "held":
            text = f"a lock cannot be taken: {said or 'no answer within 5 s'}"
            return Check(GROUP, "locks", "problem", text, ELSEWHERE)
        if not is_locked(path) or RunLock(path).acquire(timeout=0.0):
            text = "two processes can hold one lock, so runs may be worked on twice and never show as lost"
            return Check(GROUP, "locks", "problem", text, ELSEWHERE)
    finally:
        holder.kill()
        holder.communicate()
    deadline = time.monotonic() + 3.0
    while is_locked(path):
        if time.monotonic() > deadline:
            text = "a lock outlives the process that held it, so killed runs seem to go on"
            return Check(GROUP, "locks", "problem", text, ELSEWHERE)
        time.sleep(0.02)
    return Check(GROUP, "locks", "ok", "one process at a time, free again when it is killed")


def _first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline().decode(errors="replace").strip() if ready else ""


def renames(place: Path, rounds: int = 100, seconds: float = 2.0) -> Check:
    """A file replaced again and again must be whole and there at every look."""
    path = place / "replaced"
    texts = ("a" * 10_000, "b" * 10_000)
    files.write_text(path, texts[0], sync=False)
    finished = threading.Event()

    def replace() -> None:
        deadline = time.monotonic() + seconds
        try:
            for i in range(rounds):
                if time.monotonic() > deadline:
                    return
                files.write_text(path, texts[i % 2], sync=False)
        finally:
            finished.set()

    writer = threading.Thread(target=replace, daemon=True)
    writer.start()
    torn = 0
    while not finished.is_set():
        try:
            torn += path.read_text() not in texts
        except OSError:
            torn += 1
    writer.join()
    if torn:
        text = f"a file being replaced was missing or torn at {torn} looks, so states may be misread"
        return Check(GROUP, "renames", "problem", text, ELSEWHERE)
    return Check(GROUP, "renames", "ok", "files are replaced in one step")


def clock(place: Path) -> Check:
    """The file system's clock against ours."""
    path = place / "now"
    path.write_bytes(b"x")
    skew = path.stat().st_mtime - time.time()
    if abs(skew) > MOST_SKEW:
        text = f"the file system's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        advice = "Times in lists mislead; have both machines set their clocks by NTP."
        return Check(GROUP, "clock", "note", text, advice, {"skew": skew})
    return Check(GROUP, "clock", "ok", "agrees with the file system's", values={"skew": skew})
