"""The lock of a run: held from claim to end, so that whoever finds it free knows that nobody works on the run."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class RunLock:
    """An exclusive advisory lock on a file. The system drops it with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, timeout: float = 1.0) -> bool:
        """Take the lock.

        Args:
            timeout: seconds to go on trying; a reader that is looking whether it is free holds it for an instant.

        Returns:
            Whether it is ours now.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _BUSY and time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                os.close(descriptor)
                if error.errno in _BUSY:
                    return False
                raise
            self._descriptor = descriptor
            return True

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this file. Many may look at once: looking takes a shared lock."""
    try:
        # NFS maps flock to byte ranges, where a shared lock needs a file open for reading.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _BUSY
    finally:
        os.close(descriptor)
    return False
