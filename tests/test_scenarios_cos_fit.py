"""The shipped files of cos-fit: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claims import assert_says_what_it_checks, files_of, unmet
from tui_opt.expectations import Expectation
from tui_opt.locations import shipped_scenarios
from tui_opt.scenario import registry
from tui_opt.scenario_file import ScenarioFile, read_file

SOURCE = "Applying gradient descent to a function using Pytorch"
FOLDER = shipped_scenarios() / "cos-fit"
PATHS = files_of("cos-fit")
NAMES = [path.stem for path in PATHS]

#: what the thread says, and the file that answers it.
CLAIMS = {
    "it should be easy": "solve-asker",
    "a tiny range at a spread of 500": "solve-wide",
    "Adam converges fully": "solve-uniform",
    "it depends on the range of x1": "solve-every-spread",
    "jumps and noise of batches": "solve-annealing",
    "sqrt does not converge": "solve-sqrt",
    "two exponentials are easy": "solve-two-exponentials",
    "one exponential first": "solve-one-exponential",
    "networks need fewer examples": "solve-few-samples",
}
#: numbers the thread gives that differ from the right ones, by the finding they are said of.
STATED = {"a": {0.5829995274543762}, "b": {0.11200009286403656}}
FAST = ["solve-asker", "solve-uniform", "solve-sqrt", "solve-one-exponential", "solve-own-data"]


def said(file: ScenarioFile) -> list[Expectation]:
    return list(file.expectations)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "cos-fit", [SOURCE])


def test_every_claim_has_a_file() -> None:
    assert set(CLAIMS.values()) <= set(NAMES)
    expectations = [e for path in PATHS for e in said(read_file(path))]
    assert {e.verdict for e in expectations} == {"reproduced", "corrected", "not-reproduced"}


def test_a_claimed_number_is_the_source_s_own() -> None:
    claimed: dict[str, set[float]] = {}
    for path in PATHS:
        file = read_file(path)
        for e in said(file):
            if file.experiment.name == "solve" and e.claimed is not None:
                claimed.setdefault(e.finding or e.array or "", set()).add(float(e.claimed))
    assert claimed == STATED


def test_every_experiment_has_files() -> None:
    asked = {read_file(path).experiment.name for path in PATHS}
    assert asked == set(registry().scenario("cos-fit").by_name)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    file = read_file(path)
    copy = tmp_path / path.name
    copy.write_text(file.to_toml(), encoding="utf-8")
    assert read_file(copy).to_toml() == file.to_toml()  # NaN may be expected, which equals nothing


def test_data_lie_beside_their_file_and_are_found_from_anywhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [read_file(path) for path in PATHS]
    named = [Path(file.params.data) for file in files if getattr(file.params, "data", "")]
    assert named
    assert all(path.parent == FOLDER.resolve() and path.is_file() for path in named)


@pytest.mark.parametrize("name", FAST)
def test_quick_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(FOLDER / f"{name}.toml", tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FAST)))
def test_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(FOLDER / f"{name}.toml", tmp_path) == []
