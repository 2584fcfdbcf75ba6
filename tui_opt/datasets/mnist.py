"""The four files of MNIST: their names, shapes and checksums, where they may lie, and where they are fetched from.

LeCun, Cortes, Burges (1998), The MNIST database of handwritten digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class IdxFile:
    """A file in IDX format.

    Args:
        name: its usual name, unpacked.
        shape: of the array of bytes it holds.
        sha256: of the unpacked file: a packed one may be packed again, and is still the same data.
        highest: the largest value allowed.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str
    highest: int = 255

    @property
    def header(self) -> bytes:
        """What it begins with: unsigned bytes, the number of dims, and each of them."""
        dims = b"".join(n.to_bytes(4, "big") for n in self.shape)
        return bytes([0, 0, 8, len(self.shape)]) + dims

    @property
    def size(self) -> int:
        """Bytes when unpacked."""
        count = 1
        for n in self.shape:
            count *= n
        return len(self.header) + count

    @property
    def names(self) -> tuple[str, ...]:
        """The names it is found under; some programs write a dot for the second dash."""
        dotted = self.name.replace("-idx", ".idx")
        return (self.name, f"{self.name}.gz", dotted, f"{dotted}.gz")


_TRAIN_IMAGES: Final = IdxFile(
    "train-images-idx3-ubyte",
    (60_000, 28, 28),
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
_TRAIN_LABELS: Final = IdxFile(
    "train-labels-idx1-ubyte",
    (60_000,),
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    highest=9,
)
_TEST_IMAGES: Final = IdxFile(
    "t10k-images-idx3-ubyte",
    (10_000, 28, 28),
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
_TEST_LABELS: Final = IdxFile(
    "t10k-labels-idx1-ubyte",
    (10_000,),
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    highest=9,
)
PARTS: Final = {"train": (_TRAIN_IMAGES, _TRAIN_LABELS), "test": (_TEST_IMAGES, _TEST_LABELS)}
FILES: Final = (*PARTS["train"], *PARTS["test"])
FOLDER: Final = "mnist"
MIRRORS: Final = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def find(file: IdxFile, folders: Iterable[Path]) -> Path | None:
    """Where a file lies: in a folder `mnist` of one of these folders, or in one of them itself; packed or not."""
    for folder in folders:
        for place in (folder / FOLDER, folder):
            for name in file.names:
                if _is_file(place / name):
                    return place / name
    return None


def barred(folders: Iterable[Path]) -> str:
    """A sentence for each of these folders that cannot be looked into; empty where all can, or are not there."""
    sentences = []
    for place in (place for folder in folders for place in (folder / FOLDER, folder)):
        try:
            (place / FILES[0].name).exists()
        except OSError as error:
            sentences.append(f"{place} cannot be looked into: {error.strerror or error}.")
    return " ".join(sentences)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the folder is not for this user, or its name too long for any
        return False
