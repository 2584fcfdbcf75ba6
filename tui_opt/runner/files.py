"""Files that are whole or not there: a temporary file beside the target, then a rename over it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPORARY_MARK = ".tmp-"
_LOCAL_HEADER, _ZIP64_FIELD = 30, 20  # bytes in front of a member's data, besides its name
_FIELD_HEADER = struct.Struct("<HH")
_PADDING = 0xD935  # a field of nothing but padding, as other archives are aligned with
_ALIGNMENT = 64


def write_atomic(path: Path, write: Callable[[IO[bytes]], object], *, sync: bool) -> None:
    """Write a file so that a reader, or the next boot, finds the old one or the new one.

    Args:
        path: the target.
        write: called with the open binary file.
        sync: flush to the disk before the rename; left out for what may be lost, such as partial results.

    Raises:
        OSError: nothing was changed, and the temporary file is gone.
    """
    temporary = path.with_name(f"{TEMPORARY_MARK}{secrets.token_hex(4)}-{path.name}")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Flush a directory's entries to the disk, or a file, where its file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a text file atomically; what UTF-8 cannot hold, such as a lone surrogate, is written as its escape."""
    data = text.encode("utf-8", "backslashreplace")
    write_atomic(path, lambda file: file.write(data), sync=sync)


def write_json(path: Path, document: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write a JSON object atomically. Numbers in it must be finite."""
    write_text(path, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n", sync=sync)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is missing, unreadable, or holds something else."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, sync: bool) -> None:
    """Write named arrays as an uncompressed NumPy archive, atomically.

    Raises:
        ValueError: an array holds Python objects, which are never written.
    """
    import numpy as np

    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"Array {name!r} holds Python objects, which cannot be stored.")

    def write(file: IO[bytes]) -> None:
        # Not by np.savez, whose own arguments take names such as `file` away from arrays.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in arrays.items():
                info = _aligned(f"{name}.npy", file.tell())
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    write_atomic(path, write, sync=sync)


def _aligned(name: str, offset: int) -> zipfile.ZipInfo:
    """A member whose data begin at a multiple of 64 bytes, so that a map of them needs no copy to compute with."""
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    before = offset + _LOCAL_HEADER + len(name.encode()) + _ZIP64_FIELD + _FIELD_HEADER.size
    padding = -before % _ALIGNMENT
    info.extra = _FIELD_HEADER.pack(_PADDING, padding) + bytes(padding)
    return info


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of an archive, all or the named ones that are there.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a NumPy archive, is damaged, or holds Python objects.
    """
    import numpy as np

    with open(path, "rb") as file:  # opened here, because NumPy forgets to close what it cannot read
        try:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            chosen = archive.files if names is None else [n for n in names if n in archive.files]
            arrays = {name: archive[name] for name in chosen}
            if foreign := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"its member {foreign[0]!r} is no array")
            return arrays
        except OSError:
            raise
        except (
            Exception
        ) as error:  # damage shows itself in NumPy, zipfile and zlib in more ways than can be listed
            raise ValueError(f"{path} is not a whole NumPy archive of numbers: {_one_line(error)}.") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def tail(path: Path, most_bytes: int = 65_536) -> list[str]:
    """The last whole lines of a text file, without reading the rest; a torn first or last line is left out."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - most_bytes))
            data = file.read()
    except OSError:
        return []
    lines = data.split(b"\n")
    if size > most_bytes:
        lines = lines[1:]
    return [line.decode("utf-8", "replace") for line in lines[:-1]]
