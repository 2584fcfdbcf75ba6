"""`verify`: the ledger of claims."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from tui_opt.cli.batch import read_all, run_one
from tui_opt.cli.data_dir import data_dir_option
from tui_opt.cli.screen import results, unicode, width
from tui_opt.errors import ExitCode, UsageError
from tui_opt.locations import shipped_scenarios
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import Claim, claims_of, shared_questions, shipped_files
from tui_opt.scenario_file import ScenarioFile

MOST_COLUMNS = 160


@click.command("verify")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--gpu", is_flag=True, help='Also run files marked size = "gpu".')
@click.option("--scenario", help="Only shipped files of this scenario.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep the runs in this store. [default: they are not kept]"
)
@click.option(
    "--threads", type=click.IntRange(1, 4096), help="Threads to use. [default: the cores there are]"
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@data_dir_option
def verify_command(
    files: tuple[Path, ...],
    as_json: bool,
    gpu: bool,
    scenario: str | None,
    out: Path | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Run scenario files (those that ship with optexplore, or those given) and check what they claim.

    Claims of equal parameters share one run.

    Exit codes: 0 ok, 1 a run failed, 2 bad usage or scenario file, or no claim to check, 3 device unavailable, 4 a
    claim does not hold, 130 and 143 interrupted.
    """
    if files and scenario is not None:
        raise click.UsageError("--scenario chooses among the files that ship; it cannot be given with FILES.")
    chosen = _with_claims(read_all(files or _shipped(scenario), ()), gpu=gpu)
    plans = [(group, plan(group[0], threads)) for group in shared_questions(chosen)]
    claims: list[Claim] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="optexplore-verify-") as scratch, Interrupts() as interrupts:
        for number, (group, settled) in enumerate(plans, 1):
            ended = run_one(settled, out or Path(scratch), interrupts, quiet=quiet)
            if interrupts.count and (ended.state == "cancelled" or number < len(plans)):
                raise SystemExit(interrupts.exit_code)
            if ended.result is None:
                failed = True
                click.echo(f"optexplore: {group[0].source}: {ended.error}", err=True)
            claims += claims_of(group, ended)
    if as_json:
        click.echo(
            json.dumps([_with_short_path(claim) for claim in claims], ensure_ascii=False, allow_nan=False)
        )
    else:
        print_ledger(claims)
    if not all(claim.outcome.holds for claim in claims):
        sys.exit(ExitCode.EXPECTATION_FAILED)
    sys.exit(ExitCode.RUN_FAILED if failed else ExitCode.OK)


def _shipped(scenario: str | None) -> tuple[Path, ...]:
    folder = shipped_scenarios()
    found = [path for path in shipped_files(folder) if scenario in (None, path.parent.name)]
    if not found:
        known = ", ".join(sorted({path.parent.name for path in shipped_files(folder)}))
        raise UsageError(f"No scenario files ship for {scenario!r}; there are some for {known}.")
    return tuple(found)


def _with_claims(files: Sequence[ScenarioFile], *, gpu: bool) -> list[ScenarioFile]:
    """The files that have something to check here; why the others are left out is said on stderr.

    Raises:
        UsageError: there are none, and to succeed would claim what nobody looked at.
    """
    chosen = []
    for file in files:
        if not file.expectations:
            why = "it has no [[expect]], so it claims nothing"
        elif file.size == "gpu" and not gpu:
            why = 'it is marked size = "gpu"; give --gpu to run it'
        elif missing := file.experiment.missing(file.params):
            why = missing.rstrip(".")
        else:
            chosen.append(file)
            continue
        click.echo(f"optexplore: {_short_path(file.source)} is skipped: {why}.", err=True)
    if not chosen:
        raise UsageError("There is no claim to check in these files.")
    return chosen


def _short_path(source: str) -> str:
    folder = shipped_scenarios()
    path = Path(source)
    if path.is_relative_to(folder):
        return str(path.relative_to(folder))
    return os.path.relpath(path) if not os.path.relpath(path).startswith("..") else str(path)


def _with_short_path(claim: Claim) -> dict[str, object]:
    return claim.plain() | {"file": _short_path(claim.file)}


def print_ledger(claims: list[Claim]) -> None:
    """Print the claims as a table, with a summary below it."""
    from tui_opt.render.ledger import ledger

    console = results()
    console.print(
        ledger(
            [(_short_path(c.file), c.outcome) for c in claims], min(width(), MOST_COLUMNS), unicode=unicode()
        )
    )
    verdicts: dict[str, int] = {}
    for claim in claims:
        verdict = claim.outcome.expectation.verdict
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    held = sum(claim.outcome.holds for claim in claims)
    parts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    console.print(f"\n{held} of {len(claims)} claims hold ({parts}).", markup=False)
