"""The app in a terminal, driven and timed: what the benchmarks of the app share."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tui.terminal import APP, Display, Terminal
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import INTERACTIVE, enqueue
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_text

#: the peer: a Textual app that shows a word, and another one at every key.
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    count = 0
    def compose(self):
        yield Static("hello")
    def on_key(self):
        self.count += 1
        self.query_one(Static).update(f"hello {self.count}")
Bare().run()
"""
BARE_APP = (sys.executable, "-c", BARE)
COLUMNS, LINES = 120, 40
#: parts of the screen at that size: first and last line, first and last column.
Region = tuple[int, int, int, int]
EVERYTHING: Region = (0, LINES, 0, COLUMNS)
CHART: Region = (3, 29, 30, 83)
FORM: Region = (2, 37, 85, 119)
PATIENCE = 60.0


@contextmanager
def folder_of_runs() -> Iterator[dict[str, str]]:
    """An environment with a store, and settings, of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield {
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLORTERM")},
            "OPTEXPLORE_RUNS_DIR": f"{folder}/runs",
            "OPTEXPLORE_CONFIG_DIR": f"{folder}/config",
        }


@contextmanager
def app(environment: dict[str, str], ready: str = "Runs") -> Iterator[Terminal]:
    """The app, with all of its screen there."""
    with Terminal(APP, environment, columns=COLUMNS, lines=LINES) as terminal:
        terminal.wait_for(ready)
        terminal.wait_quiet(0.5)
        yield terminal
        terminal.press("q")
        terminal.wait_end()


def press(terminal: Terminal, *keys: str, quiet: float = 0.2) -> None:
    """Press keys one after the other, as somebody who looks at the screen in between."""
    for key in keys:
        terminal.press(key)
        terminal.wait_quiet(quiet)


def open_experiment(terminal: Terminal, name: str) -> None:
    """Open an experiment through the tree's filter."""
    press(terminal, "/")
    terminal.type(name)
    terminal.wait_quiet(0.3)
    press(terminal, "enter", "enter")
    terminal.wait_for(f"─ toy-sgd {name} ─")
    press(terminal, "/", "escape", quiet=1.0)


def go_to_parameter(terminal: Terminal, name: str) -> None:
    """Put the form's cursor on a parameter."""
    press(terminal, "3", "home")
    for _ in range(60):
        if any(name in line for line in terminal.text.split("\n") if "›" in line[84:88]):
            return
        press(terminal, "down")
    raise RuntimeError(f"There is no parameter {name} in the form:\n{terminal.text}")


class Watched:
    """What a part of the screen showed, and when: everything the program wrote, looked at chunk by chunk."""

    def __init__(self, terminal: Terminal, region: Region) -> None:
        top, bottom, left, right = region
        display = Display(COLUMNS, LINES)
        seen: list[str] = []
        self._changes: list[float] = []
        for chunk in list(terminal.chunks):
            display.feed(chunk.data)
            shown = [line[left:right] for line in display.lines[top:bottom]]
            if shown != seen:
                self._changes.append(chunk.at)
                seen = shown

    def answer(self, pressed: float, within: float) -> tuple[float, float] | None:
        """Seconds from a key to the first and to the last change that it made; None where it made none."""
        after = [at - pressed for at in self._changes if pressed < at <= pressed + within]
        return (after[0], after[-1]) if after else None

    def answers(self, presses: Sequence[float], within: float) -> tuple[list[float], list[float]]:
        """The same for many keys, first and last apart.

        Raises:
            RuntimeError: keys had no answer, so that nothing was measured.
        """
        found = [answer for at in presses if (answer := self.answer(at, within)) is not None]
        if len(found) < 0.9 * len(presses):
            raise RuntimeError(f"Only {len(found)} of {len(presses)} keys changed the screen.")
        return [first for first, _ in found], [last for _, last in found]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def row(name: str, value: float, bar: float, unit: str, **more: Any) -> dict[str, Any]:
    """A row whose value must not be above its bar."""
    return {"name": name, "value": value, "unit": unit, **more, "bar": bar, "holds": value <= bar}


def ratio_row(
    name: str, values: Sequence[float], peers: Sequence[float], bar: float, peer: str
) -> dict[str, Any]:
    """Medians of interleaved rounds, as a ratio that must not be above its bar."""
    value, other = statistics.median(values), statistics.median(peers)
    return {
        "name": name,
        "value": value,
        "best": min(values),
        "unit": "s",
        "peer": peer,
        "peer_value": other,
        "peer_best": min(peers),
        "ratio": value / other,
        "bar": bar,
        "holds": value / other <= bar,
    }


def finished(environment: dict[str, str], text: str) -> RunDirectory:
    """A run of a scenario file, done."""
    store = Path(environment["OPTEXPLORE_RUNS_DIR"])
    workforce = Workforce(store)
    run = enqueue(plan(read_text(text)), store, INTERACTIVE)
    workforce.wake(INTERACTIVE, run)
    deadline = time.monotonic() + PATIENCE
    while run.status()["state"] != "done":
        if time.monotonic() > deadline:
            raise RuntimeError(f"The run is {run.status()} after {PATIENCE:g} s.")
        time.sleep(0.05)
    workforce.close()
    workforce.join(PATIENCE)
    return run
