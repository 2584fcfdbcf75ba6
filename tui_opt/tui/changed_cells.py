"""Repaints that send the changed cells of a line and not also what stands to the left of them."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class ChangedCells(ChopsUpdate):
    """An update of parts of the screen. Textual's own cuts what it sends at the right end of a change only."""

    @classmethod
    def of(cls, update: ChopsUpdate) -> ChangedCells:
        """The same update with nothing to the left of the changes."""
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """The update as it is written to the terminal."""
        written = []
        for y, begin, end in self.spans:
            for piece_end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, begin), min(piece_end, end)
                if strip is not None and left < right:
                    written += [
                        Control.move_to(left, y).segment.text,
                        strip.crop(left - x, right - x).render(console),
                    ]
        return "".join(written)


def only_changes(renderable: RenderableType | None) -> RenderableType | None:
    """What is to be displayed, without unchanged cells where it is an update of parts of the screen."""
    return ChangedCells.of(renderable) if type(renderable) is ChopsUpdate else renderable
