"""Previews: what an app opens in place of large arrays, and what it opens where there is none."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tui_opt.errors import StoreError
from tui_opt.figure import Figure, Line, Ref
from tui_opt.reduction import size
from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.mapped import mapped_arrays
from tui_opt.runner.run_directory import PREVIEW_BYTES, RunDirectory

LARGE = PREVIEW_BYTES // 8 + 1


def curve(points: int) -> Result:
    result = Result()
    x = np.linspace(0, 1, points)
    result.add_array("x", x, ("x",), unit="m")
    result.add_array("y", np.sin(9 * x), ("x",))
    result.add_array("matrix", np.arange(12.0).reshape(4, 3), ("row", "column"))
    result.add_figure(
        Figure(name="f", title="t", layers=(Line(x=Ref(array="x"), y=Ref(array="y"), label="sine"),))
    )
    result.add_finding("answer", 42.0, "the answer")
    return result


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path, "toy-sgd", "escape", "", claim=True, durable=False)


def preview_file(run: RunDirectory) -> Path:
    return run.path / "previews" / "preview.npz"


def drawn_points(result: Result | None) -> int:
    """The length of the curve that the figure draws."""
    assert result is not None
    (layer,) = result.figures[0].layers
    assert isinstance(layer, Line)
    assert isinstance(layer.x, Ref)
    assert result.findings["answer"].value == 42.0
    return len(result.arrays[layer.x.array].values)


def test_a_large_result_gets_a_preview_and_a_small_one_none(run: RunDirectory) -> None:
    run.write_result(curve(LARGE), {})
    assert preview_file(run).stat().st_size <= PREVIEW_BYTES
    assert 0 < drawn_points(run.preview()) < 5000
    assert drawn_points(run.result()) == LARGE  # the result itself is whole
    run.write_result(curve(100), {})
    assert not preview_file(run).exists()  # it would be that of another result
    assert drawn_points(run.preview()) == 100


def test_a_run_that_is_not_done_shows_its_partial_result(run: RunDirectory) -> None:
    assert run.preview() is None
    run.write_partial(curve(10))
    assert drawn_points(run.preview()) == 10


@pytest.mark.parametrize("harm", ["absent", "torn", "foreign", "newer"])
def test_without_a_usable_preview_the_arrays_are_reduced(run: RunDirectory, harm: str) -> None:
    run.write_result(curve(LARGE), {})
    path = preview_file(run)
    expected = drawn_points(run.preview())
    if harm == "absent":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    elif harm == "foreign":
        files.write_arrays(path, {"x": np.zeros(3)}, sync=False)
    else:
        arrays = files.read_arrays(path)
        document = arrays["__document__"].tobytes().replace(b'"line"', b'"lime"')
        files.write_arrays(path, {**arrays, "__document__": np.frombuffer(document, np.uint8)}, sync=False)
    assert drawn_points(run.preview()) == expected


def test_a_preview_that_cannot_be_written_costs_the_run_nothing(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_arrays

    def full(path: Path, *args: object, **options: object) -> None:
        if path.name == "preview.npz":
            raise OSError(28, "No space left on device")
        write(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write_arrays", full)
    run.write_result(curve(LARGE), {})
    assert drawn_points(run.result()) == LARGE


def test_damaged_arrays_without_a_preview_are_said_to_be_so(run: RunDirectory) -> None:
    run.write_result(curve(LARGE), {})
    preview_file(run).unlink()
    (run.path / "arrays.npz").write_bytes(b"PK nothing")
    with pytest.raises(StoreError, match="cannot be read"):
        run.preview()


def test_a_glimpse_is_the_first_rows(run: RunDirectory) -> None:
    result = curve(LARGE)
    result.add_array("scalar", np.array(7.0), ())
    run.write_partial(curve(10))
    assert run.glimpse("x", 3).tolist() == curve(10).arrays["x"].values[:3].tolist()
    run.write_result(result, {})
    assert run.glimpse("x", 3).tolist() == result.arrays["x"].values[:3].tolist()
    assert run.glimpse("matrix", 2).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert run.glimpse("scalar", 2) == 7.0
    with pytest.raises(StoreError, match="no array 'z'"):
        run.glimpse("z", 3)


READ = """
import resource, sys
from pathlib import Path
import numpy, zipfile
import tui_opt.reduction
from tui_opt.runner import mapped
from tui_opt.runner.run_directory import RunDirectory
data = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData")][0]
most = int(data.split()[1]) * 1024 + 30_000_000
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
run = RunDirectory(Path(sys.argv[1]))
print(len(run.glimpse("x", 5)), sum(a.values.nbytes for a in run.preview().arrays.values()))
heavy = {"scipy", "numba", "torch", "textual", "plotext", "rich"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("with_preview", [True, False])
def test_opening_a_large_run_needs_little_memory(
    run: RunDirectory, environment: Callable[..., dict[str, str]], with_preview: bool
) -> None:
    run.write_result(curve(4_000_000), {})  # 64 MB
    if not with_preview:
        preview_file(run).unlink()
    ended = subprocess.run(
        [sys.executable, "-c", READ, str(run.path)],
        capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert ended.stderr == ""
    rows, small, loaded = ended.stdout.split(maxsplit=2)
    assert (rows, loaded.strip()) == ("5", "[]")
    assert 0 < int(small) <= PREVIEW_BYTES
    assert size(run.result()) > 60_000_000


def test_maps_of_stored_arrays_are_aligned(tmp_path: Path) -> None:
    arrays = {name: np.arange(5.0) for name in ("x", "a longer name", "θ")}
    files.write_arrays(tmp_path / "a.npz", arrays, sync=False)
    for name, array in mapped_arrays(tmp_path / "a.npz").items():
        assert array.ctypes.data % 64 == 0, name
        assert np.array_equal(array, arrays[name])
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None
