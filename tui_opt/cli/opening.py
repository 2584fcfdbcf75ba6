"""Opening the app, which the command line does without a command. Apart, so that it waits for nothing of the others."""

from __future__ import annotations

import sys
from pathlib import Path

from tui_opt.cli.interrupting import end_in_order


def in_terminal() -> bool:
    """Whether there is a terminal to open the app in."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def open_app(out: Path | None = None, workers: int = 1) -> int:
    """Run the app on a store, the user's own if none is named; returns its exit code. No traceback reaches the user."""
    from tui_opt.tui import run_app

    end_in_order()
    try:
        return run_app(out, workers)
    except Exception as error:
        from tui_opt.traces import unexpected

        sys.stderr.write(f"optexplore: {unexpected(error)}\n")
        return 1
