"""The shipped files of loss-curve, fit, basin-map and overparameterised: every claim has one, and quick ones hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario_file import read_file

FOLDER = shipped_scenarios() / "cos-fit"
FILES = {
    path.stem: read_file(path)
    for path in shipped_files(shipped_scenarios())
    if path.parent == FOLDER and not path.stem.startswith("solve")
}

#: what the thread says of descent, and the file that answers it.
CLAIMS = {
    "the loss does not go down": "fit-asker",
    "the picture for a spread of 5": "loss-picture",
    "a ridge at 1.25 and a minimum at 1.5": "loss-ripple",
    "the picture for a spread of 500": "loss-wide",
    "it depends on range and distribution": "fit-spreads",
    "descent goes to the nearest minimum": "basins-uniform",
    "one must start very close": "basins-wide",
    "begin with one exponential": "fit-one-exponential",
    "two exponentials are easy": "fit-two-exponentials",
    "networks find their way": "networks-uniform",
    "sqrt does not converge": "fit-sqrt",
    "sqrt should work fine": "fit-sqrt-rates",
    "more room in more dimensions": "networks-normal",
    "[0, 10) has no forest of minima": "loss-uniform",
    "SGD of the second reply": "fit-second-reply",
    "Adam of the second reply": "fit-second-reply-adam",
}
#: numbers the thread gives, by the finding they are said of.
STATED = {
    "basin_high": {1.25},
    "basin_high_exact": {1.25},
    "ridge_mean": {1.25},
    "next_minimum_mean": {1.5},
    "final_a": {0.5868821, 0.5829995274543762},
    "final_b": {0.0258954, 0.11200009286403656},
    "final_loss": {0.0027335, 4.0959913412408344e-12},
}
FAST = ["loss-picture", "loss-wide", "fit-batch-methods", "fit-two-exponentials", "fit-sqrt"]


def test_every_claim_of_the_thread_about_descent_has_a_file() -> None:
    assert set(CLAIMS.values()) <= set(FILES)
    assert {file.experiment.name for file in FILES.values()} == {
        "loss-curve", "fit", "basin-map", "overparameterised"
    }  # fmt: skip


def test_a_claimed_number_is_the_thread_s_own() -> None:
    claimed: dict[str, set[float]] = {}
    for file in FILES.values():
        for e in file.expectations:
            if e.claimed is not None:
                claimed.setdefault(e.finding or e.array or "", set()).add(float(e.claimed))
    assert claimed == STATED


@pytest.mark.parametrize("name", FAST)
def test_quick_claims_hold(name: str, tmp_path: Path) -> None:
    settled = plan(FILES[name])
    ended = execute(begin(settled, tmp_path), settled)
    assert ended.result is not None, ended.error
    assert [f"{o.expectation.target}: {o.measured} {o.why}" for o in ended.outcomes if not o.holds] == []
