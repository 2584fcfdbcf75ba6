"""Limits of the control groups this process is in, of either version, its own and those around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: version 1 says "no limit" with a number near 2^63.
_UNLIMITED = 1 << 60


@dataclass(frozen=True)
class Limits:
    """The tightest limits; None where there is none. Memory in bytes, `memory_free` what the limit still leaves."""

    cores: float | None = None
    memory: int | None = None
    memory_free: int | None = None


def limits(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Limits:
    """Read the limits.

    Args:
        membership: the file that says which groups the process is in.
        root: where the groups are mounted.
    """
    cores: list[float] = []
    memory: list[tuple[int, int]] = []
    for controllers, group in _groups(membership):
        for folder in _upwards(root, controllers, group):
            quota, period = _quota(folder)
            if quota and period:
                cores.append(quota / period)
            limit, used = _memory(folder)
            if limit is not None and limit < _UNLIMITED:
                memory.append((limit - (used or 0), limit))
    free, limit = min(memory, default=(None, None))
    return Limits(min(cores, default=None), limit, None if free is None else max(0, free))


def _groups(membership: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" or {"cpu", "memory"} & set(controllers.split(",")):
            yield controllers, group


def _upwards(root: Path, controllers: str, group: str) -> Iterator[Path]:
    """The group's folder and those around it: a batch system limits the job, not the step a process is in."""
    base = root / controllers if controllers else root
    folder = base / group.strip("/")
    while folder != base and base in folder.parents:
        yield folder
        folder = folder.parent
    yield base


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _quota(folder: Path) -> tuple[int | None, int | None]:
    try:
        quota, _, period = (folder / "cpu.max").read_text().strip().partition(" ")
    except OSError:
        return _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return (int(quota), int(period)) if quota.isdigit() and period.isdigit() else (None, None)


def _memory(folder: Path) -> tuple[int | None, int | None]:
    limit = _number(folder / "memory.max")
    if limit is not None:
        return limit, _number(folder / "memory.current")
    return _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
