"""The shipped files of lorenz: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claims import (
    assert_same_when_written_out,
    assert_says_what_it_checks,
    claimed_numbers,
    files_of,
    unmet,
)
from tui_opt.locations import shipped_scenarios
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_file

SOURCE = "Defining Optimization in a Deeper Way, Part 4"
FOLDER = shipped_scenarios() / "lorenz"
PATHS = files_of("lorenz")
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and says in words, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "a, b and c over time, rho = 0.8": "rho-08",
    "Op of b and of c, rho = 0.8": "rho-08-op",
    "Op negative around a stable equilibrium": "rho-08-rates",
    "variation along c": "rho-08-perturb-c",
    "three stable equilibria": "rho-20-equilibria",
    "the equations as printed": "printed-sign",
    "converted to discrete time": "rho-28-euler",
    "the chaotic region": "attractor",
    "Op of b and of c, rho = 28": "rho-28-op",
    "a trend towards negative Op": "rho-28-rates",
    "A = b": "rho-28-rates-b",
    "A = c": "rho-28-rates-c",
    "A a pair": "rho-28-rates-ab",
    "a, t <= 10": "rho-28-window",
    "smaller perturbations": "rho-28-deltas",
    "smaller perturbations, longer": "rho-28-deltas-long",
    "landscapes of Op": "landscape",
}
#: numbers that the source states wrongly.
STATED = {"stable_equilibria": {3.0}}
FAST = [
    "rho-20-equilibria",
    "printed-sign",
    "rho-08-op",
    "rho-08-perturb-c",
    "rho-28-window",
    "rho-28-deltas-long",
]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "lorenz", [SOURCE])


def test_every_figure_and_claim_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    verdicts = {e.verdict for path in PATHS for e in read_file(path).expectations}
    assert verdicts == {"reproduced", "corrected"}


def test_a_claimed_number_is_the_source_s_own() -> None:
    assert claimed_numbers(PATHS) == STATED


def test_every_experiment_has_files() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == set(registry().scenario("lorenz").by_name)


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
