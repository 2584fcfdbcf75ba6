"""`--batch`: run scenario files in the foreground."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from tui_opt.cli.data_dir import data_dir_option
from tui_opt.cli.detaching import (
    SYSTEMD,
    DetachableCommand,
    check_systemd,
    detach_option,
    refuse_with_detach,
    show_queued,
    start_workers,
    workers_option,
)
from tui_opt.cli.present import FigureChoice, print_result
from tui_opt.cli.screen import results
from tui_opt.durations import duration
from tui_opt.errors import ExitCode, UsageError
from tui_opt.locations import runs_dir
from tui_opt.runner.context import Progress
from tui_opt.runner.execute import Ended, begin, execute
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.planning import Plan, plan
from tui_opt.runner.queue import enqueue
from tui_opt.runner.report import run_document
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario_file import ScenarioFile, read_file

LINE_INTERVAL = 5.0
#: an expected time beyond this is said before the run begins.
WORTH_SAYING = 60.0
STOPPING = "Stopping in order; Ctrl-C again does not wait for that."

#: from the least to the worst; the codes of signals, from 128 on, are worse still.
SEVERITY = (
    ExitCode.OK,
    ExitCode.EXPECTATION_FAILED,
    ExitCode.SWEEP_INCOMPLETE,
    ExitCode.DEVICE_UNAVAILABLE,
    ExitCode.USAGE,
    ExitCode.RUN_FAILED,
)


def worse(one: int, other: int) -> int:
    """The worse of two exit codes, which is that of several runs together."""

    def rank(code: int) -> int:
        return SEVERITY.index(ExitCode(code)) if code < 128 else code

    return max(one, other, key=rank)


class ProgressLine:
    """Progress on stderr: a line that is redrawn on a terminal, a new line now and then elsewhere."""

    def __init__(self, label: str, interrupts: Interrupts) -> None:
        self._label = label
        self._interrupts = interrupts
        self._stopping = False
        self._live = sys.stderr.isatty()
        self._next = time.monotonic() + (0.3 if self._live else LINE_INTERVAL)
        self._drawn = False

    def show(self, progress: Progress, eta: float | None) -> None:
        """Draw, if it is time to."""
        if self._interrupts.count and self._live:
            self._stop()
            return
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._live else LINE_INTERVAL)
        rest = f"  {duration(eta)} to go" if eta is not None else ""
        text = f"{self._label}  {progress.fraction:4.0%}{rest}  {progress.what}"
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text[: _columns()]}")
            self._drawn = True
        else:
            sys.stderr.write(text.rstrip() + "\n")
        sys.stderr.flush()

    def _stop(self) -> None:
        """Draw no more: a second signal ends the process too soon to take the line away."""
        if not self._stopping:
            self._stopping = True
            self.say(STOPPING)

    def say(self, text: str) -> None:
        """A sentence of the computation."""
        self.clear()
        sys.stderr.write(f"{self._label}  {text}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away again."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1


def read_all(paths: tuple[Path, ...], overrides: tuple[str, ...]) -> list[ScenarioFile]:
    """Read every file before any is run.

    Raises:
        UsageError: with the problems of all of them.
    """
    files: list[ScenarioFile] = []
    problems: list[str] = []
    for path in paths:
        try:
            files.append(read_file(path, overrides))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return files


@click.command("batch", cls=DetachableCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, e.g. params.temperature=0.02.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Store for the run directories. [default: ~/optexplore]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file.")
@click.option("--check", is_flag=True, help="Exit with 4 where an expectation does not hold.")
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
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@data_dir_option
@workers_option
@detach_option
def batch_command(
    files: tuple[Path, ...],
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    check: bool,
    figures: FigureChoice,
    threads: int | None,
    quiet: bool,
    workers: int,
    detach: str | None,
) -> None:
    """Run scenario files without the app. Results go to stdout, progress to stderr.

    Exit codes: 0 ok, 1 a run failed, 2 bad usage or scenario file, 3 device unavailable, 4 an expectation does not hold
    (--check), 5 part of a sweep failed, 130 and 143 interrupted. With --detach a line for each run says its id and its
    directory; `runs attach`, `runs list` and the app follow it.
    """
    store = out or runs_dir()
    if detach is not None:
        refuse_with_detach(check=check, threads=threads)
    plans = [plan(file, threads) for file in read_all(files, overrides)]
    if detach is not None:
        _detach(plans, store, workers, detach, as_json=as_json)
        return
    worst = int(ExitCode.OK)
    with Interrupts() as interrupts:
        for number, settled in enumerate(plans, 1):
            ended = run_one(settled, store, interrupts, quiet=quiet, processes=workers)
            show_one(settled, ended, as_json=as_json, figures=figures)
            worst = worse(worst, exit_code(ended, check=check))
            if interrupts.count and number < len(plans):
                # A run that was done before it noticed keeps its own code: only what is left was interrupted.
                click.echo(f"optexplore: {_left_out(len(plans) - number)}", err=True)
                worst = worse(worst, interrupts.exit_code)
                break
    sys.exit(worst)


def _left_out(files: int) -> str:
    were, them = ("was", "it") if files == 1 else ("were", "them")
    return f"Interrupted: {files} more {'file' if files == 1 else 'files'} {were} not run. Give {them} again."


def _detach(plans: Sequence[Plan], store: Path, workers: int, how: str, *, as_json: bool) -> None:
    """Queue the runs in the order of their files, and see to it that workers carry them out."""
    if how == SYSTEMD:
        check_systemd()
    for settled in plans:
        # Not in the lane of cheap runs, which an app wants for what its user does this moment.
        show_queued(enqueue(settled, store, settled.device), as_json=as_json)
    start_workers(store, dict.fromkeys(settled.device for settled in plans), workers, how)


def exit_code(ended: Ended, *, check: bool) -> int:
    """The exit code of one ended run; with `check`, what it expected counts."""
    if check and ended.state == "done" and not all(outcome.holds for outcome in ended.outcomes):
        return worse(ended.exit_code, ExitCode.EXPECTATION_FAILED)
    return ended.exit_code


def run_one(settled: Plan, store: Path, interrupts: Interrupts, *, quiet: bool, processes: int = 1) -> Ended:
    """Run one file with its progress on stderr."""
    return carry_out(begin(settled, store), settled, interrupts, quiet=quiet, processes=processes)


def carry_out(
    run: RunDirectory, settled: Plan, interrupts: Interrupts, *, quiet: bool, processes: int = 1
) -> Ended:
    """Carry out a claimed run with its progress on stderr."""
    line = ProgressLine(f"{settled.file.scenario.name} {settled.file.experiment.name}", interrupts)
    if not quiet and settled.expected_seconds > WORTH_SAYING:
        line.say(f"takes about {duration(settled.expected_seconds)}; Ctrl-C stops it, `runs resume` goes on")
    try:
        return execute(
            run,
            settled,
            interrupts=interrupts,
            observe=(lambda progress, eta: None) if quiet else line.show,
            tell=(lambda text: None) if quiet else line.say,
            processes=processes,
        )
    finally:
        line.clear()


def show_one(settled: Plan, ended: Ended, *, as_json: bool, figures: FigureChoice) -> None:
    """Print one ended run: its result on stdout, what went wrong on stderr."""
    if as_json:
        click.echo(json.dumps(run_document(settled, ended), ensure_ascii=False, allow_nan=False))
    elif ended.result is not None:
        file = settled.file
        console = results()
        console.print(f"{file.title or file.experiment.title}", style="bold", markup=False)
        console.print()
        print_result(console, ended.result, ended.outcomes, figures=figures)
        console.print(
            f"\n{duration(ended.elapsed)}  {ended.run.path}", style="dim", markup=False, soft_wrap=True
        )
    if ended.error:
        click.echo(f"optexplore: {settled.file.source}: {ended.error}", err=True)
    for outcome in ended.outcomes:
        if not outcome.holds and not as_json and outcome.why:
            click.echo(f"optexplore: {settled.file.source}: {outcome.why}", err=True)
