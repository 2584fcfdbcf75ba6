"""What can go wrong when a figure is written to a file."""

from __future__ import annotations


class RenderError(Exception):
    """A figure could not be written; the message is a sentence that says why and what to do."""
