"""The files of thermostats on laws of machine and room: what they check, and that what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claims import assert_same_when_written_out, assert_says_what_it_checks, unmet
from tui_opt.expectations import Expectation
from tui_opt.experiments.thermostats.distributions import DISTRIBUTIONS
from tui_opt.locations import shipped_scenarios
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario_file import ScenarioFile, read_file

PARTS = tuple(f"Defining Optimization in a Deeper Way Part {part}" for part in (1, 2))
FOLDER = shipped_scenarios() / "thermostats"
EXPERIMENTS = {experiment.name for experiment in DISTRIBUTIONS}


def asks_about_laws(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return any(f'experiment = "{name}"' in text for name in EXPERIMENTS)


PATHS = [
    path for path in shipped_files(shipped_scenarios()) if path.parent == FOLDER and asks_about_laws(path)
]
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and tables and says in words, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "the first thermostat's tables": "dumb",
    "the smarter thermostat's tables": "smart",
    "the first table as printed": "printed-dumb",
    "the second table as printed": "printed-smart",
    "the dumb thermostat from the greatest entropy, and its cycle": "dumb-adjusted",
    "the smart thermostat from the greatest entropy": "smart-adjusted",
    "laws in powers of ε": "nearly-certain",
    "optimizing-ness against entropy": "epsilon-family",
    "very small ε": "epsilon-tiny",
    "a relation of the smart thermostat alone": "epsilon-dumb",
    "corners, with and without decorrelating": "square",
    "the printed list of corners": "square-printed-corners",
    "entropies that are not easy": "square-entropies",
    "entropies depend on coordinates": "square-units",
    "logarithms of variances": "square-variances",
    "the non-adjusted version fluctuates": "square-wide",
    "nothing to be found in linear systems": "square-strong",
}
#: numbers that the source states wrongly, by the quantity they are said of.
STATED = {
    "joint": {0.0},
    "next_decorrelated": {1 / 9, 2 / 9},
    "entropy_next": {1.6, 0.0},
    "entropy_next_decorrelated": {2.7, 2.2},
    "optimizing_strength": {1.1, 2.2},
    "side_ratio_now": {1.0},
    "corners_now": {7.03, 6.97},
    "adjusted_trace": {0.0},
    "adjusted_variance_room": {0.0},
}


def said(file: ScenarioFile) -> list[Expectation]:
    return list(file.expectations)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "thermostats", PARTS)


def test_every_figure_and_claim_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    assert {read_file(path).experiment.name for path in PATHS} == EXPERIMENTS


def test_a_claimed_number_is_the_source_s_own() -> None:
    claimed: dict[str, set[float]] = {}
    for e in (e for path in PATHS for e in said(read_file(path)) if e.claimed is not None):
        claimed.setdefault(e.finding or e.array or "", set()).add(round(float(e.claimed or 0.0), 9))
    assert claimed == {name: {round(number, 9) for number in numbers} for name, numbers in STATED.items()}


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    assert_same_when_written_out(path, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(FOLDER / f"{name}.toml", tmp_path) == []
