"""Words for counts, of which one is one."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def rows_left_out(number: int) -> str:
    """What is said of a data file with rows that cannot be learnt."""
    verb = "was" if number == 1 else "were"
    return f"{counted(number, 'row')} of the data file {verb} left out for missing values."
