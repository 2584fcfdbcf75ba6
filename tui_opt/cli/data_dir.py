"""`--data-dir`: where data sets are looked for, in this process and in every one it starts."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tui_opt.locations import expanded

VARIABLE = "OPTEXPLORE_DATA_DIR"


def _set(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        os.environ[VARIABLE] = str(expanded(value, "--data-dir").absolute())


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_set,
    expose_value=False,
    help=f"Where data sets are looked for first. [default: {VARIABLE}]",
)
