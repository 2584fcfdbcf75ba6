"""A dialog, which is answered once."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """Of two keys that arrive together the second may still reach a dialog that has been answered by the first."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Give the answer; a second one would be given for the screen below."""
        if not self.is_active:
            return AwaitComplete()
        return super().dismiss(result)
