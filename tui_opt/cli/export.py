"""`export`: a run's arrays, tables, findings and figures as files."""

from __future__ import annotations

from pathlib import Path

import click

from tui_opt.errors import UsageError
from tui_opt.export import DEFAULT_FORMATS, FORMATS, IMAGES, export, find_run, open_run
from tui_opt.locations import runs_dir
from tui_opt.store import Store


@click.command("export")
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), help="The store. [default: ~/optexplore]")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="Folder for the files. [default: ./<run id>]"
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    help=f"One of {', '.join(FORMATS)}; may be repeated. [default: {', '.join(DEFAULT_FORMATS)}]",
)
@click.option(
    "--figure", "figures", multiple=True, metavar="NAME", help="Draw only this figure; may be repeated."
)
@click.option("--partial", is_flag=True, help="Of a run that is not done, export the newest partial result.")
def export_command(
    run: str,
    out: Path | None,
    folder: Path | None,
    formats: tuple[str, ...],
    figures: tuple[str, ...],
    partial: bool,
) -> None:
    """Write a stored run as files for other programs, without computing anything again.

    RUN is an id, the beginning of one, or the path of a run directory. Prints the path of each file written.
    """
    found = find_run(run, Store(out or runs_dir()))
    stored = open_run(found, partial=partial)
    for path in export(stored, folder or Path(found.id), _formats(formats, figures), figures):
        click.echo(str(path))


def _formats(formats: tuple[str, ...], figures: tuple[str, ...]) -> tuple[str, ...]:
    """The formats to write; naming a figure without any asks for its picture too."""
    if figures and not formats:
        return (*DEFAULT_FORMATS, "png")
    if figures and not any(f in IMAGES for f in formats):
        raise UsageError("--figure draws a picture: add --format png, --format svg or --format pdf.")
    return formats or DEFAULT_FORMATS
