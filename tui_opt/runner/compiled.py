"""Where kernels compiled by numba are kept: a folder for each state of their sources."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
import time
from pathlib import Path

KERNELS = Path(__file__).parents[1] / "kernels"
KEPT_SECONDS = 30 * 86400


@functools.cache
def sources_digest(folder: Path = KERNELS) -> str:
    """Sixteen hexadecimal digits that change with any source of the kernels."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def compiled_folder(cache: Path) -> Path:
    """The folder inside `cache` for the kernels as they are now; folders untouched for a month are removed.

    The compiler sees when the file of a kernel has changed, but not that of a function which the kernel calls. Kernels
    compiled from older sources must therefore lie where they are not found.
    """
    folder = cache / sources_digest()
    if not folder.exists():
        with contextlib.suppress(OSError):  # it costs only room
            for old in cache.iterdir():
                if old.stat().st_mtime < time.time() - KEPT_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)
    return folder
