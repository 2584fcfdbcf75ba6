"""A stored run as files for other programs. All comes from what is stored; nothing is computed again."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tui_opt.errors import StoreError, UsageError
from tui_opt.export.names import safe, unique
from tui_opt.figure import Figure
from tui_opt.problems import near_match
from tui_opt.result import Result, ResultDocument
from tui_opt.runner import files
from tui_opt.runner.run_directory import SCHEMA, RunDirectory

if TYPE_CHECKING:
    from tui_opt.store import Store

IMAGES = ("png", "svg", "pdf")
FORMATS = ("csv", "npz", *IMAGES, "netcdf", "toml", "json")
DEFAULT_FORMATS = ("csv", "npz", "toml")


@dataclass(frozen=True)
class Stored:
    """What a run directory holds: the result, its arrays mapped from their file, and the documents.

    `document` is `result.json`, or for a partial result the same without what is known at the end only.
    """

    run: RunDirectory
    result: Result
    document: dict[str, Any]
    toml: str
    partial: bool


def find_run(name: str, store: Store) -> RunDirectory:
    """A run by the path of its directory, or by its id or a beginning of it in a store.

    Raises:
        UsageError: there is no such run, or more than one.
    """
    path = Path(name)
    # An earlier export lies in a folder called like the run, so being a folder does not make it the run.
    if (path / "status.json").is_file():
        return RunDirectory(path.resolve())
    if os.sep in name or name in (".", ".."):
        raise UsageError(
            f"{name} is not a run directory: it has no status.json. `optexplore runs list` shows runs."
        )
    return store.find(name)


def open_run(run: RunDirectory, *, partial: bool) -> Stored:
    """Read what a run has.

    Args:
        run: the run.
        partial: take the newest partial result of a run that is not done.

    Raises:
        StoreError: it has no result, or one that cannot be read.
    """
    toml = _scenario_text(run)
    state = run.status()["state"]
    if state != "done":
        return _open_partial(run, state, toml, wanted=partial)
    document = run.result_document()
    try:
        from tui_opt.runner.mapped import checked_arrays

        values = checked_arrays(run.path / "arrays.npz")
        result = Result.from_document(ResultDocument.model_validate(document), values)
    except (OSError, ValueError) as error:
        raise StoreError(f"The result of {run.id} cannot be read: {error}") from None
    return Stored(run, result, document, toml, partial=False)


def _open_partial(run: RunDirectory, state: str, toml: str, *, wanted: bool) -> Stored:
    found = run.partial()
    if found is None:
        raise StoreError(
            f"The run {run.id} has no result: it is {state}, and it left no partial result either."
        )
    if not wanted:
        raise StoreError(
            f"The run {run.id} has no result: it is {state}. Give --partial to export what it has so far."
        )
    document = {"schema": SCHEMA, "state": state, "partial": True, **found.document().model_dump(mode="json")}
    return Stored(run, found, document, toml, partial=True)


def _scenario_text(run: RunDirectory) -> str:
    try:
        return (run.path / "scenario.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"The scenario file of {run.id} cannot be read: {error}.") from None


def choose_figures(stored: Stored, names: Sequence[str]) -> list[Figure]:
    """The named figures, or all where none is named.

    Raises:
        UsageError: the run has no such figure, or none at all.
    """
    there = {figure.name: figure for figure in stored.result.figures}
    if not there:
        raise UsageError(f"The run {stored.run.id} has no figures. Leave out --figure, png, svg and pdf.")
    for name in names:
        if name not in there:
            known = ", ".join(there)
            hint = near_match(name, there)
            raise UsageError(
                f"The run {stored.run.id} has no figure {name!r}; it has {known}. {hint}".rstrip()
            )
    return [there[name] for name in dict.fromkeys(names)] if names else list(there.values())


def export(
    stored: Stored, folder: Path, formats: Sequence[str], figures: Sequence[str] = ()
) -> Iterator[Path]:
    """Write a run's files into a folder.

    Args:
        stored: what to write.
        folder: where to; made if it is missing. Files of the same names are replaced, others are left alone.
        formats: of `FORMATS`.
        figures: names of the figures to draw in the image formats; all where empty.

    Yields:
        Each file's path once it is whole.

    Raises:
        UsageError: an unknown figure, a library that is not installed, or a folder that is the run's own.
        StoreError: the folder cannot be written.
    """
    drawn = choose_figures(stored, figures) if any(f in IMAGES for f in formats) else []
    if folder.resolve().is_relative_to(stored.run.path.resolve()):
        raise UsageError(
            f"{folder} is the run's own directory, which keeps as it is. Give another folder with --to."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in dict.fromkeys(formats):
            yield from _write(kind, stored, folder, drawn)
    except OSError as error:
        raise StoreError(_sentence(folder, error)) from None


def _sentence(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {folder} is full. Free some space, or choose another folder with --to."
    return f"{folder} cannot be written: {error.strerror or error}. Choose another folder with --to."


def _write(kind: str, stored: Stored, folder: Path, drawn: Iterable[Figure]) -> Iterator[Path]:
    if kind == "csv":
        yield from _write_csv(stored.result, folder)
    elif kind == "npz":
        yield _write_npz(stored, folder / "arrays.npz")
    elif kind == "toml":
        yield _put(folder / "scenario.toml", lambda file: file.write(stored.toml.encode("utf-8")))
    elif kind == "json":
        text = json.dumps(stored.document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        yield _put(folder / "result.json", lambda file: file.write(text.encode("utf-8")))
    elif kind == "netcdf":
        yield _put_by_path(folder / "result.nc", lambda path: _write_netcdf(stored, path))
    elif kind in IMAGES:
        yield from _write_figures(stored.result, folder, kind, drawn)
    else:
        raise UsageError(
            f"There is no format {kind!r}; there are {', '.join(FORMATS)}. {near_match(kind, FORMATS)}"
        )


# --- files, whole or not at all -----------------------------------------------------------------------------


def _put(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    files.write_atomic(path, write, sync=False)
    return path


def _put_by_path(path: Path, write: Callable[[Path], object]) -> Path:
    """The same for writers that open the file themselves and go by its suffix."""
    temporary = path.with_name(f"{files.TEMPORARY_MARK}{secrets.token_hex(4)}-{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


# --- formats ------------------------------------------------------------------------------------------------


def _write_csv(result: Result, folder: Path) -> Iterator[Path]:
    from tui_opt.export import tidy

    taken: set[str] = set()

    def put(stem: str, rows: Iterable[tidy.Row]) -> Path:
        return _put(folder / f"{unique(safe(stem), taken)}.csv", lambda file: tidy.write_rows(file, rows))

    yield put("findings", tidy.finding_rows(result.findings.values()))
    for name, table in result.tables.items():
        yield put(f"table-{name}", tidy.table_rows(table))
    for dims, alike in tidy.groups(result.arrays).items():
        for group in alike:
            yield put("-".join(("arrays", *dims)), tidy.array_rows(group, result.arrays))


def _write_npz(stored: Stored, path: Path) -> Path:
    if stored.partial:
        files.write_arrays(path, stored.result.values(), sync=False)
        return path
    with open(stored.run.path / "arrays.npz", "rb") as source:
        return _put(path, lambda file: shutil.copyfileobj(source, file, 1 << 20))


def _write_netcdf(stored: Stored, path: Path) -> None:
    from tui_opt.export.netcdf import write_netcdf

    write_netcdf(path, stored.result, stored.document, stored.run.id, stored.toml)


def _write_figures(result: Result, folder: Path, kind: str, drawn: Iterable[Figure]) -> Iterator[Path]:
    from tui_opt.render.errors import RenderError
    from tui_opt.render.image import save_figure

    arrays = result.values()
    taken: set[str] = set()
    for figure in drawn:
        path = folder / f"figure-{unique(safe(figure.name), taken)}.{kind}"
        try:
            yield _put_by_path(path, partial(save_figure, figure, arrays))
        except RenderError as error:
            raise UsageError(str(error)) from None
