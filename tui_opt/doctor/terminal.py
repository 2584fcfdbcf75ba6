"""The terminal: size, colours, characters, and what stands between it and the program (tmux, screen, SSH)."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tui_opt.doctor.check import Check, Examiner

GROUP = "terminal"
SMALLEST = (80, 24)
SLOW_ESCAPE = 50

Ask = Callable[[list[str]], str | None]


def _ask(command: list[str]) -> str | None:
    """What a command prints, None where it cannot be asked."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip("\n")


@dataclass(frozen=True)
class Terminal:
    """What is known of the terminal: environment, whether stdout is one, size, encoding, and how to ask tmux."""

    env: Mapping[str, str]
    is_terminal: bool
    columns: int
    lines: int
    encoding: str
    ask: Ask = _ask


def here() -> Terminal:
    """The terminal of this process."""
    size = shutil.get_terminal_size()
    stream = sys.__stdout__
    encoding = getattr(stream, "encoding", None) or "ascii"
    return Terminal(os.environ, stream is not None and stream.isatty(), size.columns, size.lines, encoding)


def examiners() -> list[Examiner]:
    """What this module looks at."""
    return [Examiner(GROUP, "terminal", lambda: examine(here()))]


def examine(terminal: Terminal) -> Iterator[Check]:
    """Everything about one terminal."""
    yield _kind(terminal)
    yield _size(terminal)
    yield _colours(terminal)
    yield _characters(terminal)
    if terminal.env.get("TMUX"):
        yield from _tmux(terminal)
    elif terminal.env.get("STY"):
        advice = "Use tmux instead: screen passes neither 24-bit colours nor the clipboard."
        yield Check(GROUP, "screen", "note", "inside GNU screen", advice)
    if terminal.env.get("SSH_CONNECTION") or terminal.env.get("SSH_TTY"):
        yield _ssh(terminal)


def _kind(terminal: Terminal) -> Check:
    term = terminal.env.get("TERM", "")
    text = f"TERM={term or '(not set)'}"
    if not terminal.is_terminal:
        return Check(GROUP, "kind", "ok", f"output is not a terminal; {text}")
    if term in ("", "dumb", "unknown"):
        advice = "The app needs a terminal that moves the cursor: export TERM=xterm-256color, if yours can."
        return Check(GROUP, "kind", "note", text, advice)
    return Check(GROUP, "kind", "ok", text)


def _size(terminal: Terminal) -> Check:
    text = f"{terminal.columns} x {terminal.lines}"
    values = {"columns": terminal.columns, "lines": terminal.lines}
    if terminal.is_terminal and (terminal.columns < SMALLEST[0] or terminal.lines < SMALLEST[1]):
        return Check(
            GROUP, "size", "note", text, "Make the window at least 80 x 24; 120 x 40 is comfortable.", values
        )
    return Check(GROUP, "size", "ok", text, values=values)


def _colours(terminal: Terminal) -> Check:
    from rich.console import Console

    env = terminal.env
    # Asked as if stdout were a terminal, because what the app will find is of interest, not this pipe.
    console = Console(file=io.StringIO(), force_terminal=True, _environ=dict(env))
    colours = {"truecolor": "16 million", "256": "256", "standard": "16"}.get(
        console.color_system or "", "none"
    )
    declared = env.get("COLORTERM", "")
    text = f"{colours} colours (COLORTERM={declared or '(not set)'})"
    values = {"colours": console.color_system}
    if env.get("NO_COLOR"):
        advice = "Unset NO_COLOR to have colours; charts tell their series apart by markers meanwhile."
        return Check(GROUP, "colours", "note", "none: NO_COLOR is set", advice, values)
    if console.color_system == "standard":
        advice = "export TERM=xterm-256color, if your terminal shows 256 colours: heat maps need them."
        return Check(GROUP, "colours", "note", text, advice, values)
    if console.color_system is None:
        advice = "export TERM=xterm-256color, if your terminal shows colours."
        return Check(GROUP, "colours", "note", text, advice, values)
    return Check(GROUP, "colours", "ok", text, values=values)


def _characters(terminal: Terminal) -> Check:
    encoding = terminal.encoding
    values = {"encoding": encoding}
    if terminal.env.get("OPTEXPLORE_ASCII"):
        return Check(GROUP, "characters", "ok", "ASCII, as OPTEXPLORE_ASCII asks", values=values)
    locale = next(
        (f"{n}={terminal.env[n]}" for n in ("LC_ALL", "LC_CTYPE", "LANG") if terminal.env.get(n)), ""
    )
    text = f"{encoding}, {locale or 'no locale set'}"
    if not encoding.lower().replace("-", "").startswith("utf"):
        return Check(
            GROUP, "characters", "note", text, "export LANG=C.UTF-8 to have charts in full detail.", values
        )
    if "utf" not in locale.lower():
        advice = "export LANG=C.UTF-8: tmux and SSH take their encoding from it, even where Python does not."
        return Check(GROUP, "characters", "note", text, advice, values)
    return Check(GROUP, "characters", "ok", text, values=values)


# --- between ------------------------------------------------------------------------------------------------

_TMUX_OPTIONS = ("escape-time", "set-clipboard", "client_termfeatures")


def _tmux(terminal: Terminal) -> Iterator[Check]:
    question = "\t".join(f"#{{{name}}}" for name in _TMUX_OPTIONS)
    answer = terminal.ask(["tmux", "display-message", "-p", question])
    parts = (answer or "").split("\t")
    if len(parts) != len(_TMUX_OPTIONS):
        mend = ('set -ga terminal-overrides ",*:Tc"', "set -s escape-time 10", "set -s set-clipboard on")
        advice = f"Have in ~/.tmux.conf the lines: {'; '.join(mend)}"
        yield Check(GROUP, "tmux", "note", "inside tmux, which does not answer", advice)
        return
    options = dict(zip(_TMUX_OPTIONS, parts, strict=True))
    # A list of options reads empty in a format string, so it is asked for on its own.
    overrides = terminal.ask(["tmux", "show-options", "-sv", "terminal-overrides"]) or ""
    wanted = list(_tmux_wishes(options, overrides))
    if not wanted:
        yield Check(GROUP, "tmux", "ok", "inside tmux, which passes 24-bit colours, mouse and clipboard on")
    for what, line in wanted:
        yield Check(GROUP, "tmux", "note", what, f"Put into ~/.tmux.conf and reload: {line}")


def _tmux_wishes(options: Mapping[str, str], overrides: str) -> Iterator[tuple[str, str]]:
    """What is amiss, and the line that mends it. The mouse is not: tmux passes it to a program that asks for it."""
    known = re.split(r"[\s,:]+", f"{options['client_termfeatures']},{overrides}")
    if not {"RGB", "Tc"} & set(known):
        yield "tmux reduces colours to 256", 'set -ga terminal-overrides ",*:Tc"'
    delay = options["escape-time"]
    if delay.isdigit() and int(delay) > SLOW_ESCAPE:
        yield f"tmux holds the Escape key back for {delay} ms", "set -s escape-time 10"
    if options["set-clipboard"] != "on":  # `external` is for tmux's own copying, not for programs in it
        yield "tmux drops what programs copy to the clipboard", "set -s set-clipboard on"


def _ssh(terminal: Terminal) -> Check:
    if terminal.env.get("COLORTERM") or terminal.env.get("TMUX"):
        return Check(
            GROUP,
            "ssh",
            "ok",
            "over SSH; copying reaches your clipboard by OSC 52, if your terminal allows it",
        )
    advice = (
        "SSH does not pass COLORTERM on: export COLORTERM=truecolor here if your terminal shows 24-bit colours, or "
        "SendEnv COLORTERM in ~/.ssh/config where the server accepts it."
    )
    return Check(GROUP, "ssh", "note", "over SSH, where the number of colours is guessed from TERM", advice)
