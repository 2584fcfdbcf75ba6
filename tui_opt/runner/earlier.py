"""Earlier runs that a run goes on from: found by id or by place, and read only when they are done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_opt.errors import ExperimentError, OptexploreError, UsageError
from tui_opt.input_files import is_place
from tui_opt.locations import runs_dir
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tui_opt.params import Params


@dataclass(frozen=True)
class EarlierRun:
    """A run that is done.

    Args:
        id: the name of its directory.
        params: what it was asked.
        arrays: those asked for, by name; read-only.
    """

    id: str
    params: Params
    arrays: dict[str, NDArray[Any]]


def find_run(given: str, folder: Path | None) -> RunDirectory:
    """The run that a parameter names.

    Args:
        given: an id, the beginning or the last six characters of one, or the place of a run directory.
        folder: where the run that asks stands: others stand beside it, or in the store used when nothing else is said.

    Raises:
        ExperimentError: there is no such run, or more than one.
    """
    if is_place(given):
        run = RunDirectory(Path(given).expanduser())
        if (run.path / "scenario.toml").is_file():
            return run
        raise ExperimentError(f"{given} is not the directory of a run. Give one, or the id of a run.")
    looked: list[str] = []
    for store in _stores(folder):
        try:
            return Store(store).find(given)
        except UsageError as error:
            if "could be any of" in str(error):
                raise ExperimentError(str(error)) from None
            looked.append(str(store))
    where = " and ".join(looked)
    raise ExperimentError(
        f"There is no run {given!r} in {where}. `optexplore runs list` shows those there are; one of another store is "
        "named by the place of its directory."
    )


def _stores(folder: Path | None) -> list[Path]:
    """Where an id may be found: beside the run, or above the hidden folder that live runs stand in; and the user's."""
    from tui_opt.runner.live import FOLDER

    found = []
    if folder is not None:
        above = [place.parent for place in (folder, *folder.parents) if place.name == FOLDER]
        found.append(above[0] if above else folder)
    return list(dict.fromkeys([*found, runs_dir()]))


def earlier_run(given: str, folder: Path | None, wanted: str, arrays: tuple[str, ...]) -> EarlierRun:
    """Read a run that another one goes on from.

    Args:
        given: as for `find_run`.
        folder: as for `find_run`.
        wanted: `scenario/experiment` that it must be of.
        arrays: names of the arrays to read.

    Raises:
        ExperimentError: there is no such run, it is of another experiment, a sweep, not done, or damaged.
    """
    from tui_opt.scenario_file import read_file

    run = find_run(given, folder)
    try:
        file = read_file(run.path / "scenario.toml")
        state = run.status()["state"]
        kind = f"{file.scenario.name}/{file.experiment.name}"
        if kind != wanted:
            raise ExperimentError(f"The run {run.id} is of {kind}, and one of {wanted} is needed.")
        if file.sweep is not None:
            raise ExperimentError(
                f"The run {run.id} is a sweep. Run the point that is meant by itself, and give that run."
            )
        if state != "done":
            advice = {"queued": "Wait until it is done.", "running": "Wait until it is done."}.get(
                state, f"`optexplore runs resume {run.id}` goes on with it."
            )
            raise ExperimentError(f"The run {run.id} is {state} and has no result yet. {advice}")
        result = run.result(arrays)
    except ExperimentError:
        raise
    except OptexploreError as error:
        raise ExperimentError(f"The run {run.id} cannot be used: {error}") from None
    missing = [name for name in arrays if name not in result.arrays]
    if missing:
        raise ExperimentError(f"The run {run.id} has no array {missing[0]!r}. Run it again.")
    return EarlierRun(run.id, file.params, {name: result.arrays[name].values for name in arrays})
