"""stdout as commands write to it: what goes wrong there is a sentence, told apart from every other error of a file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tui_opt.errors import OptexploreError


class StdoutError(OptexploreError):
    """stdout cannot be written, as on a full disk."""


class _Guarded(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with _in_a_sentence():
            return super().write(text)

    def flush(self) -> None:
        with _in_a_sentence():
            super().flush()


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # a reader that has seen enough is no error
        raise
    except OSError as error:
        discard_stdout()
        raise StdoutError(f"stdout cannot be written: {error.strerror or error}.") from None


def guard_stdout() -> None:
    """Make errors of stdout `StdoutError`, and let it take names of files that are not text."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        sys.stdout = _Guarded(
            stdout.buffer,
            encoding=stdout.encoding,
            errors="backslashreplace",
            line_buffering=stdout.line_buffering,
        )


def discard_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain about it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
