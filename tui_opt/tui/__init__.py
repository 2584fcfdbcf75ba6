"""The terminal app. Importing this package imports nothing of it; `run_app` is the way in."""

from __future__ import annotations

import os
from pathlib import Path


def run_app(store: Path | None = None, processes: int = 1) -> int:
    """Run the app in this terminal until it is left; returns the exit code.

    Args:
        store: the folder of runs, the user's own if none is named.
        processes: processes that a sweep is computed on.
    """
    # An animation repaints for its own sake, which a slow line feels; Textual reads this when it is imported.
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from tui_opt.locations import runs_dir
    from tui_opt.tui.app import OptexploreApp
    from tui_opt.tui.endings import ending_in_order

    app = OptexploreApp(store or runs_dir(), processes)
    with ending_in_order(app):
        app.run()
    return app.return_code or 0
