"""What can go wrong when a figure is written to a file."""

from __future__ import annotations

from tui_opt.errors import OptexploreError


class RenderError(OptexploreError):
    """A figure could not be written; the message is a sentence that says why and what to do."""
