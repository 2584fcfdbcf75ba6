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
            _said(f"{name} could not be installed", *command)
        complete.touch()
    return python


def run_peer(python: Path, script: Path, *words: str | Path) -> dict[str, Any]:
    """What the script prints, one JSON object on its last line.

    Raises: Unavailable when it fails.
    """
    said = _said(f"{script.name} failed", python, script, *words)
    try:
        answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Unavailable(f"{script.name} printed no result, so it was not measured.") from None
    return answer


def _said(failure: str, *command: str | Path) -> str:
    """The standard output of a command.

    Raises: Unavailable, beginning with `failure`, when it cannot be run, fails or takes longer than `PATIENCE`.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        reason = f"not done after {PATIENCE:g} s"
    except OSError as error:
        reason = str(error)
    else:
        if done.returncode == 0:
            return done.stdout
        reason = (
            done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no reason given"]
        )[-1]
    raise Unavailable(f"{failure} ({reason}), so it was not measured.")
