"""The shipped files of landscape-5x5: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario import built_in
from tui_opt.scenario_file import read_file

SOURCE = "The energy landscape of a simple neural network"
FOLDER = shipped_scenarios() / "landscape-5x5"
DECLARED = set(built_in()["landscape-5x5"].by_name)
PATHS = [
    path
    for path in shipped_files(shipped_scenarios())
    if path.parent == FOLDER
    and any(f'experiment = "{name}"' in path.read_text(encoding="utf-8") for name in DECLARED)
]
NAMES = [path.stem for path in PATHS]
FAST = ["target-eight-layers"]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    file = read_file(path)
    assert file.scenario.name == "landscape-5x5"
    assert file.title
    assert file.description
    assert file.expectations
    for expectation in file.expectations:
        assert expectation.source == SOURCE
        assert expectation.claim.endswith(".")
        if expectation.verdict != "reproduced":
            assert expectation.note, f"{expectation.target} corrects the source without saying why"


def test_every_experiment_has_files_and_every_verdict_is_given() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == DECLARED
    assert {e.verdict for file in files for e in file.expectations} == {
        "reproduced",
        "corrected",
        "not-reproduced",
    }


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    file = read_file(path)
    copy = tmp_path / path.name
    copy.write_text(file.to_toml(), encoding="utf-8")
    assert read_file(copy) == file


def holds(name: str, tmp_path: Path) -> None:
    file = read_file(FOLDER / f"{name}.toml")
    settled = plan(file, 2)
    ended = execute(begin(settled, tmp_path), settled)
    assert ended.error is None
    assert [f"{o.expectation.target}: {o.measured} {o.why}" for o in ended.outcomes if not o.holds] == []
    assert len(ended.outcomes) == len(file.expectations)


@pytest.mark.parametrize("name", FAST)
def test_quick_claims_hold(name: str, tmp_path: Path) -> None:
    holds(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FAST)))
def test_claims_hold(name: str, tmp_path: Path) -> None:
    if read_file(FOLDER / f"{name}.toml").size == "gpu":
        pytest.skip("of a size for a GPU")
    holds(name, tmp_path)
