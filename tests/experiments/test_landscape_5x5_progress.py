"""What a run is at: its phase has a name from the beginning, and while kernels are compiled the name is that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_opt.experiments.landscape_5x5 import paths, training
from tui_opt.locations import cache_dir
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario import registry

COMPILING = "compiling (first use only)"
SMALL: dict[str, dict[str, Any]] = {
    "target": {"compared": 4, "steps": 3},
    "train": {"models": 4, "steps": 3, "outputs": 2, "restarts": 1},
    "paths": {"minima": 2, "steps": 20, "polish": 20, "images": 4, "iterations": 2, "method": "string"},
    "basin": {"trials": 4, "steps": 3, "nearby_steps": 2, "polish": 3},
    "widths": {"models": 2, "steps": 3, "outputs": 2, "widths": [3, 3], "depths": [2, 2]},
    "hessian": {"minima": 2, "steps": 3, "polish": 2},
}
PHASES = {
    "target": ["random networks", COMPILING, "training"],
    "train": [COMPILING, "training", "networks compared"],
    "paths": [COMPILING, "training", "polishing", COMPILING, "paths"],
    "basin": [COMPILING, "stability limit", "training"],
    "widths": [COMPILING, "training", COMPILING, "training"],
    "hessian": [COMPILING, "training", "polishing", "spectra"],
}


class Told(Context):
    """Keeps all that is said of progress, and the arrays of every partial result."""

    def __init__(self, experiment: str, kernels: Path) -> None:
        super().__init__(f"landscape-5x5/{experiment}", kernels=kernels)
        self.phases: list[str] = []
        self.fractions: list[float] = []
        self.partials: list[dict[str, Any]] = []

    def progress(self, done: float, total: float, what: str = "") -> None:
        super().progress(done, total, what)
        self.fractions.append(self.now.fraction)
        if not self.phases or self.phases[-1] != self.now.what:
            self.phases.append(self.now.what)

    def partial(self, make: Callable[[], Result]) -> None:
        # Copies: the computation may go on to fill the arrays themselves.
        self.partials.append({name: array.values.copy() for name, array in make().arrays.items()})


def told(experiment: str, kernels: Path, **given: Any) -> Told:
    found = registry().scenario("landscape-5x5").experiment(experiment)
    ctx = Told(experiment, kernels)
    found.load_compute()(found.params.check({**given}), ctx)
    return ctx


@contextmanager
def always(announce: Callable[[str], None]) -> Iterator[None]:
    """In place of the announcement: as if everything were compiled."""
    announce(COMPILING)
    yield


@pytest.mark.parametrize("experiment", SMALL)
def test_phases_are_named_in_turn(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (training, paths):
        monkeypatch.setattr(module, "announced_compilation", always)
    monkeypatch.setattr(paths, "PULL_ROUNDS", 2)
    network = {"layers": 2, "width": 3, "heights": [1.0]}
    ctx = told(experiment, cache_dir() / "kernels", **network, **SMALL[experiment])
    assert ctx.phases == PHASES[experiment]
    assert ctx.fractions == sorted(ctx.fractions)


def test_compiling_is_named_only_where_something_is_compiled(tmp_path: Path) -> None:
    """A folder without kernels, then the same again."""
    network = {"layers": 1, "width": 1, "target": "x", "points": 2}
    asked = {**network, **SMALL["train"]}
    assert told("train", tmp_path, **asked).phases == [COMPILING, "training", "networks compared"]
    assert told("train", tmp_path, **asked).phases == ["training", "networks compared"]


def test_nothing_that_the_built_network_does_without_is_compiled_before_a_run_begins() -> None:
    """The kernel of expressions is compiled when it is imported, and nobody could be told the phase of that."""
    imports = "; ".join(f"import tui_opt.experiments.landscape_5x5.{name}" for name in SMALL)
    code = f"import sys; {imports}; print('tui_opt.kernels.tape' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False"]


def test_while_trials_are_polished_their_losses_are_still_those_of_training() -> None:
    network = {"layers": 2, "width": 3, "heights": [1.0]}
    asked = {**SMALL["basin"], "steps": 5, "polish": 2500, "polish_rate": 0.02, "learning_rate": 0.02}
    partials = told("basin", cache_dir() / "kernels", **network, **asked).partials
    assert len(partials) == 4  # after training, and after each piece of the small steps
    first, last = partials[0], partials[-1]
    for arrays in partials:
        assert np.array_equal(arrays["loss"], first["loss"])
    assert not np.array_equal(last["loss_polished"], last["loss"])
