"""The shipped files of landscape-5x5: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import claims
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_file

SCENARIO = "landscape-5x5"
SOURCE = "The energy landscape of a simple neural network"
PATHS = claims.files_of(SCENARIO)
NAMES = [path.stem for path in PATHS]
FAST = ["target-eight-layers"]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path, tmp_path: Path) -> None:
    claims.assert_says_what_it_checks(path, SCENARIO, [SOURCE])
    claims.assert_same_when_written_out(path, tmp_path)


def test_every_experiment_has_files_and_every_verdict_is_given() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == set(registry().scenario(SCENARIO).by_name)
    verdicts = {e.verdict for file in files for e in file.expectations}
    assert verdicts == {"reproduced", "corrected", "not-reproduced"}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in FAST else pytest.mark.slow) for path in PATHS],
    ids=NAMES,
)
def test_what_a_file_claims_holds(path: Path, tmp_path: Path) -> None:
    if read_file(path).size == "gpu":
        pytest.skip("of a size for a GPU")
    assert claims.unmet(path, tmp_path) == []
