"""Where things are: the store of runs, the caches, the scenario files that ship with the package."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from tui_opt.errors import UsageError

APP = "optexplore"


def expanded(path: str | Path, where: str) -> Path:
    """A path with `~` for the home of a user.

    Args:
        path: as it was given.
        where: the variable or option it was given in.

    Raises:
        UsageError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0]
        raise UsageError(f"{where} is {path}, and there is no home folder of {user}. Give a path.") from None


def runs_dir() -> Path:
    """The store used when nothing else is said: `OPTEXPLORE_RUNS_DIR`, else `~/optexplore`."""
    given = os.environ.get("OPTEXPLORE_RUNS_DIR")
    return expanded(given, "OPTEXPLORE_RUNS_DIR") if given else Path.home() / APP


def cache_dir() -> Path:
    """The user's cache: `OPTEXPLORE_CACHE_DIR`, else the platform's. Everything in it can be made again."""
    given = os.environ.get("OPTEXPLORE_CACHE_DIR")
    return expanded(given, "OPTEXPLORE_CACHE_DIR") if given else Path(platformdirs.user_cache_dir(APP))


def data_dirs() -> list[Path]:
    """Folders searched for data sets, in order: `OPTEXPLORE_DATA_DIR`, then the user's data folder."""
    given = os.environ.get("OPTEXPLORE_DATA_DIR")
    own = Path(platformdirs.user_data_dir(APP)) / "data"
    return [expanded(given, "OPTEXPLORE_DATA_DIR"), own] if given else [own]


def shipped_scenarios() -> Path:
    """The folder of scenario files: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"
