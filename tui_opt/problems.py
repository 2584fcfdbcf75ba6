"""What is wrong with what a user wrote: the place, the reason, and what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: a problem's text is cut beyond this, so that a value of megabytes cannot bury the message.
MOST_TEXT = 2_000
_LONGEST_KEY = 200
#: looking for near matches takes time, which thousands of wrong keys are not worth.
MOST_HINTS = 50
#: words longer than this are nobody's misspelling.
_LONGEST_WORD = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what a user wrote.

    Args:
        key: dotted key as the user would write it, such as `params.temperature`.
        message: what is wrong and what is allowed, a sentence.
        given: the offending value, if there is one to show.
        hint: what to do next, such as a near match.
    """

    key: str
    message: str
    given: Any = None
    hint: str = ""

    def __str__(self) -> str:
        text = " ".join(
            part for part in (f"{printable(self.key[:_LONGEST_KEY])}: {self.message}", self.hint) if part
        )
        return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"


class ParameterErrors(ValueError):
    """Everything that is wrong with a set of parameters, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def near_match(word: str, allowed: Iterable[str]) -> str:
    """A `Did you mean …?` for a misspelt word, or nothing where no allowed word is close."""
    if len(word) > _LONGEST_WORD:
        return ""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def printable(word: str) -> str:
    """A user's word as a terminal may show it, control characters escaped."""
    return word if word.isprintable() else repr(word)


def shown(value: Any) -> str:
    """A value as a message shows it, whatever it is."""
    if isinstance(value, float):
        rounded = f"{value:g}"
        return rounded if float(rounded) == value or math.isnan(value) else repr(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a whole number of more than 64 bits"  # it may have more digits than Python agrees to write
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return "something too deeply nested or too long to show"
    return text if len(text) <= 60 else text[:57] + "…"
