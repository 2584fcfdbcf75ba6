"""Whether the terminal shows more than ASCII."""

from __future__ import annotations

import locale
import os


def knows_unicode() -> bool:
    """False under `OPTEXPLORE_ASCII` and in locales that are not UTF-8."""
    if os.environ.get("OPTEXPLORE_ASCII"):
        return False
    return locale.getpreferredencoding(False).lower().replace("-", "").startswith("utf")
