"""A terminal of our own: a program in a pseudo-terminal, its keys, what it wrote and when, and the screen it makes."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte

PATIENCE = 120.0
#: `optexplore` without arguments, as a user starts it.
APP = (sys.executable, "-m", "tui_opt")

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "backspace": "\x7f",
    "delete": "\x1b[3~",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "shift+up": "\x1b[1;2A",
    "shift+down": "\x1b[1;2B",
    "shift+right": "\x1b[1;2C",
    "shift+left": "\x1b[1;2D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "f5": "\x1b[15~",
    "ctrl+p": "\x10",
    "ctrl+q": "\x11",
}
#: the keyboard protocol's `CSI > u` and `CSI < u`, whose last letter the screen would show.
_KEYBOARD_PROTOCOL = re.compile(r"\x1b\[[<>=][0-9;]*u")


@dataclass(frozen=True)
class Chunk:
    """What was read at a moment."""

    at: float
    data: bytes


class Display:
    """The screen that a program's output makes."""

    def __init__(self, columns: int, lines: int) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        """Take in output."""
        self._stream.feed(_KEYBOARD_PROTOCOL.sub("", self._decoder.decode(data)))

    def resize(self, columns: int, lines: int) -> None:
        """Be of another size."""
        self._screen.resize(lines, columns)

    @property
    def lines(self) -> list[str]:
        """Its lines."""
        return list(self._screen.display)


class Terminal:
    """A program in a pseudo-terminal that a thread reads.

    Args:
        command: the program and its words.
        environment: its environment; `TERM` is the terminal's business.
        columns: width.
        lines: height.
        term: what the terminal says it is.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        columns: int = 120,
        lines: int = 40,
        term: str = "xterm-256color",
        folder: Path | None = None,
    ) -> None:
        self.columns, self.lines = columns, lines
        self._master, self._slave = pty.openpty()
        self._set_size()
        self.settings = termios.tcgetattr(self._slave)
        given = {k: v for k, v in (environment or os.environ).items() if k not in ("COLUMNS", "LINES")}
        self.chunks: list[Chunk] = []
        self._display = Display(columns, lines)
        self._fed = 0
        self._arrived = threading.Condition()
        self._stopped = False
        self._gone = False
        self._reading = threading.Event()
        self._reading.set()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            list(command),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**given, "TERM": term},
            cwd=folder,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        self._thread = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    # --- doing ----------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> float:
        """Press keys, by name or as what they type; the moment at which that began."""
        return self.type("".join(KEYS.get(key, key) for key in keys))

    def type(self, text: str) -> float:
        """Type a text; the moment at which that began."""
        moment = time.monotonic()
        os.write(self._master, text.encode())
        return moment

    def resize(self, columns: int, lines: int) -> None:
        """Be of another size; the program is told by the system."""
        self._take_in()
        self.columns, self.lines = columns, lines
        self._display.resize(columns, lines)
        self._set_size()

    def stop_reading(self) -> None:
        """Read no more, as a line that is down."""
        self._reading.clear()

    def go_on_reading(self) -> None:
        """Read again."""
        self._reading.set()

    def hang_up(self) -> None:
        """The terminal is gone: the system sends SIGHUP, and reading and writing fail."""
        if self._gone:
            return  # a second time it would close what has been given these numbers since, another terminal's, say
        self._gone = True
        self._stopped = True
        self._reading.set()
        self._thread.join(PATIENCE)
        os.close(self._slave)
        os.close(self._master)

    def close(self) -> None:
        """End the program, if it still runs, and put the terminal away."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.hang_up()

    # --- looking --------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What is on the screen now."""
        self._take_in()
        return "\n".join(line.rstrip() for line in self._display.lines)

    @property
    def output(self) -> bytes:
        """Everything that was written."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def current_settings(self) -> list[Any]:
        """What the program has made of the terminal's settings."""
        return termios.tcgetattr(self._slave)

    def wait_for(self, wanted: str | Callable[[str], object], patience: float = PATIENCE) -> str:
        """Wait until a text is on the screen, or something is true of it; the screen then."""
        holds = wanted if callable(wanted) else (lambda text: wanted in text)
        deadline = time.monotonic() + patience
        while not holds(text := self.text):
            left = max(0.0, deadline - time.monotonic())
            ended = self.process.poll() is not None
            with self._arrived:
                news = self._fed < len(self.chunks) or self._arrived.wait(min(left, 0.5))
            if left <= 0 or (ended and not news):
                how = f"within {patience:g} s" if not ended else f"until it ended with {self.process.poll()}"
                raise AssertionError(f"{wanted!r} did not appear {how}:\n{text}")
        return text

    def moment_of(self, written: bytes, patience: float = PATIENCE) -> float:
        """When these bytes had been written."""
        deadline = time.monotonic() + patience
        seen, at = b"", 0
        while time.monotonic() < deadline:
            with self._arrived:
                if at == len(self.chunks):
                    self._arrived.wait(0.5)
            while at < len(self.chunks):
                seen = (seen + self.chunks[at].data)[-100_000:]
                if written in seen:
                    return self.chunks[at].at
                at += 1
        raise AssertionError(f"{written!r} was not written within {patience:g} s.")

    def wait_quiet(self, seconds: float, patience: float = PATIENCE) -> None:
        """Wait until nothing has been written for so long."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with self._arrived:
                if not self._arrived.wait(seconds):
                    return
        raise AssertionError(f"The program never was silent for {seconds:g} s.")

    def wait_end(self, patience: float = PATIENCE) -> int:
        """Wait until the program has ended and all it wrote was read; its exit code."""
        code = self.process.wait(patience)
        while select.select([self._master], [], [], 0.05)[0]:
            time.sleep(0.005)
        return code

    # --- inside ---------------------------------------------------------------------------------------------

    def _set_size(self) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, self.columns, 0, 0))

    def _take_in(self) -> None:
        """Bring the screen up to date: here, and not where it is read, for that has its times to keep."""
        while self._fed < len(self.chunks):
            self._display.feed(self.chunks[self._fed].data)
            self._fed += 1

    def _read(self) -> None:
        while not self._stopped:
            self._reading.wait()
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                return
            if not self._reading.is_set() and not data:
                continue
            with self._arrived:
                self.chunks.append(Chunk(time.monotonic(), data))
                self._arrived.notify_all()


def _own_terminal() -> None:
    """Make the pseudo-terminal the one that controls the new session, so that it can hang up."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
