"""Ctrl-C while nothing is at stake, as during imports: the process leaves without a word."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


@contextmanager
def leave_at_once() -> Iterator[None]:
    """While it is entered, SIGINT ends the process with exit code 130.

    A KeyboardInterrupt would surface as a traceback of whatever is being imported, or be swallowed there. A SIGINT that
    is ignored or handled by somebody else stays so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave_at_once_from_here() -> None:
    """The same until the process ends: the interpreter's own tidying up shows tracebacks where it is interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
