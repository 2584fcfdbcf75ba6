"""What `runs` does to runs: resume, attach, cancel, move, remove."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui_opt.cli.detaching import DetachableCommand, detach_option, workers_option
from tui_opt.cli.store_options import figures_option, json_option, out_option, store_of
from tui_opt.errors import StoreError, UsageError

if TYPE_CHECKING:
    from tui_opt.cli.present import FigureChoice
    from tui_opt.runner.planning import Plan
    from tui_opt.runner.run_directory import RunDirectory

CANCEL_PATIENCE = 5.0
#: further than any queue is long.
_FAR = 1_000_000_000

_check = click.option("--check", is_flag=True, help="Exit with 4 where an expectation does not hold.")
_quiet = click.option("--quiet", is_flag=True, help="No progress on stderr.")


@click.command("resume", cls=DetachableCommand)
@click.argument("run")
@out_option
@json_option
@figures_option
@click.option(
    "--threads", type=click.IntRange(1, 4096), help="Threads to use. [default: the cores there are]"
)
@_check
@_quiet
@workers_option
@detach_option
def resume_run(
    run: str,
    out: Path | None,
    as_json: bool,
    figures: FigureChoice,
    threads: int | None,
    check: bool,
    quiet: bool,
    workers: int,
    detach: str | None,
) -> None:
    """Go on with a run that was cancelled, failed or lost, from its last checkpoint.

    A run that waits in the queue is carried out here and now.
    """
    from tui_opt.cli.batch import carry_out, exit_code, show_one
    from tui_opt.runner.claiming import claim_again
    from tui_opt.runner.interrupts import Interrupts
    from tui_opt.runner.planning import plan
    from tui_opt.scenario_file import read_file

    found = store_of(out).find(run)
    settled = plan(read_file(found.path / "scenario.toml"), threads)
    if detach is not None:
        _resume_detached(found, settled, workers, detach, as_json=as_json, check=check, threads=threads)
        return
    claim_again(found)
    with Interrupts() as interrupts:
        ended = carry_out(found, settled, interrupts, quiet=quiet, processes=workers)
    show_one(settled, ended, as_json=as_json, figures=figures)
    sys.exit(exit_code(ended, check=check))


def _resume_detached(
    found: RunDirectory, settled: Plan, workers: int, detach: str, *, as_json: bool, **refused: Any
) -> None:
    from tui_opt.cli.detaching import SYSTEMD, check_systemd, refuse_with_detach, show_queued, start_workers
    from tui_opt.runner.queue import requeue

    refuse_with_detach(**refused)
    if detach == SYSTEMD:
        check_systemd()
    requeue(found, settled, settled.device)
    show_queued(found, as_json=as_json)
    start_workers(found.path.parent, [settled.device], workers, detach)


@click.command("attach")
@click.argument("run")
@out_option
@json_option
@figures_option
@_check
@_quiet
def attach_run(
    run: str, out: Path | None, as_json: bool, figures: FigureChoice, check: bool, quiet: bool
) -> None:
    """Follow a run that another process works on, and print its result when it ends.

    Ctrl-C leaves the run alone. Exit codes are those of --batch.
    """
    from tui_opt.cli.attaching import attach

    sys.exit(attach(store_of(out).find(run), as_json=as_json, figures=figures, check=check, quiet=quiet))


@click.command("cancel")
@click.argument("runs", nargs=-1, required=True)
@out_option
def cancel_runs(runs: tuple[str, ...], out: Path | None) -> None:
    """Stop running runs, and take queued ones out of the queue.

    A run that does not stop when it is asked to loses its process: first it is told to leave, then it is killed.
    """
    from tui_opt.runner.cancelling import cancel
    from tui_opt.runner.queue import withdraw

    store = store_of(out)
    chosen = [store.find(name) for name in runs]
    for found in chosen:  # all of them before any is asked
        state = found.status()["state"]
        if state not in ("queued", "running"):
            raise UsageError(f"The run {found.id} is {state}; there is nothing to cancel.")
    for found in chosen:  # so that all of them stop at the same time
        if not withdraw(found):
            with contextlib.suppress(OSError):  # said below, where it is tried again
                found.request_cancel()
    still = []
    for found in chosen:
        state = cancel(found, tell=lambda text: click.echo(text, err=True), grace=CANCEL_PATIENCE)
        click.echo(f"{found.id}  {state}")
        if state in ("queued", "running"):
            still.append(found.id)
    if still:
        raise StoreError(
            f"Asked to stop, and not stopped: {', '.join(still)}. "
            "`optexplore runs list` tells when that has happened."
        )


@click.command("move")
@click.argument("run")
@out_option
@click.option("--up", "places", flag_value=-1, type=int, help="One place towards the front.")
@click.option("--down", "places", flag_value=1, type=int, help="One place towards the back.")
@click.option("--first", "places", flag_value=-_FAR, type=int, help="To the front.")
@click.option("--last", "places", flag_value=_FAR, type=int, help="To the back.")
def move_run(run: str, out: Path | None, places: int | None) -> None:
    """Change a waiting run's place in the queue of its device."""
    from tui_opt.runner.queue import move, waiting

    if places is None:
        raise UsageError("Say where to: --up, --down, --first or --last.")
    store = store_of(out)
    found = store.find(run)
    move(store.path, found.id, places)
    queue = waiting(store.path)
    mine = next((row for row in queue if row.id == found.id), None)
    for place, row in enumerate((row for row in queue if mine is None or row.lane == mine.lane), start=1):
        click.echo(f"{place:>4}  {row.id}")


@click.command("rm")
@click.argument("runs", nargs=-1, required=True)
@out_option
def remove_runs(runs: tuple[str, ...], out: Path | None) -> None:
    """Delete runs."""
    store = store_of(out)
    for found in [store.find(name) for name in runs]:
        store.remove(found)
        click.echo(f"{found.id}  removed")


@click.command("prune")
@out_option
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
    from tui_opt.runner.live import remove_leftovers

    store = store_of(out)
    doomed = store.prune(keep=keep, states=states, dry=dry_run)
    if not dry_run:
        remove_leftovers(store.path)
    for row in doomed:
        click.echo(f"{row.id}  {row.state}  {'would be removed' if dry_run else 'removed'}")
    click.echo(f"{len(doomed)} of them, {keep} of the newest kept.")
