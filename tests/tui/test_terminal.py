"""The terminal that other tests look through."""

from __future__ import annotations

from tests.tui.terminal import Terminal


def test_a_terminal_put_away_twice_leaves_the_next_one_alone() -> None:
    """The system gives the numbers of closed descriptors to whatever is opened next."""
    first = Terminal(("cat",))
    first.close()
    with Terminal(("cat",)) as second:
        first.close()
        second.type("still here\r")
        second.wait_for("still here\nstill here")
