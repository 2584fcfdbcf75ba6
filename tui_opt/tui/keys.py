"""Names of keys as the last line, the help and the palette show them."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.binding import Binding


def key_text(app: App[Any], binding: Binding, *, unicode: bool) -> str:
    """A binding's key: the sign on it, or in ASCII its name."""
    shown = app.get_key_display(binding)
    return shown if unicode or shown.isascii() else binding.key
