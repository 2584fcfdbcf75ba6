"""The shipped files of ocr-localization: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_file

SOURCES = (
    "Hypotheses about Finding Knowledge",
    "Knowledge Localization: Tentatively Positive Results on OCR",
)
FOLDER = shipped_scenarios() / "ocr-localization"
PATHS = [path for path in shipped_files(shipped_scenarios()) if path.parent == FOLDER]
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and says in words, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "biases": "mnist-relu",
    "weights": "mnist-softplus",
    "clusters": "digits-relu",
    "pixels": "mnist-relu",
    "second half or all": "mnist-full",
    "1,200 or 12,000": "mnist-1200",
    "only ReLU-like": "mnist-activations",
}
FAST = ["digits-relu"]


def holds(path: Path, tmp_path: Path) -> None:
    file = read_file(path)
    if missing := file.experiment.missing(file.params):
        pytest.skip(missing)
    settled = plan(file, 2)
    ended = execute(begin(settled, tmp_path), settled)
    assert ended.error is None
    assert [o.why for o in ended.outcomes if not o.holds] == []
    assert len(ended.outcomes) == len(file.expectations)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    file = read_file(path)
    assert file.scenario.name == "ocr-localization"
    assert file.title
    assert file.description
    assert file.expectations
    assert {e.source for e in file.expectations} <= set(SOURCES)
    for expectation in file.expectations:
        assert expectation.claim
        assert expectation.verdict == "reproduced" or expectation.note


def test_every_figure_and_claim_has_a_file_and_every_experiment_too() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    asked = {read_file(path).experiment.name for path in PATHS}
    assert asked == {experiment.name for experiment in registry().scenario("ocr-localization").experiments}


@pytest.mark.parametrize("name", FAST)
def test_what_a_file_claims_holds(name: str, tmp_path: Path) -> None:
    holds(FOLDER / f"{name}.toml", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FAST)))
def test_what_the_other_files_claim_holds(name: str, tmp_path: Path) -> None:
    holds(FOLDER / f"{name}.toml", tmp_path)
