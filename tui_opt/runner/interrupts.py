"""Signals as requests: the first asks for an orderly end, the second does not wait for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, signals (SIGINT, SIGTERM, SIGHUP) are noted instead of ending the process.

    Outside the main thread, where Python delivers no signals, it notes nothing.
    """

    def __init__(self, signals: Sequence[int] = _CAUGHT) -> None:
        self._signals = signals
        self._noted = 0
        self.first: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def count(self) -> int:
        """How many signals came."""
        return self._noted

    @property
    def exit_code(self) -> int:
        """The exit code of a process ended by the first signal, as shells give it."""
        return 128 + (self.first or signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted += 1
        if self.first is None:
            self.first = number

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                # A signal that was ignored before (as under nohup) stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
