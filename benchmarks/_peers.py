"""Peers that need an environment of their own, made in the user's cache when they are first measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tui_opt.locations import cache_dir

PATIENCE = 900.0


class Unavailable(Exception):
    """Why a peer could not be measured, as a sentence."""


def peer_python(name: str, *requirements: str) -> Path:
    """The Python of the peer's environment, with the requirements installed.

    Raises: Unavailable where pip cannot fetch them.
    """
    folder = cache_dir() / "peers" / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        print(f"  making the environment of {name} in {folder}", file=sys.stderr, flush=True)
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
        for command in ((sys.executable, "-m", "venv", "--clear", folder), install):
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise Unavailable(f"{name} could not be installed ({last}), so it was not measured.")
        complete.touch()
    return python


def run_peer(python: Path, script: Path, *words: str | Path) -> dict[str, Any]:
    """What the script prints, one JSON object on its last line.

    Raises: Unavailable when it fails.
    """
    command = (python, script, *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(f"{script.name} failed ({last}), so it was not measured.")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
