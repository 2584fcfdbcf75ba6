"""How fast this machine is beside the one that estimates of cost are made for. Measured once, and kept in the cache."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from pathlib import Path

from tui_opt.locations import cache_dir
from tui_opt.runner import files

SCHEMA = 1
#: what `measured` takes on the reference machine.
REFERENCE_SECONDS = 0.0085
_STEPS = 200_000
_REPEATS = 5
#: a ratio beyond this says more about the measurement than about the machine.
_MOST = 20.0


def factor() -> float:
    """Seconds on this machine for a second on the reference machine; 1 where nobody has measured it."""
    found = (files.read_json(_path()) or {}).get("factor")
    if isinstance(found, bool) or not isinstance(found, int | float) or not 1 / _MOST <= found <= _MOST:
        return 1.0
    return float(found)


def calibrate() -> None:
    """Measure this machine where that has not been done, and keep the answer for all processes to come."""
    path = _path()
    if path.exists():
        return
    ratio = min(max(measured() / REFERENCE_SECONDS, 1 / _MOST), _MOST)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps({"schema": SCHEMA, "factor": round(ratio, 3)}) + "\n", sync=False)
    except OSError:
        return  # estimates stay those of the reference machine


def measured() -> float:
    """Seconds for a fixed piece of arithmetic, the fastest of a few: what else runs here only makes it slower."""
    return min(_timed() for _ in range(_REPEATS))


def _timed() -> float:
    began = time.perf_counter()
    x = 0.5
    for _ in range(_STEPS):
        x = 3.7 * x * (1.0 - x)
    assert math.isfinite(x)
    return time.perf_counter() - began


def _path() -> Path:
    # A home may be shared by machines that differ.
    host = re.sub(r"\W+", "-", socket.gethostname())
    return cache_dir() / f"calibration-{host}.json"
