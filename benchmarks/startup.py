"""Start-up of the command line against the bare interpreter, as whole processes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

ROUNDS = 9
COMMANDS = {
    "optexplore --help": ["--help"],
    "optexplore list": ["list"],
    "optexplore show toy-sgd escape": ["show", "toy-sgd", "escape"],
}


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure() -> list[dict[str, Any]]:
    """Best of several interleaved rounds; `over` is what a command costs beyond the interpreter."""
    best = dict.fromkeys(["bare", *COMMANDS], float("inf"))
    for _ in range(ROUNDS):
        best["bare"] = min(best["bare"], _seconds(["-c", "pass"]))
        for name, arguments in COMMANDS.items():
            best[name] = min(best[name], _seconds(["-m", "tui_opt", *arguments]))
    return [
        {
            "name": name,
            "seconds": best[name],
            "peer": "python -c pass",
            "peer_seconds": best["bare"],
            "ratio": best[name] / best["bare"],
            "over": best[name] - best["bare"],
        }
        for name in COMMANDS
    ]


if __name__ == "__main__":
    for row in measure():
        print(row)
