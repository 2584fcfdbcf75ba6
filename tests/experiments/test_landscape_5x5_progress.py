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

from tui_opt.errors import CancelledError
from tui_opt.experiments.landscape_5x5 import paths, training
from tui_opt.experiments.landscape_5x5.work import Work
from tui_opt.kernels.networks import lanes
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
    "target": ["random networks", COMPILING, "training", "trained networks"],
    "train": [COMPILING, "training", "networks compared"],
    "paths": [COMPILING, "training", "polishing", "nodes matched", COMPILING, "paths"],
    "basin": [COMPILING, "stability limit", "training"],
    "widths": [COMPILING, "training", "losses", COMPILING, "training", "losses"],
    "hessian": [COMPILING, "training", "polishing", "spectra", "built network"],
}


class Told(Context):
    """Keeps all that is said of progress, and the arrays of every partial result."""

    def __init__(self, experiment: str, kernels: Path, threads: int = 1) -> None:
        super().__init__(f"landscape-5x5/{experiment}", kernels=kernels, threads=threads)
        self.phases: list[str] = []
        self.fractions: list[float] = []
        self.by_phase: dict[str, set[float]] = {}
        self.partials: list[dict[str, Any]] = []

    def progress(self, done: float, total: float, what: str = "") -> None:
        super().progress(done, total, what)
        self.fractions.append(self.now.fraction)
        self.by_phase.setdefault(self.now.what, set()).add(self.now.fraction)
        if not self.phases or self.phases[-1] != self.now.what:
            self.phases.append(self.now.what)

    def partial(self, make: Callable[[], Result]) -> None:
        # Copies: the computation may go on to fill the arrays themselves.
        self.partials.append({name: array.values.copy() for name, array in make().arrays.items()})


def told(experiment: str, kernels: Path, threads: int = 1, **given: Any) -> Told:
    found = registry().scenario("landscape-5x5").experiment(experiment)
    ctx = Told(experiment, kernels, threads)
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
    assert ctx.fractions[-1] == 1.0


LARGER: dict[str, dict[str, Any]] = {
    "target": {"compared": 30, "steps": 100},
    "train": {"models": 20, "steps": 100, "outputs": 2, "restarts": 10, "chunk": 16},
    "paths": {"minima": 2, "steps": 100, "polish": 50, "images": 4, "iterations": 20},
    "basin": {"trials": 20, "steps": 50, "polish": 50, "nearby_steps": 50, "factors": [0.9, 1.1]},
    "widths": {"models": 2, "steps": 50, "outputs": 2, "widths": [3, 17], "depths": [2, 1]},
    "hessian": {"minima": 3, "steps": 100, "polish": 50},
}
LEAST: dict[str, dict[str, int]] = {
    "target": {"random networks": 31, "training": 100, "trained networks": 31},
    "train": {"training": 200, "networks compared": 20},
    "paths": {"training": 100, "polishing": 50, "nodes matched": 20, "paths": 2 * (2 * 10 + 40) + 20},
    "basin": {"stability limit": 7 + 2 * 2 * 50, "training": 2 * 2 * 50},
    "widths": {"training": 100, "losses": 2 * 3},
    "hessian": {"training": 100, "polishing": 50, "spectra": 3, "built network": 2 + 2 * 5},
}
"""How many values of progress there are at the least if a step is a slice, and each Hessian counts."""


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("experiment", LARGER)
def test_every_slice_of_the_work_moves_progress(
    experiment: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "FLOPS_IN_A_SLICE", 1.0)
    monkeypatch.setattr(paths, "PULL_ROUNDS", 3)
    monkeypatch.setattr(paths, "PULL_STEPS", 10)
    network = {"layers": 2, "width": 3, "heights": [1.0]}
    ctx = told(experiment, cache_dir() / "kernels", threads, **network, **LARGER[experiment])
    found = {phase: len(ctx.by_phase[phase]) for phase in LEAST[experiment]}
    assert all(found[phase] >= least for phase, least in LEAST[experiment].items()), found
    assert ctx.fractions == sorted(ctx.fractions)
    assert ctx.fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("experiment", "phase"),
    [("hessian", "built network"), ("basin", "stability limit"), ("target", "training")],
)
def test_a_run_stops_within_a_phase_and_not_after_it(experiment: str, phase: str) -> None:
    """Its last word is of the phase in which it was asked to stop, a Hessian or a slice later at the most."""
    ctx = Told(experiment, cache_dir() / "kernels")

    def progress(done: float, total: float, what: str = "") -> None:
        Told.progress(ctx, done, total, what)
        if ctx.now.what == phase:
            ctx.cancel()

    ctx.progress = progress  # type: ignore[method-assign]
    found = registry().scenario("landscape-5x5").experiment(experiment)
    network = {"layers": 2, "width": 3, "heights": [1.0]}
    with pytest.raises(CancelledError):
        found.load_compute()(found.params.check({**network, **SMALL[experiment]}), ctx)
    assert ctx.phases[-1] == phase
    assert len(ctx.by_phase[phase]) <= 2


def test_what_is_begun_again_stays_until_it_is_there_and_what_was_too_small_ends_full() -> None:
    ctx = Told("train", cache_dir())
    work = Work(ctx, 10.0)
    part, rest = work.part(4.0, "part"), work.part(6.0)
    part.begin()
    part.add(3.0)
    part.begin(1.0)  # another device begins it again
    assert (ctx.now.fraction, ctx.now.what) == (0.3, "part")
    part.add(1.0)
    assert ctx.now.fraction == 0.3
    part.add(1.5)
    assert ctx.now.fraction == 0.35
    part.add(100.0)
    assert ctx.now.fraction == 0.4
    for _ in range(3):
        rest.nearer()
    assert (ctx.now.fraction, ctx.now.what) == (pytest.approx(0.4 + 0.6 * (1 - 0.75**3)), "part")
    rest.end()
    rest.end()
    assert ctx.now.fraction == pytest.approx(1.0)
    work.end()
    assert ctx.now.fraction == 1.0


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
