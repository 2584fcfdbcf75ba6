"""Stores and caches: whether they can be written, and what they hold."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tui_opt.doctor.check import Check, Examiner, State, size_text
from tui_opt.doctor.promises import ELSEWHERE, promises
from tui_opt.doctor.scratch import existing, unwritable
from tui_opt.errors import OptexploreError
from tui_opt.locations import cache_dir
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
    usage = shutil.disk_usage(place)
    if usage.total == 0:
        return  # a file system of the kernel, which has no room to speak of
    free = usage.free
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
