"""From rich texts and tables to strips of an exact width, and what differs between two lists of strips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.cells import get_character_cell_size
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip

_PLAIN = Style()
#: writes nowhere; it only lays out. Colours are reduced where strips are written to the terminal.
_MEASURE = Console(
    width=80,
    color_system="truecolor",
    force_terminal=True,
    legacy_windows=False,
    _environ={},
    highlight=False,
)


def _strip(segments: Iterable[Segment], width: int) -> Strip:
    # A segment without a style cannot be turned to grey where there is no colour.
    styled = [Segment(s.text, s.style or _PLAIN) for s in segments if s.text and not s.control]
    return Strip(styled).simplify().adjust_cell_length(width, _PLAIN)


def text_strips(lines: Sequence[Text], width: int) -> list[Strip]:
    """Each text as a line of `width` cells; what is longer is cut, so it must have been laid out before."""
    # Joined with nothing, because a text's own style is only rendered where it has become a span.
    return [_strip(Text("").join([line]).render(_MEASURE), width) for line in lines]


def renderable_strips(renderable: RenderableType, width: int) -> list[Strip]:
    """Anything that rich can lay out, in lines of `width` cells."""
    options = _MEASURE.options.update(width=max(1, width), height=None)
    return [_strip(line, width) for line in _MEASURE.render_lines(renderable, options, pad=False)]


def changed_regions(old: Sequence[Strip], new: Sequence[Strip], width: int) -> list[Region]:
    """Where two drawings differ: for each line the span from its first to its last cell that is another.

    Args:
        old: the strips that are in sight.
        new: those that take their place.
        width: cells across; a line with characters that do not fill one cell each differs as a whole.
    """
    regions = []
    for y, (before, after) in enumerate(zip_longest(old, new)):
        span = _span(before, after, width)
        if span is not None:
            regions.append(Region(span[0], y, span[1] - span[0], 1))
    return regions


def _span(before: Strip | None, after: Strip | None, width: int) -> tuple[int, int] | None:
    """The first differing cell of two lines and the one after the last, `None` where they are the same."""
    if before is not None and after is not None:
        if before is after or before == after:
            return None
        old, new = _cells(before), _cells(after)
        if old is not None and new is not None and len(old) == len(new):
            differing = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
            return (differing[0], differing[-1] + 1) if differing else None
    return 0, width


def _cells(strip: Strip) -> list[tuple[str, Style | None]] | None:
    """What stands in each cell, `None` where a character fills two cells or none."""
    cells = [(char, segment.style) for segment in strip for char in segment.text]
    single = all(get_character_cell_size(char) == 1 for char in strip.text if not char.isascii())
    return cells if single else None
