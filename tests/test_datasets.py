"""Data sets: read from good and bad files, looked for where it is said, and fetched from a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli
from tui_opt import datasets
from tui_opt.datasets import fetch, load
from tui_opt.datasets.fetch import fetch_mnist
from tui_opt.datasets.idx import read_idx
from tui_opt.datasets.mnist import FILES, IdxFile, find
from tui_opt.errors import DataError, UsageError
from tui_opt.locations import data_dirs

IMAGES = np.arange(5 * 3 * 2, dtype=np.uint8).reshape(5, 3, 2)
LABELS = np.array([5, 0, 4, 1, 9], dtype=np.uint8)


def idx(values: np.ndarray) -> bytes:
    """A file in IDX format, written plainly."""
    head = bytes([0, 0, 8, values.ndim])
    return head + b"".join(int(n).to_bytes(4, "big") for n in values.shape) + values.tobytes()


def described(name: str, values: np.ndarray, highest: int = 255) -> IdxFile:
    return IdxFile(name, values.shape, hashlib.sha256(idx(values)).hexdigest(), highest)


SMALL_IMAGES = described("train-images-idx3-ubyte", IMAGES)
SMALL_LABELS = described("train-labels-idx1-ubyte", LABELS, highest=9)
CONTENT = {SMALL_IMAGES: gzip.compress(idx(IMAGES)), SMALL_LABELS: gzip.compress(idx(LABELS))}


# --- the data -------------------------------------------------------------------------------------------------


def test_digits_are_always_there_and_cannot_be_changed() -> None:
    data = load("digits")
    assert data.images.shape == (1797, 64)
    assert (data.side, data.levels, int(data.images.max())) == (8, 17, 16)
    counts = np.bincount(data.labels)
    assert [int(counts[digit]) for digit in (1, 7, 6, 8)] == [182, 179, 181, 174]
    with pytest.raises(ValueError, match="read-only"):
        data.images[0, 0] = 1
    with pytest.raises(DataError, match="no test part"):
        load("digits", test=True)
    with pytest.raises(DataError, match="Did you mean 'mnist'"):
        load("minst")


def test_mnist_is_the_one_that_is_known() -> None:
    if any(find(file, data_dirs()) is None for file in FILES):
        pytest.skip("MNIST is not here; set OPTEXPLORE_DATA_DIR.")
    data = load("mnist")
    assert data.images.shape == (60_000, 784)
    first = data.labels[:12_000]
    assert [int((first == digit).sum()) for digit in (1, 7, 6, 8)] == [1351, 1279, 1208, 1127]
    assert int((data.images.max(axis=0) == 0).sum()) == 67  # pixels that are never on
    assert load("mnist") is data
    assert load("mnist", test=True).labels.shape == (10_000,)


def test_what_is_missing_is_named_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTEXPLORE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(datasets, "data_dirs", lambda: [tmp_path])
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte and train-labels-idx1-ubyte.*data fetch mnist"
    ):
        load("mnist")


# --- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["mnist", "."])
@pytest.mark.parametrize("name", SMALL_IMAGES.names)
def test_files_are_found_packed_or_not_under_either_name(tmp_path: Path, folder: str, name: str) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    content = idx(IMAGES)
    (place / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = find(SMALL_IMAGES, [tmp_path / "nowhere", tmp_path])
    assert found == place / name
    assert np.array_equal(read_idx(found, SMALL_IMAGES), IMAGES)
    assert find(SMALL_LABELS, [tmp_path]) is None


def test_the_first_folder_comes_first(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / SMALL_IMAGES.name).write_bytes(b"")
    assert find(SMALL_IMAGES, [tmp_path / "b", tmp_path / "a"]) == tmp_path / "b" / SMALL_IMAGES.name


BAD = {
    "empty": (b"", "no IDX file of bytes, for it begins with nothing and not with 00000803"),
    "text": (b"<html>log in first</html>", "no IDX file of bytes, for it begins with 3c68746d"),
    "short header": (idx(IMAGES)[:7], "no IDX file"),
    "cut off": (idx(IMAGES)[:-1], "is cut off: unpacked it should have 46 bytes, and has 45"),
    "too long": (idx(IMAGES) + b"x", "goes on after its end"),
    "swapped": (idx(LABELS), "it holds labels, not images"),
    "transposed": (idx(IMAGES.transpose(0, 2, 1)), "its array is 5 x 2 x 3, not 5 x 3 x 2"),
    "floats": (b"\0\0\x0d\x03" + idx(IMAGES)[4:], "no IDX file of bytes"),
    "one bit": (idx(IMAGES)[:-1] + bytes([idx(IMAGES)[-1] ^ 1]), "SHA-256 checksum"),
    "cut off packed": (gzip.compress(idx(IMAGES))[:-9], "cannot be unpacked"),
    "broken packed": (gzip.compress(idx(IMAGES))[:12] + b"\xff" * 30, "cannot be unpacked"),
    "bomb": (gzip.compress(idx(IMAGES) + bytes(50_000_000)), "goes on after its end"),
    "packed twice": (gzip.compress(gzip.compress(idx(IMAGES))), "no IDX file"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_not_what_it_should_be_is_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / SMALL_IMAGES.name
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path, SMALL_IMAGES)
    assert str(path) in str(caught.value)
    assert "data fetch mnist" in str(caught.value)


def test_labels_beyond_nine_and_folders_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / SMALL_LABELS.name
    path.write_bytes(idx(LABELS + 1))
    with pytest.raises(DataError, match="labels above 9"):
        read_idx(path, SMALL_LABELS)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_idx(tmp_path, SMALL_LABELS)


def test_the_four_files_have_the_sizes_that_are_known() -> None:
    assert [file.size for file in FILES] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert FILES[0].header.hex() == "00000803" + "0000ea60" + "0000001c" + "0000001c"


# --- fetching -------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A mirror whose answers a test chooses."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True
    break_after: int | None = None
    status: int | None = None
    leads_to: str = ""
    unpacks: bool = False
    silent: threading.Event | None = None


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(files={f"{file.name}.gz": content for file, content in CONTENT.items()})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            asked_for = self.headers.get("Range", "")
            made.asked.append((self.path, asked_for))
            content = made.files.get(self.path.rpartition("/")[2])
            if made.status is not None or content is None:
                self.send_error(made.status or 404)
                return
            if made.leads_to:
                self.send_response(302)
                self.send_header("Location", made.leads_to)
                self.end_headers()
                return
            start = int(asked_for.removeprefix("bytes=").rstrip("-")) if asked_for and made.ranges else 0
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            if made.unpacks:  # says of a packed file that it is packed for the way only
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(content[start:][: made.break_after])
            if made.silent is not None:
                made.silent.wait()

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{listening.server_address[1]}/mnist/"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST is two small files."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetch, "FILES", tuple(CONTENT))


@pytest.mark.usefixtures("small")
def test_files_are_fetched_checked_and_not_fetched_again(tmp_path: Path, server: Server) -> None:
    seen: list[tuple[str, int, int | None]] = []
    paths = fetch_mnist(
        tmp_path,
        mirrors=[server.address],
        progress=lambda name, done, total: seen.append((name, done, total)),
    )
    assert paths == [tmp_path / "mnist" / f"{file.name}.gz" for file in CONTENT]
    assert np.array_equal(read_idx(paths[0], SMALL_IMAGES), IMAGES)
    size = len(CONTENT[SMALL_IMAGES])
    assert seen[0] == (f"{SMALL_IMAGES.name}.gz", size, size)
    number = len(server.asked)
    assert fetch_mnist(tmp_path, mirrors=[server.address]) == paths
    assert len(server.asked) == number
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == [path.name for path in paths]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(
    tmp_path: Path, server: Server, ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_CHUNK", 5)  # of an incomplete chunk nothing is kept
    server.break_after = 20
    with pytest.raises(DataError, match=r"the connection broke off|it broke off after 20"):
        fetch_mnist(tmp_path, mirrors=[server.address])
    part = tmp_path / "mnist" / f"{SMALL_IMAGES.name}.gz.part"
    assert part.read_bytes() == CONTENT[SMALL_IMAGES][:20]
    server.break_after, server.ranges = None, ranges
    paths = fetch_mnist(tmp_path, mirrors=[server.address])
    assert server.asked[1][1] == "bytes=20-"
    assert paths[0].read_bytes() == CONTENT[SMALL_IMAGES]
    assert not part.exists()


@pytest.mark.usefixtures("small")
def test_a_download_that_was_complete_but_not_yet_in_place_is_taken(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{SMALL_IMAGES.name}.gz.part").write_bytes(CONTENT[SMALL_IMAGES])
    paths = fetch_mnist(tmp_path, mirrors=[server.address])
    assert paths[0].read_bytes() == CONTENT[SMALL_IMAGES]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("there", [bytes(10_000), b"another beginning"], ids=["longer", "another"])
def test_a_part_of_something_else_does_not_stand_in_the_way(
    tmp_path: Path, server: Server, there: bytes
) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{SMALL_IMAGES.name}.gz.part").write_bytes(there)
    paths = fetch_mnist(tmp_path, mirrors=[server.address])
    assert [asked_for for _, asked_for in server.asked[:2]] == [f"bytes={len(there)}-", ""]
    assert paths[0].read_bytes() == CONTENT[SMALL_IMAGES]


@pytest.mark.usefixtures("small")
def test_what_is_unpacked_on_the_way_is_no_part_to_go_on_from(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_CHUNK", 5)
    server.unpacks, server.break_after = True, 40
    with pytest.raises(DataError, match="the connection broke off"):
        fetch_mnist(tmp_path, mirrors=[server.address])
    assert list((tmp_path / "mnist").iterdir()) == []
    server.break_after = None
    paths = fetch_mnist(tmp_path, mirrors=[server.address])
    assert np.array_equal(read_idx(paths[0], SMALL_IMAGES), IMAGES)


@pytest.mark.usefixtures("small")
def test_a_server_that_falls_silent_or_leads_nowhere_is_a_sentence(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_TIMEOUT", (5.0, 0.1))
    server.break_after, server.silent = 20, threading.Event()
    with pytest.raises(DataError, match="it did not answer in time"):
        fetch_mnist(tmp_path, mirrors=[server.address])
    server.silent.set()
    server.leads_to = "http://[::1/"
    with pytest.raises(DataError, match="leads to an address that is none"):
        fetch_mnist(tmp_path, mirrors=[server.address])


@pytest.mark.usefixtures("small")
def test_the_next_mirror_is_asked_where_one_fails_and_all_reasons_are_said(
    tmp_path: Path, server: Server
) -> None:
    gone = server.address.replace("/mnist/", "/gone/")
    closed = "http://127.0.0.1:9/"
    files = dict(server.files)
    server.files = {}
    with pytest.raises(DataError) as caught:
        fetch_mnist(tmp_path, mirrors=[closed, gone])
    text = str(caught.value)
    assert "cannot be reached" in text
    assert "the server answered 404" in text
    assert f"copy the four files of MNIST to {tmp_path / 'mnist'}" in text
    server.files = files
    assert len(fetch_mnist(tmp_path, mirrors=[closed, server.address])) == 2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>log in first</html>", "what came is not the file"),
        (gzip.compress(idx(IMAGES + 1)), "other content"),
        (bytes(100_000), "more than train-images-idx3-ubyte can have"),
    ],
    ids=["a page", "other images", "too long"],  # packed bytes hold the time, and would name the tests by it
)
def test_what_came_is_looked_at_and_not_kept_where_it_is_wrong(
    tmp_path: Path, server: Server, content: bytes, words: str
) -> None:
    server.files[f"{SMALL_IMAGES.name}.gz"] = content
    with pytest.raises(DataError, match=words):
        fetch_mnist(tmp_path, mirrors=[server.address])
    assert list((tmp_path / "mnist").iterdir()) == []
    server.files[f"{SMALL_IMAGES.name}.gz"] = CONTENT[SMALL_IMAGES]
    assert fetch_mnist(tmp_path, mirrors=[server.address])[0].exists()


@pytest.mark.usefixtures("small")
def test_folders_and_mirrors_that_cannot_be_used_are_sentences(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        fetch_mnist(tmp_path / "file", mirrors=[server.address])
    with pytest.raises(UsageError, match="begins with https"):
        fetch_mnist(tmp_path, mirrors=["file:///etc/"])
    server.status = 503
    with pytest.raises(DataError, match="the server answered 503"):
        fetch_mnist(tmp_path, mirrors=[server.address])


# --- the command ----------------------------------------------------------------------------------------------


def test_the_command_says_what_is_there_and_what_is_wrong(cli: Cli, tmp_path: Path) -> None:
    empty = cli("data", "--data-dir", tmp_path, "--json", OPTEXPLORE_DATA_DIR="")
    document = json.loads(empty.stdout)
    assert document["folders"][0] == str(tmp_path)
    assert {row["state"] for row in document["mnist"]} <= {"missing", "right"}
    bad = tmp_path / "mnist" / FILES[1].name
    bad.parent.mkdir()
    bad.write_bytes(idx(LABELS))
    done = cli("data", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert "its array is 5, not 60,000" in done.stdout
    assert str(bad) in done.stdout
    assert "1 of the 4 files wrong" in done.stdout
    wrong = cli("data", "fetch", "cifar")
    assert wrong.returncode == 2
    assert "mnist" in wrong.stderr


def test_the_command_says_of_each_file_what_is_wrong_with_it(cli: Cli, tmp_path: Path) -> None:
    """Labels that hold other digits, images that are cut off, labels in place of images, and a page for labels."""
    test_images, test_labels = FILES[2], FILES[3]
    other = FILES[1].header + bytes(60_000)
    short = gzip.compress(FILES[0].header + bytes(1000))
    contents = dict(zip(FILES, (short, other, test_labels.header + bytes(10_000), b"<html>"), strict=True))
    for file, content in contents.items():
        (tmp_path / file.name).write_bytes(content)
    done = cli("data", "--data-dir", tmp_path, "--json", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 1
    rows = json.loads(done.stdout)["mnist"]
    assert [row["state"] for row in rows] == ["wrong"] * 4
    for row, words in zip(
        rows,
        (
            "is cut off: unpacked it should have 47,040,016 bytes, and has 1,016",
            f"SHA-256 checksum of what it holds begins with {hashlib.sha256(other).hexdigest()[:8]}, not 65a50cbb",
            "it holds labels, not images",
            "it begins with 3c68746d 6c3e and not with 00000801 00002710",
        ),
        strict=True,
    ):
        assert words in row["error"]
        assert row["path"] in row["error"]
    (tmp_path / test_images.name).unlink()
    text = cli("data", "--data-dir", tmp_path, XDG_DATA_HOME=str(tmp_path))
    assert text.returncode == 1
    assert "incomplete, 3 of the 4 files wrong" in text.stdout


def test_folders_that_cannot_be_looked_into_are_sentences(cli: Cli, tmp_path: Path) -> None:
    """Of a user who is not there, and with a name longer than any may be: root may look into all others."""
    nobody = cli("data", OPTEXPLORE_DATA_DIR="~no-such-user/data")
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "OPTEXPLORE_DATA_DIR is ~no-such-user/data, and there is no home folder" in nobody.stderr
    long = tmp_path / ("a" * 300)
    looked_for = {"OPTEXPLORE_DATA_DIR": str(long), "XDG_DATA_HOME": str(tmp_path)}
    done = cli("data", **looked_for)
    assert done.returncode == 0
    assert f"{long} cannot be looked into: File name too long." in done.stdout


def test_missing_files_are_an_error_only_where_that_is_asked(cli: Cli, tmp_path: Path) -> None:
    looked_for = {"OPTEXPLORE_DATA_DIR": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    assert cli("data", **looked_for).returncode == 0
    assert cli("data", "--check", **looked_for).returncode == 1


def test_the_command_fetches_from_a_mirror_that_is_named(cli: Cli, tmp_path: Path, server: Server) -> None:
    server.files = {}
    done = cli("data", "fetch", "mnist", "--data-dir", tmp_path, "--mirror", server.address, NO_PROXY="*")
    assert done.returncode == 1
    assert done.stderr.startswith("optexplore: train-images-idx3-ubyte.gz could not be downloaded.")
    assert "Traceback" not in done.stderr
    assert server.asked[0][0] == "/mnist/train-images-idx3-ubyte.gz"
