"""The arrays of a stored run, mapped from their file, so that a large one needs little memory."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOCAL_HEADER = struct.Struct("<26xHH")


def checked_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """As `mapped_arrays`, but all checksums are read through first, so that damage is found here and not copied."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise ValueError(f"{path} is not a whole NumPy archive: {error}.") from None
    if damaged is not None:
        raise ValueError(f"{path} is damaged: the checksum of {damaged!r} is wrong.")
    return mapped_arrays(path)


def mapped_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of an uncompressed NumPy archive as read-only maps of the file.

    Args:
        path: the archive.
        names: those to map, of the ones that are there; all where left out.

    Returns:
        Arrays by name; members that are compressed are read into memory instead.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no NumPy archive, is damaged, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            chosen = members if names is None else [name for name in names if name in members]
            return {name: _member(path, archive, members[name]) for name in chosen}
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise ValueError(f"{path} is not a whole NumPy archive: {error}.") from None


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    import numpy as np

    if info.compress_type != zipfile.ZIP_STORED:
        with archive.open(info) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    with open(path, "rb") as file:
        # Only the local header knows where the data begins: its extra field differs from the directory's.
        file.seek(info.header_offset)
        name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name_length + extra_length, 1)
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(file)
        offset = file.tell()
    if dtype.hasobject:
        raise ValueError(f"{path} holds Python objects in {info.filename!r}, which are never read.")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
