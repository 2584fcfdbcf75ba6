"""The two streams: results on stdout, everything else on stderr; how wide and colourful each may be."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from typing import IO, Literal, cast

from rich.console import Console

Colors = Literal["none", "standard", "256", "truecolor"]
PIPE_COLUMNS = 100


class _Unpadded(io.TextIOBase):
    """stdout without the blanks that fill a table's lines up, for readers that are programs."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        sys.stdout.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def results() -> Console:
    """stdout, laid out in `width` columns; where it is no terminal, no line ends in blanks."""
    console = Console(highlight=False, width=width(), soft_wrap=False)
    if console.is_terminal:
        return console
    return Console(file=cast("IO[str]", _Unpadded()), highlight=False, width=width(), soft_wrap=False)


def messages() -> Console:
    """stderr."""
    return Console(stderr=True, highlight=False)


def width() -> int:
    """Columns to lay results out in: COLUMNS where it is set, else the terminal's, else 100."""
    return max(1, shutil.get_terminal_size((PIPE_COLUMNS, 40)).columns)


def colors(console: Console) -> Colors:
    """The colours a console shows; none for a pipe or under NO_COLOR."""
    if console.no_color or console.color_system is None:
        return "none"
    system = console.color_system
    return system if system in ("standard", "256", "truecolor") else "standard"  # type: ignore[return-value]


def unicode() -> bool:
    """Whether stdout can show more than ASCII."""
    if os.environ.get("OPTEXPLORE_ASCII"):
        return False
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf")
