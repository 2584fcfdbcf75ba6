"""Downloading MNIST: from the first mirror that has it, going on where a download broke off, checked when unpacked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tui_opt.datasets.idx import read_idx
from tui_opt.datasets.mnist import FILES, FOLDER, MIRRORS, IdxFile, find
from tui_opt.errors import DataError, UsageError

if TYPE_CHECKING:
    import requests

_CHUNK: Final = 1 << 16
_TIMEOUT: Final = (10.0, 30.0)  # seconds to connect, and between two chunks
_OVERHEAD: Final = 10_000  # bytes by which packing may make a file larger


class Progress(Protocol):
    """Called now and then with the file's name, the bytes there are, and the bytes there will be, None if unknown."""

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Take note."""
        ...


def fetch_mnist(
    folder: Path, *, mirrors: Sequence[str] = MIRRORS, progress: Progress = lambda name, done, total: None
) -> list[Path]:
    """Download what is missing of MNIST.

    Args:
        folder: the data folder; the files go into `mnist` inside it.
        mirrors: addresses of folders that hold the packed files, tried in order.
        progress: is told of it.

    Returns: where the four files lie.

    Raises:
        UsageError: a mirror is no http address.
        DataError: no mirror could give the file, or the folder cannot be written.
    """
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise UsageError(f"A mirror's address begins with https:// or http://, unlike {mirror!r}.")
    target = folder / FOLDER
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target} cannot be made: {error.strerror or error}.") from None
    return [_one(file, target, mirrors, progress) for file in FILES]


def _one(file: IdxFile, target: Path, mirrors: Sequence[str], progress: Progress) -> Path:
    there = find(file, [target])
    if there is not None:
        read_idx(there, file)
        return there
    reasons = []
    for mirror in mirrors:
        try:
            return _from(mirror, file, target, progress)
        except DataError as error:
            reasons.append(f"{mirror}: {error}")
    raise DataError(
        f"{file.name}.gz could not be downloaded. {' '.join(reasons)} Where this machine has no network, copy the "
        f"four files of MNIST to {target}; what has been downloaded is kept, and fetching goes on from there."
    )


def _from(mirror: str, file: IdxFile, target: Path, progress: Progress) -> Path:
    import pooch
    import requests

    name = f"{file.name}.gz"
    part = target / f"{name}.part"
    resumed = part.exists()
    downloader = _resuming(part, file, progress)
    try:
        with _quiet(pooch.get_logger()):
            path = Path(
                pooch.retrieve(
                    mirror.rstrip("/") + f"/{name}",
                    known_hash=None,  # of the packed bytes, which may differ
                    fname=name,
                    path=target,
                    downloader=downloader,
                )
            )
    except requests.RequestException as error:
        raise DataError(_reason(error)) from None
    except PermissionError:  # pooch adds several sentences to it
        raise DataError("it cannot be written: Permission denied.") from None
    except OSError as error:
        raise DataError(f"it cannot be written: {error.strerror or error}.") from None
    except ValueError as error:  # of urllib, for an address that a server sends elsewhere to
        raise DataError(f"it leads to an address that is none ({str(error).rstrip('.')}).") from None
    try:
        read_idx(path, file)
    except DataError as error:
        path.unlink(missing_ok=True)
        if resumed:  # the beginning may have been of another file, or of another packing
            return _from(mirror, file, target, progress)
        raise DataError(f"what came is not the file ({error})") from None
    return path


def _resuming(part: Path, file: IdxFile, progress: Progress) -> Callable[[str, Any, Any], None]:
    """A downloader for pooch that keeps what has come in `part`, and asks for the rest only."""
    most = file.size + _OVERHEAD

    def asked(url: str, have: int) -> bool:
        """Whether the part is complete now; it is not where the server has nothing after what there is."""
        import requests

        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
                return answer.headers.get("Content-Range", "") == f"bytes */{have}"
            answer.raise_for_status()
            _append(answer, part, have if _goes_on(answer, have) else 0, most, file, progress)
        return True

    def download(url: str, output_file: Any, _: Any) -> None:
        if not asked(url, part.stat().st_size if part.exists() else 0):
            part.unlink()  # it is of something else, and would stand in the way for ever
            asked(url, 0)
        part.replace(output_file)

    return download


def _goes_on(answer: requests.Response, have: int) -> bool:
    """Whether the answer begins where what there is ends; a server may also send everything again."""
    partial = answer.status_code == 206
    return partial and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _append(
    answer: requests.Response, part: Path, have: int, most: int, file: IdxFile, progress: Progress
) -> None:
    length = answer.headers.get("Content-Length", "")
    # Some servers have packed files unpacked on the way: lengths and ranges are of the packed bytes then.
    unpacked = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
    total = have + int(length) if length.isdecimal() and not unpacked else None
    if total is not None and total > most:
        raise DataError(f"it has {total:,} bytes, more than {file.name} can have.")
    whole = False
    try:
        with part.open("ab" if have else "wb") as out:
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)
                have += len(chunk)
                if have > most:
                    part.unlink()
                    raise DataError(f"it has more bytes than {file.name} can have.")
                progress(f"{file.name}.gz", have, total)
        whole = True
    finally:
        if unpacked and not whole:
            part.unlink(missing_ok=True)
    if total is not None and have < total:
        raise DataError(f"it broke off after {have:,} of {total:,} bytes.")


def _reason(error: requests.RequestException) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return (
            f"the server answered {error.response.status_code} {error.response.reason or ''}".rstrip() + "."
        )
    # While it sends, requests has no Timeout for a server that falls silent, but the text of one.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "it did not answer in time."
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "what it packed on the way cannot be unpacked."
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off."
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached."
    return f"{error}."


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """pooch tells of every file on stderr, and of its checksum."""
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
