"""`runs`: what is in a store. What is done to runs is in `run_actions`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from tui_opt.cli.run_actions import (
    attach_run,
    cancel_runs,
    move_run,
    prune_runs,
    remove_runs,
    resume_run,
)
from tui_opt.cli.screen import results
from tui_opt.cli.store_options import figures_option, json_option, out_option, store_of
from tui_opt.durations import duration
from tui_opt.errors import StoreError
from tui_opt.problems import printable
from tui_opt.runner.queue import in_turn
from tui_opt.runner.run_directory import State
from tui_opt.store import RunRow

if TYPE_CHECKING:
    from tui_opt.cli.present import FigureChoice

STATES = (*get_args(State), "unreadable")


@click.group("runs")
def runs_command() -> None:
    """What is in a store, and what to do with it. An id may be given by its beginning or by its last six characters."""


for _action in (resume_run, attach_run, cancel_runs, move_run, remove_runs, prune_runs):
    runs_command.add_command(_action)


@runs_command.command("list")
@out_option
@json_option
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
def list_runs(out: Path | None, as_json: bool, state: str | None) -> None:
    """List the runs of a store, oldest first."""
    rows = [row for row in store_of(out).rows() if state in (None, row.state)]
    if as_json:
        click.echo(json.dumps([row.plain() for row in rows], ensure_ascii=False))
        return
    if not rows:
        click.echo("No runs.")
        return
    # Plain lines: a table of thousands of rows must not wait for a layout.
    wide = max(len(row.id) for row in rows)
    notes = _notes(rows)
    lines = []
    for row in rows:
        elapsed = "" if row.elapsed is None else f"{row.elapsed:.1f} s"
        note = f"  {notes[row.id]}" if row.id in notes else ""
        lines.append(f"{printable(row.id):<{wide}}  {row.state:<10} {row.progress:4.0%} {elapsed:>10}{note}")
    click.echo("\n".join(lines))  # at once: a flush for every line would take as long as all the rest


def _notes(rows: list[RunRow]) -> dict[str, str]:
    """What stands behind some runs: the error, the time still to go, the place in the queue."""
    notes = {row.id: printable(row.error.splitlines()[0]) for row in rows if row.error}
    notes |= {r.id: f"{duration(r.eta)} to go" for r in rows if r.state == "running" and r.eta is not None}
    places: dict[str, int] = {}
    for row in in_turn(rows):
        lane = row.lane or "cpu"
        places[lane] = places.get(lane, 0) + 1
        notes[row.id] = f"place {places[lane]} for {printable(lane)}"
    return notes


@runs_command.command("show")
@click.argument("run")
@out_option
@json_option
@figures_option
@click.option("--toml", is_flag=True, help="Print the run's scenario file instead.")
def show_run(run: str, out: Path | None, as_json: bool, figures: FigureChoice, toml: bool) -> None:
    """Show a stored run: its findings and figures, without computing anything again."""
    found = store_of(out).find(run)
    if toml:
        click.echo(_scenario_text(found.path), nl=False)
        return
    if as_json:
        click.echo(json.dumps(_stored_document(found), ensure_ascii=False))
        return
    status = found.status()
    console = results()
    console.print(f"{found.id}  {status['state']}", style="bold", markup=False)
    if status.get("error"):
        console.print(str(status["error"]), markup=False)
    if status["state"] == "done":
        result = found.result()
    else:
        partial = found.partial()
        if partial is None:
            return
        console.print("Partial result:", style="yellow")
        result = partial
    from tui_opt.cli.present import print_result  # a list of runs does without what a result needs

    print_result(console, result, _outcomes(found, result), figures=figures)


def _scenario_text(path: Path) -> str:
    try:
        return (path / "scenario.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"The scenario file of {path.name} cannot be read: {error}.") from None


def _outcomes(run: Any, result: Any) -> list[Any]:
    from tui_opt.expectations import judge
    from tui_opt.scenario_file import ScenarioFileError, read_file

    try:
        file = read_file(run.path / "scenario.toml")
    except ScenarioFileError:
        return []  # made by a plugin that is gone, say; its numbers are still worth seeing
    return judge(file.expectations, result, file.sweep)


def _stored_document(run: Any) -> dict[str, Any]:
    status = run.status()
    document = run.result_document() if status["state"] == "done" else {}
    return {"id": run.id, "run_dir": str(run.path), "state": status["state"], "status": status, **document}
