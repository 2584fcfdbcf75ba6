"""What this machine gives a run: threads, memory, the cache of compiled kernels, and a record of all that."""

from __future__ import annotations

import functools
import math
import os
import platform
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from tui_opt.locations import cache_dir
from tui_opt.runner.cgroups import limits
from tui_opt.runner.compiled import compiled_folder

_RECORDED = ("optexplore", "numpy", "scipy", "numba", "torch", "pydantic", "finufft")


def available_cores() -> int:
    """Cores this process may use: its affinity mask, or less where its control groups have a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = limits().cores
    return cores if quota is None else min(cores, max(1, math.ceil(quota)))


def available_memory() -> int:
    """Bytes a run may still take: free memory, or what its control groups leave."""
    import psutil

    free = int(psutil.virtual_memory().available)
    left = limits().memory_free
    return free if left is None else min(free, left)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Hold BLAS and OpenMP pools to `threads`. Our kernels are told of `threads` by the context.

    Only libraries that are loaded can be held, so NumPy's and SciPy's are loaded here; load the computation's before.
    """
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield


def kernel_cache() -> Path | None:
    """Folder of specialised kernels, made where it is missing; None where it cannot be made, which costs only time."""
    folder = cache_dir() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def prepare_compilation() -> None:
    """Point numba's cache at the user's cache. Must come before numba is imported."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(compiled_folder(cache_dir() / "numba"))


@contextmanager
def announced_compilation(announce: Callable[[str], None]) -> Iterator[None]:
    """Say once that something is being compiled, when numba really compiles and does not load from its cache."""
    if "numba" not in sys.modules:
        import numba  # noqa: F401  (its event module is useless before)
    from numba.core import event

    class _Listener(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                announce("compiling (first use only)")

        def on_end(self, event: Any) -> None:
            """Nothing to say at the end."""

    listener = _Listener()
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


@contextmanager
def told_warnings(tell: Callable[[str], None]) -> Iterator[None]:
    """Hand Python's warnings to `tell` as sentences, each once, from whatever thread they come."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = f"Warning from the computation ({category.__name__}): {message}"
        if text not in said:
            said.add(text)
            tell(text)

    # Not warnings.catch_warnings, which is not safe with threads: it would undo another's changes of the filters.
    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


@functools.cache
def git_commit() -> str | None:
    """Commit of the checkout the package runs from, `+` behind it if it is changed; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=True
    )
    return answer.stdout.strip()


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what numbers depend on."""
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def provenance(device: str, dtype: str, threads: int) -> dict[str, Any]:
    """A record of where and with what a result was made."""
    return {
        "versions": versions(),
        "git_commit": git_commit(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "device": device,
        "dtype": dtype,
        "threads": threads,
    }
