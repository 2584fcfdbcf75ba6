"""Columns of a CSV file by name: numbers, with empty fields as NaN, and a sentence with the line for anything else."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.problems import near_match, printable

FloatArray = NDArray[np.float64]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
DELIMITERS = (",", ";", "\t")
MOST_BYTES = 4_000_000_000
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class DataFile:
    """What was read.

    Attributes:
        path: the file.
        columns: by name, float64[rows]; NaN where a value is missing.
        names: every column the file has.
        rows: lines with data.
        sha256: checksum of the file's bytes.
    """

    path: Path
    columns: dict[str, FloatArray]
    names: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(frozen=True)
class Header:
    """The line with the names: `line` counts from 1."""

    names: tuple[str, ...]
    delimiter: str
    line: int


def text_of(path: Path) -> tuple[str, str]:
    """The text of a file and the checksum of its bytes.

    Raises:
        ExperimentError: it cannot be read, is no text, or is too large.
    """
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise ExperimentError(f"The data file {path} is larger than 4 GB; give a part of it.")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ExperimentError(f"The data file {path} cannot be read: {reason}.") from None
    try:
        return content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest()
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"The data file {path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8."
        ) from None


def header_of(text: str, path: Path) -> Header:
    """The names of the columns.

    Raises:
        ExperimentError: there are none, or one stands twice.
    """
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        delimiter = max(DELIMITERS, key=line.count)
        fields = next(csv.reader([line], delimiter=delimiter))
        # In the form in which expressions have names, whatever the keyboard made of them.
        names = tuple(unicodedata.normalize("NFKC", name.strip()) for name in fields)
        if all(_number(name) is not None for name in names):
            raise ExperimentError(
                f"The data file {path} has no line with names: line {number} has numbers only. Write the names of "
                "the columns above them, such as x1,x2,y."
            )
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ExperimentError(
                f"The data file {path} has two columns named {_shown(twice[0])}; rename one of them."
            )
        return Header(names, delimiter, number)
    raise ExperimentError(f"The data file {path} is empty; it needs a line with names and rows of numbers.")


def read_columns(path: Path, text: str, header: Header, wanted: Sequence[str]) -> dict[str, FloatArray]:
    """The wanted columns.

    Args:
        path: the file, for messages.
        text: its text.
        header: its names.
        wanted: names of columns.

    Returns:
        float64[rows] by name; NaN where a field is empty or says that it is missing.

    Raises:
        ExperimentError: a column is missing, a row has too few or too many fields, or a field is no number.
    """
    for name in wanted:
        if name not in header.names:
            near = near_match(name, header.names)
            raise ExperimentError(
                f"The data file {path} has no column {name!r}; it has {', '.join(map(_shown, header.names))}. "
                f"{near}".rstrip()
            )
    places = [header.names.index(name) for name in wanted]
    values = _all_numbers(text, header, places)
    if values is None:
        values = np.array(list(_rows(path, text, header, places)), dtype=np.float64).reshape(-1, len(places))
    return {name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(wanted)}


def _all_numbers(text: str, header: Header, places: Sequence[int]) -> FloatArray | None:
    """The wanted columns in one pass in C, where every line has the right number of fields and all are numbers."""
    body = io.StringIO(text)
    for _ in range(header.line):
        body.readline()
    start = body.tell()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files without rows
            values = np.loadtxt(body, delimiter=header.delimiter, usecols=places, ndmin=2)
    except ValueError:
        return None
    fields = text.count(header.delimiter, start)  # for a text, a place is a number of characters
    return values if fields == values.shape[0] * (len(header.names) - 1) and values.size else None


def _rows(path: Path, text: str, header: Header, places: Sequence[int]) -> Iterator[list[float]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter)
    width = len(header.names)
    for fields in reader:
        line = reader.line_num
        if line <= header.line or not fields or fields[0].lstrip().startswith("#"):
            continue
        if len(fields) == 1 and not fields[0].strip() and width > 1:
            continue  # a line of blanks
        if len(fields) != width:
            raise ExperimentError(
                f"Line {line} of the data file {path} has {len(fields)} fields where the names have {width}."
            )
        yield [_value(path, line, header.names[k], fields[k]) for k in places]


def _value(path: Path, line: int, name: str, field: str) -> float:
    number = _number(field)
    if number is not None:
        return number
    comma = " Decimals are written with a point." if _number(field.replace(",", ".")) is not None else ""
    raise ExperimentError(
        f"Line {line} of the data file {path} has {_shown(field.strip())} in the column {name!r}, which is no "
        f"number; a missing value is left empty.{comma}"
    )


def _number(field: str) -> float | None:
    """The number that a field holds, NaN where it says that the value is missing, None where it is neither."""
    word = field.strip()
    if word.lower() in MISSING:
        return float("nan")
    if "_" in word:  # which Python reads as digits grouped
        return None
    try:
        return float(word)
    except ValueError:
        return None


def _shown(word: str) -> str:
    return repr(printable(word if len(word) <= _LONGEST_SHOWN else word[: _LONGEST_SHOWN - 1] + "…"))
