"""The shipped files of probability-current: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.claims import (
    assert_same_when_written_out,
    assert_says_what_it_checks,
    claimed_numbers,
    files_of,
    unmet,
)
from tui_opt.expectations import Expectation
from tui_opt.locations import shipped_scenarios
from tui_opt.scenario import registry
from tui_opt.scenario_file import ScenarioFile, read_file

SOURCE = "SGD Understood through Probability Current"
FOLDER = shipped_scenarios() / "probability-current"
PATHS = files_of("probability-current")
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and says in words, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "G and S": "fields",
    "paths at T = 0.02": "trajectories",
    "a distribution carried by the drift": "drift-evolution",
    "means and standard deviations without noise": "drift-monte-carlo",
    "g = -1 or 1, distributions": "constant-noise-truncated",
    "g = -1 or 1, standard deviations": "constant-noise",
    "the third example's fields": "datapoint-gradients",
    "the third example, distributions": "third-example",
    "the original system falls apart": "original-t002",
    "high T": "original-t05",
    "several small steps on one datapoint": "remedy-hot",
    "the third example in the end": "end-third-example",
    "the equation of end states": "end-zero-current",
    "where S² vanishes": "pit-rates",
    "G and S² both zero": "end-at-rest",
    "a minimum twice as wide": "wide-minimum",
    "a preference for broad minima": "wide-minimum-deep",
    "drawn to low gradient variance": "end-low-variance",
    "S and the number of datapoints": "end-more-datapoints",
    "vectors W and G, a matrix S²": "plane-original",
    "S² = 1 by a choice of the metric": "plane-two-datapoints",
    "an energy must exist": "plane-circulates",
}
#: numbers that the source states wrongly, by the quantity they are said of.
STATED = {
    "S2": {1.6},
    "log_density_ratio_operator": {4.0},
    "log_density_ratio_ito": {4.0},
    "log_density_ratio_stratonovich": {4.0},
    "log_density_ratio_fick": {4.0},
}
FAST = [
    "fields",
    "datapoint-gradients",
    "constant-noise-truncated",
    "third-example-cold",
    "remedy-ten-steps",
    "end-third-example",
    "end-zero-current",
    "end-more-datapoints",
    "pit-rates-cold",
    "wide-minimum",
    "plane-circulates",
    "plane-likelihood",
    "plane-two-datapoints",
]


def said(file: ScenarioFile) -> list[Expectation]:
    return list(file.expectations)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "probability-current", [SOURCE])


def test_every_figure_and_claim_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    expectations = [e for path in PATHS for e in said(read_file(path))]
    assert {e.verdict for e in expectations} == {"reproduced", "corrected", "not-reproduced"}


def test_a_claimed_number_is_the_source_s_own() -> None:
    assert claimed_numbers(PATHS) == STATED


def test_walkers_agree_with_the_chain_within_limits_that_chance_allows() -> None:
    """The worst of many comparisons, and how many is said; the walkers' seed is fixed."""
    compared = 0
    for path in PATHS:
        file = read_file(path)
        if file.experiment.name != "evolve":
            continue
        params = file.params.plain()
        for e in (e for e in said(file) if (e.finding or "").endswith("_z_operator")):
            outputs = len(range(0, params["steps"], params["output_every"])) + 1
            assert (e.max, f"worst of {outputs} comparisons" in e.note) == (4.5, True), path.name
            assert re.search(r"^seed = \d+$", path.read_text(encoding="utf-8"), flags=re.M), path.name
            compared += 1
    assert compared >= 8


def test_walkers_of_end_states_agree_with_the_chain_within_four_standard_errors() -> None:
    compared = 0
    for path in PATHS:
        file = read_file(path)
        if file.experiment.name != "end-state":
            continue
        for e in (e for e in said(file) if (e.finding or "").endswith("_z_operator")):
            assert (e.min, e.max, "the seed is fixed" in e.note) == (-4.0, 4.0, True), path.name
            assert re.search(r"^seed = \d+$", path.read_text(encoding="utf-8"), flags=re.M), path.name
            compared += 1
    assert compared >= 10


def test_walkers_of_two_parameters_agree_with_the_cells_within_limits_that_chance_allows() -> None:
    compared = 0
    for path in PATHS:
        file = read_file(path)
        if file.experiment.name != "plane":
            continue
        params = file.params.plain()
        for e in (e for e in said(file) if (e.finding or "").endswith("_z_operator")):
            comparisons = 2 * (len(range(0, params["steps"], params["output_every"])) + 1)
            assert (e.max, f"worst of {comparisons} comparisons" in e.note) == (4.5, True), path.name
            assert re.search(r"^seed = \d+$", path.read_text(encoding="utf-8"), flags=re.M), path.name
            compared += 1
    assert compared >= 8


def test_every_experiment_has_files() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == set(registry().scenario("probability-current").by_name)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    assert_same_when_written_out(path, tmp_path)


@pytest.mark.parametrize("name", FAST)
def test_quick_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(FOLDER / f"{name}.toml", tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FAST)))
def test_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(FOLDER / f"{name}.toml", tmp_path) == []
