"""Wall-clock times of several pieces of work that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable


def in_turn(*work: Callable[[], object], rounds: int = 7) -> list[float]:
    """Least seconds of each over the rounds, run in turn."""
    best = [float("inf")] * len(work)
    for _ in range(rounds):
        for k, one in enumerate(work):
            begin = time.perf_counter()
            one()
            best[k] = min(best[k], time.perf_counter() - begin)
    return best
