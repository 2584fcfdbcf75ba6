"""Options that commands about stored runs share."""

from __future__ import annotations

from pathlib import Path

import click

from tui_opt.locations import runs_dir
from tui_opt.store import Store

out_option = click.option("--out", type=click.Path(path_type=Path), help="The store. [default: ~/optexplore]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
figures_option = click.option(
    "--figures",
    type=click.Choice(["first", "all", "none"]),
    default="first",
    show_default=True,
    help="Charts to draw.",
)


def store_of(out: Path | None) -> Store:
    """The store that was named, or the user's own."""
    return Store(out or runs_dir())
