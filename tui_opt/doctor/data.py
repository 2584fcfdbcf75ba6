"""The data sets: handwritten digits of two sizes, where they are or where to put them."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from tui_opt.datasets.mnist import FILES, FOLDER, find
from tui_opt.doctor.check import Check, Examiner
from tui_opt.locations import data_dirs

GROUP = "data sets"
DIGITS = 1797


def examiners() -> list[Examiner]:
    """What this module looks at."""
    return [
        Examiner(GROUP, "digits", lambda: digits(_scikit_learn())),
        Examiner(GROUP, "mnist", lambda: mnist(data_dirs())),
    ]


def _scikit_learn() -> Path | None:
    """Where scikit-learn is, found without importing it."""
    spec = importlib.util.find_spec("sklearn")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def digits(package: Path | None) -> Iterator[Check]:
    """The 8 x 8 digits that come with scikit-learn.

    Args:
        package: scikit-learn's folder, None where it is not installed.
    """
    if package is None:
        text, advice = "scikit-learn, which brings them, is not installed", "pip install scikit-learn"
        yield Check(GROUP, "digits", "problem", text, advice)
        return
    path = package / "datasets" / "data" / "digits.csv.gz"
    try:
        with gzip.open(path) as file:
            count = sum(1 for _ in file)
    except (OSError, EOFError) as error:
        text = f"{path} cannot be read: {error}"
        yield Check(
            GROUP,
            "digits",
            "problem",
            text,
            "Install scikit-learn again: pip install --force-reinstall scikit-learn",
        )
        return
    if count != DIGITS:
        advice = "Install a release of scikit-learn; its data were changed."
        yield Check(GROUP, "digits", "problem", f"{path} holds {count} digits, not {DIGITS}", advice)
        return
    yield Check(
        GROUP, "digits", "ok", f"{count} digits of 8 x 8, with scikit-learn", values={"path": str(path)}
    )


def mnist(folders: Sequence[Path]) -> Iterator[Check]:
    """The 28 x 28 digits of MNIST, as IDX files in one of the data folders; their beginnings are looked at."""
    found = {file: path for file in FILES if (path := find(file, folders)) is not None}
    missing = [file.name for file in FILES if file not in found]
    wrong = [path for file, path in found.items() if _beginning(path, len(file.header)) != file.header]
    for path in wrong:
        text = f"{path} is not the IDX file its name says"
        advice = "Remove it and run `optexplore data fetch mnist`."
        yield Check(GROUP, "mnist", "problem", text, advice)
    place = next((path.parent for path in found.values()), folders[0] / FOLDER)
    if missing:
        text = 'not found, so only dataset = "digits" can be used' if not found else f"incomplete in {place}"
        advice = f"`optexplore data fetch mnist`, or put {', '.join(missing)} (as they are or as .gz) into {place}."
        yield Check(GROUP, "mnist", "note", text, advice, {"missing": missing, "folder": str(place)})
    elif not wrong:
        text = (
            f"four files in {place}, which begin as they should; `optexplore data` reads them to their ends"
        )
        yield Check(GROUP, "mnist", "ok", text, values={"folder": str(place)})


def _beginning(path: Path, number: int) -> bytes:
    """The first bytes of a file, unpacked; none where it cannot be read."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(number)
    except (OSError, EOFError):
        return b""
