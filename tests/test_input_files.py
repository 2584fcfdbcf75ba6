"""Files that parameters name are found next to the scenario file, and what was read of them is recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.read_inputs import checksums
from tui_opt.scenario_file import ScenarioFileError, read_file, read_text

ROWS = "x1,y\n" + "\n".join(f"{k / 7},{(k % 5) - 2}" for k in range(40)) + "\n"
TEXT = 'scenario = "cos-fit"\nexperiment = "solve"\n[params]\nmodel = "A*cos(a*x1+p)"\ndata = "{}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    (folder / "fit.toml").write_text(TEXT.format("rows.csv"), encoding="utf-8")
    return folder


def test_a_file_is_found_next_to_the_scenario_file(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = read_file(folder / "fit.toml")
    assert file.params.data == str(folder / "rows.csv")
    assert read_text(file.to_toml()).params == file.params


def test_otherwise_in_the_working_directory(folder, tmp_path, monkeypatch):
    (folder / "rows.csv").rename(tmp_path / "rows.csv")
    monkeypatch.chdir(tmp_path)
    assert read_file(folder / "fit.toml").params.data == str(tmp_path / "rows.csv")
    assert read_text(TEXT.format("rows.csv")).params.data == str(tmp_path / "rows.csv")


def test_a_command_line_names_files_too(folder, tmp_path, monkeypatch):
    (tmp_path / "other.csv").write_text(ROWS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert read_file(folder / "fit.toml", ["params.data=other.csv"]).params.data == str(
        tmp_path / "other.csv"
    )


def test_a_sweep_over_files(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (folder / "fit.toml").read_text() + '[sweep]\ndata = ["rows.csv", "/nowhere/at.csv"]\n'
    (folder / "fit.toml").write_text(text)
    sweep = read_file(folder / "fit.toml").sweep
    assert sweep is not None
    assert list(sweep.axes[0].values) == [str(folder / "rows.csv"), "/nowhere/at.csv"]


def test_what_is_no_place_is_left_to_the_declaration():
    with pytest.raises(ScenarioFileError, match="must be the place of a file, not 3"):
        read_text('scenario = "cos-fit"\nexperiment = "solve"\n[params]\ndata = 3\n')


def test_a_run_keeps_the_place_and_the_checksum(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settled = plan(read_file(folder / "fit.toml"))
    ended = execute(begin(settled, tmp_path / "runs"), settled)
    assert ended.state == "done", ended.error
    place, content = str(folder / "rows.csv"), (folder / "rows.csv").read_bytes()
    assert f'data = "{place}"' in (ended.run.path / "scenario.toml").read_text()
    assert ended.run.result_document()["provenance"]["files"] == {place: hashlib.sha256(content).hexdigest()}


def test_a_file_that_is_not_there_has_no_checksum_and_a_sentence(folder, tmp_path):
    (folder / "rows.csv").unlink()
    file = read_file(folder / "fit.toml")
    assert checksums(file.params) == {}
    settled = plan(file)
    ended = execute(begin(settled, tmp_path / "runs"), settled)
    assert ended.state == "failed"
    assert "cannot be read: No such file" in str(ended.error)
