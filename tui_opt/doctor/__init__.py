"""What this machine offers and what stands in the way, as data: a list of checks, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tui_opt.doctor import data, machine, software, storage, survival, terminal
from tui_opt.doctor.check import Check, Examiner

__all__ = ["Check", "Examiner", "examine", "examiners"]


def examiners(store: Path) -> list[Examiner]:
    """Everything there is to look at, in the order in which it is shown."""
    return [
        *software.examiners(),
        *machine.examiners(),
        *terminal.examiners(),
        *data.examiners(),
        *storage.examiners(store),
        *survival.examiners(),
    ]


def examine(store: Path) -> Iterator[Check]:
    """Look at everything.

    Args:
        store: the store of runs to examine.

    Yields:
        Checks, group by group. Each look is bounded in time, and one that fails is a line of its own.
    """
    for examiner in examiners(store):
        yield from examiner.checks()
