"""Stores and caches: whether they can be written, what they hold, and whether their file system keeps its promises."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tui_opt.doctor.check import Check, Examiner, State, size_text
from tui_opt.errors import OptexploreError
from tui_opt.locations import cache_dir
from tui_opt.runner import files
from tui_opt.runner.lock import RunLock, is_locked
from tui_opt.runner.run_directory import NEW_MARK
from tui_opt.store import Store

GROUP = "store"
NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "afs",
    "9p",
    "ceph",
    "fuse.",
    "panfs",
    "glusterfs",
    "virtiofs",
)
PASSING = ("tmpfs", "ramfs", "overlay")
NO_SPACE, LITTLE_SPACE, FEW_FILES = 100_000_000, 2_000_000_000, 10_000
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


def examiners(path: Path) -> list[Examiner]:
    """What this module looks at, for the store at `path`."""
    hangs: tuple[State, str] = ("problem", f"Its file system does not answer; wait for it, or: {ELSEWHERE}")
    large = "Remove what you no longer need with `optexplore runs prune`; counting took too long to wait for."

    def at(name: str, look: Callable[[], Iterator[Check]]) -> Examiner:
        return Examiner(GROUP, name, look, when_slow=hangs)

    return [
        at("folder", lambda: folder(path)),
        at("runs", lambda: runs(path)),
        Examiner(GROUP, "size", lambda: size(path), when_slow=("note", large)),
        at("space", lambda: space(path)),
        at("file system", lambda: file_system(path)),
        at("promises", lambda: promises(path)),
        Examiner("caches", "caches", lambda: caches(cache_dir(), os.environ.get("NUMBA_CACHE_DIR"))),
    ]


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder of our own in `path`, or where it would be made; lists of runs do not show it. Gone at the end.

    Raises:
        OSError: nothing can be written there.
    """
    made = tempfile.mkdtemp(prefix=f"{NEW_MARK}doctor-", dir=existing(path))
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def unwritable(path: Path) -> str:
    """Why nothing can be written there, empty where it can."""
    try:
        with scratch(path) as place:
            (place / "file").write_bytes(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""


# --- the store ---------------------------------------------------------------------------------------------


def folder(path: Path) -> Iterator[Check]:
    """Where it is, and whether it can be written."""
    why = unwritable(path)
    if why:
        yield Check(
            GROUP, "folder", "problem", f"{path} cannot be written: {why}", ELSEWHERE, {"path": str(path)}
        )
    else:
        text = f"{path}{'' if path.is_dir() else ' (made by the first run)'}"
        yield Check(GROUP, "folder", "ok", text, values={"path": str(path)})


def runs(path: Path) -> Iterator[Check]:
    """How many runs there are, and those that ended without a word or cannot be read."""
    if not path.is_dir():
        return
    try:
        rows = Store(path).rows()
    except OptexploreError as error:
        yield Check(GROUP, "runs", "problem", str(error), ELSEWHERE)
        return
    states = Counter(row.state for row in rows)
    shown = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    yield Check(GROUP, "runs", "ok", shown or "none", values=dict(states))
    for row in (lost := [r for r in rows if r.state == "lost"])[:3]:
        advice = f"Go on with it: optexplore runs resume {row.id}"
        more = f" (one of {len(lost)})" if len(lost) > 3 else ""
        yield Check(GROUP, "lost", "note", f"{row.id} ended without a word{more}", advice)
    unreadable = [r for r in rows if r.state == "unreadable"]
    if unreadable:
        text = f"{len(unreadable)} folders are no readable runs, such as {unreadable[0].id}"
        advice = (
            "Look at them with `optexplore runs list --state unreadable`; move foreign folders elsewhere."
        )
        yield Check(GROUP, "unreadable", "note", text, advice)


def size(path: Path) -> Iterator[Check]:
    """Bytes of all runs together."""
    if path.is_dir():
        total = Store(path).size()
        yield Check(GROUP, "size", "ok", size_text(total), values={"bytes": total})


def space(path: Path) -> Iterator[Check]:
    """Room on its disk, in bytes and in files."""
    place = existing(path)
    free = shutil.disk_usage(place).free
    text = f"{size_text(free)} free"
    advice = "Free some space: `optexplore runs prune` removes old runs."
    values = {"free": free}
    if free < NO_SPACE:
        yield Check(GROUP, "space", "problem", text, advice, values)
    elif free < LITTLE_SPACE:
        yield Check(GROUP, "space", "note", text, advice, values)
    else:
        yield Check(GROUP, "space", "ok", text, values=values)
    status = os.statvfs(place)
    if status.f_files and status.f_favail < FEW_FILES:
        yield Check(GROUP, "space", "note", f"room for only {status.f_favail} more files", advice)


def mount_type(path: Path, mounts: str) -> str:
    """The type of the file system a path is on.

    Args:
        path: an absolute path without links.
        mounts: the text of `/proc/self/mountinfo`.
    """
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        fields, dash, rest = line.partition(" - ")
        parts = fields.split()
        if not dash or len(parts) < 5:
            continue
        point = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), parts[4])
        inside = path == Path(point) or Path(point) in path.parents
        if inside and len(point) >= len(best):  # of two mounts on one place the later covers the earlier
            best, kind = point, rest.split()[0]
    return kind


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> Iterator[Check]:
    """The type of file system, and whether it is on this machine."""
    try:
        kind = mount_type(existing(path).resolve(), mounts.read_text())
    except OSError:
        kind = "unknown"
    values = {"type": kind}
    if kind.startswith(NETWORK):
        advice = f"Trust the lines below more than its name; if it is slow: {ELSEWHERE}"
        yield Check(GROUP, "file system", "note", f"{kind}, on another machine", advice, values)
    elif kind in PASSING:
        what = "lost with the container" if kind == "overlay" else "in memory, lost when the machine restarts"
        yield Check(GROUP, "file system", "note", f"{kind}: {what}", f"To keep runs: {ELSEWHERE}", values)
    else:
        yield Check(GROUP, "file system", "ok", f"{kind}, on this machine", values=values)


# --- what runs rely on -------------------------------------------------------------------------------------


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


# --- caches ------------------------------------------------------------------------------------------------


def caches(folder: Path, numba: str | None) -> Iterator[Check]:
    """Folders of compiled code.

    Args:
        folder: the user's cache.
        numba: what `NUMBA_CACHE_DIR` says, if it is set.
    """
    for name, path in (
        ("numba", Path(numba) if numba else folder / "numba"),
        ("kernels", folder / "kernels"),
    ):
        why = unwritable(path)
        if why:
            variable = "NUMBA_CACHE_DIR" if name == "numba" and numba else "OPTEXPLORE_CACHE_DIR"
            advice = f"Set {variable} to a folder that can be written."
            yield Check(
                "caches", name, "problem", f"{path} cannot be written: {why}", advice, {"path": str(path)}
            )
            continue
        held = Store(path).size() if path.is_dir() else 0
        text = f"{path}, {size_text(held) if held else 'empty'}"
        yield Check("caches", name, "ok", text, values={"path": str(path), "bytes": held})
