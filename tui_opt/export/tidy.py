"""Results as CSV: findings, tables, and arrays in tidy long form, a row per element, coordinates first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from tui_opt.export.names import unique
from tui_opt.result import Array, Finding, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 65_536

Row = Sequence[Any]


def write_rows(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write rows as CSV in UTF-8. Floats are written so that reading them gives the same bits."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    text.flush()
    text.detach()


def finding_rows(findings: Iterable[Finding]) -> Iterator[Row]:
    """A header, then a row per finding."""
    yield ("name", "value", "stderr", "unit", "kind", "text")
    for f in findings:
        yield (f.name, f.value, f.stderr, f.unit, f.kind, f.text)


def table_rows(table: Table) -> Iterator[Row]:
    """A header, then the table's rows; an empty cell stays empty."""
    yield table.columns
    yield from table.rows


def groups(arrays: Mapping[str, Array]) -> dict[tuple[str, ...], list[dict[str, Array]]]:
    """Arrays that share their dims, and so fit the columns of one file.

    Returns:
        By dims; more than one group only where arrays call axes of different lengths by one name.
    """
    found: dict[tuple[str, ...], dict[tuple[int, ...], dict[str, Array]]] = {}
    for name, array in arrays.items():
        found.setdefault(array.dims, {}).setdefault(array.values.shape, {})[name] = array
    return {dims: list(by_shape.values()) for dims, by_shape in found.items()}


def coordinate(arrays: Mapping[str, Array], dim: str, length: int) -> Array | None:
    """The array that says where along a dim an element is: it has the dim's name and no other dim."""
    array = arrays.get(dim)
    return array if array is not None and array.dims == (dim,) and array.values.shape == (length,) else None


def array_rows(group: Mapping[str, Array], arrays: Mapping[str, Array]) -> Iterator[Row]:
    """The rows of a group, a header first.

    Args:
        group: arrays of equal dims and shape.
        arrays: all arrays of the result, for the coordinates; a dim without one gets a column of indices.
    """
    import numpy as np

    first = next(iter(group.values()))
    dims, shape = first.dims, first.values.shape
    axes = [coordinate(arrays, dim, length) for dim, length in zip(dims, shape, strict=True)]
    own = {name: array for name, array in group.items() if not any(array is axis for axis in axes)}
    taken: set[str] = set()
    header = [unique(dim if axis else f"{dim}_index", taken) for dim, axis in zip(dims, axes, strict=True)]
    for name, array in own.items():
        parts = (f"{name}_real", f"{name}_imag") if array.values.dtype.kind == "c" else (name,)
        header += [unique(part, taken) for part in parts]
    yield header
    flat = [array.values.reshape(-1) if _is_c(array.values) else array.values.flat for array in own.values()]
    size = first.values.size
    for start in range(0, size, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, size)
        index = np.unravel_index(np.arange(start, stop), shape) if dims else ()
        columns = [
            plain(axis.values[i] if axis else i) for axis, i in zip(axes, index, strict=True)
        ]  # fmt: skip
        for values in flat:
            piece = np.asarray(values[start:stop])
            columns += [plain(p) for p in ((piece.real, piece.imag) if piece.dtype.kind == "c" else (piece,))]
        yield from zip(*columns, strict=True)


def _is_c(values: NDArray[Any]) -> bool:
    return bool(values.flags.c_contiguous)


def plain(values: NDArray[Any]) -> list[Any]:
    """Elements as Python values whose text reads back as the same number in the array's own precision."""
    if values.dtype.kind == "f" and values.dtype.itemsize != 8:
        # Through a Python float, 0.1 in single precision would read 0.10000000149011612.
        return [str(v) for v in values]
    out: list[Any] = values.tolist()
    return out
