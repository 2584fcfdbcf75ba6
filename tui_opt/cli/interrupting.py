"""Ctrl-C while nothing is at stake, as during imports: the process leaves without a word."""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130


def leave_at_once() -> None:
    """From here on SIGINT ends the process with exit code 130.

    A KeyboardInterrupt would surface as a traceback of whatever is being imported or tidied up, or be swallowed there.
    A SIGINT that is ignored or handled by somebody else stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def end_in_order() -> None:
    """From here on SIGINT is a KeyboardInterrupt again, so that a command can tidy up behind it."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
