"""Reading IDX files, packed or not, that may be cut off, swapped, or made to do harm."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import DataError

if TYPE_CHECKING:
    from tui_opt.datasets.mnist import IdxFile

_GZIP: Final = b"\x1f\x8b"


def read_idx(path: Path, expected: IdxFile) -> NDArray[np.uint8]:
    """The array that a file holds, of the shape expected of it.

    Never reads more than the array's size, whatever a packed file would grow to.

    Raises:
        DataError: the file cannot be read, or is not the one expected.
    """
    content = _unpacked(path, expected)
    header = expected.header
    if content[: len(header)] != header:
        raise DataError(f"{path} is not {expected.name}: {_what_it_is(content, expected)}. {_ADVICE}")
    if len(content) != expected.size:
        long = len(content) > expected.size
        wrong, there = ("goes on after its end", "more") if long else ("is cut off", f"{len(content):,}")
        raise DataError(
            f"{path} {wrong}: unpacked it should have {expected.size:,} bytes, and has {there}. {_ADVICE}"
        )
    values = np.frombuffer(content, dtype=np.uint8, offset=len(header))
    if int(values.max()) > expected.highest:
        raise DataError(f"{path} has labels above {expected.highest}. {_ADVICE}")
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != expected.sha256:
        raise DataError(
            f"{path} has the form of {expected.name} but other content: the SHA-256 checksum of what it holds begins "
            f"with {checksum[:8]}, not {expected.sha256[:8]}. {_ADVICE}"
        )
    return values.reshape(expected.shape)


_ADVICE: Final = "Remove it and run `optexplore data fetch mnist`."


def _unpacked(path: Path, expected: IdxFile) -> bytes:
    """The file's bytes, at most one more than there should be."""
    most = expected.size + 1
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                return file.read(most)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return cast(BinaryIO, unpacked).read(most)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be unpacked: {str(error).rstrip('.')}. {_ADVICE}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def _what_it_is(content: bytes, expected: IdxFile) -> str:
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        known = expected.header
        start, wanted = content[: len(known)].hex(" ", -4) or "nothing", known.hex(" ", -4)
        return f"it is no IDX file of bytes, for it begins with {start} and not with {wanted}"
    dims = content[3]
    if dims != len(expected.shape):
        kinds = {1: "labels", 3: "images"}
        found, wanted = (kinds.get(n, f"an array of {n} dims") for n in (dims, len(expected.shape)))
        return f"it holds {found}, not {wanted}"
    shape = (int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims))
    given, wanted = (" x ".join(f"{n:,}" for n in s) for s in (shape, expected.shape))
    return f"its array is {given}, not {wanted}"
