"""The data sets: handwritten digits of two sizes, where they are or where to put them."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from tui_opt.doctor.check import Check, Examiner
from tui_opt.locations import data_dirs

GROUP = "data sets"
DIGITS = 1797
#: MNIST's files with the number each begins with: images and labels.
MNIST = {
    "train-images-idx3-ubyte": 2051,
    "train-labels-idx1-ubyte": 2049,
    "t10k-images-idx3-ubyte": 2051,
    "t10k-labels-idx1-ubyte": 2049,
}


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
    """The 28 x 28 digits of MNIST, as IDX files in a folder `mnist` of one of the data folders."""
    best: dict[str, Path] = {}
    place = folders[0] / "mnist"
    for folder in folders:
        found = {name: path for name in MNIST if (path := _file(folder / "mnist", name)) is not None}
        if len(found) > len(best):
            best, place = found, folder / "mnist"
    missing = [name for name in MNIST if name not in best]
    for name, path in best.items():
        if _magic(path) != MNIST[name]:
            advice = "Get the file again; it must be the IDX file, plain or compressed by gzip."
            yield Check(GROUP, "mnist", "problem", f"{path} is not the IDX file its name says", advice)
    if missing:
        text = 'not found, so only dataset = "digits" can be used' if not best else f"incomplete in {place}"
        advice = f"Put {', '.join(missing)} (as they are or as .gz) into {place}."
        yield Check(GROUP, "mnist", "note", text, advice, {"missing": missing, "folder": str(place)})
    else:
        yield Check(GROUP, "mnist", "ok", f"four files in {place}", values={"folder": str(place)})


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _magic(path: Path) -> int | None:
    """The number a file begins with, None where it cannot be read."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return int.from_bytes(file.read(4), "big")
    except (OSError, EOFError):
        return None
