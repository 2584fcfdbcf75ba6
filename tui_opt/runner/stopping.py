"""How a worker is stopped: SIGTERM asks its run to end in order, and does not wait for long."""

from __future__ import annotations

import signal
import time
from types import FrameType

from tui_opt.runner.interrupts import Interrupts

#: what a run has to stop by itself before it is abandoned.
GRACE = 1.0


class Stopping(Interrupts):
    """Notes SIGTERM. Time counts as a second signal, which does not wait for the computation to notice the first."""

    def __init__(self) -> None:
        super().__init__((signal.SIGTERM,))
        self._first_at = 0.0

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
