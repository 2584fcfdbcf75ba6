"""How a worker is stopped: SIGTERM asks its run to end in order, and does not wait for long.

What a terminal sends when it closes, or when its user interrupts something else, is not meant for a worker.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from tui_opt.runner.interrupts import Interrupts

#: what a run has to stop by itself before it is abandoned.
GRACE = 1.0
_IGNORED = (signal.SIGINT, signal.SIGHUP)


class Stopping(Interrupts):
    """Notes SIGTERM. Time counts as a second signal, which does not wait for the computation to notice the first."""

    def __init__(self) -> None:
        super().__init__((signal.SIGTERM,))
        self._first_at = 0.0
        self._deaf_before: dict[int, Any] = {}

    @property
    def count(self) -> int:
        """How many signals came, at least two once the grace is over."""
        if self._noted and time.monotonic() - self._first_at > GRACE:
            return max(2, self._noted)
        return self._noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._noted:
            self._first_at = time.monotonic()
        super()._note(number, frame)

    def __enter__(self) -> Stopping:
        super().__enter__()
        if threading.current_thread() is threading.main_thread():
            self._deaf_before = {number: signal.signal(number, signal.SIG_IGN) for number in _IGNORED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._deaf_before.items():
            signal.signal(number, handler)
        super().__exit__(kind, error, trace)
