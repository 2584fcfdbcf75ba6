"""`--detach`: the run waits in the queue, and a worker that outlives this command and its terminal carries it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from tui_opt.errors import StoreError, UsageError
from tui_opt.runner.run_directory import RunDirectory

#: ways to detach: a worker of a session of its own, or in a scope of the user's service manager.
HERE = "here"
SYSTEMD = "systemd"
#: seconds until a worker that was started has to be at its place.
PATIENCE = 20.0
_SCOPE = ("systemd-run", "--user", "--scope", "--quiet", "--collect")

F = TypeVar("F", bound=Callable[..., Any])


class DetachableCommand(click.Command):
    """A command whose `--detach` takes a value only behind `=`, since file names may follow it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        words = [f"--detach={HERE}" if word == "--detach" else word for word in args[:end]]
        return super().parse_args(ctx, [*words, *args[end:]])


def detach_option(command: F) -> F:
    """The option `--detach`."""
    return click.option(
        "--detach",
        type=click.Choice([HERE, SYSTEMD]),
        metavar="[=systemd]",
        help="Leave the work to a worker that outlives this terminal; =systemd where a login's end would kill it.",
    )(command)


def workers_option(command: F) -> F:
    """The option `--workers`."""
    return click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes that share a sweep.",
    )(command)


def refuse_with_detach(**given: object) -> None:
    """Some options make no sense for a run that is carried out later.

    Raises:
        UsageError: one of them was given.
    """
    for name, value in given.items():
        if value:
            raise UsageError(
                f"--{name} and --detach do not go together: the run is carried out later. Leave --{name} out, or use "
                "`optexplore runs attach` with the run's id once it is queued."
            )


def start_workers(store: Path, lanes: Iterable[str], processes: int, how: str) -> None:
    """See to it that workers serve the lanes, and leave them alone.

    Raises:
        UsageError: there is no service manager to start them.
        StoreError: a worker did not start; the text says why. The runs wait in the queue.
    """
    from tui_opt.runner.workforce import Workforce

    command: tuple[str, ...] = ()
    if how == SYSTEMD:
        check_systemd()
        command = _SCOPE
    workforce = Workforce(store, processes=processes, command=command)
    try:
        for lane in lanes:
            workforce.wake(lane)
            if not workforce.settle(lane, PATIENCE):
                said = workforce.last_words(lane)
                raise StoreError(
                    f"No worker could be started for {store}{f': {said}' if said else '.'} The runs wait in the queue; "
                    "the app carries them out, and so does `optexplore runs resume`."
                )
    finally:
        workforce.close()


def check_systemd() -> None:
    """Look for systemd before anything is queued.

    Raises:
        UsageError: it is not here.
    """
    if shutil.which(_SCOPE[0]) is None:
        raise UsageError(
            "--detach=systemd needs systemd-run, which is not on this machine. Use --detach; `optexplore doctor` says "
            "whether what outlives a login is killed here."
        )


def show_queued(run: RunDirectory, *, as_json: bool) -> None:
    """A line for a queued run, on stdout."""
    if as_json:
        click.echo(
            json.dumps({"id": run.id, "run_dir": str(run.path), "state": "queued"}, ensure_ascii=False)
        )
    else:
        click.echo(f"{run.id}  {run.path}")
