"""`runs`: what is in a store, and what to do with it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from tui_opt.cli.screen import results
from tui_opt.errors import StoreError, UsageError
from tui_opt.locations import runs_dir
from tui_opt.problems import printable
from tui_opt.runner.run_directory import RunDirectory, State
from tui_opt.store import Store

if TYPE_CHECKING:
    from tui_opt.cli.present import FigureChoice

CANCEL_PATIENCE = 5.0
STATES = (*get_args(State), "unreadable")

_out = click.option("--out", type=click.Path(path_type=Path), help="The store. [default: ~/optexplore]")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("runs")
def runs_command() -> None:
    """List, show, resume, cancel and remove runs. An id may be given by its beginning or by its last six characters."""


def _store(out: Path | None) -> Store:
    return Store(out or runs_dir())


@runs_command.command("list")
@_out
@_json
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
def list_runs(out: Path | None, as_json: bool, state: str | None) -> None:
    """List the runs of a store, oldest first."""
    rows = [row for row in _store(out).rows() if state in (None, row.state)]
    if as_json:
        click.echo(json.dumps([row.plain() for row in rows], ensure_ascii=False))
        return
    if not rows:
        click.echo("No runs.")
        return
    # Plain lines: a table of thousands of rows must not wait for a layout.
    wide = max(len(row.id) for row in rows)
    lines = []
    for row in rows:
        elapsed = "" if row.elapsed is None else f"{row.elapsed:.1f} s"
        error = f"  {printable(row.error.splitlines()[0])}" if row.error else ""
        lines.append(f"{printable(row.id):<{wide}}  {row.state:<10} {row.progress:4.0%} {elapsed:>10}{error}")
    click.echo("\n".join(lines))  # at once: a flush for every line would take as long as all the rest


@runs_command.command("show")
@click.argument("run")
@_out
@_json
@click.option(
    "--figures",
    type=click.Choice(["first", "all", "none"]),
    default="first",
    show_default=True,
    help="Charts to draw.",
)
@click.option("--toml", is_flag=True, help="Print the run's scenario file instead.")
def show_run(run: str, out: Path | None, as_json: bool, figures: FigureChoice, toml: bool) -> None:
    """Show a stored run: its findings and figures, without computing anything again."""
    found = _store(out).find(run)
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


@runs_command.command("resume")
@click.argument("run")
@_out
@_json
@click.option(
    "--figures",
    type=click.Choice(["first", "all", "none"]),
    default="first",
    show_default=True,
    help="Charts to draw.",
)
@click.option(
    "--threads", type=click.IntRange(1, 4096), help="Threads to use. [default: the cores there are]"
)
@click.option("--check", is_flag=True, help="Exit with 4 where an expectation does not hold.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def resume_run(
    run: str,
    out: Path | None,
    as_json: bool,
    figures: FigureChoice,
    threads: int | None,
    check: bool,
    quiet: bool,
) -> None:
    """Go on with a run that was cancelled, failed or lost, from its last checkpoint."""
    from tui_opt.cli.batch import carry_out, exit_code, show_one
    from tui_opt.runner.claiming import claim_again
    from tui_opt.runner.interrupts import Interrupts
    from tui_opt.runner.planning import plan
    from tui_opt.scenario_file import read_file

    found = _store(out).find(run)
    settled = plan(read_file(found.path / "scenario.toml"), threads)
    claim_again(found)
    with Interrupts() as interrupts:
        ended = carry_out(found, settled, interrupts, quiet=quiet)
    show_one(settled, ended, as_json=as_json, figures=figures)
    sys.exit(exit_code(ended, check=check))


@runs_command.command("cancel")
@click.argument("runs", nargs=-1, required=True)
@_out
def cancel_runs(runs: tuple[str, ...], out: Path | None) -> None:
    """Ask running runs to stop, and take queued ones out of the queue."""
    store = _store(out)
    chosen = [store.find(name) for name in runs]
    for found in chosen:  # all of them before any is asked
        state = found.status()["state"]
        if state not in ("queued", "running"):
            raise UsageError(f"The run {found.id} is {state}; there is nothing to cancel.")
    asked = [found for found in chosen if not _taken_from_queue(found)]
    for found in asked:
        found.request_cancel()
    deadline = time.monotonic() + CANCEL_PATIENCE
    deaf = []
    for found in asked:
        while (state := found.status()["state"]) in ("queued", "running") and time.monotonic() < deadline:
            time.sleep(0.05)
        click.echo(f"{found.id}  {state}")
        if state in ("queued", "running"):
            deaf.append(found.id)
    if deaf:
        raise StoreError(
            f"Asked to stop, and not stopped within {CANCEL_PATIENCE:g} s: {', '.join(deaf)}. "
            "`optexplore runs list` tells when that has happened."
        )


def _taken_from_queue(found: RunDirectory) -> bool:
    """Cancel a run that waits; False where somebody works on it, or takes it this moment."""
    if found.status()["state"] != "queued" or not found.lock.acquire(timeout=0.2):
        return False
    try:
        status = found.read_status_file()
        if status["state"] != "queued":
            return False
        found.write_status({**status, "state": "cancelled"}, sync=True)
    finally:
        found.lock.release()
    click.echo(f"{found.id}  cancelled")
    return True


@runs_command.command("rm")
@click.argument("runs", nargs=-1, required=True)
@_out
def remove_runs(runs: tuple[str, ...], out: Path | None) -> None:
    """Delete runs."""
    store = _store(out)
    for found in [store.find(name) for name in runs]:
        store.remove(found)
        click.echo(f"{found.id}  removed")


@runs_command.command("prune")
@_out
@click.option(
    "--keep", type=click.IntRange(0), default=100, show_default=True, help="How many of the newest to keep."
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["done", "failed", "cancelled", "lost", "unreadable"]),
    default=("done", "failed", "cancelled", "lost"),
    show_default=True,
    help="Which runs to consider; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_runs(out: Path | None, keep: int, states: tuple[str, ...], dry_run: bool) -> None:
    """Delete the oldest runs that have ended, and what interrupted writes left behind."""
    doomed = _store(out).prune(keep=keep, states=states, dry=dry_run)
    for row in doomed:
        click.echo(f"{row.id}  {row.state}  {'would be removed' if dry_run else 'removed'}")
    click.echo(f"{len(doomed)} of them, {keep} of the newest kept.")
