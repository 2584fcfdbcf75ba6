"""The one error of the expression package, able to point into the user's own text."""

from __future__ import annotations

_WINDOW = 72  # columns of source shown by explain(), so that a long text still fits a terminal


class ExpressionError(ValueError):
    """A text that is not an expression we accept.

    Attributes:
        message: a sentence: what was wrong, what is allowed, what to write instead.
        source: the text as the user wrote it.
        start, end: the half-open range of columns (characters of `source`) the message is about.
    """

    def __init__(self, message: str, source: str, start: int, end: int) -> None:
        # All four go to BaseException so that pickle, which replays `args`, restores the error.
        super().__init__(message, source, start, end)
        self.message = message
        self.source = source
        self.start = max(0, min(start, len(source)))
        self.end = max(self.start, min(end, len(source)))

    def __str__(self) -> str:
        return self.message

    def explain(self) -> str:
        """The message, the source line and a line of carets under the offending columns."""
        line = "".join(character if character.isprintable() else " " for character in self.source)
        first = 0 if len(line) <= _WINDOW else max(0, min(self.start - _WINDOW // 2, len(line) - _WINDOW))
        shown = line[first : first + _WINDOW]
        before = "…" if first > 0 else ""
        after = "…" if first + _WINDOW < len(line) else ""
        column = self.start - first
        width = max(1, min(self.end, first + _WINDOW) - self.start)
        marker = " " * (len(before) + column) + "^" * width
        return f"{self.message}\n{before}{shown}{after}\n{marker}"
