"""The command line. This module is the way in and imports nothing heavy: what it must do first is done at once."""

from __future__ import annotations

import sys
from typing import NoReturn

from tui_opt.cli.interrupting import leave_at_once
from tui_opt.cli.opening import in_terminal, open_app


def main() -> NoReturn:
    """Run the command line and exit with one of `ExitCode`. No traceback reaches the user."""
    leave_at_once()
    if len(sys.argv) == 1 and in_terminal():
        sys.exit(open_app())  # without what the other commands need: the first frame should not wait for it
    from tui_opt.cli.command_line import run

    run()
