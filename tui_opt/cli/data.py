"""`data`: which data sets there are, where they are looked for, and fetching them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from tui_opt.cli.data_dir import data_dir_option
from tui_opt.datasets.mnist import FILES, FOLDER, MIRRORS, IdxFile, barred, find
from tui_opt.errors import DataError, ExitCode
from tui_opt.locations import data_dirs

_INTERVAL = 0.2
_INTERVAL_OF_LINES = 5.0
_MB = 1e6


@click.group("data", invoke_without_command=True)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", is_flag=True, help="Exit with 1 also where a file is missing.")
@click.pass_context
def data_command(ctx: click.Context, as_json: bool, check: bool) -> None:
    """Say which data sets there are, whether they are what they should be, and where they are looked for.

    The digits of scikit-learn are always there. MNIST is four files, packed or not, which `data fetch mnist` downloads.
    All of each file is read, which takes half a second: its beginning, size and checksum say whether it is the right
    one. Exit code 1 where one is not.
    """
    if ctx.invoked_subcommand is not None:
        return
    folders = data_dirs()
    rows = [_row(file, find(file, folders)) for file in FILES]
    if as_json:
        document = {
            "schema": 1,
            "folders": [str(folder) for folder in folders],
            "digits": "installed",
            "mnist": rows,
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        _print(rows, folders)
    if any(row["state"] in (("wrong", "missing") if check else ("wrong",)) for row in rows):
        ctx.exit(ExitCode.RUN_FAILED)


def _row(file: IdxFile, path: Path | None) -> dict[str, Any]:
    """A file, whether it is `right`, `wrong` or `missing`, and in a sentence what is wrong with it."""
    if path is None:
        return {"file": file.name, "state": "missing", "path": None}
    from tui_opt.datasets.idx import (
        read_idx,
    )  # needs NumPy, which takes longer than to say that nothing is here

    try:
        read_idx(path, file)
    except DataError as error:
        return {"file": file.name, "state": "wrong", "path": str(path), "error": str(error)}
    return {"file": file.name, "state": "right", "path": str(path)}


def _print(rows: list[dict[str, Any]], folders: list[Path]) -> None:
    click.echo("digits  8 x 8 pixels, 1,797 images, comes with scikit-learn: always there")
    missing, wrong = ([row for row in rows if row["state"] == state] for state in ("missing", "wrong"))
    state = "not here" if len(missing) == len(rows) else "incomplete" if missing else "here"
    if wrong:
        state += f", {len(wrong)} of the {len(rows)} files wrong"
    click.echo(f"mnist   28 x 28 pixels, 60,000 images and 10,000 for tests: {state}")
    for row in rows:
        click.echo(f"  {row['file']:<24}  {row['state']:<7}  {row['path'] or ''}".rstrip())
        if "error" in row:
            click.echo(f"      {row['error']}")
    click.echo("Looked for in:")
    for folder in folders:
        click.echo(f"  {folder / FOLDER}")
    if missing:
        if why := barred(folders):
            click.echo(why)
        click.echo("`optexplore data fetch mnist` downloads what is missing.")


@data_command.command("fetch")
@click.argument("name", type=click.Choice(["mnist"]))
@data_dir_option
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Folder with the packed files, in place of the usual ones; may be given again.",
)
def fetch_command(name: str, mirrors: tuple[str, ...]) -> None:
    """Download a data set into the data folder; what is there already stays, and a broken download goes on.

    Checksums are those of the unpacked files.
    """
    from tui_opt.datasets.fetch import fetch_mnist

    line = _Line()
    try:
        paths = fetch_mnist(data_dirs()[0], mirrors=mirrors or MIRRORS, progress=line.show)
    finally:
        line.clear()
    for path in paths:
        click.echo(path)


class _Line:
    """How far a download is, on stderr: redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._next = time.monotonic() + (0 if self._live else _INTERVAL_OF_LINES)
        self._drawn = False

    def show(self, name: str, done: int, total: int | None) -> None:
        """Draw, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (_INTERVAL if self._live else _INTERVAL_OF_LINES)
        of = f" of {total / _MB:.1f}" if total else ""
        text = f"{name}  {done / _MB:.1f}{of} MB"
        sys.stderr.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
        sys.stderr.flush()
        self._drawn = self._live

    def clear(self) -> None:
        """Take the line away again."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
