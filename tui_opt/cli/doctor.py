"""`doctor`: what this machine offers, and what to do about problems."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap

import click
from rich.console import Console
from rich.text import Text

from tui_opt.cli.screen import results, width
from tui_opt.doctor import Check, examine
from tui_opt.doctor.warm import GROUP as WARM
from tui_opt.errors import ExitCode
from tui_opt.locations import runs_dir

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
NAME_WIDTH = 12
INDENT = 11
MOST_COLUMNS = 110


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--warm", is_flag=True, help="Compile the kernels of every experiment ahead; takes a minute or more."
)
@click.option("--out", type=click.Path(path_type=Path), help="The store. [default: ~/optexplore]")
def doctor_command(as_json: bool, warm: bool, out: Path | None) -> None:
    """Say what this machine offers, and what to do about problems.

    Exit codes: 0 no problem (there may be notes), 1 a problem.
    """
    store = out or runs_dir()
    seen: list[Check] = []
    checks = _kept(examine(store), seen)
    if as_json:
        for _ in (*checks, *(_kept(_warm(), seen) if warm else ())):
            pass
        click.echo(json.dumps([check.plain() for check in seen], ensure_ascii=False, indent=1))
    else:
        console = results()
        columns = min(width(), MOST_COLUMNS)
        for title, group in groupby(checks, key=lambda check: check.group):
            console.print(section(title, group, columns), soft_wrap=True)
        if warm:
            _print_warming(console, seen, columns)
        console.print(summary(seen))
    if any(check.state == "problem" for check in seen):
        sys.exit(ExitCode.RUN_FAILED)


def _kept(checks: Iterable[Check], seen: list[Check]) -> Iterator[Check]:
    for check in checks:
        seen.append(check)
        yield check


def section(title: str, checks: Iterable[Check], columns: int) -> Text:
    """A group of checks under its heading."""
    return Text("\n").join(
        [Text(title, style="bold"), *(entry(check, NAME_WIDTH, columns) for check in checks), Text()]
    )


def entry(check: Check, width: int, columns: int) -> Text:
    """One check: its state, its name (in `width` columns), what was found, and below it what to do."""
    room = max(20, columns - width - INDENT - 4)
    # Words stay whole even where they are wider than the screen: most such words are paths to be copied.
    found = wrap(check.text, room, break_long_words=False, break_on_hyphens=False) or [""]
    todo = wrap(check.advice, room, break_long_words=False, break_on_hyphens=False)
    margin = "\n" + " " * (INDENT + width + 2)
    text = Text.assemble(
        "  ", (f"{check.state:<{INDENT - 4}}", STYLES[check.state]), "  ", f"{check.name:<{width}}  "
    )
    text.append(margin.join(found))
    for line in todo:
        text.append(margin).append(line, style="italic")
    return text


def summary(checks: Iterable[Check]) -> Text:
    """The last line."""
    count = Counter(check.state for check in checks)
    if count["problem"]:
        problems = "1 problem" if count["problem"] == 1 else f"{count['problem']} problems"
    else:
        problems = "No problems"
    notes = {0: "no notes", 1: "1 note"}.get(count["note"], f"{count['note']} notes")
    return Text(f"{problems}, {notes}.", style="bold")


def _warm() -> Iterator[Check]:
    from tui_opt.doctor.warm import experiments, warm
    from tui_opt.scenario import registry

    for scenario, experiment in experiments(registry().scenarios.values()):
        yield from warm(scenario, experiment)


def _print_warming(console: Console, seen: list[Check], columns: int) -> None:
    """A line as each experiment is done, so that a long compilation does not look like a hang."""
    from tui_opt.doctor.warm import experiments
    from tui_opt.scenario import registry

    names = [len(f"{s.name} {e.name}") for s, e in experiments(registry().scenarios.values())]
    console.print(Text(WARM, style="bold"))
    for check in _kept(_warm(), seen):
        console.print(entry(check, max(names), columns), soft_wrap=True)
    console.print()
