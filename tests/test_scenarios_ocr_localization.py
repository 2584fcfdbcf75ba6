"""The shipped files of ocr-localization: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import tui_opt
from tests import claims
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_file

SCENARIO = "ocr-localization"
SOURCES = (
    "Hypotheses about Finding Knowledge",
    "Knowledge Localization: Tentatively Positive Results on OCR",
)
PATHS = claims.files_of(SCENARIO)
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
    "before anything is learnt": "mnist-relu",
    "local changes": "mnist-intervene",
    "the same knowledge in two networks": "mnist-match",
    "a small and a large network": "mnist-match-widths",
}
FAST = ["digits-relu"]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path, tmp_path: Path) -> None:
    claims.assert_says_what_it_checks(path, SCENARIO, SOURCES)
    claims.assert_same_when_written_out(path, tmp_path)


def test_every_figure_and_claim_has_a_file_and_every_experiment_too() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    assert {read_file(path).experiment.name for path in PATHS} == set(registry().scenario(SCENARIO).by_name)


def test_tolerances_are_three_standard_errors_of_as_many_networks() -> None:
    """Of the spread between networks that the page has, which also says what follows from it."""
    page = (Path(tui_opt.__file__).parent / "theory" / f"{SCENARIO}.md").read_text(encoding="utf-8")
    table = page.split("| network                     | r_W  | s ")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    spreads = {}
    for network, mean, *numbers in rows:
        s, n, stderr, bound = map(float, numbers)
        assert stderr == pytest.approx(s / n**0.5, rel=0.04), network
        assert bound == pytest.approx(3 * s / n**0.5, rel=0.05), network
        spreads[network.partition(",")[0]] = float(mean), s
    assert spreads.keys() == {"MNIST", "digits"}
    for name, network in (("mnist-sigmoid", "MNIST"), ("digits", "digits")):
        file = read_file(next(path for path in PATHS if path.stem == name))
        mean, s = spreads[network]
        expected = next(e for e in file.expectations if e.finding == "r_weights")
        assert expected.value == pytest.approx(mean)
        assert expected.tolerance == pytest.approx(3 * s / file.params.seeds**0.5, rel=0.1)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in FAST else pytest.mark.slow) for path in PATHS],
    ids=NAMES,
)
def test_what_a_file_claims_holds(path: Path, tmp_path: Path) -> None:
    file = read_file(path)
    if missing := file.experiment.missing(file.params):
        pytest.skip(missing)
    assert claims.unmet(path, tmp_path) == []
