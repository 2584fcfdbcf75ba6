"""Text cut to lines of terminal cells, whole words and whole numbers first."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, chop_cells

from tui_opt.render.ascii import to_ascii

ELLIPSIS = "…"


def clean(text: str, *, unicode: bool) -> str:
    """One line of printable text, in ASCII where asked: line ends become spaces, control characters go."""
    text = "".join(" " if c in "\t\n\r" else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})
    return text if unicode else to_ascii(text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at plain spaces; a word is cut only where it is wider than a line."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = chop_cells(word, width) if cell_len(word) > width else [word]
        lines += whole
    return [*lines, line] if line else lines


def shorten(text: str, width: int, *, unicode: bool = True) -> str:
    """The text, or its first words and an ellipsis, in at most `width` cells."""
    if cell_len(text) <= width:
        return text
    ellipsis = ELLIPSIS if unicode else "..."
    room = width - len(ellipsis)
    if room < 1:
        return ellipsis[: max(width, 0)]
    words = wrap(text, room)[0]
    return words + ellipsis


def first_lines(text: str, width: int, count: int, *, unicode: bool = True) -> list[str]:
    """At most `count` lines of the text; the last ends in an ellipsis where more would follow."""
    lines = wrap(text, width)
    if len(lines) <= count:
        return lines
    if count < 1:
        return []
    return [*lines[: count - 1], shorten(" ".join(lines[count - 1 :]), width, unicode=unicode)]
