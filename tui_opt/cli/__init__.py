"""The command line. This module is the way in and imports nothing heavy: what it must do first is done at once."""

from __future__ import annotations

from typing import NoReturn

from tui_opt.cli.interrupting import leave_at_once


def main() -> NoReturn:
    """Run the command line and exit with one of `ExitCode`. No traceback reaches the user."""
    leave_at_once()
    from tui_opt.cli.command_line import run

    run()
