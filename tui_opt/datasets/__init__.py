"""Images with labels to learn from: scikit-learn's digits, which are always there, and MNIST where its files are.

data = load("digits")
data.images  # [sample, pixel], whole numbers from 0 to data.levels - 1
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui_opt.datasets.mnist import PARTS, barred, find
from tui_opt.errors import DataError
from tui_opt.locations import data_dirs
from tui_opt.problems import near_match

if TYPE_CHECKING:  # where the data sets are is also asked without reading them
    import numpy as np
    from numpy.typing import NDArray

NAMES: Final = ("digits", "mnist")


@dataclass(frozen=True)
class Dataset:
    """Images with labels, in the order of their source.

    Args:
        name: what it is called.
        images: [sample, pixel], uint8, from 0 to `levels` - 1, row by row; read only.
        labels: [sample], uint8, the digit; read only.
        side: pixels per row and rows per image.
        levels: how many grey values there are.
        sha256: of the images' bytes as their source has them, which says exactly what was learnt from.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    side: int
    levels: int
    sha256: str


def load(name: str, *, test: bool = False) -> Dataset:
    """A data set.

    Args:
        name: `digits`, the 1,797 handwritten digits of 8 x 8 pixels and 17 grey values that scikit-learn carries
            (Alpaydin and Kaynak 1998), or `mnist`, the 60,000 of 28 x 28 pixels and 256 (LeCun et al. 1998), which is
            looked for in the folders of `tui_opt.locations.data_dirs`.
        test: the 10,000 digits that MNIST keeps for testing; `digits` has none.

    Raises:
        DataError: it is not there, or its files are not what they should be; the text says what to do.
    """
    if name == "digits":
        if test:
            raise DataError("The data set digits has no test part; MNIST has one.")
        return _digits()
    if name == "mnist":
        return _mnist("test" if test else "train", tuple(data_dirs()))
    hint = near_match(name, NAMES)
    raise DataError(f"There is no data set {name!r}; there are {', '.join(NAMES)}. {hint}".rstrip())


def missing(name: str, *, test: bool = False) -> str:
    """Which files of a data set are not here, and what to do about it; empty where all are."""
    if name != "mnist":
        return ""
    folders = data_dirs()
    gone = [file.name for file in PARTS["test" if test else "train"] if find(file, folders) is None]
    if not gone:
        return ""
    places, why = " and ".join(map(str, folders)), barred(folders)
    return (
        f"MNIST is not here: {' and '.join(gone)} (or .gz) not found in {places}. {why}{' ' if why else ''}"
        "`optexplore data fetch mnist` downloads it; where it lies elsewhere, set OPTEXPLORE_DATA_DIR or use "
        "--data-dir. The data set digits needs no download."
    )


@lru_cache(maxsize=1)
def _digits() -> Dataset:
    import hashlib

    import numpy as np
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.ascontiguousarray(source.data, dtype=np.uint8)
    labels = np.ascontiguousarray(source.target, dtype=np.uint8)
    checksum = hashlib.sha256(images.tobytes()).hexdigest()
    return _sealed(Dataset("digits", images, labels, side=8, levels=17, sha256=checksum))


@lru_cache(maxsize=2)
def _mnist(part: str, folders: tuple[Path, ...]) -> Dataset:
    from tui_opt.datasets.idx import read_idx

    if why := missing("mnist", test=part == "test"):
        raise DataError(why)
    images_of, labels_of = PARTS[part]
    paths = {file: find(file, folders) for file in (images_of, labels_of)}
    images, labels = (read_idx(path, file) for file, path in paths.items() if path is not None)
    flat = images.reshape(images.shape[0], -1)
    return _sealed(Dataset("mnist", flat, labels, side=images.shape[1], levels=256, sha256=images_of.sha256))


def _sealed(data: Dataset) -> Dataset:
    """The same, which no experiment can change under another one's feet."""
    data.images.flags.writeable = data.labels.flags.writeable = False
    return data
