"""The two streams: results on stdout, everything else on stderr; how wide and colourful each may be."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Literal

from rich.console import Console

Colors = Literal["none", "standard", "256", "truecolor"]
NARROWEST = 40


def results() -> Console:
    """stdout. Not wrapped where it is no terminal, so that a pipe gets whole lines."""
    return Console(highlight=False, width=width(), soft_wrap=False)


def messages() -> Console:
    """stderr."""
    return Console(stderr=True, highlight=False)


def width() -> int:
    """Columns to lay results out in."""
    return max(NARROWEST, shutil.get_terminal_size((100, 40)).columns)


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
