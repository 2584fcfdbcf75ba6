"""SIGTERM and SIGHUP end the app in order: the terminal as it was found, the workers left to go on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from textual.app import App

#: how long the app may take to leave by itself; a terminal that does not read may hold it up for ever.
PATIENCE = 1.5
#: leaves the alternate screen, shows the cursor, ends mouse and paste reports and the keyboard protocol.
_RESTORE = b"".join(
    b"\x1b[" + code
    for code in (
        b"?1049l",
        b"?25h",
        b"?1000l",
        b"?1002l",
        b"?1003l",
        b"?1006l",
        b"?1015l",
        b"?1016l",
        b"?2004l",
        b"?1004l",
        b"<u",
        b"0m",
    )
)


@contextlib.contextmanager
def ending_in_order(app: App[Any]) -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP leave the app; where it cannot, the terminal is restored from here."""
    try:
        terminal: list[Any] | None = termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):
        terminal = None

    def end(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=_insist, args=(number, terminal), name="ending", daemon=True).start()
        loop = app._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(lambda: app.exit(return_code=128 + number))

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _insist(number: int, terminal: list[Any] | None) -> None:
    """Leave in any case: a terminal that is gone, or does not read, must not keep the process."""
    threading.Event().wait(PATIENCE)
    with contextlib.suppress(OSError, ValueError, termios.error):
        descriptor = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
        os.set_blocking(descriptor, False)
        os.write(descriptor, _RESTORE)
        if terminal is not None:
            termios.tcsetattr(sys.__stdin__.fileno() if sys.__stdin__ else 0, termios.TCSANOW, terminal)
    os._exit(128 + number)
