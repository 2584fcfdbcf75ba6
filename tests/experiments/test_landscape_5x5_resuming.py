"""A run that is stopped after any piece it kept goes on from there: no number differs, and no step is taken twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.errors import CancelledError
from tui_opt.experiments.landscape_5x5 import paths, training
from tui_opt.locations import cache_dir
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario import registry

NETWORK: dict[str, Any] = {"layers": 2, "width": 3, "heights": [1.0]}
SMALL: dict[str, dict[str, Any]] = {
    "train": {"models": 20, "steps": 40, "outputs": 3, "restarts": 1, "chunk": 16, "optimizer": "adam"},
    "paths": {"minima": 5, "steps": 30, "polish": 20, "images": 4, "iterations": 2},
    "basin": {"trials": 20, "steps": 30, "polish": 20, "factors": [], "optimizer": "adadelta"},
    "widths": {"models": 3, "steps": 30, "outputs": 3, "widths": [3, 17, 3], "depths": [2, 1, 2]},
    "hessian": {"minima": 4, "steps": 30, "polish": 20},
}


class Stopping:
    """A checkpoint whose run is stopped right after the piece of a number is kept."""

    def __init__(self, pieces: dict[str, NDArray[Any]], last: int | None = None) -> None:
        self.pieces, self.last = dict(pieces), last
        self.put_keys: list[str] = []

    def get(self, key: str) -> NDArray[Any] | None:
        return self.pieces.get(key)

    def put(self, key: str, array: NDArray[Any]) -> None:
        self.pieces[key] = array.copy()
        self.put_keys.append(key)
        if len(self.put_keys) == self.last:
            raise CancelledError

    def drop(self, prefix: str) -> None:
        self.pieces = {key: array for key, array in self.pieces.items() if not key.startswith(prefix)}

    def flush(self) -> None: ...


class Counted:
    """In place of `advance`: the steps of all networks, counted where they are all taken."""

    def __init__(self) -> None:
        self.steps = 0
        self._advance = training.advance

    def __call__(self, trainer: Any, crowd: Any, rule: Any, steps: int, *rest: Any) -> Any:
        losses = self._advance(trainer, crowd, rule, steps, *rest)
        self.steps += steps * crowd.networks.size
        return losses


def run(experiment: str, checkpoint: Stopping) -> Result:
    ctx = Context(f"landscape-5x5/{experiment}", seed=4, kernels=cache_dir() / "kernels")
    ctx.checkpoint = checkpoint
    found = registry().scenario("landscape-5x5").experiment(experiment)
    result: Result = found.load_compute()(found.params.check({**NETWORK, **SMALL[experiment]}), ctx)
    return result


@pytest.mark.parametrize("experiment", SMALL)
def test_a_stopped_run_goes_on(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PULL_ROUNDS", 2)
    monkeypatch.setattr(training, "KEPT_EVERY", 0.0)  # as soon as can be
    monkeypatch.setattr(training, "MOST_OFTEN", 0.0)
    undivided = Stopping({})
    with monkeypatch.context() as patch:
        patch.setattr(training, "FIRST_STRETCH", 10**9)
        whole = run(experiment, undivided)
    monkeypatch.setattr(training, "FIRST_STRETCH", 1000)
    counted = Counted()
    monkeypatch.setattr(training, "advance", counted)
    keys = Stopping({})
    divided = run(experiment, keys)
    steps, many = counted.steps, len(keys.put_keys)
    assert many > len(undivided.put_keys) + 10
    for last in range(1, many + 1, max(1, many // 6)):
        counted.steps, stopped = 0, Stopping({}, last)
        with pytest.raises(CancelledError):
            run(experiment, stopped)
        resumed = run(experiment, Stopping(stopped.pieces))
        if not stopped.put_keys[-1].endswith(("losses", "seconds")):  # of which the networks follow
            assert counted.steps == steps
        for found in (resumed, divided):
            assert set(found.arrays) == set(whole.arrays)
            for name, array in whole.arrays.items():
                assert np.array_equal(found.arrays[name].values, array.values, equal_nan=True), (last, name)
            for name, finding in whole.findings.items():
                if not name.startswith(("model_steps_per_second", "seconds")):  # measured
                    np.testing.assert_equal(found.findings[name].value, finding.value)
