"""Letters from background threads to the interface: the newest of each kind, however long nobody takes them out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class Mailbox:
    """Where threads leave what the interface should know.

    A terminal that stops reading stalls the interface, and nothing may pile up behind it or wait for it: a letter
    replaces the one of the same kind that has not been taken yet.

    Args:
        ring: called once when the first letter arrives in an empty box, from the thread that leaves it.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._letters: dict[Hashable, object] = {}
        self._lock = threading.Lock()

    def put(self, kind: Hashable, letter: object) -> None:
        """Leave a letter in place of the last of its kind; never waits."""
        with self._lock:
            empty = not self._letters
            self._letters.pop(kind, None)  # so that it stands behind those that came before it
            self._letters[kind] = letter
        if empty:
            self._ring()

    def take(self) -> list[object]:
        """All letters, in the order they came; the box is empty afterwards."""
        with self._lock:
            letters = list(self._letters.values())
            self._letters.clear()
        return letters
