"""The shipped files of toy-sgd: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
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

SOURCE = "Modelling and Understanding SGD"
FOLDER = shipped_scenarios() / "toy-sgd"
PATHS = files_of("toy-sgd")
NAMES = [path.stem for path in PATHS]

#: what the source shows in figures and says in numbers, and the file that answers it.
FIGURES_AND_CLAIMS = {
    "a step of 1": "descent-t1",
    "a step of 0.2": "descent-t02",
    "a step of 0.5": "descent-t05",
    "the gradient": "well",
    "an optimal step": "optimal-temperature-tight",
    "units of the step": "scaled-well",
    "Newton's factor": "newton",
    "L, l0 and l1": "landscape",
    "the pair with a step of 0.5": "pit-t05",
    "the pair with a step of 0.05": "pit-t005",
    "a run of five, 81 %": "run",
    "1.201": "run-from-rounded",
    "a pit twice as deep": "deeper-pit-run",
    "the pit as global minimum": "deeper-pit",
    "depth hardly matters": "deeper-pit-depth",
    "draws inversely proportional to T": "run-vs-temperature",
    "the limit of continuous descent": "gradient-flow",
    "fewer steps than the run": "fewer-steps",
    "an update that overshoots": "overshoot",
    "100 steps, all T": "escape-100",
    "1000 steps, all T": "escape-1000",
    "100 steps, close up": "closeup-100",
    "1000 steps, close up": "closeup-1000",
    "10000 steps, close up": "closeup-10000",
    "the log of the steps": "escape-law-closeup",
    "why": "escape-law",
    "the showcase": "escape",
}
#: the numbers that the source states, by the quantity they are said of.
STATED = {
    "start_w": {1.004},
    "barrier_w": {1.196},
    "run_end_w": {1.201},
    "run_probability": {0.81},
    "global_minimum": {1.0},
    "stationary_w": {1.0},
}
FAST = [
    "well", "descent-t1", "descent-t02", "descent-t05", "descent-above-t1", "optimal-temperature-visit", "scaled-well",
    "scaled-loss", "newton", "newton-scaled", "newton-from-afar", "landscape", "pit-t05", "pit-t005", "large-steps",
    "run", "run-from-rounded", "run-vs-temperature", "deeper-pit", "deeper-pit-run", "overshoot", "sgd-paths",
]  # fmt: skip


def said(file: ScenarioFile) -> list[Expectation]:
    return list(file.expectations)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path) -> None:
    assert_says_what_it_checks(path, "toy-sgd", [SOURCE])
    assert read_file(path).size == "laptop"


def test_every_figure_and_claim_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    expectations = [e for path in PATHS for e in said(read_file(path))]
    assert {e.verdict for e in expectations} == {"reproduced", "corrected", "not-reproduced"}


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_claimed_number_is_the_source_s_own(path: Path) -> None:
    for e in said(read_file(path)):
        if e.claimed is not None:
            assert e.claimed in STATED.get(e.finding or e.array or "", set()), e.target


def test_the_source_s_own_numbers_are_all_answered() -> None:
    assert claimed_numbers(PATHS) == STATED


def test_walkers_agree_with_the_chain_within_limits_that_chance_allows() -> None:
    """Four standard errors for few comparisons; 4.5 for the worst of many, and then how many is said."""
    compared = 0
    for path in PATHS:
        file = read_file(path)
        for e in (e for e in said(file) if e.finding == "monte_carlo_z"):
            params = file.params.plain()
            k = np.atleast_1d(params["temperature"]).size * np.atleast_1d(params["steps"]).size
            assert (e.min, e.max) == ((-4.0, 4.0) if k <= 4 else (-4.5, 4.5)), path.name
            assert (f"worst of {k} comparisons" if k > 1 else "one comparison") in e.note, path.name
            assert re.search(r"^seed = \d+$", path.read_text(encoding="utf-8"), flags=re.M), path.name
            compared += 1
    assert compared >= 8


def test_what_a_finding_is_fitted_to_is_said_beside_it() -> None:
    for path in PATHS:
        file = read_file(path)
        for e in (
            e for e in said(file) if e.finding in ("r2_linear", "r2_inverse", "slope_inverse_temperature")
        ):
            grid = ", ".join(f"{t:g}" for t in file.params.plain()["temperature"])
            assert grid in e.note, f"{path.name}: {e.target}"


def test_the_page_says_in_our_words_what_it_corrects() -> None:
    page = registry().scenario("toy-sgd").theory()
    start, end = page.index("## Where the source needs correcting"), page.index("## References")
    assert not set(page[start:end]) & set('"“”„')


def test_every_experiment_has_files_and_sweeps_are_used() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == set(registry().scenario("toy-sgd").by_name)
    assert sum(file.sweep is not None for file in files) >= 2


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
