"""A researcher's way through the app with real keys, in tmux: what stands on the screen is all that is looked at."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.conftest import GATED, Gate
from tests.tui.terminal import APP

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed here")

PATIENCE = 120.0
SLOW = 'scenario = "bouncing-ball"\nexperiment = "scatter"\n'
SLOW += "[params]\nseconds = {seconds}\nblocks = 60\nballs = 600\n"


class Tmux:
    """A tmux server of our own with one pane, and the app in it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._environment = {k: v for k, v in environment.items() if k not in ("COLUMNS", "LINES")}
        self._folder = folder
        self._code = folder / "code"

    def _call(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words],
            capture_output=True,
            text=True,
            env=self._environment,
            cwd=self._folder,
            check=True,
            timeout=PATIENCE,
        )
        return done.stdout

    def start(self, columns: int, lines: int, **changes: str | None) -> None:
        """Start the app in a pane of that size; `None` takes a variable out of its environment."""
        unset = [word for name, value in changes.items() if value is None for word in ("-u", name)]
        given = [f"{name}={value}" for name, value in changes.items() if value is not None]
        app = shlex.join(["env", *unset, *given, *APP])
        self._code.unlink(missing_ok=True)
        kept = f"{app}; echo $? > code.new; mv code.new {self._code.name}; sleep {PATIENCE}"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._call("new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", kept)
            except subprocess.CalledProcessError:  # a server that was just told to end has not ended yet
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._call("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._call("send-keys", "-l", text)

    @property
    def text(self) -> str:
        return self._call("capture-pane", "-p")

    @property
    def styled(self) -> str:
        return self._call("capture-pane", "-p", "-e")

    def wait_for(self, *wanted: str, gone: str | None = None) -> str:
        """Wait until all of these are on the screen, and `gone` is not; the screen then."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.text
            if all(re.search(each, text) for each in wanted) and not (gone and re.search(gone, text)):
                return text
            assert time.monotonic() < deadline, f"{wanted} did not appear, or {gone} did not go:\n{text}"
            time.sleep(0.05)

    def wait_end(self) -> int:
        """Wait until the app has ended; its exit code."""
        deadline = time.monotonic() + PATIENCE
        while not self._code.exists():
            assert time.monotonic() < deadline, f"The app does not end:\n{self.text}"
            time.sleep(0.05)
        return int(self._code.read_text())

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def tmux(
    environment: Callable[..., dict[str, str]], gate: Gate, runs: Path, tmp_path: Path
) -> Iterator[Tmux]:
    """No app may leave a traceback."""
    folders = {"HOME": "", "OPTEXPLORE_CONFIG_DIR": "config", "OPTEXPLORE_CACHE_DIR": "cache"}
    seen = environment(LC_ALL="C.UTF-8", **{name: str(tmp_path / folder) for name, folder in folders.items()})
    seen["PYTHONPATH"] = gate.seen_from(seen["PYTHONPATH"])
    made = Tmux(tmp_path, seen)
    yield made
    made.close()
    trace = tmp_path / "cache" / "last-error.txt"
    assert not trace.exists(), trace.read_text()


@pytest.mark.parametrize(("columns", "lines"), [(120, 40), (80, 24)])
def test_the_first_minute(tmux: Tmux, columns: int, lines: int) -> None:
    narrow = columns < 100
    tmux.start(columns, lines)
    tmux.wait_for("landscape", "q quit" if not narrow else "r run")
    if not narrow:
        tmux.wait_for("Pick an experiment")
    # A chart within four keys.
    tmux.press("Enter")
    tmux.wait_for("losses +2")
    tmux.press("2")
    tmux.wait_for("stationary points of their mean", "minimum", r"done \(live\)", "minima 2")

    # An expression with an error, which is said with its place, and mended.
    tmux.press("3")
    tmux.wait_for("› 0 -exp")
    tmux.press("Enter")
    tmux.type(" + foo")
    tmux.wait_for("foo", r"\^\^\^")
    tmux.press(*["BSpace"] * 3)
    tmux.type("W^2")
    tmux.wait_for("ok", gone=r"\^\^\^")
    tmux.press("Enter")
    tmux.wait_for(r"›◆0 -exp\(-\(W-2\)\^2\) \+ W\^2")  # the sign of a changed value comes with Enter
    tmux.press("r")
    tmux.wait_for("done in", r"global minimum 0\.99736")

    # Help, and out.
    tmux.press("?")
    tmux.wait_for("Everywhere", "cancel")
    tmux.press("Escape")
    tmux.wait_for("done in", gone="Everywhere")
    tmux.press("4")
    tmux.wait_for("✓ .*landscape")
    tmux.press("q")
    assert tmux.wait_end() == 0


def test_a_run_is_watched_cancelled_left_and_found_again(tmux: Tmux, gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(SLOW.format(seconds=60))
    (tmp_path / "other.toml").write_text(GATED)
    tmux.start(120, 40)
    tmux.wait_for("Pick an experiment", "toy-sgd")
    tmux.press("o")
    tmux.wait_for("Open a scenario file")
    tmux.type("slow.toml")
    tmux.press("Enter")
    tmux.wait_for("bouncing-ball scatter", "seconds +60 s")
    tmux.press("r")
    tmux.wait_for("● 1 running", "● scatter", "to go", "Rest times", "mean rest time")
    first = re.search(r"running (\d+)%", tmux.text)
    tmux.wait_for(r"running [1-9]\d?%")
    assert first is not None
    tmux.press("x")
    tmux.wait_for("○ scatter .*cancelled", gone="to go")

    tmux.press("o")
    tmux.wait_for("Open a scenario file")
    tmux.type("other.toml")
    tmux.press("Enter")
    tmux.wait_for("gated scatter", "seconds +300 s")
    tmux.press("r")
    tmux.wait_for("● scatter", "to go")
    tmux.press("q")
    tmux.wait_for("1 run is under way: gated scatter")
    tmux.press("s")
    tmux.wait_for("to go", gone="under way")
    tmux.press("q")
    tmux.wait_for("under way")
    tmux.press("l")
    assert tmux.wait_end() == 0
    tmux.close()

    tmux.start(120, 40)
    tmux.wait_for("● scatter", "to go", "Rest times")
    gate.open()
    tmux.wait_for("✓ scatter", "done in")
    tmux.press("4")
    tmux.wait_for("go on with it")
    tmux.press("Down")
    tmux.press("Enter")  # the cancelled one, with what there was of it
    tmux.wait_for("cancelled", "Rest times", gone="done in")
    tmux.press("4")
    tmux.wait_for("go on with it")
    tmux.press("Up")
    tmux.press("Enter")
    tmux.wait_for("done in", "blocks done 600|mean rest time")
    tmux.press("q")
    assert tmux.wait_end() == 0


COLOURS = {
    "16 colours": ({"TERM": "xterm", "COLORTERM": None, "NO_COLOR": None}, r"[349]\d", r"[34]8;[25];"),
    "256 colours": ({"TERM": "xterm-256color", "COLORTERM": None, "NO_COLOR": None}, "38;5;", "[34]8;2;"),
    "true colours": (
        {"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": None},
        "38;2;",
        "38;5;",
    ),
}


def codes(styled: str) -> set[str]:
    return set(re.findall(r"\x1b\[([0-9;]*)m", styled))


@pytest.mark.parametrize(
    "terminal", [pytest.param(t, marks=pytest.mark.slow) if t == "256 colours" else t for t in COLOURS]
)
def test_colours_are_those_of_the_terminal(tmux: Tmux, terminal: str) -> None:
    changes, wanted, unwanted = COLOURS[terminal]
    tmux.start(120, 40, **changes)
    tmux.wait_for("Pick an experiment")
    tmux.press("Enter")
    tmux.wait_for("minimum", r"done \(live\)", "minima 2")
    chart = "\n".join(line for line in tmux.styled.split("\n") if "┤" in line)
    used = codes(chart)
    assert any(re.search(wanted, code) for code in used), used
    assert not any(re.search(unwanted, code) for code in used), used
    tmux.press("q")
    assert tmux.wait_end() == 0


def test_without_colours_series_differ_by_their_markers(tmux: Tmux) -> None:
    tmux.start(120, 40, TERM="xterm-256color", COLORTERM="truecolor", NO_COLOR="1")
    tmux.wait_for("Pick an experiment")
    tmux.press("Enter")
    tmux.wait_for("minimum", r"done \(live\)", "─●─ L", "─■─ l0", "─▲─ l1")
    shades = re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", tmux.styled)
    assert all(len(set(shade)) == 1 for shade in shades), set(shades)
    tmux.press("q")
    assert tmux.wait_end() == 0
