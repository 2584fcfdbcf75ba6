"""Names for files and variables, made from names that results give and that may hold anything."""

from __future__ import annotations

import re

LONGEST = 100


def safe(name: str) -> str:
    """A name of letters, digits, `_`, `-` and inner dots: it cannot leave its folder nor hide."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".-")
    return re.sub(r"\.\.+", "_", cleaned)[:LONGEST].rstrip(".") or "unnamed"


def unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken; some file systems take `A` for `a`."""
    chosen, n = name, 2
    while chosen.casefold() in taken:
        chosen, n = f"{name}_{n}", n + 1
    taken.add(chosen.casefold())
    return chosen
