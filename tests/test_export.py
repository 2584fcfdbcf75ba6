"""`optexplore export`: stored runs are built directly, exported, and read back bit for bit."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invoked
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.cli.export import export_command
from tui_opt.errors import OptexploreError, StoreError, UsageError
from tui_opt.export import names, tidy
from tui_opt.figure import Figure, Line, Ref
from tui_opt.result import Array, Result
from tui_opt.runner import files
from tui_opt.runner.mapped import mapped_arrays
from tui_opt.runner.run_directory import RunDirectory

TOML = 'scenario = "toy-sgd"\nexperiment = "escape"\ntitle = "für Elise"\n'
EXTRA = {
    "scenario": "toy-sgd",
    "experiment": "escape",
    "title": "für Elise",
    "seed": 7,
    "device": "cpu",
    "elapsed": 1.25,
    "created": "2024-01-02T03:04:05.000Z",
    "provenance": {"versions": {"python": "3.11", "numpy": "2"}, "host": "here", "git_commit": None},
}  # fmt: skip


def awkward_result() -> Result:
    """Numbers that a careless writer would change, in every arrangement of dims that experiments use."""
    result = Result()
    rng = np.random.default_rng(3)
    result.add_array(
        "temperature", np.array([0.1, 1 / 3, 2e-308]), ("temperature",), unit="W²/L", text="step size"
    )
    result.add_array("steps", np.array([10, 2**62]), ("steps",))
    table = rng.standard_normal((3, 2))
    table[0, 1], table[1, 0], table[2, 1] = math.nan, -math.inf, -0.0
    result.add_array("escape", table, ("temperature", "steps"), unit="1/s", text="share that left")
    result.add_array("single", np.asfortranarray(table, dtype=np.float32), ("temperature", "steps"))
    result.add_array("sign", table > 0, ("temperature", "steps"))
    result.add_array("loss_terms", rng.standard_normal((4, 3)), ("term", "temperature"))
    result.add_array("spectrum", rng.standard_normal(5) + 1j * rng.standard_normal(5), ("mode",))
    result.add_array("mode", rng.standard_normal((3, 5)), ("temperature", "mode"))
    result.add_array("covariance", rng.standard_normal((3, 3)), ("temperature", "temperature"))
    result.add_array("total", np.array(1e300 / 7), ())
    result.add_array("none", np.empty((0, 3)), ("empty", "temperature"))
    result.add_finding("escape", 0.1 + 0.2, 'share, "quoted", with\nnewline', unit="W", stderr=1e-17)
    result.add_missing("period", "no period exists")
    result.add_finding("mass_error", 1e-16, "conserved", kind="accuracy")
    result.add_table(
        "points", ("w", "kind", "stable"), [(0.1 + 0.2, "minimum, deep", True), (math.inf, None, False)]
    )
    result.warn("Grüße: the diffusion limit does not hold.")
    line = Line(x=Ref(array="temperature"), y=Ref(array="escape", index=(None, 0)))
    result.add_figure(Figure(name="escape", title="Escape", layers=(line,)))
    result.add_figure(Figure(name="law", title="Law", layers=(line,)))
    return result


def store_run(store: Path, result: Result) -> RunDirectory:
    run = RunDirectory.create(store, "toy-sgd", "escape", TOML, claim=False)
    run.write_result(result, EXTRA)
    run.write_status({"state": "done", "progress": 1.0}, sync=False)
    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def run(store: Path) -> RunDirectory:
    return store_run(store, awkward_result())


@pytest.fixture
def export(tmp_path: Path, store: Path) -> Callable[..., Invoked]:
    """The command, in a folder of its own; errors that `main` would print are raised."""

    def call(run: RunDirectory | str, *words: str) -> Invoked:
        name = run if isinstance(run, str) else run.id
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            return CliRunner().invoke(
                export_command, [name, "--out", str(store), *words], catch_exceptions=True
            )

    return call


def problem(invoked: Invoked, kind: type[OptexploreError]) -> str:
    assert isinstance(invoked.exception, kind), invoked.exception
    return str(invoked.exception)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same_bits(read: Any, stored: Any) -> bool:
    """Equal dtype, shape and bytes: tells -0.0 from 0.0."""
    read, stored = np.ascontiguousarray(read), np.ascontiguousarray(stored)
    return read.dtype == stored.dtype and read.shape == stored.shape and read.tobytes() == stored.tobytes()


# --- what is written ---------------------------------------------------------------------------------------


def test_default_formats_go_to_a_folder_called_like_the_run(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    invoked = export(run)
    assert invoked.exit_code == 0
    printed = [tmp_path / line for line in invoked.stdout.splitlines()]
    assert sorted(p.name for p in printed) == sorted(os.listdir(tmp_path / run.id))
    assert {p.name for p in printed} == {
        "findings.csv",
        "table-points.csv",
        "arrays-temperature.csv",
        "arrays-steps.csv",
        "arrays-temperature-steps.csv",
        "arrays-term-temperature.csv",
        "arrays-mode.csv",
        "arrays-temperature-mode.csv",
        "arrays-temperature-temperature.csv",
        "arrays.csv",
        "arrays-empty-temperature.csv",
        "arrays.npz",
        "scenario.toml",
    }  # fmt: skip
    assert (tmp_path / run.id / "scenario.toml").read_text(encoding="utf-8") == TOML


def test_array_csv_reads_back_bit_for_bit(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    result = awkward_result()
    assert export(run, "--to", "x", "--format", "csv").exit_code == 0
    read = rows(tmp_path / "x" / "arrays-temperature-steps.csv")
    assert list(read[0]) == ["temperature", "steps", "escape", "single", "sign"]

    def column(name: str, dtype: Any) -> Any:
        return np.array([dtype(row[name]) for row in read]).reshape(3, 2)

    assert same_bits(column("escape", float), result.arrays["escape"].values)
    assert same_bits(column("single", np.float32), result.arrays["single"].values)
    assert [row["sign"] for row in read] == [str(v) for v in result.arrays["sign"].values.ravel()]
    temperature, steps = result.arrays["temperature"].values, result.arrays["steps"].values
    assert same_bits(column("temperature", float), np.broadcast_to(temperature[:, None], (3, 2)))
    assert same_bits(column("steps", int), np.broadcast_to(steps, (3, 2)))


def test_single_precision_is_written_in_its_own_digits() -> None:
    assert tidy.plain(np.array([0.1, np.nan], dtype=np.float32)) == ["0.1", "nan"]


def test_dims_without_coordinates_are_counted(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    assert export(run, "--to", "x", "--format", "csv").exit_code == 0
    read = rows(tmp_path / "x" / "arrays-term-temperature.csv")
    assert list(read[0]) == ["term_index", "temperature", "loss_terms"]
    assert [int(row["term_index"]) for row in read] == [t for t in range(4) for _ in range(3)]
    spectrum = rows(tmp_path / "x" / "arrays-mode.csv")
    # An array is called `mode` but is no coordinate of the dim: it must not be taken for one.
    assert list(spectrum[0]) == ["mode_index", "spectrum_real", "spectrum_imag"]
    values = [complex(float(r["spectrum_real"]), float(r["spectrum_imag"])) for r in spectrum]
    assert same_bits(np.array(values), awkward_result().arrays["spectrum"].values)
    twice = rows(tmp_path / "x" / "arrays-temperature-temperature.csv")
    assert list(twice[0]) == ["temperature", "temperature_2", "covariance"]
    scalar = rows(tmp_path / "x" / "arrays.csv")
    assert [float(row["total"]) for row in scalar] == [1e300 / 7]
    assert rows(tmp_path / "x" / "arrays-empty-temperature.csv") == []


def test_arrays_that_disagree_on_a_dim_get_files_of_their_own(
    store: Path, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    result = Result()
    result.add_array("a", np.arange(3.0), ("step",))
    result.add_array("b", np.arange(4.0), ("step",))
    assert export(store_run(store, result), "--to", "x", "--format", "csv").exit_code == 0
    assert [float(r["a"]) for r in rows(tmp_path / "x" / "arrays-step.csv")] == [0, 1, 2]
    assert [float(r["b"]) for r in rows(tmp_path / "x" / "arrays-step_2.csv")] == [0, 1, 2, 3]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 7),
    st.sampled_from(["C", "F"]),
    st.data(),
)  # fmt: skip
def test_long_form_agrees_with_ndenumerate(shape: list[int], chunk: int, order: Any, data: Any) -> None:
    """Chunked rows against NumPy's own enumeration, whatever the shape, memory order and chunk."""
    values = np.asarray(data.draw(st.permutations(range(math.prod(shape)))), dtype=float).reshape(shape)
    dims = tuple(f"d{i}" for i in range(len(shape)))
    arrays = {"z": Array(np.asarray(values, order=order), dims)}
    arrays["d0"] = Array(np.arange(shape[0]) * 0.1, ("d0",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tidy, "ROWS_AT_ONCE", chunk)
        _, *written = tidy.array_rows({"z": arrays["z"]}, arrays)
    expected = [(index[0] * 0.1, *index[1:], v) for index, v in np.ndenumerate(values)]
    assert [tuple(row) for row in written] == expected


def test_findings_and_tables_read_back(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    assert export(run, "--to", "x", "--format", "csv").exit_code == 0
    findings = {row["name"]: row for row in rows(tmp_path / "x" / "findings.csv")}
    assert list(findings["escape"]) == ["name", "value", "stderr", "unit", "kind", "text"]
    assert float(findings["escape"]["value"]) == 0.1 + 0.2
    assert float(findings["escape"]["stderr"]) == 1e-17
    assert findings["escape"]["text"] == 'share, "quoted", with\nnewline'
    assert math.isnan(float(findings["period"]["value"]))
    assert findings["period"]["stderr"] == ""
    assert findings["mass_error"]["kind"] == "accuracy"
    points = rows(tmp_path / "x" / "table-points.csv")
    assert points[0] == {"w": repr(0.1 + 0.2), "kind": "minimum, deep", "stable": "True"}
    assert points[1] == {"w": "inf", "kind": "", "stable": "False"}


def test_npz_and_json_are_the_stored_ones(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    assert export(run, "--to", "x", "--format", "npz", "--format", "json").exit_code == 0
    assert (tmp_path / "x" / "arrays.npz").read_bytes() == (run.path / "arrays.npz").read_bytes()
    assert json.loads((tmp_path / "x" / "result.json").read_text()) == run.result_document()


def test_mapped_arrays_are_the_stored_ones(tmp_path: Path) -> None:
    arrays = awkward_result().values()
    files.write_arrays(tmp_path / "a.npz", arrays, sync=False)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    for name in ("a.npz", "b.npz"):
        mapped = mapped_arrays(tmp_path / name)
        assert list(mapped) == list(arrays)
        assert all(same_bits(mapped[k], arrays[k]) for k in arrays)


# --- netCDF ------------------------------------------------------------------------------------------------


def test_netcdf_reads_back_through_xarray(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    result = awkward_result()
    assert export(run, "--to", "x", "--format", "netcdf").exit_code == 0
    with xarray.open_dataset(tmp_path / "x" / "result.nc", engine="h5netcdf") as read:
        for name in ("temperature", "steps", "escape", "single", "sign", "loss_terms", "total", "none"):
            array = result.arrays[name]
            assert same_bits(read[name].values, array.values), name
            assert read[name].dims == array.dims
            assert read[name].attrs["units"] == (array.unit or "1")
            assert read[name].attrs["long_name"] == (array.text or name)
        # `mode` is an array over (temperature, mode): the dim steps aside, the array keeps its name.
        assert same_bits(read["mode"].values, result.arrays["mode"].values)
        assert read["mode"].dims == ("temperature", "mode_index")
        spectrum = read["spectrum_real"].values + 1j * read["spectrum_imag"].values
        assert same_bits(spectrum, result.arrays["spectrum"].values)
        assert same_bits(read["covariance"].values, result.arrays["covariance"].values)
        assert "temperature" in read.indexes
        assert float(read.escape.sel(temperature=1 / 3, steps=10)) == -math.inf
        assert float(read["finding_escape"]) == 0.1 + 0.2
        assert read["finding_escape"].attrs["units"] == "W"
        assert float(read[read["finding_escape"].attrs["ancillary_variables"]]) == 1e-17
        assert math.isnan(float(read["finding_period"]))
        assert read.attrs["Conventions"].startswith("CF-")
        assert (read.attrs["run_id"], read.attrs["seed"], read.attrs["host"]) == (run.id, 7, "here")
        assert json.loads(read.attrs["provenance"]) == EXTRA["provenance"]
        assert read.attrs["warnings"] == "Grüße: the diffusion limit does not hold."
        assert str(read["scenario_toml"].values) == TOML


@pytest.mark.parametrize("missing", ["xarray", "h5netcdf"])
def test_netcdf_without_its_libraries_says_how_to_get_them(
    missing: str,
    run: RunDirectory,
    export: Callable[..., Invoked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    text = problem(export(run, "--to", "x", "--format", "netcdf"), UsageError)
    assert missing in text
    assert "pip install 'optexplore[netcdf]'" in text
    assert os.listdir(tmp_path / "x") == []


# --- figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_are_drawn_from_the_stored_arrays(
    kind: str, magic: bytes, run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    invoked = export(run, "--to", "x", "--format", kind)
    assert invoked.exit_code == 0, invoked.exception
    assert sorted(os.listdir(tmp_path / "x")) == [f"figure-escape.{kind}", f"figure-law.{kind}"]
    assert (tmp_path / "x" / f"figure-law.{kind}").read_bytes().startswith(magic)


def test_figures_without_matplotlib_say_how_to_get_it(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "matplotlib" in problem(export(run, "--to", "x", "--format", "png"), UsageError)
    assert os.listdir(tmp_path / "x") == []


def test_naming_a_figure_draws_only_that_one(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    assert export(run, "--to", "x", "--figure", "law").exit_code == 0
    assert {p.name for p in (tmp_path / "x").glob("figure-*")} == {"figure-law.png"}


def test_an_unknown_figure_gets_a_near_match_before_anything_is_written(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    text = problem(export(run, "--to", "x", "--figure", "escpae"), UsageError)
    assert "'escpae'" in text
    assert "it has escape, law" in text
    assert "Did you mean 'escape'?" in text
    assert not (tmp_path / "x").exists()
    assert "--format png" in problem(export(run, "--figure", "law", "--format", "csv"), UsageError)


def test_a_run_without_figures_says_so(store: Path, export: Callable[..., Invoked]) -> None:
    assert "has no figures" in problem(export(store_run(store, Result()), "--format", "svg"), UsageError)


# --- hostile names -----------------------------------------------------------------------------------------


@given(st.text(min_size=0, max_size=300))
def test_safe_names_stay_in_their_folder(name: str) -> None:
    made = names.safe(name)
    assert Path(made).name == made
    assert made not in ("", ".", "..")
    assert not made.startswith((".", "-"))
    assert len(made.encode()) <= names.LONGEST
    assert made.isascii()


def test_hostile_names_cannot_escape(store: Path, export: Callable[..., Invoked], tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf")
    result = Result()
    for i, name in enumerate(("../up", "/etc/x", "a/b", "A_b", "", "..", "new\nline", "x" * 300)):
        result.add_array(f"{name}", np.full(2, float(i)), (name,))
        result.add_table(name, ("c",), [(i,)])
        result.add_finding(name, i)
    run = store_run(store, result)
    before = set(tmp_path.rglob("*"))
    invoked = export(run, "--to", "deep/x", "--format", "csv", "--format", "netcdf")
    assert invoked.exit_code == 0, invoked.exception
    fresh = set(tmp_path.rglob("*")) - before - {tmp_path / "deep", tmp_path / "deep" / "x"}
    assert {p.parent for p in fresh} == {tmp_path / "deep" / "x"}
    # Nothing overwrote anything else: a file per array, table, and one for the findings and netCDF.
    assert len({p.name.casefold() for p in fresh}) == 8 + 8 + 2
    tables = sorted(int(r["c"]) for p in fresh if p.name.startswith("table-") for r in rows(p))
    assert tables == list(range(8))


def test_a_link_in_the_folder_is_replaced_not_followed(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "findings.csv").symlink_to(precious)
    assert export(run, "--to", "x").exit_code == 0
    assert precious.read_text() == "mine"
    assert rows(tmp_path / "x" / "findings.csv")[0]["name"] == "escape"


# --- which run, which folder -------------------------------------------------------------------------------


def test_a_run_is_found_by_id_beginning_and_path(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path, store: Path
) -> None:
    for name in (run.id, run.id[:12], str(run.path), f"{run.path}/", os.path.relpath(run.path, tmp_path)):
        assert export(name, "--format", "toml").stdout == f"{run.id}/scenario.toml\n"
    # By now there is a folder ./<run id> that is an export and no run.
    assert (tmp_path / run.id / "scenario.toml").is_file()
    assert export(run, "--format", "json").exit_code == 0
    assert "no status.json" in problem(export("./nowhere"), UsageError)
    store_run(store, Result())
    assert "could be any of 2 runs" in problem(export(run.id[:5]), UsageError)


def test_the_run_s_own_directory_is_refused(
    run: RunDirectory, export: Callable[..., Invoked], store: Path
) -> None:
    before = {p.name: p.read_bytes() for p in run.path.iterdir()}
    assert "--to" in problem(export(run, "--to", str(run.path)), UsageError)
    assert "--to" in problem(export(run, "--to", str(run.path / "sub")), UsageError)
    assert {p.name: p.read_bytes() for p in run.path.iterdir()} == before


def test_other_files_stay_and_old_exports_are_replaced(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    (tmp_path / "x" / "findings.csv").write_text("old")
    assert export(run, "--to", "x").exit_code == 0
    assert (tmp_path / "x" / "notes.txt").read_text() == "mine"
    assert rows(tmp_path / "x" / "findings.csv")[0]["name"] == "escape"


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    text = problem(export(run, "--to", "file/below"), StoreError)
    assert "file/below cannot be written: Not a directory" in text
    assert "--to" in text


@pytest.mark.parametrize("kind", ["csv", "npz", "toml", "json", "netcdf"])
def test_a_full_disk_is_a_sentence_and_keeps_the_old_file(
    kind: str,
    run: RunDirectory,
    export: Callable[..., Invoked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert export(run, "--to", "x", "--format", kind).exit_code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "x").iterdir()}

    def full(source: Any, target: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(os, "replace", full)
    assert "is full. Free some space" in problem(export(run, "--to", "x", "--format", kind), StoreError)
    assert {p.name: p.read_bytes() for p in (tmp_path / "x").iterdir()} == before


def test_a_disk_that_is_really_full(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    """A limit on the size of files stands for a full disk, with EFBIG in place of ENOSPC."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)); "
        "sys.argv = ['optexplore', 'export', sys.argv[1], '--to', sys.argv[2], '--format', 'npz']; "
        "from tui_opt.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-B", "-c", script, str(run.path), str(tmp_path / "x")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "cannot be written: File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert os.listdir(tmp_path / "x") == []


def test_a_run_that_is_not_done(store: Path, export: Callable[..., Invoked], tmp_path: Path) -> None:
    run = RunDirectory.create(store, "toy-sgd", "escape", TOML, claim=True)
    run.write_status({"state": "running", "progress": 0.4}, sync=False)
    assert "it is running, and it left no partial result" in problem(export(run, "--partial"), StoreError)
    result = awkward_result()
    run.write_partial(result)
    assert "Give --partial" in problem(export(run), StoreError)
    every = [w for f in ("csv", "npz", "toml", "json", "netcdf") for w in ("--format", f)]
    invoked = export(run, "--partial", "--to", "x", *every)
    assert invoked.exit_code == 0, invoked.exception
    arrays = files.read_arrays(tmp_path / "x" / "arrays.npz")
    assert set(arrays) == set(result.arrays)
    assert all(same_bits(arrays[k], a.values) for k, a in result.arrays.items())
    document = json.loads((tmp_path / "x" / "result.json").read_text())
    assert (document["partial"], document["state"]) == (True, "running")
    run.lock.release()
    assert "it is lost. Give --partial" in problem(export(run), StoreError)


def test_partial_of_a_run_that_is_done_is_its_result(
    run: RunDirectory, export: Callable[..., Invoked]
) -> None:
    assert export(run, "--partial", "--format", "json").exit_code == 0


def test_a_damaged_array_is_not_copied(
    run: RunDirectory, export: Callable[..., Invoked], tmp_path: Path
) -> None:
    data = bytearray((run.path / "arrays.npz").read_bytes())
    place = data.index(np.float64(1e300 / 7).tobytes())
    data[place] ^= 1
    (run.path / "arrays.npz").write_bytes(data)
    assert "checksum of 'total.npy' is wrong" in problem(export(run), StoreError)
    (run.path / "arrays.npz").write_bytes(data[: len(data) // 2])
    assert "not a whole NumPy archive" in problem(export(run), StoreError)
    (run.path / "arrays.npz").unlink()
    assert "No such file" in problem(export(run), StoreError)
    assert not (tmp_path / run.id).exists()


def test_a_large_array_needs_little_memory(store: Path, tmp_path: Path) -> None:
    """40 MB of numbers, under a limit of 24 MB beyond what the process had before."""
    result = Result()
    result.add_array("z", np.zeros((500, 10_000)), ("y", "x"))
    run = store_run(store, result)
    script = (
        "import resource, sys; from pathlib import Path; import numpy; "
        "from tui_opt.export import export, open_run, tidy; from tui_opt.runner import mapped\n"
        "from tui_opt.runner.run_directory import RunDirectory\n"
        "data = [l for l in open('/proc/self/status') if l.startswith('VmData')][0]\n"
        "most = int(data.split()[1]) * 1024 + 24_000_000\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (most, most))\n"
        "stored = open_run(RunDirectory(Path(sys.argv[1])), partial=False)\n"
        "rows = tidy.array_rows({'z': stored.result.arrays['z']}, stored.result.arrays)\n"
        "print(sum(1 for _ in zip(rows, range(300_000))))\n"
        "for path in export(stored, Path(sys.argv[2]), ['npz']): print(path.stat().st_size > 40_000_000)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(run.path), str(tmp_path / "x")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    assert ended.stdout.split() == ["300000", "True"]
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY  # ours is as it was
