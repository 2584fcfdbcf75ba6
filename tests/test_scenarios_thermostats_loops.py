"""The shipped files of thermostats whose state is a number: what they check, and that what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claims import assert_same_when_written_out, assert_says_what_it_checks, claimed_numbers, unmet
from tui_opt.experiments.thermostats.loops import LOOPS
from tui_opt.locations import shipped_scenarios
from tui_opt.scenario_file import read_file

SOURCES = [f"Defining Optimization in a Deeper Way Part {part}" for part in (3, 4)]
OURS = {experiment.name for experiment in LOOPS}
PATHS = [
    path
    for path in sorted((shipped_scenarios() / "thermostats").glob("*.toml"))
    if read_file(path).experiment.name in OURS
]
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and says in words, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "the course of W": "network",
    "X - W and Y - W": "network",
    "the logarithm of their ratio": "network",
    "independence of δ": "network-delta",
    "a sinusoid": "network-sinusoid",
    "k = 0.02": "network-double-gain",
    "twice as big": "network-doubling",
    "systems that are no optimizers": "network-unstable",
    "a thermostat of limited power": "saturating",
    "Op over initial temperatures": "saturating-landscape",
    "19.961": "saturating-landscape",
    "19.611": "saturating-half-width",
    "9.980": "saturating-half-power",
    "θ to 0": "saturating-narrow",
    "2pt": "saturating-two-p-t",
    "neural networks": "controller-room",
}
SLOW = ("controller-room", "controller-pendulum")
#: numbers that the source states otherwise, by the quantity they are said of.
STATED = {
    "final_machine": {25.0},
    "w_machine": {-15.0},
    "doubling_ratio": {2.0},
    "doubling_ratio_limit": {2.0},
    "compression_exact": {19.961},
    "compression_integral": {19.611},
}


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "thermostats", SOURCES)


def test_every_figure_claim_and_experiment_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == OURS
    verdicts = {e.verdict for file in files for e in file.expectations}
    assert verdicts == {"reproduced", "corrected", "not-reproduced"}


def test_a_claimed_number_is_the_source_s_own() -> None:
    assert claimed_numbers(PATHS) == STATED


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    assert_same_when_written_out(path, tmp_path)


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in PATHS]
)
def test_claims_hold(path: Path, tmp_path: Path) -> None:
    assert unmet(path, tmp_path) == []
