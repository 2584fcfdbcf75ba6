"""The shipped files of lorenz: they can be read, they say what they check, and what they claim holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_file

SOURCE = "Defining Optimization in a Deeper Way, Part 4"
FOLDER = shipped_scenarios() / "lorenz"
PATHS = [path for path in shipped_files(shipped_scenarios()) if path.parent == FOLDER]
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
    file = read_file(path)
    assert file.scenario.name == "lorenz"
    assert file.title
    assert file.description
    assert file.expectations
    for expectation in file.expectations:
        assert expectation.source == SOURCE
        assert expectation.claim.endswith(".")
        if expectation.verdict != "reproduced":
            assert expectation.note, f"{expectation.target} corrects the source without saying why"


def test_every_figure_and_claim_has_a_file() -> None:
    assert set(FIGURES_AND_CLAIMS.values()) <= set(NAMES)
    verdicts = {e.verdict for path in PATHS for e in read_file(path).expectations}
    assert verdicts == {"reproduced", "corrected"}


def test_a_claimed_number_is_the_source_s_own() -> None:
    claimed: dict[str, set[float]] = {}
    for path in PATHS:
        for e in read_file(path).expectations:
            if e.claimed is not None:
                claimed.setdefault(e.finding or e.array or "", set()).add(float(e.claimed))
    assert claimed == STATED


def test_every_experiment_has_files() -> None:
    files = [read_file(path) for path in PATHS]
    assert {file.experiment.name for file in files} == set(registry().scenario("lorenz").by_name)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_written_out_again_is_the_same(path: Path, tmp_path: Path) -> None:
    file = read_file(path)
    copy = tmp_path / path.name
    copy.write_text(file.to_toml(), encoding="utf-8")
    assert read_file(copy) == file


def unmet(name: str, store: Path) -> list[str]:
    file = read_file(FOLDER / f"{name}.toml")
    settled = plan(file)
    ended = execute(begin(settled, store), settled)
    assert ended.result is not None, ended.error
    return [f"{o.expectation.target}: {o.measured} {o.why}" for o in ended.outcomes if not o.holds]


@pytest.mark.parametrize("name", FAST)
def test_quick_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(name, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FAST)))
def test_claims_hold(name: str, tmp_path: Path) -> None:
    assert unmet(name, tmp_path) == []
